//! Reading pictures, and the original frost photographs.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::fs;

use rlnet_corruptions::{Error, Image, Textures};

#[test]
fn broken_pictures_are_refused_without_a_panic() {
    let mut broken = vec![
        vec![],
        b"GIF89a".to_vec(),
        b"\x89PNG\r\n\x1a\n rest".to_vec(),
        vec![0xff, 0xd8],
        [&[0xff, 0xd8, 0xff, 0xdb][..], &[0; 60][..]].concat(),
    ];
    if let Some(path) = support::find("data/frost/frost5.jpg", "a JPEG file cut short") {
        broken.push(fs::read(path).unwrap()[..300].to_vec());
    }
    for file in broken {
        assert!(matches!(Image::decode(&file), Err(Error::Decode(_))));
    }
}

#[test]
fn altered_or_absent_photographs_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = Textures::from_dir(folder.path()).unwrap_err();
    assert!(error.to_string().contains("frost1.png"), "{error}");
    fs::write(folder.path().join("frost1.png"), b"something else").unwrap();
    let error = Textures::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Texture { .. }));
    assert!(error.to_string().contains("MD5"), "{error}");
}

#[test]
fn the_originals_say_so() {
    assert!(!Textures::default().are_original());
    if let Some(textures) = support::original_textures("the original frost photographs") {
        assert!(textures.are_original());
        assert_eq!(textures.describe(), "original, 5 files, MD5 7258f303");
    }
}
