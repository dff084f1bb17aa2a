//! A gate's verdict as Markdown, `JUnit` XML and JSON.

use super::{Check, GateVerdict};
use crate::format;
use crate::tables::markdown;
use serde_json::json;

/// Flipped images listed per question in the summary; JSON has all.
const LISTED: usize = 20;

/// A summary for people. Names may hold anything, so all text but the frame is escaped.
pub(super) fn markdown(verdict: &GateVerdict) -> String {
    let plain = markdown::escape;
    let tripped = verdict.tripped();
    let mut text = format!(
        "# Gate `{}`: {}\n\n`{}` against `{}`; {} paired tests at level {} together.\n\n",
        plain(&verdict.gate.name),
        if tripped { "tripped" } else { "passed" },
        plain(&verdict.current.display().to_string()),
        plain(&verdict.base.display().to_string()),
        verdict.checks.len(),
        verdict.gate.level
    );
    for reason in &verdict.reasons {
        text.push_str(&format!("- {}\n", plain(reason)));
    }
    if tripped {
        text.push('\n');
    }
    text.push_str(if verdict.changes.is_empty() {
        "Weights, attacks, data and machine are the same in both runs.\n\n"
    } else {
        "What differs besides answers:\n\n"
    });
    for change in &verdict.changes {
        text.push_str(&format!("- {}\n", plain(&change.what)));
    }
    if !verdict.unfinished.is_empty() {
        text.push_str(&format!(
            "\nNot compared, because the older run has not finished it: {}.\n",
            plain(&named(&verdict.unfinished))
        ));
    }
    text.push_str("\n| Model | Read through | Measure | Before (%) | Now (%) | Points | p (Holm) | Would have seen | Worse | Better | |\n");
    text.push_str("| ----- | ------------ | ------- | ---------: | ------: | -----: | -------: | --------------: | ----: | -----: | - |\n");
    for check in &verdict.checks {
        let (old, new) = check.means();
        let (worse, better) = check.flipped();
        let question = &check.question;
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} [{}, {}] | {} | {} | {} | {} | {} |\n",
            plain(&question.model),
            question.policy.label(),
            plain(&question.measure),
            format::percent(old),
            format::percent(new),
            format::points(check.difference.value),
            format::points(check.difference.low),
            format::points(check.difference.high),
            format::p_value(check.adjusted),
            format::percent(check.smallest_effect()),
            worse.len(),
            better.len(),
            state(check)
        ));
    }
    text.push_str(
        "\nWould have seen: the smallest change, in points, on which this gate trips with probability 0.8, from these images and \
         their noise.\n",
    );
    for check in verdict.checks.iter().filter(|check| check.tripped()) {
        let (worse, better) = check.flipped();
        let question = &check.question;
        text.push_str(&format!(
            "\n{}, {}, {}: images that got worse: {}; better: {}.\n",
            plain(&question.model),
            question.policy.label(),
            plain(&question.measure),
            listed(&worse),
            listed(&better)
        ));
    }
    text
}

fn state(check: &Check) -> &'static str {
    match (check.tripped(), check.moved()) {
        (true, _) => "**tripped**",
        (false, true) => "moved, within limits",
        (false, false) => "not distinguishable",
    }
}

fn listed(images: &[u32]) -> String {
    if images.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = images.iter().take(LISTED).map(u32::to_string).collect();
    let more = images.len().saturating_sub(LISTED);
    if more > 0 {
        format!("{} and {more} more", shown.join(", "))
    } else {
        shown.join(", ")
    }
}

/// The first few of some cells.
pub(super) fn named(cells: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = cells.len().saturating_sub(SHOWN);
    let shown = cells[..cells.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

pub(super) fn junit(verdict: &GateVerdict) -> String {
    // Reasons that belong to no question (missing numbers, drifted data) are cases too.
    let own: Vec<String> = verdict.checks.iter().filter_map(Check::reason).collect();
    let other: Vec<&String> = verdict
        .reasons
        .iter()
        .filter(|reason| !own.contains(reason))
        .collect();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n",
        escape(&verdict.gate.name),
        verdict.checks.len() + other.len(),
        own.len() + other.len()
    );
    for check in &verdict.checks {
        let question = &check.question;
        let head = format!(
            "<testcase classname=\"{}.{}\" name=\"{}\"",
            escape(&question.model),
            escape(&question.policy.label()),
            escape(&question.measure)
        );
        match check.reason() {
            Some(reason) => text.push_str(&failure(&head, &reason)),
            None => text.push_str(&format!("{head}/>\n")),
        }
    }
    for (i, reason) in other.into_iter().enumerate() {
        let head = format!("<testcase classname=\"gate\" name=\"reason {}\"", i + 1);
        text.push_str(&failure(&head, reason));
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn failure(head: &str, reason: &str) -> String {
    format!("{head}><failure message=\"{}\"/></testcase>\n", escape(reason))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .chars()
        .filter(|c| !c.is_control() && !['\u{fffe}', '\u{ffff}'].contains(c))
        .collect()
}

pub(super) fn json(verdict: &GateVerdict) -> serde_json::Value {
    let checks: Vec<serde_json::Value> = verdict
        .checks
        .iter()
        .map(|check| {
            let (worse, better) = check.flipped();
            let (before, now) = check.means();
            json!({
                "model": check.question.model,
                "reading": check.question.policy.label(),
                "measure": check.question.measure,
                "before": before,
                "now": now,
                "difference": check.difference,
                "p_holm": check.adjusted,
                "smallest_effect": check.smallest_effect(),
                "tripped": check.tripped(),
                "causes": check.causes.iter().map(|(cause, what)| json!({"cause": cause, "what": what})).collect::<Vec<_>>(),
                "worse": worse,
                "better": better,
            })
        })
        .collect();
    json!({
        "gate": verdict.gate.name,
        "level": verdict.gate.level,
        "tripped": verdict.tripped(),
        "reasons": verdict.reasons,
        "changes": verdict.changes,
        "unfinished": verdict.unfinished,
        "checks": checks,
    })
}
