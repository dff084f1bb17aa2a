//! The published checksums of CIFAR-10-C and CIFAR-100-C.
//!
//! MD5 of each file as rai-toolbox and torch-uncertainty list them; the archives are
//! Zenodo records 2535967 and 3555552.

use std::str::FromStr;

use crate::{Corruption, Error, Family, Result, Sequence};

/// A known archive of `.npy` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Published {
    /// CIFAR-10-C.
    Cifar10C,
    /// CIFAR-100-C.
    Cifar100C,
    /// CIFAR-10-C-bar, which everybody generates: only the checksum of its labels is known.
    Cifar10CBar,
    /// CIFAR-10-P, of which no checksum is published.
    Cifar10P,
}

impl Published {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cifar10C, Self::Cifar100C, Self::Cifar10CBar, Self::Cifar10P];

    /// The file names without `.npy`: the corruptions, then `labels`; for CIFAR-10-P the sequences.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Cifar10C | Self::Cifar100C => TABLE.iter().map(|row| row.0).collect(),
            Self::Cifar10CBar => {
                let corruptions = Family::CBar.corruptions().iter();
                corruptions.map(|c| c.name()).chain(["labels"]).collect()
            }
            Self::Cifar10P => Sequence::published()
                .iter()
                .map(|sequence| sequence.name())
                .collect(),
        }
    }

    /// The shape of `<name>.npy`.
    pub(super) fn shape(self, name: &str) -> Vec<usize> {
        match (self, name.parse::<Sequence>()) {
            (Self::Cifar10P, Ok(sequence)) => vec![10_000, sequence.frames(), 32, 32, 3],
            _ if name == "labels" => vec![50_000],
            _ => vec![50_000, 32, 32, 3],
        }
    }

    /// Whether `<name>.npy` draws no random number, so that it can be made again from the test images.
    pub fn can_be_made(self, name: &str) -> bool {
        match self {
            Self::Cifar10P => name.parse().is_ok_and(Sequence::is_deterministic),
            _ => name.parse().is_ok_and(Corruption::is_deterministic),
        }
    }

    /// The data set whose test images it holds: `cifar10` or `cifar100`.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::Cifar10C | Self::Cifar10CBar | Self::Cifar10P => "cifar10",
            Self::Cifar100C => "cifar100",
        }
    }

    /// The MD5 of `<name>.npy`, if it is known.
    ///
    /// ```
    /// use rlnet_corruptions::archive::Published;
    /// let md5 = Published::Cifar10C.md5("brightness");
    /// assert_eq!(md5, Some("0a81ef75e0b523c3383219c330a85d48"));
    /// ```
    pub fn md5(self, name: &str) -> Option<&'static str> {
        let row = || TABLE.iter().find(|row| row.0 == name);
        match self {
            Self::Cifar10C => Some(row()?.1),
            Self::Cifar100C => Some(row()?.2),
            // Of the labels of the test images as 64-bit integers.
            Self::Cifar10CBar => (name == "labels").then_some("59789ab260073c4da81e4d033fd1bea7"),
            Self::Cifar10P => None,
        }
    }

    /// `cifar10-c`, `cifar100-c`, `cifar10-c-bar` or `cifar10-p`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10C => "cifar10-c",
            Self::Cifar100C => "cifar100-c",
            Self::Cifar10CBar => "cifar10-c-bar",
            Self::Cifar10P => "cifar10-p",
        }
    }
}

impl FromStr for Published {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|published| published.name() == name)
            .ok_or_else(|| Error::UnknownName {
                what: "published archive",
                name: name.to_owned(),
                known: "cifar10-c, cifar100-c, cifar10-c-bar, cifar10-p",
            })
    }
}

/// The archives as Zenodo has them: file name, MD5, record. Tiny-ImageNet-C is there twice; the
/// older record's files are not the newer's.
pub const PUBLISHED_TARS: [(&str, &str, &str); 5] = [
    ("CIFAR-10-C.tar", "56bf5dcef84df0e2308c6dcbcbbd8499", "2535967"),
    ("CIFAR-100-C.tar", "11f0ed0f1191edbf9fa23466ae6021d3", "3555552"),
    (
        "Tiny-ImageNet-C.tar",
        "f9c9a9dbdc11469f0b850190f7ad8be1",
        "2536630",
    ),
    (
        "Tiny-ImageNet-C-extra.tar",
        "0db0588d243cf403ef93449ec52b70eb",
        "2536630",
    ),
    (
        "TinyImageNet-C.tar",
        "3d9c6e89c2609aeb4198f84c8edd1ff0",
        "2469796",
    ),
];

/// Name, MD5 in CIFAR-10-C, MD5 in CIFAR-100-C.
#[rustfmt::skip]
const TABLE: [(&str, &str, &str); 20] = [
    ("gaussian_noise", "ecaf8b9a2399ffeda7680934c33405fd", "ecc4d366eac432bdf25c024086f5e97d"),
    ("shot_noise", "3a7239bb118894f013d9bf1984be7f11", "b0a1fa6e1e465a747c1b204b1914048a"),
    ("impulse_noise", "2090e01c83519ec51427e65116af6b1a", "3b3c210ddfa0b5cb918ff4537a429fef"),
    ("defocus_blur", "7d1322666342a0702b1957e92f6254bc", "d923e3d9c585a27f0956e2f2ad832564"),
    ("glass_blur", "7361fb4019269e02dbf6925f083e8629", "0bf384f38e5ccbf8dd479d9059b913e1"),
    ("motion_blur", "fffa5f852ff7ad299cfe8a7643f090f4", "732a7e2e54152ff97c742d4c388c5516"),
    ("zoom_blur", "6ea8e63f1c5cdee1517533840641641b", "0204613400c034a81c4830d5df81cb82"),
    ("snow", "bb238de8555123da9c282dea23bd6e55", "0237be164583af146b7b144e73b43465"),
    ("frost", "31f6ab3bce1d9934abfb0cc13656f141", "3a39c6823bdfaa0bf8b12fe7004b8117"),
    ("fog", "7b397314b5670f825465fbcd1f6e9ccd", "4efc7ebd5e82b028bdbe13048e3ea564"),
    ("brightness", "0a81ef75e0b523c3383219c330a85d48", "f22d7195aecd6abb541e27fca230c171"),
    ("contrast", "3c8262171c51307f916c30a3308235a8", "322bb385f1d05154ee197ca16535f71e"),
    ("elastic_transform", "9421657c6cd452429cf6ce96cc412b5f", "a0792bd6581f6810878be71acedfc65a"),
    ("pixelate", "0f14f7e2db14288304e1de10df16832f", "96c00c60f144539e14cffb02ddbd0640"),
    ("jpeg_compression", "2b9cc4c864e0193bb64db8d7728f8187", "c851b7f1324e1d2ffddeb76920576d11"),
    ("speckle_noise", "ef00b87611792b00df09c0b0237a1e30", "e3f215b1a0f9fd9fd6f0d1cf94a7ce99"),
    ("gaussian_blur", "c33370155bc9b055fb4a89113d3c559d", "5204ba0d557839772ef5a4196a052c3e"),
    ("spatter", "8a5a3903a7f8f65b59501a6093b4311e", "12ccf41d62564d36e1f6a6ada5022728"),
    ("saturate", "1cfae0964219c5102abbb883e538cc56", "c0697e9fdd646916a61e9c312c77bf6b"),
    ("labels", "c439b113295ed5254878798ffe28fd54", "bb4026e9ce52996b95f439544568cdb2"),
];
