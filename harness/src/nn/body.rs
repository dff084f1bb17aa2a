//! The body of a network: one of the architectures, built and run.

use super::arch::{Arch, ArchConfig};
use super::build::{Build, Quirks};
use super::params::Params;
use super::pass::{CountPass, Pass};
use super::{mobilenet, resnet, vgg, vit, wide_resnet};
use rlnet_suites::NormBanks;

/// A built architecture.
#[derive(Debug)]
pub enum Body {
    /// Residual network of basic blocks.
    ResNet(resnet::ResNet),
    /// Pre-activation wide residual network.
    WideResNet(wide_resnet::WideResNet),
    /// Plain convolutions and pooling.
    Vgg(vgg::Vgg),
    /// Inverted residuals.
    MobileNet(mobilenet::MobileNet),
    /// Vision transformer, experimental.
    Vit(vit::Vit),
}

impl Body {
    /// Builds an architecture.
    pub fn new(arch: &Arch, build: &mut Build<'_>) -> Self {
        match arch.config() {
            ArchConfig::ResNet(config) => Self::ResNet(resnet::ResNet::new(config, build)),
            ArchConfig::WideResNet(config) => Self::WideResNet(wide_resnet::WideResNet::new(config, build)),
            ArchConfig::Vgg(config) => Self::Vgg(vgg::Vgg::new(config, build)),
            ArchConfig::MobileNet(config) => Self::MobileNet(mobilenet::MobileNet::new(config, build)),
            ArchConfig::Vit(config) => Self::Vit(vit::Vit::new(config, build)),
        }
    }

    /// What it costs at a side of `image_size` pixels.
    pub fn survey(&self, image_size: u64, params: &Params) -> CountPass {
        let mut survey = CountPass {
            parameters: params.count(),
            ..CountPass::default()
        };
        self.run(&mut survey, &[3, image_size, image_size]);
        survey
    }

    /// Sends normalised images, or what stands for them, through it; gives the logits.
    pub fn run<P: Pass>(&self, pass: &mut P, images: &P::Map) -> P::Map {
        match self {
            Self::ResNet(net) => net.run(pass, images),
            Self::WideResNet(net) => net.run(pass, images),
            Self::Vgg(net) => net.run(pass, images),
            Self::MobileNet(net) => net.run(pass, images),
            Self::Vit(net) => net.run(pass, images),
        }
    }
}

impl Arch {
    /// The ReLU layers in execution order, every unit kept; parameters (one norm bank) and
    /// multiply-accumulates. Nothing is initialised.
    pub fn survey(&self, image_size: u64, classes: u64) -> CountPass {
        let mut params = Params::shapes();
        let mut build = Build {
            params: &mut params,
            image_size,
            classes: classes as i64,
            norm: NormBanks::Single,
            quirks: Quirks::default(),
        };
        let body = Body::new(self, &mut build);
        body.survey(image_size, &params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlnet_suites::LayerRecord;

    /// Units of every ReLU layer as `C * H²`, from the reference's code (its released
    /// networks, layer by layer).
    fn layers(arch: &str, size: u64) -> Vec<u64> {
        let of = |pairs: &[(u64, u64, usize)]| -> Vec<u64> {
            let layer = |&(channels, side, times): &(u64, u64, usize)| vec![channels * side * side; times];
            pairs.iter().flat_map(layer).collect()
        };
        // Side at full resolution.
        let s = if size == 224 { 56 } else { size };
        match arch {
            "resnet18" if size == 224 => {
                of(&[(64, 112, 1), (64, 56, 4), (128, 28, 4), (256, 14, 4), (512, 7, 4)])
            }
            "resnet18" => of(&[(64, s, 5), (128, s / 2, 4), (256, s / 4, 4), (512, s / 8, 4)]),
            "resnet34" => of(&[(64, s, 7), (128, s / 2, 8), (256, s / 4, 12), (512, s / 8, 6)]),
            "wrn-22-8" => of(&[(16, s, 1), (128, s, 6), (256, s / 2, 6), (512, s / 4, 6)]),
            "vgg16-bn" => {
                let last = if size == 32 { 4 } else { s / 16 };
                of(&[
                    (64, s, 2),
                    (128, s / 2, 2),
                    (256, s / 4, 3),
                    (512, s / 8, 3),
                    (512, last, 3),
                ])
            }
            _ => of(&[
                (16, s / 2, 3),
                (48, s / 2, 2),
                (72, s / 2, 3),
                (72, s / 4, 1),
                (96, s / 4, 5),
                (96, s / 8, 1),
                (192, s / 8, 8),
                (288, s / 8, 5),
                (288, s / 16, 1),
                (480, s / 16, 6),
                (1280, s / 16, 1),
            ]),
        }
    }

    #[test]
    fn relu_counts_macs_and_parameters_are_the_known_ones() {
        // ReLUs: counted in the reference's classes. Parameters with 10 classes: 11.17 M and
        // 21.28 M for CIFAR's ResNets, 17.16 M for WRN-22-8 and 14.73 M for VGG16-BN are the
        // usual figures. MACs: 0.56 G for CIFAR's ResNet18; 1.81 G and 15.35 G for ResNet18
        // and the convolutions of VGG16 at 224 are the usual figures.
        #[rustfmt::skip]
        let table = [
            ("resnet18", 32, 557_056, 555_422_720, 11_173_962),
            ("resnet18", 64, 2_228_224, 2_221_675_520, 11_173_962),
            ("resnet18", 224, 2_308_096, 1_813_566_464, 11_181_642),
            ("resnet34", 32, 966_656, 1_159_402_496, 21_282_122),
            ("resnet34", 64, 3_866_624, 4_637_594_624, 21_282_122),
            ("wrn-22-8", 32, 1_392_640, 2_454_115_328, 17_158_106),
            ("wrn-22-8", 64, 5_570_560, 9_816_445_952, 17_158_106),
            ("vgg16-bn", 32, 294_912, 398_136_320, 14_728_266),
            ("vgg16-bn", 64, 1_105_920, 1_252_791_296, 14_728_266),
            ("mobilenetv2-x0.5", 32, 194_432, 6_408_448, 697_546),
            ("mobilenetv2-x0.5", 64, 777_728, 25_595_392, 697_546),
        ];
        for (arch, size, relus, macs, parameters) in table {
            let survey = arch.parse::<Arch>().expect(arch).survey(size, 10);
            let got: Vec<u64> = survey.layers.iter().map(LayerRecord::total).collect();
            assert_eq!(got, layers(arch, size), "{arch} at {size}");
            assert_eq!(got.iter().sum::<u64>(), relus, "{arch} at {size}");
            assert_eq!(survey.macs(), macs, "{arch} at {size}");
            assert_eq!(survey.parameters, parameters, "{arch} at {size}");
        }
        // VGG16 at 224: 13 convolutions of the ImageNet network, and this head.
        let vgg = "vgg16-bn".parse::<Arch>().expect("known").survey(224, 10);
        assert_eq!(vgg.macs(), 15_346_630_656 + 5_120);
    }

    /// Worked out by hand for `vit4` at 32 pixels: a stem of 64 x 16 x 16; 64 tokens of 128
    /// channels, so 4 x 64 x 64 scores and 256 x 64 hidden units a block.
    #[test]
    fn the_transformers_relus_macs_and_parameters_add_up() {
        let survey = "vit4".parse::<Arch>().expect("known").survey(32, 10);
        let got: Vec<u64> = survey.layers.iter().map(LayerRecord::total).collect();
        assert_eq!(got, [16_384; 9]);
        assert_eq!(survey.layers[0].shape, [64, 16, 16]);
        assert_eq!(survey.layers[1].name, "blocks.0.attention");
        assert_eq!(survey.layers[1].shape, [4, 64, 64]);
        assert_eq!(survey.layers[2].shape, [256, 8, 8]);
        let stem = 9 * 3 * 64 * 256 + 9 * 64 * 128 * 64;
        let block = 64 * (9 * 128 + 8 * 128 * 128) + 2 * 128 * 64 * 64;
        assert_eq!(survey.macs(), stem + 4 * block + 1_280);
        let stem = 9 * 3 * 64 + 2 * 64 + 9 * 64 * 128 + 2 * 128;
        let block = 9 * 128 + 8 * 128 * 128 + 2 * (6 * 128 + 256);
        assert_eq!(survey.parameters, stem + 4 * block + 1_290);
    }
}
