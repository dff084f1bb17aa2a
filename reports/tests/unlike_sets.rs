//! Each table and picture that puts models beside each other, on sets that are not alike: what was measured on
//! something else has a dash and its reason, in every section.

use crate::synthetic::{plan_of, write_run_of};
use rlnet_reports::history;
use rlnet_reports::metrics::{BranchPolicy, Measure, Quantity};
use rlnet_reports::sections::{Place, SECTIONS, Show};
use rlnet_reports::tables::{Table, Value};
use rlnet_reports::{Analysis, Runs};
use rlnet_suites::attack::Norm;
use rlnet_suites::{Branch, Cell, CellSpec, Condition, Outcome, Plan, Ranking};
use std::path::{Path, PathBuf};

/// One network and what it is evaluated on: lines of the table `[evaluation]`.
fn plan(model: &str, evaluation: &str) -> Plan {
    let text = format!(
        "schema = 1\nname = \"eval\"\ntitle = \"Eval\"\ndescription = \"One network.\"\n[data]\ndataset = \
         \"shapes\"\n[network]\narch = \"resnet8-w8\"\nnorm = \"single\"\n[[train]]\nname = \"{model}\"\nstage = \
         \"teacher\"\nviews = [\"clean\"]\n[evaluation]\n{evaluation}\n"
    );
    let mut plan = plan_of(&text, &[]);
    plan.cells.iter_mut().for_each(|cell| cell.id.0.push_str(model));
    plan
}

/// The plan with its attacks on the first images only.
fn attacked_on(mut plan: Plan, images: u32) -> Plan {
    for cell in &mut plan.cells {
        if let CellSpec::Evaluate(spec) = &mut cell.spec
            && spec.conditions[0].is_attacked()
        {
            spec.images = Some(images);
            cell.id.0.push_str(&images.to_string());
        }
    }
    plan
}

/// Every tenth image is wrong when clean; corruptions and attacks break more, each its own share, and what is
/// certified is a half.
fn rows(cell: &Cell, conditions: &[Condition]) -> Vec<Outcome> {
    let CellSpec::Evaluate(spec) = &cell.spec else {
        return Vec::new();
    };
    let images = spec.images.unwrap_or(200);
    let row = |condition: &Condition, image: u32| {
        let (wrong, norm) = match condition {
            Condition::Corruption { severity, .. } => (2 * u32::from(*severity), 0.0),
            Condition::Attack(attack) => {
                let hard = 3 + attack.to_string().len() as u32 % 4;
                let size = attack.radius().unwrap_or(0.01 + f64::from(image % 7) / 500.0);
                (hard, size as f32)
            }
            _ => (1, 0.0),
        };
        let right = image % 10 >= wrong;
        let margin = match condition {
            Condition::Certify(_) if image % 2 == 1 => 0.5,
            _ => -0.5,
        };
        Outcome {
            image,
            branch: Branch::Single,
            condition: condition.clone(),
            label: 1,
            prediction: u16::from(right),
            rounded: u16::from(right),
            margin,
            loss: 0.5,
            norm,
            forwards: 1,
            backwards: 0,
            unstable: 0,
            unusable: 0,
            ranking: Ranking::default(),
        }
    };
    let conditions = conditions.iter();
    conditions
        .flat_map(|condition| (0..images).map(move |image| row(condition, image)))
        .collect()
}

fn write(dir: &Path, plan: &Plan) -> PathBuf {
    write_run_of(dir, plan, |_| true, rows);
    dir.to_owned()
}

fn analysis(plans: &[&Plan]) -> Analysis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dirs = (0..)
        .zip(plans)
        .map(|(at, plan): (u32, _)| write(&folder.path().join(at.to_string()), plan));
    let dirs: Vec<PathBuf> = dirs.collect();
    Analysis::of(Runs::load(&dirs).expect("runs")).expect("an analysis")
}

fn table(analysis: &Analysis, id: &str) -> Table {
    let section = SECTIONS.iter().find(|section| section.id == id).expect(id);
    let Show::Table(table) = section.show else {
        panic!("{id} is no table")
    };
    table(analysis)
}

/// The value of a model's row in a column, each time it has one.
fn values(table: &Table, model: &str, key: &str) -> Vec<Value> {
    let at = table
        .columns
        .iter()
        .position(|column| column.key == key)
        .expect(key);
    let own = table
        .rows
        .iter()
        .filter(|row| row[0].value == Value::Text(model.to_owned()));
    own.map(|row| row[at].value.clone()).collect()
}

fn is_refused(value: &Value, why: &str) -> bool {
    matches!(value, Value::Absent(unknown) if unknown.to_string().contains(why))
}

const TWO: &str = "corruptions = \"none\"\nattacks = [\"fgsm\", \"pgd\"]\nheadline = \"fgsm\"";
const ONE: &str = "corruptions = \"none\"\nattacks = [\"fgsm\"]\nheadline = \"fgsm\"";

#[test]
fn confusions_of_fewer_images_are_none_of_the_column() {
    let whole = plan("whole", ONE);
    let part = attacked_on(plan("part", ONE), 50);
    let both = analysis(&[&whole, &part]);
    let found = table(&both, "confusions");
    assert_eq!(
        values(&found, "whole", "attacked").len(),
        1,
        "{}",
        found.markdown()
    );
    assert!(
        values(&found, "part", "attacked").is_empty(),
        "{}",
        found.markdown()
    );
    // Alone, its fifty images are what the table is about.
    let alone = table(&analysis(&[&part]), "confusions");
    assert_eq!(values(&alone, "part", "attacked").len(), 1);
    // The picture has the network and the baseline: no panel of other images.
    let mut based = part.clone();
    based.baseline = Some("part".to_owned());
    let section = SECTIONS
        .iter()
        .find(|section| section.id == "confusion")
        .expect("a section");
    let Show::Figure(figure) = section.show else {
        panic!("no figure")
    };
    let drawn = |plans: &[&Plan]| {
        let figure = figure(&analysis(plans))
            .expect("drawn")
            .expect("something to show");
        figure
            .standalone()
            .expect("a drawing")
            .matches("not measured")
            .count()
    };
    assert_eq!(drawn(&[&based, &whole]), 1);
    assert_eq!(drawn(&[&based, &plan("whole", ONE)]), 1);
    assert_eq!(drawn(&[&based, &attacked_on(plan("whole", ONE), 50)]), 0);
}

#[test]
fn curves_over_all_attacks_stand_beside_those_over_the_same_attacks() {
    let (two, one) = (plan("two", TWO), plan("one", ONE));
    let both = analysis(&[&two, &one]);
    let found = table(&both, "robustness");
    let shown = values(&found, "two", "accuracy");
    assert!(shown.len() > 1 && shown.iter().all(|value| matches!(value, Value::Share(_))));
    let refused = values(&found, "one", "accuracy");
    assert!(
        refused.len() == 1 && is_refused(&refused[0], "this column is about"),
        "{}",
        found.markdown()
    );
    assert!(
        both.columns
            .admit(both.runs.model("one").expect("one"), &Quantity::Ball(Norm::Linf))
            .is_err()
    );
    // The one attack that both had stands in its own column.
    let attacks = table(&both, "attacks");
    for model in ["one", "two"] {
        assert!(matches!(
            values(&attacks, model, "fgsm:eps=8/255")[0],
            Value::Share(_)
        ));
    }
    let alone = analysis(&[&one]);
    assert!(values(&table(&alone, "robustness"), "one", "accuracy").len() > 1);
}

#[test]
fn brackets_and_unions_are_of_the_same_attacks() {
    let certify = "certify = [\"certify:eps=1/255,method=crown\"]";
    let (two, one) = (
        plan("two", &format!("{TWO}\n{certify}")),
        plan("one", &format!("{ONE}\n{certify}")),
    );
    let found = table(&analysis(&[&two, &one]), "certified");
    // What is proven depends on no attack.
    for model in ["one", "two"] {
        assert!(matches!(values(&found, model, "certified")[0], Value::Share(_)));
    }
    assert!(matches!(values(&found, "two", "attacked")[0], Value::Share(_)));
    for key in ["attacked", "open"] {
        assert!(
            is_refused(&values(&found, "one", key)[0], "this column is about"),
            "{key}"
        );
    }
    let norms = "corruptions = \"none\"\nattacks = [\"fgsm\", \"fgsm:norm=l2,eps=0.5\"]\nheadline = \"fgsm\"";
    let more = norms.replace("[\"fgsm\",", "[\"fgsm\", \"pgd\",");
    let found = table(&analysis(&[&plan("more", &more), &plan("few", norms)]), "unions");
    assert!(matches!(values(&found, "more", "union")[0], Value::Share(_)));
    assert!(is_refused(
        &values(&found, "few", "union")[0],
        "this column is about"
    ));
    assert!(is_refused(
        &values(&found, "few", "linf")[0],
        "this column is about"
    ));
    // In L2 both had the same attack.
    assert!(matches!(values(&found, "few", "l2")[0], Value::Share(_)));
}

#[test]
fn optimality_is_beside_the_same_attacks_and_its_mean_over_models_under_them() {
    let searches = |names: &str| format!("corruptions = \"none\"\nattacks = [{names}]");
    let both = "\"fmn\", \"pdpgd\"";
    let plans = [
        plan("a", &searches(both)),
        plan("b", &searches(both)),
        plan("c", &searches("\"fmn\"")),
    ];
    let found = analysis(&plans.iter().collect::<Vec<_>>());
    let local = table(&found, "optimality");
    assert!(
        values(&local, "a", "gain")
            .iter()
            .all(|value| matches!(value, Value::Share(_)))
    );
    assert!(
        is_refused(&values(&local, "c", "local")[0], "this column is about"),
        "{}",
        local.markdown()
    );
    let global = table(&found, "global_optimality");
    let readings = values(&global, "L\u{221e}", "readings");
    assert!(
        readings.len() == 2 && readings.iter().all(|count| *count == Value::Integer(2)),
        "{}",
        global.markdown()
    );
}

#[test]
fn severities_of_some_corruptions_are_no_severities_of_all() {
    // As a second evaluation adds to a first: fog and snow at severity 1, and fog at 2.
    let mut both = plan(
        "net",
        "corruptions = [\"fog\", \"snow\"]\nseverities = [1]\nattacks = []",
    );
    let more = plan("net", "corruptions = [\"fog\"]\nseverities = [2]\nattacks = []");
    let added = more
        .cells
        .into_iter()
        .find(|cell| cell.name == "net/fog")
        .map(|mut cell| {
            cell.name = "net/fog again".to_owned();
            cell.id.0.push('2');
            cell
        });
    both.cells.extend(added);
    let found = analysis(&[&both]);
    let natural = &found
        .triple("net", BranchPolicy::Oracle)
        .expect("a triple")
        .natural;
    assert_eq!(natural.severities.keys().copied().collect::<Vec<_>>(), [1]);
    assert!(natural.npa.is_ok());
    let caption = table(&found, "main").caption;
    let said = "NPA: only 2 of the 15 corruptions of the benchmark: snow at severity 1 and fog at severities 1 and 2;";
    assert!(caption.contains(said), "{caption}");
}

#[test]
fn augmix_images_are_compared_on_the_same_images() {
    let augmix = |model: &str, images: Option<u32>| {
        let mut plan = plan(model, "corruptions = \"none\"\naugmix = true\nattacks = []");
        for cell in &mut plan.cells {
            if let CellSpec::Evaluate(spec) = &mut cell.spec
                && spec.conditions[0] == Condition::AugMix
            {
                spec.images = images;
            }
        }
        plan.baseline = Some("base".to_owned());
        plan
    };
    let compared = |images: Option<u32>| {
        let found = analysis(&[&augmix("base", None), &augmix("net", images)]);
        let measures: Vec<Measure> = found.comparisons.iter().map(|found| found.measure).collect();
        measures
    };
    assert_eq!(compared(None), [Measure::Ca, Measure::AugMix]);
    assert_eq!(compared(Some(50)), [Measure::Ca]);
}

/// No table for people has a number of an attack on fewer images beside one on more, whichever is asked.
#[test]
fn no_section_joins_counts_of_images() {
    let everything = "corruptions = [\"fog\"]\nseverities = [1]\nattacks = [\"fgsm\", \"fgsm:norm=l2\", \"fmn\", \
                      \"pdpgd\", \"radius\"]\nheadline = \"fgsm\"\ncertify = [\"certify:eps=1/255,method=crown\"]";
    let both = analysis(&[
        &plan("whole", everything),
        &attacked_on(plan("part", everything), 50),
    ]);
    // Counts of ReLUs, layers and passes are no numbers on images; corruptions and clean images are the same for both.
    for section in SECTIONS
        .iter()
        .filter(|section| section.place != Place::Provenance)
    {
        let Show::Table(table) = section.show else {
            continue;
        };
        let table = table(&both);
        for row in table
            .rows
            .iter()
            .filter(|row| row[0].value == Value::Text("part".into()))
        {
            for (column, cell) in table.columns.iter().zip(row) {
                if let Value::Share(share) = &cell.value {
                    assert_eq!(
                        share.images,
                        200,
                        "{} {}: {}",
                        section.id,
                        column.key,
                        table.markdown()
                    );
                }
            }
        }
    }
}

#[test]
fn runs_are_a_set_and_so_are_their_conditions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let one = write(&folder.path().join("one"), &plan("net", TWO));
    // The same cells, asked for in another order.
    let mut turned = plan("net", TWO);
    turned.cells.reverse();
    let two = write(&folder.path().join("two"), &turned);
    std::os::unix::fs::symlink(&one, folder.path().join("link")).expect("a link");
    let models = |dirs: &[&Path]| {
        let dirs: Vec<PathBuf> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let runs = Runs::load(&dirs).expect("runs");
        (runs.runs.len(), runs.models.len())
    };
    assert_eq!(models(&[&one]), (1, 1));
    let again = folder.path().join("one/../one");
    assert_eq!(models(&[&one, &one, &again, &folder.path().join("link")]), (1, 1));
    assert_eq!(models(&[&one, &two]), (2, 1));
}

/// A night under another step size, on other images or on other data is a number of its own, though it is called
/// the same.
#[test]
fn a_line_over_nights_is_about_one_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let night = |name: &str, plan: &Plan| write(&folder.path().join(name), plan);
    let of = |attack: &str| plan("net", &ONE.replace("\"fgsm\"", &format!("\"{attack}\"")));
    let lines = || {
        let history = history::update(folder.path()).expect("a series");
        let mut names: Vec<(String, usize)> = history
            .lines
            .into_iter()
            .map(|line| (line.name, line.points.len()))
            .collect();
        names.sort();
        names
    };
    night("a", &of("pgd"));
    night("b", &of("pgd"));
    let same = lines();
    assert_eq!(same.len(), 2, "{same:?}");
    assert!(same.iter().all(|(_, nights)| *nights == 2), "{same:?}");
    night("c", &of("pgd:alpha=1/255"));
    let other = lines();
    let attacked: Vec<_> = other
        .iter()
        .filter(|(name, _)| name.contains("AdvA (PGD-20, 8/255)"))
        .collect();
    assert_eq!(
        attacked.iter().map(|(_, nights)| *nights).collect::<Vec<_>>(),
        [1, 2],
        "{other:?}"
    );
    assert!(
        attacked[0].0.contains("alpha=1/255") && attacked[1].0.contains("alpha=2/255"),
        "{other:?}"
    );
    // Clean accuracy goes on.
    assert!(
        other
            .iter()
            .any(|(name, nights)| name.ends_with("CA") && *nights == 3),
        "{other:?}"
    );
    let mut moved = of("pgd");
    moved
        .cells
        .iter_mut()
        .for_each(|cell| cell.data.checksum = "other".to_owned());
    night("d", &moved);
    let clean: Vec<_> = lines()
        .into_iter()
        .filter(|(name, _)| name.contains(", CA"))
        .collect();
    assert_eq!(
        clean.iter().map(|(_, nights)| *nights).collect::<Vec<_>>(),
        [1, 3],
        "{clean:?}"
    );
    assert!(clean[0].0.contains("data other"), "{clean:?}");
}
