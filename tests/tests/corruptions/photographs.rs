//! Pictures as Pillow reads and prepares them: small files of every kind, and photographs.

use rlnet_corruptions::picture::{Filter, Preparation};
use rlnet_corruptions::{Error, Image};
use rlnet_test_support::reference;
use std::path::Path;

use crate::support::hash;

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn decoded(path: &Path) -> Image {
    Image::decode(&std::fs::read(path).unwrap()).unwrap()
}

/// Name, width, height, hashes.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(fixtures().join(name)).unwrap();
    text.lines()
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect()
}

/// Grey, palettes, alpha, four inks, sixteen bits; all samplings of chroma; an orientation that nobody
/// obeys.
#[test]
fn pictures_of_every_kind_are_read_as_pillow_reads_them() {
    let known = rows("pictures/hashes.txt");
    let mut wrong = Vec::new();
    for row in &known {
        let image = decoded(&fixtures().join("pictures").join(&row[0]));
        if (
            image.width().to_string(),
            image.height().to_string(),
            hash(image.data()),
        ) != (row[1].clone(), row[2].clone(), row[3].clone())
        {
            wrong.push(row[0].clone());
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(known.len(), 17);
    let deep = std::fs::read(fixtures().join("pictures/grey-deep.png")).unwrap();
    assert!(matches!(Image::decode(&deep), Err(Error::Decode(why)) if why.contains("16 bits")));
}

/// Of every 25th photograph the pixels, and what a network sees of it: Resize(256), CenterCrop(224).
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn photographs_are_read_and_prepared_as_torchvision_does() {
    let mut wrong = Vec::new();
    for row in rows("photographs.txt").iter().step_by(25) {
        let image = decoded(&reference("data/photos").join(&row[0]));
        if hash(image.data()) != row[3] {
            wrong.push(format!("{} decoded", row[0]));
        }
        for (filter, expected) in Filter::ALL.into_iter().zip(&row[4..]) {
            let usual = Preparation {
                resize: Some(256),
                crop: Some(224),
                filter,
            };
            if hash(usual.apply(&image).unwrap().data()) != *expected {
                wrong.push(format!("{} {filter}", row[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:?}", wrong.len());
}
