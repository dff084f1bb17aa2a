//! Certificates as a user asks for them: rows, the report, refusals, and the check that nothing certified is broken.

use crate::support::{Sandbox, TINY, edit_rows, id, rows, untrained};
use rlnet_suites::outcome::Certainty;
use rlnet_suites::{Branch, Outcome};

/// The tiny suite's teacher alone, trained, attacked and certified in two balls.
const SUITE: &str = r#"evaluation.certify=["certify:eps=0.02/255,method=crown",{attack="certify:eps=1/255,method=beta-crown,nodes=4,steps=5",images=12}]"#;

fn certainty(row: &Outcome) -> Certainty {
    Certainty::of(row.prediction == row.label, row.margin)
}

#[test]
fn certificates_are_conditions_whose_bracket_is_in_the_report() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "s.toml",
        TINY.replace(
            "models = [\"rlnet\", \"plain\"]",
            "models = [\"teacher\", \"plain\"]",
        )
        .replace("test = 40", "test = 12"),
    );
    let command = [
        "run",
        "s.toml",
        "--out",
        "out",
        "--set",
        SUITE,
        "--set",
        "evaluation.corruptions=[]",
    ];
    sandbox.ok(&command);
    let small = "plain/certify:eps=0.02/255,method=crown,nodes=1000,steps=20";
    let proven = rows(&sandbox, "out", small);
    let attacked = rows(
        &sandbox,
        "out",
        "plain/pgd:alpha=2/255,eps=8/255,restarts=1,start=uniform,steps=3",
    );
    assert_eq!((proven.len(), attacked.len()), (12, 12));
    let certified = proven
        .iter()
        .filter(|row| certainty(row) == Certainty::Certified)
        .count();
    assert!(certified > 0, "nothing is proven at a fiftieth of a pixel value");
    for row in &proven {
        // Nothing was found in the ball of an image that holds, and what was found is in the ball.
        assert!(row.norm <= 0.25 / 255.0 + 1e-6);
        assert!(certainty(row) == Certainty::Broken || row.norm == 0.0 || certainty(row) == Certainty::Open);
    }
    // Both branches of the teacher, on twelve images.
    let branched = rows(
        &sandbox,
        "out",
        "teacher/certify:eps=1/255,method=beta-crown,nodes=4,steps=5",
    );
    assert_eq!(branched.len(), 24);
    assert!(
        [Branch::Clean, Branch::Adversarial]
            .iter()
            .all(|branch| branched.iter().any(|row| row.branch == *branch))
    );
    let bounded = branched.iter().filter(|row| certainty(row) != Certainty::Broken);
    assert!(bounded.clone().all(|row| row.unstable > 0) && bounded.count() > 0);
    let page = std::fs::read_to_string(sandbox.path("out/report/index.html")).expect("a page");
    assert!(page.contains("table-certified") && page.contains("Not broken"));
    // The same rows, whatever the batches.
    let again = [
        &command[..],
        &["--set", "evaluation.batch=7", "--only", "plain/certify*"],
    ]
    .concat();
    let again: Vec<&str> = again
        .iter()
        .map(|word| if *word == "out" { "again" } else { word })
        .collect();
    sandbox.ok(&again);
    let again = rows(&sandbox, "again", small);
    let differ = proven
        .iter()
        .zip(&again)
        .filter(|(a, b)| certainty(a) != certainty(b))
        .count();
    assert_eq!(differ, 0);
}

#[test]
fn a_certified_image_that_an_attack_breaks_fails_the_run_and_is_named() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    let command = format!(
        "eval {model} --dataset shapes --limit 40 --attack pgd:eps=32/255,alpha=8/255 --certify eps=32/255,method=ibp --out eval"
    );
    sandbox.run(&command);
    let cell = "net/certify:eps=32/255,method=ibp,nodes=1000,steps=20";
    edit_rows(
        &sandbox.path("eval/cells").join(id(&sandbox, "eval", cell)),
        |rows| {
            for row in rows {
                row.prediction = row.label;
                row.margin = 1.0;
            }
        },
    );
    let refused = sandbox.run(&command);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("certified images were broken"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("adversarial.safetensors"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_cannot_be_certified_is_refused_before_any_work() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    sandbox.write("s.toml", TINY);
    for (command, said) in [
        (vec!["--certify", "method=crwon"], "crown"),
        (vec!["--certify", "norm=l1"], "linf"),
        (vec!["--attack", "certify:eps=1/255"], "--certify"),
    ] {
        let refused = sandbox.run(
            &[
                &["eval", model, "--dataset", "shapes", "--out", "e"],
                command.as_slice(),
            ]
            .concat(),
        );
        assert_eq!(refused.code, 2, "{command:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{command:?}: {}", refused.stderr);
    }
    for (set, said) in [
        (
            "evaluation.certify=[\"pgd\"]",
            "write it under evaluation.attacks",
        ),
        (
            "evaluation.attacks=[\"certify\"]",
            "write it under evaluation.certify",
        ),
        ("network.arch=vit2-w64", "attention"),
    ] {
        let certify = "evaluation.certify=[\"certify\"]";
        let sets: &[&str] = if set.starts_with("network") {
            &["--set", certify, "--set", set]
        } else {
            &["--set", set]
        };
        let refused = sandbox.run(&[&["run", "s.toml", "--out", "o"], sets].concat());
        assert_eq!(refused.code, 2, "{set}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{set}: {}", refused.stderr);
        assert!(!sandbox.path("o/cells").exists(), "{set}");
    }
}

/// The properties that a folder lists: image and file.
fn instances(sandbox: &Sandbox, folder: &str) -> Vec<(u32, String)> {
    let list = std::fs::read_to_string(sandbox.path(folder).join("instances.csv")).expect("a list");
    let of = |line: &str| {
        let file = line.split(',').nth(1).expect("a property").to_owned();
        let image = file
            .trim_end_matches(".vnnlib")
            .rsplit('-')
            .next()
            .expect("an image");
        (image.parse().expect("a number"), file)
    };
    list.lines().map(of).collect()
}

const BALL: &str = "eps=0.5/255,method=ibp";
const IN_BALL: &str = "net/certify:eps=0.5/255,method=ibp,nodes=1000,steps=20";

#[test]
fn verifiers_get_a_network_and_properties_and_their_verdicts_come_back() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    let question = format!("--dataset shapes --limit 60 --corruptions none --certify {BALL}");
    sandbox.ok(&format!("eval {model} {question} --out eval"));
    sandbox.ok(&format!(
        "export {model} --format vnnlib --branch clean --dataset shapes --limit 60 --eps 0.5/255 --out verify"
    ));
    let of_branch = |out: &str, cell: &str, branch: Branch| -> Vec<Outcome> {
        let all = rows(&sandbox, out, cell).into_iter();
        all.filter(|row| row.branch == branch).collect()
    };
    // A property for each image that the branch has right.
    let clean = of_branch("eval", "net/clean", Branch::Clean);
    let right: Vec<u32> = clean
        .iter()
        .filter(|row| row.prediction == row.label)
        .map(|row| row.image)
        .collect();
    let listed = instances(&sandbox, "verify");
    assert_eq!(listed.iter().map(|(image, _)| *image).collect::<Vec<_>>(), right);
    assert!(right.len() > 2);

    // The file is the branch: evaluated and bounded without Python.
    sandbox.ok(&format!("eval verify/net.onnx {question} --out onnx"));
    // The file normalises in two operations, and intervals set something aside for the rounding of each.
    for (cell, near) in [("net/clean", 1e-4), (IN_BALL, 1e-2)] {
        let own = of_branch("eval", cell, Branch::Clean);
        let read = of_branch("onnx", cell, Branch::Single);
        assert_eq!((own.len(), read.len()), (60, 60));
        for (own, read) in own.iter().zip(&read) {
            assert_eq!(own.prediction, read.prediction, "{cell}, image {}", own.image);
            assert_eq!(certainty(own), certainty(read), "{cell}, image {}", own.image);
            let away = (own.margin - read.margin).abs();
            assert!(
                away < near * own.margin.abs().max(1.0),
                "{cell}, image {}: {away}",
                own.image
            );
        }
    }

    // What is open here and proven there.
    let folder = format!("eval/cells/{}", id(&sandbox, "eval", IN_BALL));
    let bounded = of_branch("eval", IN_BALL, Branch::Clean);
    let open = bounded
        .iter()
        .find(|row| certainty(row) == Certainty::Open)
        .expect("an open image");
    let (_, property) = listed
        .iter()
        .find(|(image, _)| *image == open.image)
        .expect("its property");
    let verdicts = |said: &str| {
        let lines = listed.iter().map(|(_, file)| match file == property {
            true => format!("net.onnx,{file},0.1,{said},1.0\n"),
            false => format!("net.onnx,{file},0.1,timeout,60\n"),
        });
        sandbox.write("results.csv", lines.collect::<String>());
    };
    let replay =
        format!("attack replay {folder} --verdicts results.csv --source theirs --branch clean --json");
    verdicts("unsat");
    let said: serde_json::Value = serde_json::from_str(&sandbox.ok(&replay).stdout).expect("JSON");
    assert_eq!(
        (said["proven"].as_u64(), said["agree"].as_u64()),
        (Some(1), Some(0)),
        "{said}"
    );
    sandbox.ok("report eval");
    let page = std::fs::read_to_string(sandbox.path("eval/report/index.html")).expect("a page");
    assert!(page.contains("Proven beside it") && page.contains("theirs"));
    assert!(page.contains("table-unstable"));
    // A claim without a point, and a contradiction.
    verdicts("sat");
    let said: serde_json::Value = serde_json::from_str(&sandbox.ok(&replay).stdout).expect("JSON");
    assert_eq!(said["claimed"].as_u64(), Some(1), "{said}");
    edit_rows(&sandbox.path(&folder), |rows| {
        for row in rows.iter_mut().filter(|row| row.image == open.image) {
            row.margin = 1.0;
        }
    });
    let refused = sandbox.run(&replay);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("says the opposite"), "{}", refused.stderr);
    // Another ball, and another file.
    for (text, said) in [
        (
            property.replace("0.5_255", "1_255") + ",unsat\n",
            "has the radius 1/255",
        ),
        ("a.onnx,b.vnnlib,unsat\n".to_owned(), "no line names a property"),
    ] {
        sandbox.write("results.csv", text);
        let refused = sandbox.run(&replay);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

/// `tests/peers/verify.py` on a folder in the sandbox: what it prints.
fn verify(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/verify.py");
    let ran = std::process::Command::new("python3")
        .arg(script)
        .args(arguments)
        .current_dir(sandbox.path(""))
        .output();
    let ran = ran.expect("a process");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A network of forty ReLUs, that everything about it can be decided.
fn of_few_relus(sandbox: &Sandbox) {
    let base = "--dataset shapes --train 3000 --test 60 --epochs 5 --batch 32";
    sandbox.ok(&format!(
        "train teacher {base} --arch resnet8-w2 --norm single --views clean --out few"
    ));
    let teacher = std::fs::read_dir(sandbox.path("few/cells"))
        .expect("cells")
        .next();
    let teacher = teacher.expect("a cell").expect("a cell").path();
    let student = format!(
        "train student --teacher {} --budget 40 --allocation equal --mode ce --epochs 6 --lr 0.02 --batch 32 --out few",
        teacher.display()
    );
    sandbox.ok(&student);
}

/// The margins of images by onnxruntime, and the program's own.
#[test]
#[cfg_attr(not(have = "onnxruntime"), ignore = "needs onnxruntime's environment")]
fn onnxruntime_computes_what_the_program_computes() {
    let sandbox = Sandbox::new();
    let model = untrained(&sandbox, "net.safetensors");
    sandbox.ok(&format!(
        "eval {model} --dataset shapes --limit 60 --corruptions none --out eval"
    ));
    let clean = rows(&sandbox, "eval", "net/clean");
    for branch in [Branch::Clean, Branch::Adversarial] {
        // A ball of radius zero is the image.
        sandbox.ok(&format!(
            "export {model} --format vnnlib --branch {branch} --dataset shapes --limit 60 --eps 0 --out {branch}"
        ));
        let said: serde_json::Value =
            serde_json::from_str(&verify(&sandbox, &["logits", branch.name()])).expect("JSON");
        let said = said.as_object().expect("images");
        let own = clean
            .iter()
            .filter(|row| row.branch == branch && row.prediction == row.label);
        let mut compared = 0;
        for row in own {
            let theirs = &said[&row.image.to_string()];
            let number = |key: &str| theirs[key].as_f64().expect(key);
            let away = (f64::from(row.margin) - number("margin")).abs();
            assert!(
                away < 1e-5 * number("largest").max(1.0),
                "{branch}, image {}: {away}",
                row.image
            );
            compared += 1;
        }
        assert_eq!(compared, said.len());
    }
}

/// Every verdict of branch and bound is Marabou's: minutes of one core.
#[test]
#[ignore = "takes minutes: make test-long"]
fn a_complete_verifier_says_the_same_of_networks_of_few_relus() {
    if !cfg!(have = "marabou") {
        panic!("Marabou's environment is missing: python3 tests/peers/verify.py marabou --help installs it");
    }
    let sandbox = Sandbox::new();
    of_few_relus(&sandbox);
    sandbox.ok(
        "eval few:student --name few --dataset shapes --limit 120 --corruptions none --certify \
         eps=2/255,method=exact,nodes=100000 --out eval",
    );
    sandbox.ok("export few:student --format vnnlib --dataset shapes --limit 120 --eps 2/255 --out verify");
    verify(&sandbox, &["marabou", "verify", "--out", "results.csv"]);
    let cell = id(
        &sandbox,
        "eval",
        "few/certify:eps=2/255,method=exact,nodes=100000,steps=20",
    );
    let said = sandbox.ok(&format!(
        "attack replay eval/cells/{cell} --verdicts results.csv --source Marabou --json"
    ));
    let said: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(said["agree"], said["verdicts"], "{said}");
    assert!(
        said["verdicts"].as_u64().is_some_and(|verdicts| verdicts > 5),
        "{said}"
    );
}

/// Networks of others, saved by PyTorch's exporter: what is read of the ONNX file is what is read of the TorchScript file.
#[test]
#[cfg_attr(
    not(all(have = "reference", have = "torch")),
    ignore = "needs the reference data and PyTorch"
)]
fn onnx_files_of_pytorch_are_bounded_as_their_torchscript_is() {
    const EXPORT: &str = "import sys, torch
module = torch.jit.load(sys.argv[1]).eval()
torch.onnx.export(module, torch.zeros(1, 3, 32, 32), sys.argv[2], dynamo=False, opset_version=13)";
    let sandbox = Sandbox::new();
    for net in ["resnet_2b", "cifar_base_kw", "cifar10_small"] {
        let script = rlnet_test_support::reference(&format!("oracles/verification/{net}.pt"));
        let file = sandbox.path(&format!("{net}.onnx"));
        let ran = std::process::Command::new(rlnet_test_support::python())
            .args(["-c", EXPORT])
            .args([&script, &file])
            .output()
            .expect("a process");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let question = format!(
            "--name {net} --dataset shapes --limit 24 --corruptions none --certify eps=0.2/255,method=crown"
        );
        sandbox.ok(&format!(
            "eval {} {question} --out {net}-script",
            script.display()
        ));
        sandbox.ok(&format!("eval {net}.onnx {question} --out {net}-onnx"));
        let cell = format!("{net}/certify:eps=0.2/255,method=crown,nodes=1000,steps=20");
        let own = rows(&sandbox, &format!("{net}-onnx"), &cell);
        let theirs = rows(&sandbox, &format!("{net}-script"), &cell);
        assert_eq!(own.len(), 24);
        for (own, theirs) in own.iter().zip(&theirs) {
            assert_eq!(
                (own.prediction, own.unstable),
                (theirs.prediction, theirs.unstable),
                "{net}, image {}",
                own.image
            );
            let away = (own.margin - theirs.margin).abs();
            assert!(
                away < 1e-4 * theirs.margin.abs().max(1.0),
                "{net}, image {}: {away}",
                own.image
            );
        }
    }
}
