//! Golden hashes: what the original functions make of a formula image after
//! `np.random.seed(12345)`, with the libraries of 2023 (`Stack::Modern`).
//!
//! The image is value(y,x,c) = (x (5 + 2c) + y (3 + c) + floor(xy / 4) (c + 1)) mod 256; a
//! hash is the first 16 hexadecimal digits of the SHA-256 of the output bytes. Frost needs the
//! original photographs; its hashes are in `tests/tests/corruptions/frost.rs` of the repository.

#![allow(clippy::unwrap_used)]

mod support;

use rlnet_corruptions::{Corruption, Family, Generator, NumpyRng, Options, Severity, Stack};
use support::{formula, hash};

const INPUT: [(usize, &str); 2] = [(32, "5d78731d4332bdb8"), (64, "8fededf0b50e0d2d")];

/// 32x32, rows in the order of the families c and c-extra, without frost.
#[rustfmt::skip]
const GOLDEN_32: [[&str; 5]; 18] = [
    ["414cac325d476fcf", "8aaaa67dfda693cf", "01d60c72ff3acb88", "454608327f0a7b83", "8cdcfb75144b6855"], // gaussian_noise
    ["5772a021bd62c2da", "47d1f0b3c706c6c9", "34f96b0efa1b475f", "485b5b684228f199", "b81cbcf3e785b613"], // shot_noise
    ["1c09052ec6de7c24", "e2556482ff85cf22", "3b21292ec3607e39", "ea33fa66e2e58676", "20aed9c2fdc22719"], // impulse_noise
    ["060e0c144327b945", "3f0ed3d00f0bfa5f", "f49dcd29ccfe1732", "3943028e862d7674", "77f2944c939f29b8"], // defocus_blur
    ["32817099523e858d", "76e1a84ba3f3ef01", "8e823e73cbc964a6", "3940a3153a3fc824", "f3daf67d25c53b99"], // glass_blur
    ["b2e818588f7fda5d", "c00d4d872274e8b0", "0219d3205ff849ab", "0219d3205ff849ab", "7eac2162822db100"], // motion_blur
    ["0cac183dd9b2a26c", "1c818d608ec35a86", "4d59fad464b1ccc7", "9e3286a1dfed2b79", "67002f53e64ffca4"], // zoom_blur
    ["0f2f9a08a0642862", "bfaa0de26193fdc0", "e1aff409ac116bda", "8b08df388654120f", "59aa93dfca252466"], // snow
    ["c093d993f2ef0ba4", "fc574614f5b34c46", "f1f8f69fb701cbff", "d9a5ac4e4764dd98", "51931cb2a6fb2d5b"], // fog
    ["3023feeb9b94fa43", "d0315a83326bd930", "5b0eb972fd1e952c", "de401b00e624c296", "0de95ae46cd46b2e"], // brightness
    ["0d82b770a8a02303", "e68556eed43ce2d0", "b00f48d6d60b8168", "e7dbace03c305bb2", "1bb7b9dbe0cfeb06"], // contrast
    ["649a698ca786e373", "a704c57f8f03d7bb", "c054d85304a9a628", "5d06b28b8de2de37", "3988ed7693f92574"], // elastic_transform
    ["ffa326e776c8fd26", "10e5174df3765791", "21e611f7891284df", "1205c8d5f06d4f84", "652f1da29047b6c9"], // pixelate
    ["c5ae8077c87fb2c8", "d4fc88aa821a05ac", "7d162fe743ee030c", "ff1b12981be89799", "0999925e34cd44bd"], // jpeg_compression
    ["37c8adc3e100fbff", "71d2926aa19beb3b", "ab47e104541b40c3", "3251f4161a5e72d4", "52467c99418c03a9"], // speckle_noise
    ["13a5ec96eb8be8cf", "6bb6e738d2f61093", "71c8f853fcbfa386", "f3edc3ef3e7f96a9", "b9ff4f14752e99e0"], // gaussian_blur
    ["58423fa4fc228deb", "d083225bc4ad0316", "5d4d330a51a8d9d8", "f09418c80312a814", "5a30be47bb504b5f"], // spatter
    ["34f4dcf9421b52df", "401471655fc8771e", "775476f8d8e035dc", "0e2a42db08aaef07", "5748f2933e909942"], // saturate
];

/// 64x64, rows in the order of the families c and c-extra, without frost.
#[rustfmt::skip]
const GOLDEN_64: [[&str; 5]; 18] = [
    ["4a791a4410565ac7", "3f31ecf1f16d2999", "fe3927eaacc73602", "36fb7ebe898e832a", "32d99df2f3bc7b20"], // gaussian_noise
    ["90e00ef68824d6c0", "35ae77324df1f260", "a00ec39a37bd587e", "7c0bc002e9b7c7ca", "a5c37787b6347f25"], // shot_noise
    ["3e1671b75a9e1093", "4a4609bb02a0b77b", "c455d67f449026e0", "53aab4d52efd7b05", "7e33e81ef2d73b40"], // impulse_noise
    ["35ed0dd1150dd973", "949167a96df7439e", "5dd154f641c97b6c", "9347317d3483c56c", "17186b926113eee3"], // defocus_blur
    ["6ea0416cbf412e08", "3280aadfb82903e1", "a083aecd9605283a", "b0e438d999c385d0", "c436351267495695"], // glass_blur
    ["68b024a876827c43", "6c7789d254cde15e", "94345df1b44fc49e", "a89b49aa8c3e5cb9", "71aaa4e8c4396700"], // motion_blur
    ["3498bab417a04403", "867a1446781c7937", "8751e294d5211342", "7b9cb59394017448", "651b42db5079e803"], // zoom_blur
    ["5fe90bab0ca7d6a4", "7613cd25f17ed32a", "d257cc7db4305ee3", "828d1a0ae56d9251", "80a4f812c3fd8f9a"], // snow
    ["644efeedea3f50a8", "b42d0134bb22464e", "513764e27ad61730", "43741dba053b3c19", "6d1f41d4301d644c"], // fog
    ["a9a64ea4e192cb6f", "d5641fb30af6e3bd", "b34b4c9e593661ee", "ff7c503e12c205eb", "e3cb71c489b8f237"], // brightness
    ["0ee9948545ad3c23", "00b4a855836d2a8e", "52217b3ac0c1bcd9", "5cf6e88e2a766193", "695de5f1428aaa4e"], // contrast
    ["81d4fbfbbbbacbb3", "4d3dc58155d08e5f", "5d916d9b71e315c3", "74522bdf5bcdf099", "9d00928e3798cb51"], // elastic_transform
    ["c87f4561b407572e", "fe997cad25d9b1ca", "f9ac2dbeb8203cd1", "45cacde398a8963c", "ed2028d91363dde6"], // pixelate
    ["c3f568a45814f79b", "8d55c2acc0f900da", "731e7f5a890f58a9", "1125438f350e47e8", "1481ecc08a4be3d8"], // jpeg_compression
    ["bfbc89549700e4fd", "170568b7289279ac", "8b1d5d6e50168b0d", "5e5a36e971267cb2", "b9e18ede5d8f850d"], // speckle_noise
    ["469928f61f3d22e5", "1860a0f4636607b9", "6360f40d709aabeb", "6e56375429fb3958", "d6298362910645f9"], // gaussian_blur
    ["836669dace913b2d", "9b5adf99b34d491d", "a30f75280a5723dc", "f14e0fa3e619a5f6", "68feb7e427363755"], // spatter
    ["757cb1765f1bdd09", "f1043533bb4aa7fc", "3e866e8bb3080833", "294b649627781539", "ad4f0a5395a45454"], // saturate
];

/// C-bar at 32x32, rows in the order of the family; the same bytes in both stacks.
#[rustfmt::skip]
const GOLDEN_BAR: [[&str; 5]; 10] = [
    ["2e953240ab3de0a6", "334e1abf1de8d5ab", "0592081ac0f1619d", "d5556d7b3787b343", "d0da55a8dc75d956"], // blue_noise_sample
    ["112f00f4969aa3a4", "496c4d291652d953", "27c0a898c2811d03", "64a7e66123b71005", "4298cad0a541e170"], // brownish_noise
    ["78bbb41ae1bf2d51", "0c8fb50e260881f6", "e0b07608f14c390a", "6494669374f08cde", "bb0b136f9ca276d1"], // checkerboard_cutout
    ["1a0da4d1c52a700d", "347dc0279db47790", "3b868ea3aa80aef5", "6c280d7547258bbd", "ab41f24eb123579e"], // circular_motion_blur
    ["52745f7ec2f411e4", "52f267b2d60b81ab", "767e706810409531", "4f6369cee0f1fbef", "196d718804a6034b"], // inverse_sparkles
    ["aa932772aaec3e44", "d7fc915ecbc37722", "3e6e805ff8248a87", "3632c10dacc6f92e", "52d2ad21a00c09dc"], // lines
    ["2fd62cc1597fcba5", "f0fcf79175093728", "56dc569e7fc70e9f", "721c7194ff29fd7c", "868123f41e5ee93a"], // pinch_and_twirl
    ["67f580de94d09d64", "f00f3bdc98991250", "8ffd7e23980de65c", "8207551c73116665", "52ac1c1a5e9698b7"], // ripple
    ["a7d98df8dbb5ba92", "61ee009729f15729", "d3d9b1b490b26b69", "6e7a4227f946c9fd", "ab8482f5564a9886"], // sparkles
    ["65af74eae3f6f228", "b1f9635a4233228a", "03661c7259f94e06", "c23eace4aec678d9", "8ef57f2e6ed1826a"], // transverse_chromatic_abberation
];

/// Compares the outputs of `corruptions` for the formula image with rows of hashes.
fn check(n: usize, stack: Stack, corruptions: &[Corruption], golden: &[[&str; 5]]) {
    let image = formula(n);
    let generator = Generator::new(Options {
        stack,
        ..Options::default()
    });
    assert_eq!(corruptions.len(), golden.len());
    let mut wrong = Vec::new();
    for (&corruption, row) in corruptions.iter().zip(golden) {
        for (severity, expected) in Severity::ALL.into_iter().zip(row) {
            let got = generator
                .corrupt(&image, corruption, severity, &mut NumpyRng::new(12345))
                .map(|image| hash(image.data()));
            if got.as_deref().ok() != Some(*expected) {
                wrong.push(format!("{corruption} {severity}: {got:?}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{n}x{n}:\n{}", wrong.join("\n"));
}

/// The families c and c-extra, without frost.
fn eighteen() -> Vec<Corruption> {
    let all = [Family::C, Family::CExtra].map(Family::corruptions).concat();
    all.into_iter().filter(|&c| c != Corruption::Frost).collect()
}

#[test]
fn the_formula_image_is_the_specified_one() {
    for (n, expected) in INPUT {
        assert_eq!(hash(formula(n).data()), expected);
    }
}

#[test]
fn the_modern_stack_at_32() {
    check(32, Stack::Modern, &eighteen(), &GOLDEN_32);
}

#[test]
fn the_modern_stack_at_64() {
    check(64, Stack::Modern, &eighteen(), &GOLDEN_64);
}

#[test]
fn c_bar_at_32_in_both_stacks() {
    for stack in [Stack::Release, Stack::Modern] {
        check(32, stack, Family::CBar.corruptions(), &GOLDEN_BAR);
    }
}

/// ImageNet-C-bar at 224x224, rows in the order of the family, as its functions, retyped, give it with NumPy 1.26.4 and
/// SciPy 1.11.4.
#[rustfmt::skip]
const GOLDEN_IMAGENET_BAR: [[&str; 5]; 10] = [
    ["dcd2928f73f76e02", "39b17928b4559409", "e98ff3b5b4187154", "df900da1b9430463", "1734e17887a3fb8d"], // blue_noise_sample
    ["cc3b0b24cba62925", "26f33e71c0a8cfac", "8c4242c5cb375365", "22c296d4935580e2", "51d7db3cdc662bb7"], // brownish_noise
    ["eb93d71f3082438a", "41eff5f839c1f449", "27463a4e7abb4613", "125d9c90df7fd1b1", "6f81c4be1ceace2c"], // checkerboard_cutout
    ["16c9f9fcab0a6724", "4f686c473b52790f", "97d84e1139d1305d", "9fa908a2c392c91e", "89a72e6de5b3c468"], // inverse_sparkles
    ["69c8981942e322be", "57313851cf9a4d95", "04e95def8fd0e7d6", "bd62981fa5596cda", "76ec1842ccca3094"], // sparkles
    ["1e970c85f192d27d", "8fc2e387add5fd84", "b9f2dd9221848ca7", "9d74753d80977bba", "fdb59ca47b2c5baf"], // caustic_refraction
    ["8ffc3954b8a33076", "890857fc4138ce14", "b0b787edda8cf91c", "01ff7d87c703c1e0", "630c4c0b0adaaa71"], // cocentric_sine_waves
    ["c05cff3d98aa86c4", "ca79c96eff3dc007", "1fedac8457f77e1a", "fc5c0af4cfc9867e", "4e1adab6690c22a6"], // perlin_noise
    ["9df49d984c343848", "56ca80b49d39d7dd", "27e59bc2da6e19a0", "6935a2bd5ae62345", "786997f5e622a039"], // plasma_noise
    ["1b6c710a0fe581a9", "8198aa65b106e43c", "dd5a3dc42b6b2b46", "d4ff4b6e4473954f", "c9737a152d114c11"], // single_frequency_greyscale
];

#[test]
fn imagenet_c_bar_at_224() {
    let ten = Family::CBarImagenet.corruptions();
    check(224, Stack::Release, ten, &GOLDEN_IMAGENET_BAR);
}
