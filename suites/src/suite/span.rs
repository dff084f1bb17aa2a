//! Where in a file a setting is written, found by its name: a mistake that shows only after a scale
//! or `--set` changed a suite is still reported at the line somebody wrote.

use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A setting and the bytes of the text that hold it.
struct Entry {
    /// Keys from the outermost; a stage is called by its name: `train`, `rlnet`, `with`, `epochs`.
    path: Vec<String>,
    bytes: Range<usize>,
}

/// The line of a byte of a text, from 1.
pub fn line(text: &str, byte: usize) -> usize {
    let before = text.bytes().take(byte);
    before.filter(|byte| *byte == b'\n').count() + 1
}

/// The setting that a byte belongs to; no keys when there is none.
pub fn path(text: &str, byte: usize) -> Vec<String> {
    let holds = |entry: &Entry| entry.bytes.contains(&byte);
    let entries = entries(text).into_iter().filter(holds);
    let innermost = entries.max_by_key(|entry| entry.path.len());
    innermost.map_or(Vec::new(), |entry| entry.path)
}

/// The line of the innermost of these keys that a text has below a section, else the section's
/// own; nothing when there is no such section.
pub fn line_of(text: &str, section: &[&str], path: &[String]) -> Option<usize> {
    let wanted: Vec<&str> = section
        .iter()
        .copied()
        .chain(path.iter().map(String::as_str))
        .collect();
    let leads = |entry: &Entry| {
        entry.path.len() >= section.len().max(1)
            && entry.path.len() <= wanted.len()
            && entry.path.iter().zip(&wanted).all(|(key, wanted)| key == wanted)
    };
    let entries = entries(text).into_iter().filter(leads);
    let innermost = entries.max_by_key(|entry| entry.path.len())?;
    Some(line(text, innermost.bytes.start))
}

/// Every setting of a text; none when it is no TOML.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        walk(table.get_ref(), &[], &mut entries);
    }
    entries
}

fn walk(table: &DeTable<'_>, above: &[String], entries: &mut Vec<Entry>) {
    for (key, value) in table {
        let path = [above, &[key.get_ref().to_string()]].concat();
        entries.push(Entry {
            path: path.clone(),
            bytes: key.span().start..value.span().end.max(key.span().end),
        });
        match value.get_ref() {
            DeValue::Table(inner) => walk(inner, &path, entries),
            DeValue::Array(items) => {
                for item in items {
                    let name = item.get_ref().as_table().and_then(|item| item.get("name"));
                    if let (Some(inner), Some(name)) = (
                        item.get_ref().as_table(),
                        name.and_then(|name| name.get_ref().as_str()),
                    ) {
                        let path = [path.as_slice(), &[name.to_owned()]].concat();
                        entries.push(Entry {
                            path: path.clone(),
                            bytes: item.span(),
                        });
                        walk(inner, &path, entries);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title = \"t\"\n[[train]]\nname = \"a\"\n[[train]]\nname = \"b\"\nwith.epochs = 3\n\n\
                        [scale.tiny]\ntitle = \"u\"\ntrain.b.with.epochs = 4\n";

    #[test]
    fn a_byte_leads_to_its_setting_and_a_setting_to_its_line() {
        let at = |needle: &str| path(TEXT, TEXT.find(needle).expect(needle)).join(".");
        assert_eq!(at("epochs = 3"), "train.b.with.epochs");
        assert_eq!(at("3\n"), "train.b.with.epochs");
        assert_eq!(at("\"a\""), "train.a.name");
        assert_eq!(at("epochs = 4"), "scale.tiny.train.b.with.epochs");

        let epochs = path(TEXT, TEXT.find("epochs = 3").expect("epochs"));
        assert_eq!(line_of(TEXT, &[], &epochs), Some(6));
        assert_eq!(line_of(TEXT, &["scale", "tiny"], &epochs), Some(10));
        // What the section does not say is the section's.
        assert_eq!(line_of(TEXT, &["scale", "tiny"], &["data".into()]), Some(8));
        assert_eq!(line_of(TEXT, &["scale", "big"], &epochs), None);
        assert_eq!(line_of(TEXT, &[], &["data".into()]), None);
        assert_eq!(line_of("no toml", &[], &epochs), None);
    }
}
