//! Every attack that can be asked for, with its parameters, defaults and source.
//!
//! A default that the literature fixes is written out in every stored text, so that a later
//! change of it cannot change the meaning of an old file. Parameters marked `neutral` are
//! left out at their default: that value means "as if this parameter did not exist".

use super::{AttackEntry, Param, ParamKind, Preset};

const NORMS: &[&str] = &["linf", "l2", "l1"];

const fn norm(words: &'static [&'static str]) -> Param {
    Param {
        name: "norm",
        kind: ParamKind::Word(words),
        preset: Preset::Always("linf"),
        neutral: true,
        help: "the ball's norm",
    }
}

const NORM: Param = norm(NORMS);
const NORM_2: Param = norm(&["linf", "l2"]);
const NORM_LINF: Param = norm(&["linf"]);

/// Radii of the standard threat models on CIFAR (RobustBench; L1: Croce and Hein, ICML 2021).
const EPS: Param = Param {
    name: "eps",
    kind: ParamKind::Size,
    preset: Preset::ByNorm(["8/255", "0.5", "12"]),
    neutral: false,
    help: "radius of the ball around the image, images in [0,1]",
};

const ALPHA: Param = Param {
    name: "alpha",
    kind: ParamKind::Size,
    preset: Preset::ByNorm(["2/255", "0.1", "2"]),
    neutral: false,
    help: "size of one step, in the ball's norm",
};

const fn count(name: &'static str, default: &'static str, help: &'static str) -> Param {
    Param {
        name,
        kind: ParamKind::Count,
        preset: Preset::Always(default),
        neutral: false,
        help,
    }
}

const fn number(name: &'static str, default: &'static str, help: &'static str) -> Param {
    Param {
        name,
        kind: ParamKind::Number,
        preset: Preset::Always(default),
        neutral: false,
        help,
    }
}

const fn word(
    name: &'static str,
    words: &'static [&'static str],
    neutral: bool,
    help: &'static str,
) -> Param {
    Param {
        name,
        kind: ParamKind::Word(words),
        preset: Preset::Always(words[0]),
        neutral,
        help,
    }
}

const RESTARTS: Param = count(
    "restarts",
    "1",
    "independent random starts; an image counts as broken when any breaks it",
);

const START: Param = word(
    "start",
    &["uniform", "zero"],
    false,
    "where the first step begins: uniform in the ball (keyed per image) or at the image",
);

const LOSS: Param = word(
    "loss",
    &["ce", "dlr", "margin", "kl-teacher"],
    true,
    "what is maximised: cross entropy, DLR (Croce and Hein 2020), logit margin, or KL to the teacher",
);

const EARLY_STOP: Param = word(
    "early_stop",
    &["false", "true"],
    true,
    "whether an image leaves the batch at the first iterate that fools; otherwise the last iterate counts",
);

const EOT: Param = Param {
    name: "eot",
    kind: ParamKind::Count,
    preset: Preset::Always("1"),
    neutral: true,
    help: "passes averaged for each gradient and verdict, for randomised models (Athalye et al. 2018)",
};

const BRANCH: Param = word(
    "branch",
    &[
        "same",
        "clean",
        "natural",
        "adversarial",
        "clean-with-adversarial-affine",
        "adversarial-with-clean-affine",
        "all",
    ],
    true,
    "the norm branch whose gradient is followed; the verdict is always the evaluated branch's",
);

const SURROGATE: Param = Param {
    name: "surrogate",
    kind: ParamKind::Model,
    preset: Preset::Always("self"),
    neutral: true,
    help: "the network whose gradient is followed: self, all-relu or linear (same weights, other mask), \
           teacher, other-budget (a student of the same teacher), or a model's name in the suite",
};

const BASE: Param = Param {
    name: "base",
    kind: ParamKind::Base,
    preset: Preset::Always("clean"),
    neutral: true,
    help: "the image the ball is around: clean, or a corruption such as fog/3",
};

const PRECISION: Param = word(
    "precision",
    &["fp32", "bf16"],
    true,
    "arithmetic of the network that is followed; the verdict is always fp32's",
);

const REFERENCE_RNG: Param = word(
    "reference_rng",
    &["false", "true"],
    true,
    "whether AutoAttack's own random stream is replayed, for one-to-one checks; it depends on the batch",
);

const APGD_STEPS: Param = count("steps", "100", "iterations");
const TARGETS: Param = count("targets", "9", "target classes, the likeliest wrong ones first");

/// Every attack that can be asked for.
pub const CATALOGUE: &[AttackEntry] = &[
    AttackEntry {
        name: "fgsm",
        title: "Fast gradient sign method, one step of eps, no random start",
        source: "Goodfellow et al., ICLR 2015, arXiv 1412.6572",
        params: &[NORM_2, EPS, LOSS, EOT, BRANCH, SURROGATE, PRECISION, BASE],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "rfgsm",
        title: "A random sign step of alpha, then a gradient sign step of eps - alpha",
        source: "Tramer et al., ICLR 2018, arXiv 1705.07204",
        params: &[
            NORM_LINF,
            EPS,
            Param {
                preset: Preset::Always("4/255"),
                help: "size of the random sign step, below eps",
                ..ALPHA
            },
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "ffgsm",
        title: "FGSM from a uniform start with a step beyond eps, projected (\"fast\" training's attack)",
        source: "Wong et al., ICLR 2020, arXiv 2001.03994",
        params: &[
            NORM_LINF,
            EPS,
            Param {
                preset: Preset::Always("10/255"),
                ..ALPHA
            },
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "bim",
        title: "Basic iterative method: PGD from the image itself",
        source: "Kurakin et al., ICLR 2017 workshop, arXiv 1607.02533",
        params: &[
            NORM_LINF,
            EPS,
            ALPHA,
            count("steps", "10", "number of steps"),
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "pgd",
        title: "Projected gradient descent, last iterate, each image on its own",
        source: "Madry et al., ICLR 2018, arXiv 1706.06083; defaults of RLNet's evaluation; \
                 L1 steps: Tramer and Boneh, NeurIPS 2019, arXiv 1904.13000",
        params: &[
            NORM,
            EPS,
            ALPHA,
            count("steps", "20", "number of steps"),
            RESTARTS,
            START,
            LOSS,
            EARLY_STOP,
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "mifgsm",
        title: "Momentum iterative FGSM: sign steps along the accumulated normalised gradient",
        source: "Dong et al., CVPR 2018, arXiv 1710.06081",
        params: &[
            NORM_LINF,
            EPS,
            ALPHA,
            count("steps", "10", "number of steps"),
            number("momentum", "1", "decay of the accumulated gradient"),
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "noise",
        title: "Random noise of norm eps, no gradient: the control that every attack must beat",
        source: "Carlini et al. 2019, On evaluating adversarial robustness, arXiv 1902.06705",
        params: &[
            NORM_2,
            EPS,
            word(
                "kind",
                &["uniform", "gaussian"],
                false,
                "uniform in the ball, or a Gaussian direction scaled to the sphere",
            ),
            count(
                "draws",
                "10",
                "draws an image; it counts as broken when any breaks it",
            ),
            EOT,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "apgd-ce",
        title: "Auto-PGD on cross entropy: step size halved by progress, best point kept",
        source: "Croce and Hein, ICML 2020, arXiv 2003.01690; L1: Croce and Hein, ICML 2021, arXiv 2103.01208",
        params: &[
            NORM,
            EPS,
            APGD_STEPS,
            RESTARTS,
            EOT,
            REFERENCE_RNG,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "apgd-dlr",
        title: "Auto-PGD on the difference of logits ratio",
        source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
        params: &[
            NORM,
            EPS,
            APGD_STEPS,
            RESTARTS,
            EOT,
            REFERENCE_RNG,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "apgd-t",
        title: "Auto-PGD on the targeted DLR loss, one run a target class",
        source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
        params: &[
            NORM,
            EPS,
            APGD_STEPS,
            RESTARTS,
            TARGETS,
            REFERENCE_RNG,
            EOT,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "fab",
        title: "Fast adaptive boundary, untargeted: towards the nearest adversarial, until within eps",
        source: "Croce and Hein, ICML 2020, arXiv 1907.02044",
        params: &[NORM, EPS, APGD_STEPS, RESTARTS, REFERENCE_RNG, EOT, BASE],
        version: 2,
        uses: &[],
    },
    AttackEntry {
        name: "fab-t",
        title: "Fast adaptive boundary, one run a target class",
        source: "Croce and Hein, ICML 2020, arXiv 1907.02044 and 2003.01690",
        params: &[NORM, EPS, APGD_STEPS, RESTARTS, TARGETS, REFERENCE_RNG, EOT, BASE],
        version: 2,
        uses: &[],
    },
    AttackEntry {
        name: "square",
        title: "Square attack: random search with logits only, no gradient",
        source: "Andriushchenko et al., ECCV 2020, arXiv 1912.00049",
        params: &[
            NORM_2,
            EPS,
            count("queries", "5000", "forward passes an image and restart, at most"),
            RESTARTS,
            number("p", "0.8", "share of the pixels changed at first"),
            REFERENCE_RNG,
            EOT,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "autoattack",
        title: "AutoAttack: the union of its attacks, each on what the earlier ones left",
        source: "Croce and Hein, ICML 2020, arXiv 2003.01690",
        params: &[
            NORM,
            EPS,
            word(
                "version",
                &["standard", "plus", "rand"],
                false,
                "standard: apgd-ce, apgd-t, fab-t, square; plus: five restarts and all six; rand: apgd-ce and apgd-dlr with eot=20",
            ),
            REFERENCE_RNG,
            BRANCH,
            SURROGATE,
            PRECISION,
            BASE,
        ],
        version: 1,
        uses: &["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"],
    },
    AttackEntry {
        name: "cw",
        title: "Carlini-Wagner L2: the smallest perturbation, Adam on a margin, binary search over c",
        source: "Carlini and Wagner, S&P 2017, arXiv 1608.04644",
        params: &[
            Param {
                kind: ParamKind::Word(&["l2"]),
                preset: Preset::Always("l2"),
                ..NORM
            },
            count("steps", "1000", "Adam steps a constant"),
            count("search", "9", "binary search steps over the constant"),
            number("lr", "0.01", "Adam's learning rate"),
            number("c", "0.001", "first constant"),
            number("kappa", "0", "margin asked for, in logits"),
            EOT,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "deepfool",
        title: "DeepFool: steps to the nearest linearised boundary",
        source: "Moosavi-Dezfooli et al., CVPR 2016, arXiv 1511.04599",
        params: &[
            Param {
                kind: ParamKind::Word(&["l2", "linf"]),
                preset: Preset::Always("l2"),
                ..NORM
            },
            count("steps", "50", "iterations at most"),
            count("candidates", "10", "classes considered, the likeliest first"),
            number("overshoot", "0.02", "share by which the sum of steps is overdone"),
            EOT,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "fmn",
        title: "Fast minimum-norm attack: gradient steps while the radius adapts",
        source: "Pintor et al., NeurIPS 2021, arXiv 2102.12827",
        params: &[
            Param {
                kind: ParamKind::Word(NORMS),
                preset: Preset::Always("linf"),
                ..NORM
            },
            count("steps", "100", "iterations"),
            number(
                "alpha",
                "1",
                "first step size, annealed by a cosine to a hundredth",
            ),
            number("gamma", "0.05", "first share by which the radius changes"),
            EOT,
            BASE,
        ],
        version: 1,
        uses: &[],
    },
    AttackEntry {
        name: "radius",
        title: "The smallest radius that breaks each image: minimum-norm attacks bracketed by Auto-PGD",
        source: "this project; see docs/attacks/radius.md",
        params: &[
            NORM_2,
            count("steps", "100", "iterations of each attack used"),
            count("brackets", "6", "bisections of the radius by Auto-PGD"),
            EOT,
            BASE,
        ],
        version: 1,
        uses: &["fab-t", "fmn", "apgd-ce", "apgd-t"],
    },
];
