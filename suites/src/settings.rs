//! Every key a suite may have: what it may be, what it is when left out, and why. One table, from
//! which editors get their JSON Schema ([`crate::schema`]) and people their explanations
//! (`rlnet suite show --explain`); a test holds it against what is really read.

use crate::bounds::Bounds;

/// A section of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The top of the file.
    Suite,
    /// `[data]`.
    Data,
    /// `[network]`.
    Network,
    /// `[training]`, and `with` of every `[[train]]`.
    Stage,
    /// `[[train]]`.
    Train,
    /// `imported` of a `[[train]]`.
    Imported,
    /// `[evaluation]`.
    Evaluation,
    /// `[slurm]`.
    Slurm,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second (none: no end).
    Whole(u64, Option<u64>),
    /// A number within bounds.
    Number(Bounds),
    /// One of a few words.
    Words(&'static [&'static str]),
    /// A list of some of a few words.
    WordList(&'static [&'static str]),
    /// A list of numbers within bounds.
    Numbers(Bounds),
    /// A list of whole numbers from the first to the second.
    Wholes(u64, u64),
    /// The name of a mode.
    Mode,
    /// A list of the reference's defects, by name or number.
    Quirks,
    /// A list of branches.
    Branches,
    /// An attack: `pgd:steps=20`.
    Attack,
    /// A list of attacks, some with a number of images.
    Attacks,
    /// `benchmark`, `all`, `none` or a list of names.
    Corruptions,
    /// A number of ReLUs or a reduction.
    Budget,
    /// A list of names of stages.
    Names,
    /// Another section.
    Inner(Section),
    /// A list of sections.
    List(Section),
    /// Tables of changes, by name.
    Changes,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Where it stands.
    pub section: Section,
    /// Its name.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether a suite must have it.
    pub required: bool,
    /// What it is when left out; empty when required.
    pub default: &'static str,
    /// What it means, and where its default comes from.
    pub help: &'static str,
}

const fn must(section: Section, key: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting {
        section,
        key,
        kind,
        required: true,
        default: "",
        help,
    }
}

const fn may(
    section: Section,
    key: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        section,
        key,
        kind,
        required: false,
        default,
        help,
    }
}

/// More images than any data set has.
const IMAGES: u64 = 100_000_000;
/// Images that no memory holds at once.
const BATCH: u64 = 100_000;
/// More epochs than anybody waits for; SNL's search ends by itself long before.
const EPOCHS: u64 = 100_000;
/// Weights of a loss: the reference's largest is 1000.
const WEIGHT: Bounds = Bounds::from_to(0.0, 1e6);

const VIEWS: &[&str] = &["clean", "augmix", "adversarial"];
const BANKS: &[&str] = &["single", "dual", "triple"];

use Kind::*;
use Section::{Data, Evaluation, Imported, Network, Slurm, Stage, Suite, Train};

/// Every key, section by section.
pub const SETTINGS: &[Setting] = &[
    must(Suite, "schema", Whole(1, Some(1)), "version of this form: 1"),
    must(
        Suite,
        "name",
        Text,
        "short name; also that of its folder of results",
    ),
    must(Suite, "title", Text, "one line for people"),
    must(Suite, "description", Text, "what it measures and why"),
    may(
        Suite,
        "gpu_hours",
        Number(Bounds::positive(1e6)),
        "not said",
        "estimate of all its hours on one large GPU",
    ),
    must(Suite, "data", Inner(Data), "the images"),
    may(
        Suite,
        "network",
        Inner(Network),
        "resnet18 with two banks",
        "what all stages share, unless they say otherwise",
    ),
    may(
        Suite,
        "training",
        Inner(Stage),
        "the method's",
        "settings all stages share, unless they say otherwise",
    ),
    may(
        Suite,
        "train",
        List(Train),
        "none: any model is measured",
        "the stages to train, parents first",
    ),
    must(Suite, "evaluation", Inner(Evaluation), "what is measured"),
    may(
        Suite,
        "scale",
        Changes,
        "none",
        "what changes at a scale, by its name (--set scale=NAME)",
    ),
    may(
        Suite,
        "slurm",
        Inner(Slurm),
        "nothing",
        "what a Slurm cluster wants to know; changes no result",
    ),
    must(
        Data,
        "dataset",
        Text,
        "as in `rlnet data list`, or imagefolder:PATH",
    ),
    may(
        Data,
        "train",
        Whole(2, Some(IMAGES)),
        "all",
        "training images used, from the front of the official order",
    ),
    may(
        Data,
        "test",
        Whole(1, Some(IMAGES)),
        "all",
        "test images used, from the front of the official order",
    ),
    may(
        Data,
        "validation",
        Number(Bounds::share()),
        "0.1",
        "share of the training images held out to select epochs; the reference selects on the test set",
    ),
    must(Network, "arch", Text, "as in `rlnet model list`"),
    may(
        Network,
        "norm",
        Words(BANKS),
        "dual",
        "banks of batch norm; dual: clean and AugMix images through one, attacked ones through the other (the paper)",
    ),
    may(
        Stage,
        "epochs",
        Whole(1, Some(EPOCHS)),
        "teacher 240, mask 150, student 240; snl 2000, the student after it 100",
        "passes over the training images, at most in a stage snl (the reference's README; SNL's code)",
    ),
    may(
        Stage,
        "batch",
        Whole(6, Some(BATCH)),
        "128",
        "images a step, shared between the roles (the reference)",
    ),
    may(
        Stage,
        "lr",
        Number(Bounds::positive(1000.0)),
        "teacher and mask 0.05, student 0.01; snl and the student after it 0.001",
        "learning rate before any milestone (the reference's README; SNL's code)",
    ),
    may(
        Stage,
        "schedule",
        Words(&["steps", "cosine"]),
        "steps; cosine in the student after a stage snl",
        "how the rate falls: at milestones, or along half a cosine to zero",
    ),
    may(
        Stage,
        "milestones",
        Numbers(Bounds::from_to(0.0, 1.0)),
        "teacher and student 0.625, 0.75, 0.875; mask none",
        "shares of the epochs after which the rate is divided by 10 (the reference: 150, 180, 210 of 240)",
    ),
    may(
        Stage,
        "momentum",
        Number(Bounds::under(1.0)),
        "0.9",
        "momentum of SGD, no Nesterov (the reference)",
    ),
    may(
        Stage,
        "weight_decay",
        Number(Bounds::from_to(0.0, 1.0)),
        "0.0005; snl 0",
        "L2 penalty on every parameter, norms and biases too (the reference)",
    ),
    may(
        Stage,
        "gamma",
        Number(WEIGHT),
        "teacher 1, others 0.5; 0.1 for a student without adversarial images; snl and after it 1",
        "weight of the cross entropy (the reference's commands)",
    ),
    may(
        Stage,
        "alpha",
        Number(WEIGHT),
        "teacher 0, others 0.5; snl and after it 1",
        "weight of the distillation (the reference's commands)",
    ),
    may(
        Stage,
        "beta",
        Number(WEIGHT),
        "student 1000, others and after snl 0",
        "weight of the attention transfer, a mean over entries of unit vectors (the reference)",
    ),
    may(
        Stage,
        "mode",
        Mode,
        "none",
        "a named combination of loss terms; parts spelled out beside it win",
    ),
    may(
        Stage,
        "attention",
        WordList(VIEWS),
        "clean, augmix",
        "roles whose features are compared with the teacher's (the reference's headline)",
    ),
    may(
        Stage,
        "pram",
        Words(&["attention", "senet-batch", "senet-image"]),
        "attention",
        "form of the attention term; `attention` is what the reference runs",
    ),
    may(
        Stage,
        "inner",
        Words(&["auto", "ce", "kl"]),
        "auto",
        "what the inner attack maximises; auto: KL to the teacher where there is one (RSLAD, Zi et al., ICCV 2021)",
    ),
    may(
        Stage,
        "trades",
        Number(WEIGHT),
        "0",
        "weight of TRADES' term (Zhang et al., ICML 2019); teachers with one bank only",
    ),
    may(
        Stage,
        "jsd",
        Number(WEIGHT),
        "0",
        "weight of AugMix's Jensen-Shannon consistency; the reference has none",
    ),
    may(
        Stage,
        "lasso",
        Number(WEIGHT),
        "snl 0.00001",
        "first weight of the slopes' lasso of a stage snl (SNL's code)",
    ),
    may(
        Stage,
        "augmentation",
        Words(&["augmix", "gaussian", "pixmix", "none"]),
        "augmix",
        "what makes the images of the role augmix (docs/method/augmentation.md)",
    ),
    may(
        Stage,
        "score",
        Words(&["own", "averaged", "preactivation", "random"]),
        "own",
        "how the mask stage scores units; `own` is the reference's",
    ),
    may(
        Stage,
        "granularity",
        Words(&["unit", "channel"]),
        "unit",
        "what a mask keeps or drops as one",
    ),
    may(
        Stage,
        "temperature",
        Number(Bounds::positive(1000.0)),
        "4",
        "temperature of distillation, also in the inner attack (the reference)",
    ),
    may(
        Stage,
        "attack",
        Attack,
        "pgd:steps=7",
        "the inner attack: PGD-7 at 8/255, step 2/255 (the paper)",
    ),
    may(
        Stage,
        "select",
        Words(&["last", "clean", "mean"]),
        "mean of clean and attacked; mask last; clean without attacks",
        "which epoch is handed on, by accuracy on held-out images",
    ),
    may(
        Stage,
        "dialect",
        Words(&["fixed", "parity"]),
        "fixed",
        "what the paper describes, or the reference code's defects replayed",
    ),
    may(
        Stage,
        "precision",
        Words(&["fp32", "tf32", "bf16"]),
        "fp32",
        "arithmetic of training: tf32 rounds what enters convolutions on CUDA, bf16 the inner attack too",
    ),
    may(
        Stage,
        "quirks",
        Quirks,
        "none",
        "defects of the reference to replay, by name or number (docs/method/dialects.md)",
    ),
    may(
        Stage,
        "seed",
        Whole(0, None),
        "0",
        "seed of initialisation, order, augmentation and attack starts",
    ),
    must(
        Train,
        "name",
        Text,
        "name of the model it makes: letters, digits, `-`, `_`, `.`",
    ),
    must(
        Train,
        "stage",
        Words(&["teacher", "mask", "student", "snl"]),
        "which stage of the method, or SNL's search",
    ),
    may(
        Train,
        "views",
        WordList(VIEWS),
        "those of the stage it builds on; else all three",
        "roles that training images play (the paper)",
    ),
    may(
        Train,
        "norm",
        Words(BANKS),
        "that of the stage it builds on; else network.norm",
        "banks of batch norm",
    ),
    may(
        Train,
        "arch",
        Text,
        "that of the stage it builds on; else network.arch",
        "architecture",
    ),
    may(
        Train,
        "teacher",
        Text,
        "a mask or snl stage must have it",
        "the teacher of a mask or snl stage, or of a student without one: a stage above",
    ),
    may(
        Train,
        "mask",
        Text,
        "a student must have it, or a teacher and a budget",
        "the mask or snl stage of a student: a stage above",
    ),
    may(
        Train,
        "budget",
        Budget,
        "a mask stage must have it, or a published allocation",
        "ReLUs to keep: a number (50k) or a reduction (11.14x)",
    ),
    may(
        Train,
        "allocation",
        Text,
        "sensitivity",
        "how a budget is shared among layers: sensitivity, measured, uniform, equal or published:NAME",
    ),
    may(
        Train,
        "imported",
        Inner(Imported),
        "none",
        "the mask of a student that has a teacher and no budget, from a file",
    ),
    may(
        Train,
        "units",
        Text,
        "none",
        "a mask or snl stage above whose kept units a student with a teacher takes, with fresh weights",
    ),
    may(
        Train,
        "dataset",
        Text,
        "data.dataset",
        "data set of a teacher and what builds on it, as many images as in [data]; such models are not measured",
    ),
    must(
        Imported,
        "path",
        Text,
        "where the mask is (rlnet export --format mask); no part of a cell's identity",
    ),
    must(
        Imported,
        "blake3",
        Text,
        "its checksum, 64 hexadecimal digits: what the mask is",
    ),
    may(
        Train,
        "with",
        Inner(Stage),
        "none",
        "settings of this stage alone",
    ),
    may(
        Evaluation,
        "models",
        Names,
        "every teacher and student",
        "stages whose models are evaluated",
    ),
    must(
        Evaluation,
        "corruptions",
        Corruptions,
        "benchmark (15), all (19), none, or a list of names",
    ),
    may(
        Evaluation,
        "severities",
        Wholes(1, 5),
        "1, 2, 3, 4, 5",
        "severities of each corruption",
    ),
    may(
        Evaluation,
        "corrupted",
        Words(&["generated", "official"]),
        "generated",
        "whether corrupted images are made, or read from --corrupted-dir",
    ),
    may(
        Evaluation,
        "stack",
        Words(&["release", "modern"]),
        "release",
        "which libraries made images imitate: those of the published files, or of 2023",
    ),
    may(
        Evaluation,
        "rng",
        Words(&["keyed", "numpy"]),
        "keyed",
        "draws of made images: a generator an image, or the published script's one stream",
    ),
    may(
        Evaluation,
        "frost",
        Words(&["any", "original"]),
        "any",
        "textures of frost: any, or the published photographs only",
    ),
    may(
        Evaluation,
        "augmix",
        Flag,
        "false",
        "whether AugMix views of the test images are a condition",
    ),
    must(
        Evaluation,
        "attacks",
        Attacks,
        "attacks, groups of them, or { attack, images } for the first so many images",
    ),
    may(
        Evaluation,
        "headline",
        Attack,
        "the strongest kind asked for (docs/attacks)",
        "the attack whose accuracy is called AdvA",
    ),
    may(
        Evaluation,
        "baseline",
        Text,
        "none",
        "the model others are compared with",
    ),
    may(
        Evaluation,
        "batch",
        Whole(1, Some(BATCH)),
        "100",
        "images a batch; results do not depend on it",
    ),
    may(
        Evaluation,
        "seed",
        Whole(0, None),
        "0",
        "seed of corruptions and attack starts",
    ),
    may(
        Evaluation,
        "branches",
        Branches,
        "all of a model's",
        "norm branches gone through",
    ),
    may(
        Evaluation,
        "save_images",
        Flag,
        "true",
        "whether adversarial images are kept",
    ),
    may(
        Evaluation,
        "probe",
        Flag,
        "false",
        "whether gradients are probed, for the diagnosis",
    ),
    may(
        Evaluation,
        "similarity",
        Flag,
        "false",
        "whether students' activations are compared with their teachers'",
    ),
    may(Slurm, "partition", Text, "the cluster's", "partition"),
    may(Slurm, "account", Text, "the user's", "account that pays"),
    may(Slurm, "qos", Text, "the cluster's", "quality of service"),
    may(Slurm, "constraint", Text, "none", "features a node must have"),
    may(Slurm, "gres", Text, "none", "generic resources of a task: gpu:1"),
    may(
        Slurm,
        "time",
        Text,
        "the cluster's",
        "time limit of a task: 04:00:00",
    ),
    may(Slurm, "mem", Text, "the cluster's", "memory of a task: 16G"),
    may(
        Slurm,
        "cpus",
        Whole(1, Some(100_000)),
        "the cluster's",
        "cores of a task",
    ),
    may(
        Slurm,
        "tasks",
        Whole(1, Some(100_000)),
        "16",
        "tasks of one level of the plan at once",
    ),
    may(
        Slurm,
        "grace",
        Whole(0, Some(86_400)),
        "120",
        "seconds before the limit at which a task is told to save",
    ),
    may(
        Slurm,
        "options",
        Names,
        "none",
        "other options, as written after #SBATCH",
    ),
    may(
        Slurm,
        "setup",
        Names,
        "none",
        "shell lines before the program: module load ...",
    ),
];

/// The keys of a section.
pub fn of(section: Section) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.section == section)
}

/// A key by its name.
pub fn find(section: Section, key: &str) -> Option<&'static Setting> {
    of(section).find(|setting| setting.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeSet;

    /// The keys that are really read, from the error that names them.
    fn read<T: DeserializeOwned>() -> BTreeSet<String> {
        let error = toml::from_str::<T>("no-such-key = 1").err().expect("refused");
        let text = error.message().to_owned();
        let list = text.split_once("expected").expect("a list").1;
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_table_has_the_keys_that_are_read_and_no_others() {
        for (section, read) in [
            (Suite, read::<suite::Suite>()),
            (Data, read::<suite::Data>()),
            (Network, read::<suite::Network>()),
            (Stage, read::<suite::StageSettings>()),
            (Train, read::<suite::Train>()),
            (Imported, read::<crate::train::ImportedMask>()),
            (Evaluation, read::<suite::Evaluation>()),
            (Slurm, read::<crate::slurm::Slurm>()),
        ] {
            let known: BTreeSet<String> = of(section).map(|setting| setting.key.to_owned()).collect();
            assert_eq!(
                known, read,
                "{section:?}: settings.rs explains other keys than are read"
            );
        }
    }
}
