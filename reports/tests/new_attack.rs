//! An attack that nobody has heard of: what its one entry says is what everything else knows of it.

use crate::synthetic::{plan_of, write_run};
use rlnet_reports::sections::{SECTIONS, shown};
use rlnet_reports::{Analysis, Format, Runs, format, html};
use rlnet_suites::attack::{
    self, AttackEntry, FromValue, Norm, Param, ParamKind, Parameters, Preset, Role, Value,
};
use rlnet_suites::{AttackSpec, Condition};

struct Nearest {
    steps: usize,
}

const NORM: Param = Param {
    name: "norm",
    role: Role::Norm,
    kind: ParamKind::Word(&["l2"]),
    preset: Preset::Always("l2"),
    neutral: true,
    help: "the norm that is made small",
};

impl Parameters for Nearest {
    const PARAMS: &'static [Param] = &[
        Param {
            name: "steps",
            role: Role::Steps,
            kind: ParamKind::Count,
            preset: Preset::Always("30"),
            neutral: false,
            help: "iterations",
        },
        NORM,
    ];

    fn from_values(values: &[Value]) -> Option<Self> {
        let steps = usize::from_value(values.first()?)?;
        Some(Self { steps })
    }
}

/// The one place in which it is registered.
static ENTRIES: &[&AttackEntry] = &[&NEAREST];

static NEAREST: AttackEntry = AttackEntry {
    name: "nearest",
    display: "Nearest",
    title: "Looks for the nearest adversarial",
    source: "this test",
    version: 4,
    minimum_norm: true,
    passes: |spec| spec.read().map_or(0.0, |own: Nearest| 3.0 * own.steps as f64),
    ..AttackEntry::of::<Nearest>()
};

#[test]
fn one_entry_is_all_there_is_to_say_of_an_attack() {
    let spec = AttackSpec::of(&NEAREST, [("steps", "7")].into_iter()).expect("an attack");
    // Text, defaults and version.
    assert_eq!(spec.to_string(), "nearest:steps=7");
    assert_eq!(spec.norm(), Norm::L2);
    assert_eq!(spec.versions().next(), Some(("attack/nearest".to_owned(), 4)));
    // Ranked: without a radius it is never AdvA.
    assert_eq!(AttackSpec::headline(std::slice::from_ref(&spec)), None);
    // Costed.
    assert_eq!(spec.passes(), 21.0);
    // Reported: a minimum-norm attack, under its display name.
    assert!(spec.is_minimum_norm() && spec.radius().is_none() && !spec.can_train());
    assert_eq!(format::attack(&spec, std::slice::from_ref(&spec)), "Nearest-7");
    // Refused with what it would take.
    let error = AttackSpec::of(&NEAREST, [("step", "7")].into_iter()).expect_err("a typo");
    assert!(error.to_string().contains("did you mean `steps`"), "{error}");
}

#[test]
fn a_registered_attack_is_read_listed_planned_and_on_the_page() {
    assert!(attack::register(ENTRIES));
    // Listed, and read as text; a typo in its name is answered with it.
    assert!(attack::all().any(|entry| entry.name == "nearest"));
    let spec: AttackSpec = "nearest:steps=7".parse().expect("an attack");
    let error = "neerest".parse::<AttackSpec>().expect_err("a typo");
    assert!(error.to_string().contains("did you mean `nearest`"), "{error}");
    // Planned from a suite, and never AdvA where an attack with a radius stands beside it.
    let suite = include_str!("synthetic/suite.toml").replace("\"fgsm\",", "\"fgsm\", \"nearest:steps=7\",");
    let plan = plan_of(&suite, &[]);
    assert!(plan.headline.as_ref().is_some_and(|headline| *headline != spec));
    // On the page: its display name in a table of attacks, and no radius.
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), &plan, |_| true);
    let analysis =
        Analysis::of(Runs::load(&[folder.path().to_owned()]).expect("a run")).expect("an analysis");
    assert!(analysis.runs.conditions().contains(&Condition::Attack(spec)));
    let sections = shown(&analysis, SECTIONS, true).expect("sections");
    let page = html::page(&analysis, &sections, &Format::ALL).expect("a page");
    assert!(
        page.contains(">Nearest-7<"),
        "the display name in a cell of its own"
    );
    assert!(!page.contains("Nearest-7, "), "no radius beside it");
}
