//! Reading pictures and frost photographs.

#![allow(clippy::unwrap_used)]

use std::fs;

use rlnet_corruptions::{Error, Image, Textures};

#[test]
fn broken_pictures_are_refused_without_a_panic() {
    for file in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n rest"] {
        assert!(matches!(Image::decode(file), Err(Error::Decode(_))));
    }
    for file in [
        vec![0xff, 0xd8],
        [&[0xff, 0xd8, 0xff, 0xdb][..], &[0; 60]].concat(),
    ] {
        let error = Image::decode(&file).unwrap_err();
        if cfg!(feature = "jpeg") {
            assert!(matches!(error, Error::Decode(_)), "{error}");
        } else {
            // Built without JPEG files: the error names the feature.
            assert!(matches!(error, Error::JpegFeature(_)), "{error}");
            assert!(error.to_string().contains("feature `jpeg`"), "{error}");
        }
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
fn the_default_textures_are_not_the_originals() {
    assert!(!Textures::default().are_original());
}
