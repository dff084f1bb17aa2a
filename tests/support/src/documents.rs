//! The project's pages, and the commands and code that stand on them.

use std::fs;
use std::path::{Path, PathBuf};

/// Every page.
pub fn pages() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut pages: Vec<PathBuf> = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "corruptions/README.md",
        "corruptions/python/README.md",
    ]
    .map(|name| root.join(name))
    .to_vec();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The code blocks of a page in a language.
pub fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let parts = page.split("\n```").skip(1).step_by(2);
    parts
        .filter_map(|part| part.split_once('\n'))
        .filter(|(of, _)| *of == language)
        .map(|(_, code)| code)
        .collect()
}

/// The commands of a page's blocks: their lines, and what workflows and cron lines run.
pub fn commands_of_blocks(page: &str) -> Vec<String> {
    let languages = ["", "sh", "yaml"];
    let blocks = languages
        .map(|language| blocks(page, language).join("\n"))
        .join("\n");
    let mut found = Vec::new();
    for line in blocks.replace("\\\n", " ").lines() {
        // What stands behind a # is said about the command.
        let line = line
            .split(" #")
            .next()
            .unwrap_or(line)
            .trim()
            .trim_start_matches("- run: ");
        for part in line.split(" && ") {
            found.extend(part.strip_prefix("rlnet ").map(str::to_owned));
        }
    }
    found
}

/// The commands that stand as code in a page's text. Some only name a command or an option.
pub fn commands_of_text(page: &str) -> Vec<String> {
    let outside: String = page.split("\n```").step_by(2).collect();
    let spans = outside.split('`').skip(1).step_by(2);
    spans
        .filter_map(|span| Some(span.strip_prefix("rlnet ")?.replace('\n', " ")))
        .collect()
}

/// All of a page's commands.
pub fn commands(page: &str) -> Vec<String> {
    [commands_of_blocks(page), commands_of_text(page)].concat()
}
