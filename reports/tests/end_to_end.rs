//! Whole reports: every link leads somewhere, every number is a number.

use crate::synthetic::{
    many, many_under_attacks, one_under_attacks, outcomes, plan, write_run, write_run_of,
};
use rlnet_reports::{Format, Rendered, render};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

struct AttackCache {
    folder: TempDir,
    rendered: Rendered,
    page: String,
}

/// The report of the finished demo, made once for all tests.
fn demo() -> &'static AttackCache {
    static DEMO: OnceLock<AttackCache> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_run(folder.path(), &plan(&[]), |_| true);
        let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
        let page = read_page(&rendered);
        AttackCache {
            folder,
            rendered,
            page,
        }
    })
}

/// The page, with the one escape that would hide links and conditions undone.
fn read_page(rendered: &Rendered) -> String {
    let page = fs::read_to_string(&rendered.index).expect("the page");
    page.replace("&#x2f;", "/")
}

fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(&start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

fn check_page(page: &str, folder: &Path) {
    let ids = attributes(page, "id");
    let links = attributes(page, "href");
    assert!(!links.is_empty());
    for link in links {
        match link.strip_prefix('#') {
            Some(id) => assert!(ids.contains(&id), "no element {id}"),
            None => assert!(folder.join(link).is_file(), "no file {link}"),
        }
    }
    for source in attributes(page, "src") {
        assert!(source.starts_with("data:image/png;base64,"), "{source}");
    }
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
    assert!(!page.contains("NaN") && !page.contains(">inf"));
    // One script, the page's own.
    assert!(!page.contains("<script ") && page.matches("<script>").count() == 1);
    assert!(!page.contains("@import") && !page.contains("url("));
    // Headings never skip a level.
    let mut level = 0;
    for rest in page.split("<h").skip(1) {
        let Some(next) = rest.chars().next().and_then(|c| c.to_digit(10)) else {
            continue;
        };
        assert!(next <= level + 1, "h{next} after h{level}");
        level = next;
    }
    for tag in [
        "table", "tr", "td", "th", "section", "figure", "svg", "p", "ul", "li", "dl", "main",
    ] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_page_stands_on_its_own() {
    let made = demo();
    check_page(&made.page, &made.rendered.folder);
    for text in [
        "teacher",
        "rlnet",
        "senet",
        "worst of branches",
        "JPEG compression",
        "PGD-10, 8/255",
    ] {
        assert!(made.page.contains(text), "{text}");
    }
    assert_eq!(made.page.matches("<svg ").count(), 8);
    assert!(!made.page.contains("Unfinished"));
    assert!(made.page.contains("lang=\"en\""));
}

#[test]
fn every_table_that_is_a_file_is_on_the_page() {
    let made = demo();
    let tables = fs::read_dir(made.rendered.folder.join("tables")).expect("tables");
    let mut seen = 0;
    for file in tables.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if let Some(id) = name.strip_suffix(".csv") {
            assert!(
                made.page.contains(&format!("id=\"table-{id}\"")),
                "{id} is not on the page"
            );
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn every_share_says_where_it_comes_from() {
    let made = demo();
    let main = made
        .page
        .split("id=\"table-main\"")
        .nth(1)
        .and_then(|rest| rest.split("</section>").next());
    let main = main.expect("the main table");
    let traces = attributes(main, "title");
    let of_images: Vec<&&str> = traces
        .iter()
        .filter(|trace| trace.contains("of 500 images"))
        .collect();
    // CA and AdvA of nine rows.
    assert_eq!(of_images.len(), 18);
    assert!(
        of_images
            .iter()
            .all(|trace| trace.contains("condition ") && trace.contains("cell "))
    );
    // Of a network with one branch none is named.
    let read = of_images
        .iter()
        .filter(|trace| trace.contains("branch") || trace.contains("oracle"));
    assert_eq!(read.count(), 16);
    assert!(
        traces
            .iter()
            .any(|trace| trace.contains("of 22,500 answers on 500 images"))
    );
}

#[test]
fn tables_are_written_in_every_form() {
    let made = demo();
    let mut forms: BTreeMap<String, usize> = BTreeMap::new();
    for file in &made.rendered.files {
        let text = || fs::read_to_string(file).expect("a text file");
        match file
            .extension()
            .and_then(|ending| ending.to_str())
            .expect("an ending")
        {
            "csv" => check_csv(file, &text()),
            "tex" => check_latex(file, &text()),
            "md" => assert!(text().contains("| --"), "{}", file.display()),
            "json" => drop(serde_json::from_str::<serde_json::Value>(&text()).expect("json")),
            "svg" => assert!(text().starts_with("<svg ") && text().ends_with("</svg>\n")),
            "png" => drop(image::open(file).expect("a picture")),
            _ => {}
        }
        let ending = file
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        *forms.entry(ending).or_default() += 1;
    }
    let count = |ending: &str| forms.get(ending).copied().unwrap_or(0);
    assert_eq!(
        (count("csv"), count("tex"), count("md"), count("json")),
        (24, 24, 24, 29)
    );
    assert_eq!(
        (count("svg"), count("png"), count("html")),
        (8, 9, 1),
        "{:?}",
        walk(&made.rendered.folder.join("figures"))
    );
    let left: Vec<PathBuf> = walk(&made.rendered.folder)
        .into_iter()
        .filter(|f| f.ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn check_csv(file: &Path, text: &str) {
    let mut lines = text.lines().map(fields);
    let head = lines.next().expect("a heading");
    let mut rows = 0;
    for row in lines {
        rows += 1;
        assert_eq!(row.len(), head.len(), "{}: {row:?}", file.display());
        for (name, value) in head.iter().zip(row) {
            // A number that is not there is an empty field.
            let there = !value.is_empty();
            if there && (name.ends_with("_low") || name.ends_with("_high") || name.ends_with("_right")) {
                let number: f64 = value.parse().unwrap_or(f64::NAN);
                assert!(number.is_finite(), "{}: {name} = {value}", file.display());
            }
        }
    }
    assert!(rows > 0, "{}", file.display());
}

/// The fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    fields.push(field);
    fields
}

fn check_latex(file: &Path, text: &str) {
    let mut open: Vec<&str> = Vec::new();
    for (i, _) in text.match_indices('\\') {
        let rest = &text[i + 1..];
        let name = |rest: &'static str| rest;
        for (command, begins) in [(name("begin{"), true), (name("end{"), false)] {
            let Some(after) = rest.strip_prefix(command) else {
                continue;
            };
            let environment = after.split('}').next().expect("a closed brace");
            if begins {
                open.push(environment);
            } else {
                assert_eq!(open.pop(), Some(environment), "{}", file.display());
            }
        }
    }
    assert!(open.is_empty(), "{}", file.display());
    let bare = text.replace("\\{", "").replace("\\}", "");
    assert_eq!(
        bare.matches('{').count(),
        bare.matches('}').count(),
        "{}",
        file.display()
    );
    assert!(text.is_ascii(), "{}: not plain ASCII", file.display());
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn the_same_rows_give_the_same_files() {
    let made = demo();
    let out = tempfile::tempdir().expect("a temporary folder");
    let again = render(&[made.folder.path().to_owned()], out.path(), &Format::ALL).expect("a report");
    assert_eq!(again.files.len(), made.rendered.files.len());
    for (a, b) in made.rendered.files.iter().zip(&again.files) {
        assert_eq!(
            fs::read(a).expect("a"),
            fs::read(b).expect("b"),
            "{}",
            a.display()
        );
    }
}

#[test]
fn the_terminal_and_the_program_get_the_main_table() {
    let rendered = &demo().rendered;
    assert!(rendered.markdown.contains("| rlnet   | worst of branches"));
    let rows = rendered.json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 9);
    for row in rows {
        let (right, answers) = (&row["ca"]["right"], &row["ca"]["answers"]);
        let value = right.as_f64().expect("a count") / answers.as_f64().expect("a count");
        assert!((value - row["ca"]["value"].as_f64().expect("a share")).abs() < 1e-12);
    }
    assert!(
        rendered
            .answer
            .join(" ")
            .contains("No single branch has all three")
    );
}

#[test]
fn an_unfinished_run_says_so_and_averages_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = plan(&[]);
    write_run(folder.path(), &plan, |cell| {
        cell.name != "rlnet/fog" && !cell.name.starts_with("senet")
    });
    let formats = [Format::Html, Format::Csv];
    let rendered = render(&[folder.path().to_owned()], folder.path(), &formats).expect("a report");
    let page = read_page(&rendered);
    check_page(&page, &rendered.folder);
    assert!(page.contains("Unfinished.") && page.contains("rlnet/fog"));
    let oracle = rendered.json["rows"].as_array().expect("rows").iter();
    let oracle = oracle.clone().find(|row| row["model"] == "rlnet").expect("rlnet");
    assert_eq!(oracle["npa"]["why"], "unfinished: 42 of 45 corrupted conditions");
    assert!(oracle["ca"]["value"].is_f64());
}

#[test]
fn a_run_that_has_only_begun_and_one_without_attacks_have_reports() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // With nothing done there is no report, and one that is there stays.
    let planned = folder.path().join("planned");
    write_run(&planned, &plan(&[]), |_| false);
    fs::create_dir_all(planned.join("report")).expect("a folder");
    fs::write(planned.join("report/index.html"), "numbers").expect("written");
    let refused = render(std::slice::from_ref(&planned), &planned, &Format::ALL).expect_err("refused");
    assert!(refused.to_string().contains("none of the"), "{refused}");
    assert_eq!(fs::read_dir(planned.join("report")).expect("a folder").count(), 1);
    assert_eq!(
        fs::read(planned.join("report/index.html")).expect("read"),
        b"numbers"
    );
    let begun = folder.path().join("begun");
    write_run(&begun, &plan(&[]), |cell| cell.name == "teacher");
    let rendered = render(std::slice::from_ref(&begun), &begun, &[Format::Html]).expect("a report");
    check_page(
        &fs::read_to_string(&rendered.index).expect("the page"),
        &rendered.folder,
    );
    let bare = folder.path().join("bare");
    let mut plan = plan(&["evaluation.corruptions=none", "evaluation.attacks=[]"]);
    (plan.headline, plan.baseline) = (None, None);
    write_run(&bare, &plan, |_| true);
    let rendered = render(std::slice::from_ref(&bare), &bare, &[Format::Html]).expect("a report");
    check_page(
        &fs::read_to_string(&rendered.index).expect("the page"),
        &rendered.folder,
    );
}

#[test]
fn only_what_is_asked_for_is_written() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let rendered = render(&[demo().folder.path().to_owned()], out.path(), &[Format::Csv]).expect("a report");
    assert!(
        rendered
            .files
            .iter()
            .all(|file| file.extension().is_some_and(|ending| ending == "csv"))
    );
    assert_eq!(rendered.index, rendered.folder);
}

#[test]
fn five_hundred_cells_are_rendered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = many();
    assert!(plan.cells.len() > 480, "{}", plan.cells.len());
    write_run_of(
        folder.path(),
        &plan,
        |_| true,
        |cell, conditions| outcomes(&plan, cell, conditions, 40),
    );
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    // How long it takes is measured by the example many_cells: tests share their machine.
    let rows = rendered.json["rows"].as_array().expect("rows");
    for copy in 0..20 {
        let name = format!("copy{copy}");
        // The oracle, two branches and the worst of them.
        assert_eq!(rows.iter().filter(|row| row["model"] == name.as_str()).count(), 4);
    }
    check_page(&read_page(&rendered), &rendered.folder);
}

#[test]
fn a_model_card_says_only_what_was_measured() {
    let card = demo().rendered.folder.join("model_cards").join("rlnet.json");
    let text = fs::read_to_string(card).expect("a card");
    let card: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!(
        (card["dataset"].as_str(), card["Linf"].as_bool()),
        (Some("shapes"), Some(true))
    );
    let oracle = demo().rendered.json["rows"].as_array().expect("rows").iter();
    let oracle = oracle.clone().find(|row| row["model"] == "rlnet").expect("rlnet");
    let clean = 100.0 * oracle["ca"]["value"].as_f64().expect("a share");
    assert_eq!(card["clean_acc"], format!("{clean:.2}"));
    // No AutoAttack was run, and severities 1, 3 and 5 have no AlexNet anchor.
    assert!(card.get("autoattack_acc").is_none() && card.get("corruptions_mce").is_none());
}

/// The report of a plan in which every cell is done, on ten images.
fn drawn(plan: &rlnet_suites::Plan) -> (tempfile::TempDir, Rendered) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_run_of(
        folder.path(),
        plan,
        |_| true,
        |cell, conditions| outcomes(plan, cell, conditions, 10),
    );
    let rendered = render(&[folder.path().to_owned()], folder.path(), &Format::ALL).expect("a report");
    (folder, rendered)
}

/// Rows of a table's CSV file, without its heading.
fn csv_rows(rendered: &Rendered, id: &str) -> usize {
    let file = rendered.folder.join("tables").join(format!("{id}.csv"));
    fs::read_to_string(file).expect("a table").lines().count() - 1
}

#[test]
fn five_hundred_attacks_are_all_in_the_files_and_a_readable_part_on_the_page() {
    let (_folder, rendered) = drawn(&one_under_attacks());
    // Two branches and the worst of them; 504 * 503 / 2 pairs.
    assert_eq!(csv_rows(&rendered, "overlap"), 3 * 126_756);
    assert_eq!(csv_rows(&rendered, "attacks"), 3);
    assert_eq!(csv_rows(&rendered, "attacks_one_by_one"), 2 * 504);
    let table = |name: &str| fs::read_to_string(rendered.folder.join("tables").join(name)).expect("a table");
    // Every attack and the clean images, each with the lower end of its interval.
    let wide = table("attacks.csv");
    let heading = wide.lines().next().expect("a heading");
    assert_eq!(heading.matches("_low").count(), 505);
    let overlap: serde_json::Value = serde_json::from_str(&table("overlap.json")).expect("json");
    assert_eq!(overlap["rows"].as_array().expect("rows").len(), 3 * 126_756);
    assert_eq!(overlap["rows"][0]["model"], "rlnet");
    let page = read_page(&rendered);
    check_page(&page, &rendered.folder);
    assert!(page.contains("all 380,268 rows are in this table") && page.contains("of 504 attacks"));
    assert!(page.len() < 8_000_000, "{}", page.len());
    assert!(table("overlap.md").lines().count() < 120);
}

#[test]
fn many_networks_under_many_attacks_make_a_whole_report() {
    let (_folder, rendered) = drawn(&many_under_attacks());
    // 22 networks with two branches (and the worst of them), one with its only branch.
    assert_eq!(csv_rows(&rendered, "overlap"), (22 * 3 + 1) * 231);
    assert_eq!(csv_rows(&rendered, "attacks"), 22 * 3 + 1);
    check_page(&read_page(&rendered), &rendered.folder);
}
