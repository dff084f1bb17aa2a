//! Models from elsewhere that are not what an evaluation needs: refused before any work with what
//! is wrong with them, or evaluated with it on the record.

use crate::archives::eval;
use crate::errors::refused;
use crate::support::{CommandOutput, Sandbox, rows, walk};

/// The pickle of an object without parameters.
const OBJECT: &[u8] = b"\x80\x02c__torch__\nM\n)\x81}X\x08\x00\x00\x00training\x89sb.";

/// Ten logits that depend on ten pixels, and do not look like probabilities.
const LOGITS: &str = "y = torch.mul(torch.slice(torch.flatten(x, 1), 1, 0, 10), 4)";

/// A TorchScript file of a model with this code, as `torch.jit.save` lays it out.
fn script(sandbox: &Sandbox, name: &str, lines: &[&str]) -> String {
    let mut code = String::from(
        "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n  \
         def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n",
    );
    for line in lines {
        code += &format!("    {line}\n");
    }
    let file = zipped(&[
        ("m/data.pkl", OBJECT),
        ("m/code/__torch__.py", code.as_bytes()),
        ("m/constants.pkl", b"\x80\x02)."),
        ("m/version", b"4\n"),
    ]);
    sandbox.write(name, file).display().to_string()
}

/// A zip archive of stored records. (libtorch looks at no checksum.)
fn zipped(records: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut data, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in records {
        let size = (bytes.len() as u32).to_le_bytes();
        let length = (name.len() as u16).to_le_bytes();
        let common = [&[0_u8; 14][..], &size, &size, &length, &[0; 2]].concat();
        let offset = (data.len() as u32).to_le_bytes();
        let head: &[u8] = b"PK\x01\x02\0\0";
        directory.extend([head, &common, &[0; 10], &offset, name.as_bytes()].concat());
        data.extend([b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
    }
    let count = (records.len() as u16).to_le_bytes();
    let (length, offset) = (directory.len() as u32, data.len() as u32);
    let (length, offset) = (length.to_le_bytes(), offset.to_le_bytes());
    let end = [
        b"PK\x05\x06\0\0\0\0",
        &count[..],
        &count,
        &length,
        &offset,
        &[0; 2],
    ]
    .concat();
    [data, directory, end].concat()
}

fn ask(sandbox: &Sandbox, model: &str, out: &str, more: &[&str]) -> CommandOutput {
    let question = ["--dataset", "shapes", "--limit", "17"];
    eval(sandbox, model, out, &[&question, more].concat())
}

/// Refused, with exit code 2, by one error, before a cell was begun.
fn turned_away(sandbox: &Sandbox, output: &CommandOutput, out: &str, hints: &[&str]) {
    refused(output, 2, hints);
    assert_eq!(output.stderr.matches("error:").count(), 1, "{}", output.stderr);
    for folder in ["cells", "work", "failed"] {
        assert_eq!(
            walk(&sandbox.path(out).join(folder)),
            [""; 0],
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_model_cut_from_its_image_is_refused_and_where_allowed_said_to_be_so() {
    let sandbox = Sandbox::new();
    let cut = script(&sandbox, "cut.pt", &[LOGITS, "return torch.detach(y)"]);
    turned_away(
        &sandbox,
        &ask(&sandbox, &cut, "no", &[]),
        "no",
        &["[zero-gradient]", "--allow zero-gradient"],
    );
    let attacks = [
        "--attack",
        "pgd:steps=2",
        "--attack",
        "fab:steps=2",
        "--attack",
        "cw:steps=2,search=1",
    ];
    let more = [
        "--attack",
        "deepfool:steps=2",
        "--attack",
        "radius:steps=2",
        "--attack",
        "apgd-ce:steps=2",
    ];
    let allow = ["--allow", "zero-gradient"];
    let output = ask(&sandbox, &cut, "out", &[&attacks[..], &more, &allow].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stdout.contains("preflight found (zero-gradient)"),
        "{}",
        output.stdout
    );
    assert!(
        !output.stdout.contains("no sign of masked gradients"),
        "{}",
        output.stdout
    );
    let output = ask(&sandbox, &cut, "json", &[&allow[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(json["allowed"][0], "cut: zero-gradient", "{}", output.stdout);
}

#[test]
fn a_surrogate_is_examined_like_the_model() {
    let sandbox = Sandbox::new();
    let plain = script(&sandbox, "plain.pt", &[LOGITS, "return y"]);
    for (name, last, code) in [
        ("cut", "return torch.detach(y)", "zero-gradient"),
        ("soft", "return torch.softmax(y, 1)", "softmax"),
        ("nan", "return torch.mul(y, float(\"nan\"))", "nan-gradient"),
    ] {
        let other = format!("foo={}", script(&sandbox, &format!("{name}.pt"), &[LOGITS, last]));
        let follow = ["--surrogate", &other, "--attack", "pgd:steps=2,surrogate=foo"];
        let output = ask(&sandbox, &plain, name, &follow);
        turned_away(
            &sandbox,
            &output,
            name,
            &[&format!("surrogate foo: [{code}]"), &format!("--allow {code}")],
        );
        if name == "cut" {
            let output = ask(
                &sandbox,
                &plain,
                name,
                &[&follow[..], &["--allow", code]].concat(),
            );
            assert_eq!(output.code, 0, "{}", output.stderr);
            assert!(
                output.stdout.contains("surrogate foo: zero-gradient"),
                "{}",
                output.stdout
            );
        }
    }
}

#[test]
fn what_returns_no_logits_is_refused_whatever_is_allowed() {
    let sandbox = Sandbox::new();
    let allow = ["--attack", "fgsm", "--allow", "classes"];
    for (name, last, hint) in [
        (
            "int",
            "return torch.to(torch.mul(y, 1000.), 3)",
            "a tensor [16, 10] of type Int",
        ),
        (
            "argmax",
            "return torch.argmax(y, 1)",
            "a tensor [16] of type Int64",
        ),
        ("deep", "return torch.unsqueeze(y, 2)", "a tensor [16, 10, 1]"),
        ("scalar", "return torch.mean(y)", "a tensor []"),
        ("fixed", "return torch.zeros([8, 10])", "a tensor [8, 10]"),
    ] {
        let file = script(&sandbox, &format!("{name}.pt"), &[LOGITS, last]);
        let output = ask(&sandbox, &file, name, &allow);
        turned_away(
            &sandbox,
            &output,
            name,
            &[&format!("{name}.pt"), hint, "[16, 3, 32, 32]", "logits"],
        );
        assert!(!output.stderr.contains("--allow"), "{}", output.stderr);
    }
}

#[test]
fn a_model_that_fails_says_why_and_where_once() {
    let sandbox = Sandbox::new();
    let raise = "ops.prim.RaiseException(\"my model is broken\")";
    let file = script(&sandbox, "raise.pt", &[LOGITS, raise, "return y"]);
    let output = ask(&sandbox, &file, "raise", &["--attack", "fgsm"]);
    turned_away(
        &sandbox,
        &output,
        "raise",
        &["raise.pt", "my model is broken", "__torch__.py", "line 8", raise],
    );
    let wrong = "z = torch.matmul(y, torch.zeros([7, 10]))";
    let file = script(&sandbox, "shape.pt", &[LOGITS, wrong, "return z"]);
    let output = ask(&sandbox, &file, "shape", &["--attack", "fgsm"]);
    turned_away(
        &sandbox,
        &output,
        "shape",
        &["RuntimeError: ", "(16x10 and 7x10)", wrong],
    );
    assert!(output.stderr.lines().count() < 8, "{}", output.stderr);
}

#[test]
fn more_logits_than_classes_can_be_allowed_and_fewer_cannot() {
    let sandbox = Sandbox::new();
    let file = |name: &str, to: &str| {
        let last = format!("return torch.mul(torch.slice(torch.flatten(x, 1), 1, 0, {to}), 4)");
        script(&sandbox, name, &[&last])
    };
    let allow = ["--allow", "classes"];
    let output = ask(&sandbox, &file("few.pt", "8"), "few", &allow);
    turned_away(
        &sandbox,
        &output,
        "few",
        &["[classes]", "8 logits an image, 10 classes"],
    );
    assert!(!output.stderr.contains("--allow"), "{}", output.stderr);
    let many = file("many.pt", "12");
    let output = ask(&sandbox, &many, "many", &[]);
    turned_away(
        &sandbox,
        &output,
        "many",
        &["12 logits an image, 10 classes", "--allow classes"],
    );
    let output = ask(&sandbox, &many, "many", &allow);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn a_model_may_compute_in_place_and_in_doubles() {
    let sandbox = Sandbox::new();
    let attacks = [
        "--attack",
        "pgd:steps=2",
        "--attack",
        "fmn:steps=3",
        "--attack",
        "fab:steps=2",
    ];
    let of = |name: &str, lines: &[&str]| {
        let file = script(&sandbox, &format!("{name}.pt"), lines);
        let output = ask(&sandbox, &file, name, &attacks);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let plan = crate::archives::plan(&sandbox, name);
        let cells = plan.cells.iter().map(|cell| rows(&sandbox, name, &cell.name));
        cells.collect::<Vec<_>>()
    };
    let plain = of(
        "plain",
        &[
            "z = torch.sub(x, 0.5)",
            "return torch.mul(torch.slice(torch.flatten(z, 1), 1, 0, 10), 4)",
        ],
    );
    assert_eq!(plain.len(), 4);
    let place_of = &["z = torch.sub_(x, 0.5)", LOGITS, "return y"];
    assert_eq!(of("inplace", place_of), plain);
    let wide = &[
        "z = torch.sub(x, 0.5)",
        "y = torch.mul(torch.slice(torch.flatten(z, 1), 1, 0, 10), 4)",
        "return torch.to(y, 7)",
    ];
    assert_eq!(of("double", wide), plain);
}

#[test]
fn no_class_that_is_left_out_and_no_number_of_images_hides_a_vice() {
    let sandbox = Sandbox::new();
    let nine = "n = torch.slice(z, 1, 0, 9)";
    let tenth = "t = torch.sub(torch.mul(torch.slice(z, 1, 9, 10), 0.), float(\"inf\"))";
    let masked = [nine, tenth, "return torch.cat([n, t], 1)"];
    for (name, vice, code) in [
        ("plain", "z = y", ""),
        (
            "random",
            "z = torch.add(y, torch.mul(torch.rand_like(y), 0.3))",
            "[randomised]",
        ),
        (
            "batch",
            "z = torch.sub(y, torch.mul(torch.mean(y, [0], True), 0.2))",
            "[batch-dependent]",
        ),
    ] {
        let whole = script(&sandbox, &format!("{name}.pt"), &[LOGITS, vice, "return z"]);
        let lines = [&[LOGITS, vice][..], &masked].concat();
        let inf = script(&sandbox, &format!("{name}-inf.pt"), &lines);
        for (model, limit) in [(&whole, "1"), (&inf, "1"), (&inf, "17")] {
            let output = eval(&sandbox, model, name, &["--dataset", "shapes", "--limit", limit]);
            if code.is_empty() {
                assert_eq!(output.code, 0, "{}", output.stderr);
            } else {
                turned_away(&sandbox, &output, name, &[code]);
            }
        }
    }
}
