//! Architectures by name.

use super::{mobilenet, resnet, vgg, vit, wide_resnet};
use crate::error::Problem;
use rlnet_suites::SuiteError;
use rlnet_suites::error::suggest;
use std::fmt;
use std::str::FromStr;

/// An architecture that can be built.
#[derive(Debug, Clone, PartialEq)]
pub struct Arch {
    name: String,
    config: ArchConfig,
}

/// A family and its numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum ArchConfig {
    /// Residual network of basic blocks.
    ResNet(resnet::ResNetConfig),
    /// Pre-activation wide residual network.
    WideResNet(wide_resnet::WideResNetConfig),
    /// Plain convolutions and pooling.
    Vgg(vgg::VggConfig),
    /// Inverted residuals.
    MobileNet(mobilenet::MobileNetConfig),
    /// Vision transformer, experimental.
    Vit(vit::VitConfig),
}

impl ArchConfig {
    /// Reads a name; none when no family has it.
    fn parse(text: &str) -> Result<Option<Self>, Problem> {
        if let Some(config) = resnet::ResNetConfig::parse(text)? {
            return Ok(Some(Self::ResNet(config)));
        }
        if let Some(config) = wide_resnet::WideResNetConfig::parse(text)? {
            return Ok(Some(Self::WideResNet(config)));
        }
        if let Some(config) = vgg::VggConfig::parse(text)? {
            return Ok(Some(Self::Vgg(config)));
        }
        if let Some(config) = mobilenet::MobileNetConfig::parse(text)? {
            return Ok(Some(Self::MobileNet(config)));
        }
        Ok(vit::VitConfig::parse(text)?.map(Self::Vit))
    }
}

impl Arch {
    /// The name, as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it stands for.
    pub fn config(&self) -> &ArchConfig {
        &self.config
    }

    /// One line for each architecture that can be asked for.
    pub fn catalogue() -> Vec<(String, String)> {
        [
            resnet::ResNetConfig::catalogue(),
            wide_resnet::WideResNetConfig::catalogue(),
            vgg::VggConfig::catalogue(),
            mobilenet::MobileNetConfig::catalogue(),
            vit::VitConfig::catalogue(),
        ]
        .concat()
    }
}

impl FromStr for Arch {
    type Err = SuiteError;
    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let refused = |why: Problem| SuiteError::value("architecture", text, why.to_string());
        let config = ArchConfig::parse(text).map_err(refused)?.ok_or_else(|| {
            let catalogue = Self::catalogue();
            let hint = suggest(text, catalogue.iter().map(|(name, _)| name.as_str()));
            refused(format!("not known; {hint}").into())
        })?;
        Ok(Self {
            name: text.to_owned(),
            config,
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_wrong_ones_say_what_to_write() {
        for (name, _) in Arch::catalogue() {
            assert_eq!(name.parse::<Arch>().expect("in the catalogue").name(), name);
        }
        for name in [
            "resnet10-w16",
            "wrn-10-1",
            "vgg16-bn-w8",
            "mobilenetv2-x0.25",
            "vit2-w24",
        ] {
            name.parse::<Arch>().expect(name);
        }
        for (bad, hint) in [
            ("resnet19", "did you mean `resnet1"),
            ("resnet18-x3", "resnet18-wN"),
            ("resnet18-w0", "1 to 1024"),
            ("wrn-23-8", "6n + 4"),
            ("wrn", "wrn-D-K"),
            ("vgg16", "vgg16-bn"),
            ("vgg16-bn-8", "vgg16-bn-wN"),
            ("mobilenetv2-0.5", "mobilenetv2-xF"),
            ("mobilenetv2-xnan", "mobilenetv2-xF"),
            ("vit", "vitD-wN"),
            ("vit99", "vitD-wN"),
            ("vit4-w100", "multiple of 8"),
        ] {
            let error = bad.parse::<Arch>().expect_err(bad).to_string();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }
}
