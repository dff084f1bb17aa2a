//! What documents tell people to type: every command is one of the program, the Python code runs.

use crate::given_images::npy;
use crate::served::{command, repository};
use crate::support::{CommandOutput, Sandbox, TINY, captured, id, untrained};
use rlnet_corruptions::Image;
use rlnet_corruptions::archive::write_png;
use rlnet_test_support::documents::{blocks, commands_of_blocks, commands_of_text, pages};
use rlnet_test_support::python;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// A line of a page on generated images, with a short attack.
fn short(line: &str) -> String {
    line.replace("cifar10", "shapes")
        .replace("--corruptions benchmark", "--corruptions fog --severity 1")
        .replace("autoattack", "fgsm --limit 16")
        .replace("--limit 1000 ", "")
}

/// Runs a line in a shell that finds the program.
fn shell(sandbox: &Sandbox, line: &str) -> CommandOutput {
    let folder = crate::support::binary();
    let folder = folder.parent().expect("its folder");
    let mut command = sandbox.command("");
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(sandbox.path(""))
        .envs(
            command
                .env("PATH", path)
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .output();
    captured(output.expect("a shell"))
}

/// Commands that need what a test folder lacks, by a part of them, and where they are run.
const ELSEWHERE: [(&str, &str); 16] = [
    ("data fetch", "data_fetch.rs, from a server of the tests"),
    ("s3://", "store.rs"),
    ("--executor slurm", "slurm.rs"),
    ("--cancel", "slurm.rs"),
    ("--measured", "private_inference.rs"),
    ("--verdicts", "certify.rs"),
    ("compare runs/", "every_night_is_as_the_page_says"),
    ("runs/", "every_night_is_as_the_page_says"),
    ("report diff", "resume.rs"),
    ("attack replay CELL", "replay.rs, adversarial_images.rs"),
    ("corrupt verify FOLDER", "corrupt.rs"),
    ("data verify NAME", "data_fetch.rs"),
    ("import FILE.pth", "pytorch.rs"),
    ("--out URL", "store.rs"),
    ("eval python:net.py", "served.rs"),
    ("--factory net.py", "served.rs"),
];

/// What pages speak of, small: a network, a run, pictures in folders of ten classes, an array.
fn small_things(sandbox: &Sandbox) {
    untrained(sandbox, "net.safetensors");
    sandbox.ok("export net.safetensors --format torchscript --branch clean --out model.pt");
    sandbox.write("s.toml", TINY);
    sandbox.ok("run s.toml --out run");
    sandbox.ok("export run:teacher --format torchscript --branch clean --out theirs.pt");
    let trained = format!("run/cells/{}/model.safetensors", id(sandbox, "run", "rlnet"));
    for (from, to) in [
        (trained.as_str(), "model.safetensors"),
        ("model.pt", "mine.pt"),
        ("s.toml", "mine.toml"),
    ] {
        fs::copy(sandbox.path(from), sandbox.path(to)).expect("a copy");
    }
    for number in 0..20 {
        let pixels = (0..40 * 36 * 3).map(|i| ((i * (7 + number)) % 251) as u8);
        let picture = Image::from_raw(40, 36, pixels.collect()).expect("an image");
        let file = sandbox.path(&format!("PHOTOS/{:02}/{number}.png", number % 10));
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        write_png(&picture, file).expect("a file");
    }
    let pixels: Vec<u8> = (0..2 * 32 * 32 * 3).map(|i| (i % 251) as u8).collect();
    fs::create_dir(sandbox.path("docs")).expect("a folder");
    sandbox.write("images.npy", npy("|u1", "(2, 32, 32, 3)", &pixels));
}

/// A command of a page on small things: other names, few images, short attacks, suites planned at their smallest scale.
fn made_small(line: &str) -> String {
    let line = line.replace("...", "elsewhere");
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    // Where data lies, and how much work there is at once, are the machine's.
    for option in ["--data-dir", "--frost-textures", "--jobs", "--minutes"] {
        if let Some(at) = words.iter().position(|word| word == option) {
            words.drain(at..at + 2);
        }
    }
    let names = [
        ("cifar10", "shapes"),
        ("MODEL", "net.safetensors"),
        ("MODEL.pt", "model.pt"),
        ("CELL/model.safetensors", "run:teacher"),
        ("imagenet-c-bar", "c-bar"),
        ("autoattack", "fgsm"),
        ("OUT", "run"),
        ("DIR", "run"),
        ("OUT/efficientnet-lite0.pt", "model.pt"),
        ("imagefolder:OUT/photos", "imagefolder:PHOTOS"),
        ("closed-small", "open"),
        ("out/cifar10-small", "run"),
        ("cifar10-small.zip", "run.zip"),
        ("SUITE", "s.toml"),
        ("deployed-small.toml", "s.toml"),
        ("tests/fixtures/stages.toml", "s.toml"),
        ("scale=small", "scale=smoke"),
        ("scale=h200", "scale=smoke"),
        ("cuda", "cpu"),
        ("BASE", "run"),
        ("CURRENT", "run"),
        ("FLOAT", "run"),
        ("DEPLOYED", "run"),
        ("NEW", "new.safetensors"),
        // Beside it lie the weights, in a file of its name.
        ("net.json", "plan.json"),
        ("data.test=5000", "data.test=64"),
        ("network.arch=vit4-w32", "network.arch=vit2-w8"),
        ("OUT/tiny.pt", "model.pt"),
        ("imagefolder:OUT/many-400", "imagefolder:PHOTOS"),
    ];
    // A suite shortens its attacks itself.
    let evaluates = words[0] == "eval";
    // At the smallest scale the headline attack has three steps, and must be among those that are asked.
    let steps = match evaluates {
        true => "steps=2",
        false if line.contains("scale=") => "steps=3",
        false => "steps=20",
    };
    let stands_for = match words[0].as_str() {
        "attack" => "pgd",
        _ => "demo",
    };
    if words[0] == "history" {
        ".".clone_into(&mut words[1]);
    }
    for word in &mut words {
        if let Some((_, small)) = names.iter().find(|(name, _)| word == name) {
            (*small).clone_into(word);
        }
        if word == "NAME" {
            stands_for.clone_into(word);
        }
        *word = word
            .replace("autoattack:", "fgsm:")
            .replace("steps=20", steps)
            .replace("OUT:rlnet-50k", "run:rlnet")
            .replace("OUT:rlnet", "run:rlnet")
            .replace("out:rlnet", "run:rlnet");
    }
    let after = |words: &mut [String], option: &str, small: &str| {
        let at = words.iter().position(|word| word == option);
        if let Some(at) = at {
            small.clone_into(&mut words[at + 1]);
        }
        at.is_some()
    };
    after(&mut words, "--resize", "36");
    after(&mut words, "--crop", "32");
    after(&mut words, "--index", "1");
    let limited = after(&mut words, "--limit", "4");
    after(&mut words, "--epochs", "1");
    let sized = after(&mut words, "--train", "64") && after(&mut words, "--test", "8");
    after(&mut words, "--teacher", "out/train:teacher");
    after(&mut words, "--mask", "out/train:mask");
    let severity = match line.contains("--corruptions") && !line.contains("p-cifar") {
        true => "--severity 1",
        false => "",
    };
    let more = match (words[0].as_str(), words.get(1).map_or("", String::as_str)) {
        ("eval", _) if line.contains("--suite imagenet") => {
            "--set data.resize=36 --set data.crop=32 --limit 4".to_owned()
        }
        ("eval", _) if limited => severity.to_owned(),
        ("eval", _) => format!("{severity} --limit 4"),
        ("corrupt", "shapes" | "PHOTOS") => "--limit 2".to_owned(),
        ("run", "s.toml") => String::new(),
        ("run", _) if line.contains("scale=") => "--dry-run".to_owned(),
        // Attacks that are named win over those of a scale, and the scale's main attack is none of them.
        ("run", _) if line.contains("evaluation.attacks") => "--set data.dataset=shapes --dry-run".to_owned(),
        ("run", _) => "--set scale=smoke --dry-run".to_owned(),
        ("train", _) if sized => String::new(),
        ("train", _) => "--train 64 --test 8".to_owned(),
        ("bundle", _) => "&& mkdir submissions && cp run.zip submissions".to_owned(),
        _ => String::new(),
    };
    format!("rlnet {} {more}", words.join(" "))
}

/// The commands of the pages' blocks, page by page, one after the other as they stand there.
#[test]
fn the_commands_of_the_documents_run() {
    let things = Sandbox::new();
    small_things(&things);
    let (mut count, mut failed) = (0, Vec::new());
    // What a text names needs no second run on another page; a block is run as a whole.
    let mut fine: BTreeSet<String> = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let sandbox = Sandbox::new();
        let mut copied = false;
        let of_blocks = commands_of_blocks(&text);
        // A form with choices in it, and what stands for more, are no commands.
        let of_text = commands_of_text(&text);
        let of_text = of_text
            .iter()
            .filter(|line| !line.contains(['[', ']', '|']) && !line.contains("..."));
        for (line, named) in
            (of_blocks.iter().map(|line| (line, false))).chain(of_text.map(|line| (line, true)))
        {
            let known = named && fine.contains(line);
            if known || ELSEWHERE.iter().any(|(part, _)| line.contains(part)) {
                continue;
            }
            if !copied {
                let mut copy = Command::new("cp");
                copy.arg("-r").arg(things.path(".")).arg(sandbox.path("."));
                assert!(copy.status().expect("cp").success());
                copied = true;
            }
            let small = made_small(line);
            let output = shell(&sandbox, &small);
            // The text speaks of a command, or of its option, by name.
            if named
                && (output.stderr.contains("required arguments were not provided")
                    || output.stderr.contains("a value is required for"))
            {
                fine.insert(line.clone());
                continue;
            }
            if output.code == 0 {
                fine.insert(line.clone());
            } else {
                failed.push(format!(
                    "{}: rlnet {line}, run as {small}: {}{}",
                    page.display(),
                    output.stdout,
                    output.stderr
                ));
            }
            count += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        count > 40,
        "{count} commands ran: the pages have another form than this test reads"
    );
}

/// The page "Every night": three commands, a cron line and a workflow, as they stand there.
#[test]
fn every_night_is_as_the_page_says() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "net.safetensors");
    sandbox.ok("export net.safetensors --format torchscript --branch clean --out epoch_42.pt");
    fs::copy(sandbox.path("epoch_42.pt"), sandbox.path("latest.pt")).expect("a copy");
    let page = fs::read_to_string(repository("docs/nightly.md")).expect("the page");
    let done = |line: &str| {
        let output = shell(&sandbox, &short(line));
        assert_eq!(output.code, 0, "{line}: {}{}", output.stdout, output.stderr);
    };
    let blocks_of_text = blocks(&page, "");
    let [three, cron] = blocks_of_text[..] else {
        panic!("the page has other blocks: {blocks_of_text:?}")
    };
    // The first night makes the link by hand.
    let lines: Vec<&str> = three.lines().collect();
    assert_eq!(lines.len(), 3, "{three}");
    done(lines[0]);
    done(lines[2]);
    assert!(sandbox.path("runs/good/plan.json").is_file());
    for line in &lines {
        done(line);
    }
    // A night of cron: another file, the same name. A percent sign is a new line there unless it is escaped.
    let (_, command) = cron.trim().split_once("* * * ").expect("a schedule");
    let command = command.replace("\\%", "%").replace("cd /srv/wrn && ", "");
    done(&command.replace(
        "--limit 1000 --attack autoattack",
        "--corruptions benchmark --attack autoattack",
    ));
    let good = fs::read_link(sandbox.path("runs/good")).expect("a link");
    assert_ne!(good.display().to_string(), "42");
    // The workflow keeps a folder, no link.
    let workflow = blocks(&page, "yaml").concat();
    let runs: Vec<&str> = workflow
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- run: "))
        .collect();
    assert!(runs.len() >= 4 && runs[0].starts_with("pip install"), "{runs:?}");
    done("cp -rL runs/good kept && rm runs/good && mv kept runs/good");
    for line in &runs[1..] {
        done(&line.replace(
            "--limit 1000 --attack autoattack",
            "--corruptions benchmark --attack autoattack",
        ));
    }
    assert!(sandbox.path("runs/good/plan.json").is_file() && !sandbox.path("runs/now").exists());
}

fn ran(sandbox: &Sandbox, code: &str) -> String {
    let output = Command::new(python())
        .args(["-c", code])
        .current_dir(sandbox.path(""))
        .env("RLNET_PROGRAM", crate::support::binary())
        .env("PYTHONPATH", repository("python"))
        .env("OMP_NUM_THREADS", "1")
        .output();
    let output = captured(output.expect("a process"));
    assert_eq!(output.code, 0, "{code}\n{}", output.stderr);
    output.stdout
}

/// The page on Python: the call, and the export, on generated images and with a short attack.
#[test]
#[cfg_attr(not(have = "torch"), ignore = "needs a Python with PyTorch")]
fn the_python_of_the_documents_runs() {
    let sandbox = Sandbox::new();
    let page = fs::read_to_string(repository("docs/python/README.md")).expect("the page");
    let readme = fs::read_to_string(repository("README.md")).expect("the page");
    let code = blocks(&page, "python");
    let prelude = format!(
        "import sys; sys.path.insert(0, {:?}); import models; model = models.plain()\n",
        repository("tests/fixtures").display().to_string()
    );
    // The whole call of the README: five lines from a module to clean, corrupted and attacked images and a page.
    let five = blocks(&readme, "python")[0];
    assert!(five.trim().lines().count() <= 5, "{five}");
    let short = five
        .replace("\"cifar10\"", "\"shapes\"")
        .replace("mean=[", "limit=8, mean=[");
    let counted = "conditions = run.outcomes()['condition'].unique().to_list()\n\
                   print(sum('/' in c and ':' not in c for c in conditions), sum(c.startswith(('apgd', 'fab', 'square', \
                   'autoattack')) for c in conditions), run.table('main')['adva'][0] is not None, run.page.is_file())";
    let said = ran(&sandbox, &format!("{prelude}{short}\n{counted}"));
    assert!(said.trim().ends_with("75 1 True True"), "{said}");
    fs::remove_dir_all(sandbox.path("out")).expect("results");
    let short = code[0]
        .replace("\"cifar10\"", "\"shapes\"")
        .replace("pgd:steps=20", "pgd:steps=2")
        .replace("\"autoattack\"", "\"square:queries=5\"")
        .replace("limit=1000", "images=\"2-13\"");
    assert!(
        short.contains("images=\"2-13\"") && short.contains("shapes"),
        "{short}"
    );
    let asked = "rows = run.outcomes()['image']; print(run.page.is_file(), rows.min(), rows.max())";
    let said = ran(&sandbox, &format!("{prelude}{short}\n{asked}"));
    assert!(said.contains("True 2 13"), "{said}");
    fs::remove_dir_all(sandbox.path("out")).expect("results");
    ran(&sandbox, code[1]);
    let output = command(&sandbox, "eval model.pt --dataset shapes --limit 8 --attack fgsm").output();
    let output = captured(output.expect("a process"));
    assert_eq!(output.code, 0, "{}", output.stderr);
}
