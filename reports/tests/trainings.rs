//! Networks that were trained with several seeds.

use crate::record::Record;
use crate::synthetic::{plan, write_run};
use rlnet_reports::metrics::{BranchPolicy, Measure};
use rlnet_reports::tables::{Value, accuracy, trainings};
use rlnet_reports::{Analysis, Runs, by_image};
use rlnet_suites::{Branch, Plan};

const SMALL: [&str; 3] = [
    "evaluation.corruptions=[\"fog\"]",
    "evaluation.attacks=[\"fgsm\"]",
    "evaluation.headline=fgsm",
];

fn analysis(plan: &Plan) -> Analysis {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path(), plan, |_| true);
    Analysis::of(Runs::load(&[folder.path().to_owned()]).expect("a run")).expect("an analysis")
}

#[test]
fn the_main_table_has_means_over_trainings_and_says_how_many() {
    let found = analysis(&plan(&[&SMALL[..], &["replicates=3"]].concat()));
    let table = accuracy::main(&found);
    let names = |column: usize| table.rows.iter().map(move |row| row[column].value.clone());
    assert!(names(0).all(|name| !matches!(&name, Value::Text(name) if name.contains("seed"))));
    let column = table
        .columns
        .iter()
        .position(|column| column.key == "trainings")
        .expect("a column");
    assert!(names(column).all(|count| count == Value::Integer(3)));
    assert!(
        table.caption.contains("other trainings as well"),
        "{}",
        table.caption
    );
    let ca = |model: &str| {
        found
            .triple(model, BranchPolicy::Oracle)
            .expect("a triple")
            .ca
            .clone()
            .expect("CA")
    };
    let (mean, one) = (ca("rlnet"), ca("rlnet.seed1"));
    let all = ["rlnet.seed1", "rlnet.seed2"].map(|name| ca(name).value);
    let own = mean.value * 3.0 - all.iter().sum::<f64>();
    // Three trainings of 500 images: the first one's share is a multiple of 1 / 500.
    assert!((own * 500.0 - (own * 500.0).round()).abs() < 1e-9, "{own}");
    assert_eq!((mean.answers, mean.images, one.answers), (1500, 500, 500));
    let spread = trainings::SECTION.show;
    let rlnet_reports::sections::Show::Table(table) = spread else {
        panic!("a table")
    };
    // CA, NPA and AdvA of the teacher and RLNet read in four ways, and of the baseline, which has one branch.
    assert_eq!(table(&found).rows.len(), 3 * (4 + 4 + 1));
    // Differences are paired by seed and by image.
    let compared = found
        .comparisons
        .iter()
        .find(|found| found.model == "rlnet" && found.measure == Measure::Ca);
    let test = &compared.expect("a comparison").difference.test;
    assert!(test.starts_with("3 trainings of each, paired by seed"), "{test}");
    assert!(
        found
            .comparisons
            .iter()
            .all(|found| !found.model.contains("seed"))
    );
}

/// Pairs of two sweeps, and the points of one, are compared as the baseline is: over all trainings.
#[test]
fn any_two_networks_are_compared_over_all_their_trainings() {
    let found = analysis(&plan(&[&SMALL[..], &["replicates=3"]].concat()));
    let at = |name: &str| {
        let mut models = found.runs.models.iter();
        models.position(|model| model.name == name).expect(name)
    };
    let pairs = found.compare(BranchPolicy::Oracle, at("rlnet"), at("teacher"));
    assert_eq!(pairs.len(), 3);
    for pair in pairs {
        let test = &pair.difference.test;
        assert!(test.starts_with("3 trainings of each"), "{test}");
        let means = pair.this.value - pair.baseline.value;
        assert!((pair.difference.value - means).abs() < 1e-9, "{:?}", pair.measure);
    }
}

/// Files of single seeds, written on other machines, say together what one report of all of them says.
#[test]
fn scores_of_images_in_files_of_their_own_are_the_trainings_of_the_report() {
    let plan = plan(&[&SMALL[..], &["replicates=3"]].concat());
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("scores");
    std::fs::create_dir(&files).expect("a folder");
    for seed in 0..3 {
        let of = |name: &str| {
            name.rsplit_once(".seed")
                .map_or(0, |(_, seed)| seed.parse().expect("a seed"))
        };
        let run = folder.path().join(format!("run{seed}"));
        write_run(&run, &plan, |cell| {
            let model = cell.name.split('/').next().expect("a name");
            of(model) == seed
        });
        by_image::write(&[run], &files.join(format!("seed{seed}.csv"))).expect("a file");
    }
    let record = Record::read(&files);
    let run = folder.path().join("all");
    write_run(&run, &plan, |_| true);
    let found = Analysis::of(Runs::load(&[run]).expect("a run")).expect("an analysis");
    let policies = [
        BranchPolicy::Oracle,
        BranchPolicy::Fixed(Branch::Clean),
        BranchPolicy::Worst,
    ];
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} {b}");
    for policy in policies {
        let triple = found.triple("rlnet", policy).expect("a triple");
        for (column, share) in [
            ("ca", &triple.ca),
            ("npa", &triple.natural.npa),
            ("adva", &triple.adva),
        ] {
            let share = share.clone().expect("a share");
            let points = record.points("rlnet", None, &policy.label(), column);
            assert_eq!(points.trainings, 3);
            near(points.value, 100.0 * share.value);
            near(points.low, 100.0 * share.low);
            near(points.high, 100.0 * share.high);
        }
    }
    for comparison in &found.comparisons {
        let column = comparison.measure.name().to_lowercase();
        let baseline = found.runs.baseline.as_deref();
        let points = record.points(&comparison.model, baseline, &comparison.policy.label(), &column);
        near(points.value, 100.0 * comparison.difference.value);
        near(points.low, 100.0 * comparison.difference.low);
        near(points.high, 100.0 * comparison.difference.high);
    }
    // A file without a score replaces nothing.
    let (none, file) = (folder.path().join("none"), files.join("seed0.csv"));
    write_run(&none, &plan, |cell| !cell.name.contains('/'));
    let before = std::fs::read(&file).expect("a file");
    let error = by_image::write(&[none], &file).expect_err("no score").to_string();
    assert!(error.contains("no image has a score yet"), "{error}");
    assert_eq!(before, std::fs::read(&file).expect("a file"));
}

#[test]
fn a_number_of_one_training_says_so() {
    let table = accuracy::main(&analysis(&plan(&SMALL)));
    assert!(
        table.caption.contains("Each row is one training"),
        "{}",
        table.caption
    );
    assert!(table.columns.iter().all(|column| column.key != "trainings"));
}
