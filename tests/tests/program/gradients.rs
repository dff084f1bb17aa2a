//! Models whose gradients cannot be taken at face value. The inputs are the reference data's `bugs`, where
//! the distance of every picture from the boundary is arithmetic.

use crate::archives::{eval, plan};
use crate::support::{CommandOutput, Sandbox, rows};
use rlnet_suites::{CellSpec, Condition, Outcome};
use rlnet_test_support::reference;
use std::process::Command;

/// A sandbox with the models (`models/NAME.pt`) and folders of pictures.
fn inputs() -> Sandbox {
    let sandbox = Sandbox::new();
    let packed = reference("bugs/inputs.tar.xz");
    let unpacked = Command::new("tar")
        .arg("-xJf")
        .arg(&packed)
        .arg("-C")
        .arg(sandbox.path(""))
        .status();
    assert!(
        unpacked.expect("the program tar").success(),
        "{}",
        packed.display()
    );
    sandbox
}

/// Evaluates a model under attacks; gives the rows of each.
fn attacked(
    sandbox: &Sandbox,
    model: &str,
    data: &str,
    attacks: &[&str],
) -> (CommandOutput, Vec<Vec<Outcome>>) {
    let (file, set, out) = (
        format!("models/{model}.pt"),
        format!("imagefolder:{data}"),
        format!("out-{model}"),
    );
    let mut more = vec!["--dataset", &set];
    more.extend(attacks.iter().flat_map(|attack| ["--attack", attack]));
    let output = eval(sandbox, &file, &out, &more);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let cells = plan(sandbox, &out).cells;
    let of = |attack: &&str| {
        let wanted: Condition = attack.parse().expect(attack);
        let cell = cells.iter().find(
            |cell| matches!(&cell.spec, CellSpec::Evaluate(spec) if spec.conditions == [wanted.clone()]),
        );
        rows(sandbox, &out, &cell.expect(attack).name)
    };
    let rows = attacks.iter().map(of).collect();
    (output, rows)
}

fn right(rows: &[Outcome]) -> usize {
    rows.iter().filter(|row| row.prediction == row.label).count()
}

/// Two pictures, the last of each class, are so dark that the model's slope is NaN there. All pictures are 2.72 from the boundary in
/// L2 (12.5/255 in Linf): no attack of a smaller radius breaks one.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_slope_that_is_no_number_breaks_no_image_and_is_counted() {
    let sandbox = inputs();
    let attacks = [
        "pgd:norm=l2,eps=0.5",
        "fgsm:norm=l2,eps=0.5",
        "mifgsm",
        "pgd:norm=l1,eps=12",
        "apgd-ce:norm=l2,steps=20",
        "fab:norm=l2,steps=5",
        "bim:steps=4",
    ];
    let (output, all) = attacked(&sandbox, "kink", "kink", &attacks);
    for (attack, rows) in attacks.iter().zip(&all) {
        assert_eq!(right(rows), 20, "{attack}");
        assert!(
            rows.iter()
                .all(|row| row.norm.is_finite() && row.margin.is_finite()),
            "{attack}"
        );
        let blind: Vec<u32> = rows
            .iter()
            .filter(|row| row.is_blind())
            .map(|row| row.image)
            .collect();
        assert_eq!(blind, [18, 19], "{attack}");
        // Square asks thousands of times.
        assert!(rows[18].forwards > 4000, "{attack}: {}", rows[18].forwards);
    }
    assert!(
        output.stdout.contains("unusable on 2 of 20 images"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("gradients-unusable"), "{}", output.stdout);
    assert!(!output.stdout.contains("number to quote"), "{}", output.stdout);
}

/// One model, and its logits times 100: every picture is 0.326 from the boundary in L2 (1.5/255 in Linf).
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn logits_times_a_hundred_change_no_verdict() {
    let sandbox = inputs();
    let breaking = [
        "pgd:norm=l2,eps=0.5",
        "fgsm:norm=l2,eps=0.5",
        "mifgsm:eps=2/255",
        "pgd:norm=l1,eps=20,steps=100",
        "apgd-ce:norm=l2,steps=10",
        "fab:norm=l2,steps=5",
        "deepfool",
        "fmn:norm=l2,steps=30",
    ];
    let holding = [
        "pgd:norm=l2,eps=0.3",
        "apgd-ce:norm=l2,eps=0.3,steps=10",
        "fgsm:eps=1.4/255",
    ];
    let attacks = [&breaking[..], &holding].concat();
    for model in ["mild", "steep"] {
        let (output, all) = attacked(&sandbox, model, "flat", &attacks);
        for (place, (attack, rows)) in attacks.iter().zip(&all).enumerate() {
            let wanted = if place < breaking.len() { 0 } else { 20 };
            assert_eq!(right(rows), wanted, "{model}: {attack}");
            assert!(rows.iter().all(|row| !row.is_blind()), "{model}: {attack}");
        }
        // What lies on its sphere is inside, in L1 as well.
        assert!(!output.stdout.contains("outside-the-ball"), "{}", output.stdout);
    }
}

/// Worse than guessing is said, whether the model or the folders have the classes in another order; and guessing.
#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn a_class_order_that_is_not_the_models_is_said() {
    let sandbox = inputs();
    for (from, to) in [("a", "x"), ("b", "a"), ("x", "b")] {
        let [from, to] = [from, to].map(|name| sandbox.path("flat").join(name));
        std::fs::rename(from, to).expect("renamed");
    }
    let said = |model: &str| attacked(&sandbox, model, "flat", &["pgd"]).0.stdout;
    let swapped = said("mild");
    assert!(swapped.contains("is the class order yours?"), "{swapped}");
    // Wrong both ways is right.
    let both = said("flipped");
    assert!(!both.contains("class order") && both.contains("100.0"), "{both}");
    // All pictures are of the one class that it gives: half of them, with the other one's name.
    for number in 0..10 {
        let file = format!("p{number:02}.png");
        let [a, b] = ["a", "b"].map(|class| sandbox.path("flat").join(class).join(&file));
        std::fs::copy(a, b).expect("copied");
    }
    let guessing = said("steep");
    assert!(guessing.contains("cannot be told from guessing"), "{guessing}");
}

#[test]
#[cfg_attr(not(have = "reference"), ignore = "needs the reference data")]
fn what_cannot_reach_its_radius_is_refused_or_named_and_never_the_main_attack() {
    let sandbox = inputs();
    let output = eval(
        &sandbox,
        "models/mild.pt",
        "none",
        &["--dataset", "imagefolder:flat", "--attack", "pgd:alpha=0"],
    );
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.contains("never leaves its start"),
        "{}",
        output.stderr
    );
    let attacks = [
        "pgd:alpha=0.01/255",
        "pgd:steps=10",
        "mifgsm:alpha=0.01/255,steps=40",
    ];
    let (output, _) = attacked(&sandbox, "mild", "flat", &attacks);
    assert!(output.stdout.contains("PGD-10, 8/255"), "{}", output.stdout);
    assert!(!output.stdout.contains("under PGD-20"), "{}", output.stdout);
}
