//! `rlnet eval --branch`: which banks of norm the question goes through.

use crate::archives::{eval, model, plan, refused};
use crate::support::{Sandbox, TINY, rows};
use rlnet_suites::{Branch, Outcome};

#[test]
fn branches_are_chosen_mixed_and_refused() {
    let sandbox = Sandbox::new();
    let model = model(&sandbox, TINY, "teacher");
    let ask = |out: &str, branch: &str| {
        let question = ["--dataset", "shapes", "--limit", "8", "--attack", "fgsm"];
        eval(
            &sandbox,
            &model,
            out,
            &[&question[..], &["--branch", branch]].concat(),
        )
    };
    for (out, branch) in [
        ("all", "all"),
        ("both", "clean, adversarial"),
        ("clean", "clean"),
        ("mixed", "clean-with-adversarial-affine"),
        ("beside", "clean,clean-with-adversarial-affine"),
    ] {
        let output = ask(out, branch);
        assert_eq!(output.code, 0, "{branch}: {}", output.stderr);
    }
    let cells = |out: &str| plan(&sandbox, out).cells;
    let (all, clean) = (cells("all"), cells("clean"));
    assert_eq!(all.len(), 2);
    for (all, clean) in all.iter().zip(&clean) {
        assert_eq!(all.name, clean.name);
        assert_ne!(all.id, clean.id, "{}", all.name);
        let one = rows(&sandbox, "clean", &clean.name);
        assert_eq!(one.len(), 8);
        assert!(one.iter().all(|row| row.branch == Branch::Clean));
        let of_all: Vec<Outcome> = rows(&sandbox, "all", &all.name)
            .into_iter()
            .filter(|row| row.branch == Branch::Clean)
            .collect();
        assert_eq!(one, of_all, "{}", all.name);
        assert_eq!(
            rows(&sandbox, "both", &all.name),
            rows(&sandbox, "all", &all.name)
        );
    }
    // The oracle reads clean images through the clean branch, attacked ones through the other.
    let table = std::fs::read_to_string(sandbox.path("all/report/tables/main.csv")).expect("a table");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| lines[0].iter().position(|head| *head == name).expect("a column");
    let cell = |reading: &str, name: &str| {
        let mut rows = lines.iter();
        rows.find(|row| row[1] == reading).expect("a row")[column(name)]
    };
    assert_eq!(cell("oracle", "ca_right"), cell("clean branch", "ca_right"));
    assert_eq!(cell("oracle", "ca_images"), "8");
    assert_eq!(
        cell("oracle", "adva_right"),
        cell("adversarial branch", "adva_right")
    );
    // A mixed branch is neither of the two it is made of.
    let margins = |rows: Vec<Outcome>| rows.iter().map(|row| row.margin).collect::<Vec<_>>();
    let name = &clean[0].name;
    let mixed = rows(&sandbox, "mixed", name);
    assert!(
        mixed
            .iter()
            .all(|row| row.branch == Branch::CleanWithAdversarialAffine)
    );
    let mixed = margins(mixed);
    let both = margins(rows(&sandbox, "all", name));
    assert_eq!((mixed.len(), both.len()), (8, 16));
    for bank in both.chunks(8) {
        assert!(
            mixed.iter().zip(bank).all(|(mixed, bank)| mixed != bank),
            "{mixed:?}"
        );
    }
    // Beside one of them it keeps its own numbers: as many right answers as its rows have.
    let name = &cells("beside")[1].name;
    let own: Vec<Outcome> = rows(&sandbox, "beside", name)
        .into_iter()
        .filter(|row| row.branch == Branch::CleanWithAdversarialAffine)
        .collect();
    assert_eq!(
        margins(own),
        margins(rows(&sandbox, "mixed", &cells("mixed")[1].name))
    );
    let table = std::fs::read_to_string(sandbox.path("beside/report/tables/main.csv")).expect("a table");
    let right = |name: &str, branch: Branch| {
        let all = rows(&sandbox, "beside", name).into_iter();
        let own = all.filter(|row| row.branch == branch && row.prediction == row.label);
        own.count().to_string()
    };
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| lines[0].iter().position(|head| *head == name).expect("a column");
    for branch in [Branch::Clean, Branch::CleanWithAdversarialAffine] {
        let label = format!("{branch} branch");
        let row = lines.iter().find(|row| row[1] == label).expect("a row");
        for (cell, name) in cells("beside").iter().zip(["ca_right", "adva_right"]) {
            assert_eq!(row[column(name)], right(&cell.name, branch), "{label}, {name}");
        }
    }
    refused(&ask("no", "clena"), &["clena", "did you mean `clean`"]);
    refused(
        &ask("no", "natural"),
        &["no branch natural", "clean and adversarial"],
    );
    refused(
        &ask("no", "single"),
        &["no branch single", "clean and adversarial"],
    );
}
