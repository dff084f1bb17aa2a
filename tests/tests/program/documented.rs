//! What documents tell people to type: every command is one of the program, the Python code runs.

use crate::served::{command, repository};
use crate::support::{CommandOutput, Sandbox, captured, untrained, walk};
use rlnet_test_support::python;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Every page.
fn pages() -> Vec<PathBuf> {
    let names = [
        "README.md",
        "CONTRIBUTING.md",
        "corruptions/README.md",
        "corruptions/python/README.md",
    ];
    let mut pages: Vec<PathBuf> = names.into_iter().map(repository).collect();
    pages.extend(
        walk(&repository("docs"))
            .into_iter()
            .filter(|page| page.ends_with(".md"))
            .map(PathBuf::from),
    );
    pages
}

/// The code blocks of a page in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let parts = page.split("\n```").skip(1).step_by(2);
    parts
        .filter_map(|part| part.split_once('\n'))
        .filter(|(of, _)| *of == language)
        .map(|(_, code)| code)
        .collect()
}

/// The commands of a page: lines of blocks, what workflows and cron lines run, and code in the text.
fn commands(page: &str) -> Vec<String> {
    let languages = ["", "sh", "yaml"];
    let blocks = languages
        .map(|language| blocks(page, language).join("\n"))
        .join("\n");
    let mut found = Vec::new();
    for line in blocks.replace("\\\n", " ").lines() {
        let line = line.trim().trim_start_matches("- run: ");
        for part in line.split(" && ") {
            found.extend(part.strip_prefix("rlnet ").map(str::to_owned));
        }
    }
    let outside: String = page.split("\n```").step_by(2).collect();
    let spans = outside.split('`').skip(1).step_by(2);
    found.extend(spans.filter_map(|span| Some(span.strip_prefix("rlnet ")?.replace('\n', " "))));
    found
}

/// A command is parsed as a user's is; `--help` then ends it before any work. What only shows something is run.
#[test]
fn every_command_of_the_documents_is_one_of_the_program() {
    const SHOWN: [&str; 8] = [
        "suite list",
        "suite show",
        "suite schema",
        "attack list",
        "attack show",
        "model list",
        "data list",
        "doctor",
    ];
    let sandbox = Sandbox::new();
    let (mut count, mut ran) = (0, 0);
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for line in commands(&text) {
            // What stands behind two spaces or a # is said about the command, behind > is the shell's.
            let ends = ["  ", " #", " > "].iter().filter_map(|end| line.find(end)).min();
            // Words in quotes are one.
            let parts = line[..ends.unwrap_or(line.len())].split(['\'', '"']).enumerate();
            let arguments: String = parts
                .map(|(at, part)| match at % 2 {
                    0 => part.to_owned(),
                    _ => part.replace(' ', "_"),
                })
                .collect();
            // A form with choices in it (`suite list|show`), and names that stand for others, are no commands.
            let form = arguments.contains([']', '|']) || arguments.ends_with("...");
            let runs = SHOWN.iter().any(|shown| arguments.starts_with(shown)) && !form;
            let help = if runs { None } else { Some("--help") };
            let words = arguments
                .split_whitespace()
                .filter(|word| !form || word.starts_with(char::is_lowercase));
            let words: Vec<&str> = words
                .take(if form { 1 } else { usize::MAX })
                .chain(help)
                .collect();
            let output = sandbox.run(&words);
            // The text speaks of a command or an option by its name alone, or with a letter for its value.
            let stands_for = |value: &str| value.chars().all(|c| c.is_ascii_uppercase());
            let value = output.stderr.split("invalid value '").nth(1);
            let named = output.stderr.contains("a value is required for")
                || output.stderr.contains("required arguments were not provided")
                || value.is_some_and(|rest| stands_for(rest.split('\'').next().unwrap_or("a")));
            let placeholder = runs
                && arguments
                    .split(' ')
                    .any(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase()));
            assert!(
                output.code == 0 || placeholder || named,
                "{}: rlnet {line}: {}",
                page.display(),
                output.stderr
            );
            count += 1;
            ran += usize::from(runs);
        }
    }
    assert!(
        count > 100 && ran > 5,
        "{count} commands, {ran} run: the pages have another form than this test reads"
    );
}

/// Runs a line of a page in a shell that finds the program: on generated images, with a short attack.
fn shell(sandbox: &Sandbox, line: &str) -> CommandOutput {
    let line = line
        .replace("cifar10", "shapes")
        .replace("--corruptions benchmark", "--corruptions fog --severity 1")
        .replace("autoattack", "fgsm --limit 16")
        .replace("--limit 1000 ", "");
    let folder = crate::support::binary();
    let folder = folder.parent().expect("its folder");
    let mut command = sandbox.command("");
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = Command::new("sh")
        .args(["-c", &line])
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

/// The page "Every night": three commands, a cron line and a workflow, as they stand there.
#[test]
fn every_night_is_as_the_page_says() {
    let sandbox = Sandbox::new();
    untrained(&sandbox, "net.safetensors");
    sandbox.ok("export net.safetensors --format torchscript --branch clean --out epoch_42.pt");
    fs::copy(sandbox.path("epoch_42.pt"), sandbox.path("latest.pt")).expect("a copy");
    let page = fs::read_to_string(repository("docs/nightly.md")).expect("the page");
    let done = |line: &str| {
        let output = shell(&sandbox, line);
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
