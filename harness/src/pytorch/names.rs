//! What others call the tensors of our architectures.
//!
//! Known are the official code of RLNet and SENet (`BN_c`, `conv_sc`), of SNL (`alphas`),
//! torchvision (`downsample`, `fc`), and the usual CIFAR networks (`shortcut.0`).

use crate::nn::arch::ArchConfig;

/// What a tensor of a checkpoint is in a network of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A weight or statistic, by our name; the bank is still the file's word for it.
    Param(String),
    /// SNL's share of a ReLU in each unit of a layer, by our name of the layer.
    Alphas(String),
    /// A count of batches, which nothing here uses.
    Count,
}

/// Prefixes that wrappers put before all names: DataParallel, `torch.compile`, and a model
/// inside another.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "model.", "net."];

/// The names without what a wrapper put before all of them.
pub fn unwrapped(names: &[&str]) -> Vec<String> {
    let mut names: Vec<&str> = names.to_vec();
    while let Some(prefix) = WRAPPERS
        .iter()
        .find(|prefix| !names.is_empty() && names.iter().all(|name| name.starts_with(**prefix)))
    {
        names = names.iter().map(|name| &name[prefix.len()..]).collect();
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The order of the convolutions of a plain `features.N` network, to number them as ours.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Places `N` that hold a convolution, ascending.
    pub convolutions: Vec<usize>,
}

impl Order {
    /// From all names of a file with their number of dimensions.
    pub fn of<'a>(names: impl Iterator<Item = (&'a str, usize)>) -> Self {
        let place = |(name, dimensions): (&str, usize)| {
            let rest = name
                .strip_prefix("features.")
                .or_else(|| name.strip_prefix("feature."))?;
            let (place, part) = rest.split_once('.')?;
            (part == "weight" && dimensions == 4).then(|| place.parse().ok())?
        };
        let mut convolutions: Vec<usize> = names.filter_map(place).collect();
        convolutions.sort_unstable();
        Self { convolutions }
    }
}

/// Our name for a tensor that a file calls `name`; the same name where nothing is known.
pub fn part(config: &ArchConfig, name: &str, order: &Order) -> Part {
    if name.ends_with("num_batches_tracked") {
        return Part::Count;
    }
    match config {
        ArchConfig::ResNet(_) => resnet(name),
        ArchConfig::WideResNet(_) => wide_resnet(name),
        ArchConfig::Vgg(config) => Part::Param(vgg(name, config.convs, order)),
        ArchConfig::MobileNet(_) => Part::Param(mobilenet(name)),
        // Nobody else's network.
        ArchConfig::Vit(_) => Part::Param(name.to_owned()),
    }
}

/// The first of `pairs` whose left side is found in the name is replaced by its right side.
fn renamed(name: &str, pairs: &[(&str, &str)]) -> String {
    let found = pairs.iter().find(|(theirs, _)| name.contains(theirs));
    found.map_or_else(
        || name.to_owned(),
        |(theirs, ours)| name.replacen(theirs, ours, 1),
    )
}

fn resnet(name: &str) -> Part {
    if let Some(layer) = name.strip_suffix(".alphas") {
        let layer = match layer {
            "alpha" | "alpha1" => "stem".to_owned(),
            layer => renamed(layer, &[(".alpha1", ".a"), (".alpha2", ".b")]),
        };
        return Part::Alphas(layer);
    }
    if let Some(rest) = name.strip_prefix("fc.") {
        return Part::Param(format!("linear.{rest}"));
    }
    Part::Param(renamed(
        name,
        &[
            (".downsample.0.", ".shortcut.conv."),
            (".downsample.1.", ".shortcut.bn."),
            (".shortcut.0.", ".shortcut.conv."),
            (".shortcut.1.", ".shortcut.bn."),
            (".conv_sc.", ".shortcut.conv."),
            (".bn_sc.", ".shortcut.bn."),
        ],
    ))
}

fn wide_resnet(name: &str) -> Part {
    let name = renamed(name, &[(".layer.", ".")]);
    if let Some(layer) = name.strip_suffix(".alphas") {
        let layer = match layer {
            "alpha" => "final".to_owned(),
            layer => renamed(layer, &[(".alpha1", ".pre1"), (".alpha2", ".pre2")]),
        };
        return Part::Alphas(layer);
    }
    if let Some(rest) = name.strip_prefix("fc.") {
        return Part::Param(format!("linear.{rest}"));
    }
    Part::Param(renamed(&name, &[(".convShortcut.", ".shortcut.")]))
}

/// Three modules a convolution (itself, its norm, a ReLU): by group in the official code, in
/// one row with the pools between them elsewhere.
fn vgg(name: &str, groups: &[u64], order: &Order) -> String {
    if let Some(rest) = name.strip_prefix("classifier.") {
        return format!("linear.{}", rest.strip_prefix("0.").unwrap_or(rest));
    }
    let in_group = || {
        let (group, rest) = name.strip_prefix("block")?.split_once('.')?;
        let (place, part) = rest.split_once('.')?;
        let place: usize = place.parse().ok()?;
        let module = ["conv", "bn"].get(place % 3)?;
        Some(format!("block{group}.{}.{module}.{part}", place / 3))
    };
    let in_row = || {
        let rest = name
            .strip_prefix("features.")
            .or_else(|| name.strip_prefix("feature."))?;
        let (place, part) = rest.split_once('.')?;
        let place: usize = place.parse().ok()?;
        let number = order.convolutions.iter().rposition(|&at| at <= place)?;
        let module = ["conv", "bn"].get(place - order.convolutions[number])?;
        let (group, within) = group_of(groups, number)?;
        Some(format!("block{group}.{within}.{module}.{part}"))
    };
    in_group().or_else(in_row).unwrap_or_else(|| name.to_owned())
}

/// Group and place in it of the `number`-th convolution.
fn group_of(groups: &[u64], number: usize) -> Option<(usize, usize)> {
    let mut left = number;
    for (group, &size) in groups.iter().enumerate() {
        match left.checked_sub(size as usize) {
            None => return Some((group, left)),
            Some(rest) => left = rest,
        }
    }
    None
}

fn mobilenet(name: &str) -> String {
    let name = renamed(
        name,
        &[
            (".conv_pw_linear.", ".project."),
            (".conv_pw.", ".expand."),
            (".conv_dw.", ".depthwise."),
        ],
    );
    let outer = [
        ("conv1.", "stem."),
        ("conv2.", "last."),
        ("classifier.0.", "linear."),
        ("classifier.", "linear."),
    ];
    let name = outer
        .iter()
        .find_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
        .unwrap_or(name);
    if name.starts_with("linear.") {
        return name;
    }
    // A convolution and its norm in a row. The first digits of a block are its own numbers.
    ["stem.", "last.", ".expand.", ".depthwise.", ".project."]
        .iter()
        .find_map(|module| {
            let (before, after) = name.split_once(module)?;
            let (place, part) = after.split_once('.')?;
            let inner = match place {
                "0" => "conv",
                "1" => "bn",
                _ => return None,
            };
            Some(format!("{before}{module}{inner}.{part}"))
        })
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Arch;

    fn ours(arch: &str, name: &str) -> Part {
        let arch: Arch = arch.parse().expect("known");
        let order = Order {
            convolutions: vec![0, 3, 7, 10, 14],
        };
        part(arch.config(), name, &order)
    }

    #[test]
    fn names_of_each_family_are_known() {
        for (arch, theirs, want) in [
            (
                "resnet18",
                "layer2.0.downsample.0.weight",
                "layer2.0.shortcut.conv.weight",
            ),
            (
                "resnet18",
                "layer2.0.shortcut.1.BN_c.bias",
                "layer2.0.shortcut.bn.BN_c.bias",
            ),
            (
                "resnet18",
                "layer2.0.bn_sc.running_var",
                "layer2.0.shortcut.bn.running_var",
            ),
            ("resnet18", "fc.bias", "linear.bias"),
            (
                "wrn-22-8",
                "block2.layer.0.convShortcut.weight",
                "block2.0.shortcut.weight",
            ),
            ("wrn-22-8", "block1.layer.2.bn1.weight", "block1.2.bn1.weight"),
            ("wrn-22-8", "fc.weight", "linear.weight"),
            ("vgg16-bn", "block2.6.weight", "block2.2.conv.weight"),
            ("vgg16-bn", "block2.7.running_mean", "block2.2.bn.running_mean"),
            ("vgg16-bn", "features.8.bias", "block1.0.bn.bias"),
            ("vgg16-bn", "features.14.bias", "block2.0.conv.bias"),
            ("vgg16-bn", "classifier.weight", "linear.weight"),
            ("mobilenetv2-x0.5", "conv1.1.weight", "stem.bn.weight"),
            (
                "mobilenetv2-x0.5",
                "blocks.1.0.conv_pw_linear.0.weight",
                "blocks.1.0.project.conv.weight",
            ),
            (
                "mobilenetv2-x0.5",
                "blocks.1.1.conv_dw.1.bias",
                "blocks.1.1.depthwise.bn.bias",
            ),
            ("mobilenetv2-x0.5", "classifier.0.bias", "linear.bias"),
        ] {
            assert_eq!(
                ours(arch, theirs),
                Part::Param(want.to_owned()),
                "{arch} {theirs}"
            );
        }
        for (arch, theirs, want) in [
            ("resnet18", "layer3.1.alpha2.alphas", "layer3.1.b"),
            ("wrn-22-8", "block1.layer.0.alpha1.alphas", "block1.0.pre1"),
        ] {
            assert_eq!(
                ours(arch, theirs),
                Part::Alphas(want.to_owned()),
                "{arch} {theirs}"
            );
        }
        assert_eq!(ours("resnet18", "bn1.BN_a.num_batches_tracked"), Part::Count);
    }

    #[test]
    fn a_prefix_goes_only_when_all_names_have_it() {
        let names = unwrapped(&["module.model.conv1.weight", "module.model.fc.bias"]);
        assert_eq!(names, ["conv1.weight", "fc.bias"]);
        let names = unwrapped(&["module.a", "b"]);
        assert_eq!(names, ["module.a", "b"]);
        assert!(unwrapped(&[]).is_empty());
    }
}
