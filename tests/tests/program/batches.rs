//! An image's row is its own: no batch and no number of images changes it.

use crate::archives::{eval, model, plan};
use crate::support::{Sandbox, TINY, id, rows};
use rlnet_suites::Outcome;

const ATTACKS: [&str; 9] = [
    "pgd:steps=3,restarts=2,early_stop=true",
    "pgd:steps=2,norm=l1",
    "apgd-ce:steps=5",
    "fab-t:steps=3,targets=2",
    "square:queries=15,eps=64/255",
    "cw:steps=12,search=2,lr=0.1,c=10",
    "deepfool:steps=3,candidates=4",
    "fmn:steps=4",
    // Its members as they are: at this radius few images outlive the first.
    "autoattack:eps=64/255",
];

#[test]
fn an_outcome_does_not_depend_on_the_batch_or_on_other_images() {
    let sandbox = Sandbox::new();
    // A network that is right on a third of the images: there is something to attack. TINY's own is at
    // chance, and whether it is right anywhere depends on the processor.
    let suite = TINY
        .replace("train = 200", "train = 2048")
        .replace("w4", "w8")
        .replace("batch = 32", "batch = 16")
        .replace("epochs = 2", "epochs = 8");
    let model = model(&sandbox, &suite, "plain");
    let run = |out: &str, limit: &str, batch: &str| {
        let mut ask = vec!["--dataset", "shapes", "--limit", limit, "--batch", batch];
        for attack in ATTACKS {
            ask.extend(["--attack", attack]);
        }
        let output = eval(&sandbox, &model, out, &ask);
        assert_eq!(output.code, 0, "{}", output.stderr);
        plan(&sandbox, out)
            .cells
            .into_iter()
            .map(|cell| cell.name)
            .collect::<Vec<_>>()
    };
    let names = run("b64", "16", "64");
    assert_eq!(names.len(), 1 + ATTACKS.len());
    let file = |out: &str, name: &str| {
        let id = id(&sandbox, out, name);
        std::fs::read(sandbox.path(&format!("{out}/cells/{id}/outcomes.parquet"))).expect("a file")
    };
    for (out, batch) in [("b1", "1"), ("b7", "7")] {
        assert_eq!(run(out, "16", batch), names);
        for name in &names {
            assert_eq!(id(&sandbox, out, name), id(&sandbox, "b64", name));
            assert_eq!(
                rows(&sandbox, out, name),
                rows(&sandbox, "b64", name),
                "{name}, batch {batch}"
            );
            assert_eq!(file(out, name), file("b64", name), "{name}, batch {batch}");
        }
    }
    assert_eq!(run("half", "8", "64"), names);
    for name in &names {
        let whole = rows(&sandbox, "b64", name);
        let images: Vec<u32> = rows(&sandbox, "half", name).iter().map(|row| row.image).collect();
        let first: Vec<Outcome> = whole
            .into_iter()
            .filter(|row| images[..8].contains(&row.image))
            .collect();
        assert_eq!(first.len(), 8, "{name}");
        assert_eq!(rows(&sandbox, "half", name), first, "{name}, 8 of 16");
    }
    // The attacks did something, so that the equality says something.
    for name in &names[1..] {
        let moved = rows(&sandbox, "b64", name)
            .iter()
            .filter(|row| row.norm > 0.0)
            .count();
        assert!(moved > 1, "{name} moved {moved} images");
    }
}
