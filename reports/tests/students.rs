//! What is asked of students beside accuracy: AugMix images, and their teacher's activations.

use crate::synthetic::{IMAGES, outcomes, plan, write_run};
use rlnet_reports::Analysis;
use rlnet_reports::metrics::{BranchPolicy, Measure};
use rlnet_reports::tables::{Value, similarity};
use rlnet_reports::{Runs, write_records};
use rlnet_suites::{Branch, Condition, LayerValue};

const ASKED: [&str; 4] = [
    "evaluation.corruptions=[\"fog\"]",
    "evaluation.attacks=[\"fgsm\"]",
    "evaluation.headline=fgsm",
    "evaluation.augmix=true",
];

#[test]
fn augmix_images_are_compared_with_the_baseline_through_the_clean_branch() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(&ASKED);
    write_run(folder.path(), &plan, |_| true);
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    let found = analysis.comparisons.iter().find(|found| {
        found.model == "rlnet" && found.measure == Measure::AugMix && found.policy == BranchPolicy::Oracle
    });
    let found = found.expect("a comparison");
    let right = |model: &str, branch: Branch| {
        let cell = plan
            .cells
            .iter()
            .find(|cell| cell.name == format!("{model}/augmix"));
        let rows = outcomes(&plan, cell.expect("a cell"), &[Condition::AugMix], IMAGES);
        let own = rows
            .iter()
            .filter(|row| row.branch == branch && row.prediction == row.label);
        own.count() as f64
    };
    let expected = right("rlnet", Branch::Clean) - right("senet", Branch::Single);
    assert!((found.difference.value - expected / f64::from(IMAGES)).abs() < 1e-12);
    assert_eq!(found.this.right as f64, right("rlnet", Branch::Clean));
    // Without the question there is no such comparison.
    let without = tempfile::tempdir().expect("a folder");
    write_run(without.path(), &crate::synthetic::plan(&ASKED[..3]), |_| true);
    let runs = Runs::load(&[without.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    assert!(
        analysis
            .comparisons
            .iter()
            .all(|found| found.measure != Measure::AugMix)
    );
}

#[test]
fn activations_stand_beside_the_teachers_layer_by_layer() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(&[&ASKED[..3], &["evaluation.similarity=true"]].concat());
    write_run(folder.path(), &plan, |_| true);
    let compared = ["rlnet/clean", "senet/clean"];
    for cell in plan
        .cells
        .iter()
        .filter(|cell| compared.contains(&cell.name.as_str()))
    {
        let branches: &[&str] = if cell.model == "rlnet" {
            &["clean", "adversarial"]
        } else {
            &["single"]
        };
        let points = branches.iter().flat_map(|branch| {
            (1..=7).flat_map(move |layer| {
                ["cosine", "distance"].map(|metric| LayerValue {
                    layer,
                    metric: format!("{metric}/{branch}"),
                    value: f64::from(layer) / 10.0,
                })
            })
        });
        let file = folder
            .path()
            .join("cells")
            .join(&cell.id.0)
            .join("similarity.parquet");
        write_records(&file, &points.collect::<Vec<_>>()).expect("written");
    }
    let runs = Runs::load(&[folder.path().to_owned()]).expect("a run");
    let analysis = Analysis::of(runs).expect("an analysis");
    let table = similarity::similarity(&analysis);
    // Seven layers and their mean, of two branches and of one; cosine and distance.
    assert_eq!((table.columns.len(), table.rows.len()), (3 + 2, 3 * 8));
    assert_eq!(table.rows[10][1].value, Value::Text("adversarial".into()));
    assert_eq!(table.rows[10][2].value, Value::Text("layer1.0.b".into()));
    assert_eq!(table.rows[10][3].value, Value::Number(0.3));
    let Value::Number(mean) = table.rows[15][4].value else {
        panic!("no mean")
    };
    assert!((mean - 0.4).abs() < 1e-12);
}
