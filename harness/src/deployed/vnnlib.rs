//! Properties of single images for verifiers, in VNN-LIB, with the list of instances that the verification competition
//! reads. The network beside them is the [ONNX file](super::onnx) of a branch.

use crate::error::{Error, Result};
use crate::files::{create_folder, write_atomic};
use rlnet_suites::epsilon::Epsilon;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The network's file in the folder.
pub const NETWORK: &str = "net.onnx";
/// The list of instances.
pub const INSTANCES: &str = "instances.csv";
/// The folder of the properties.
const PROPERTIES: &str = "properties";

/// An image that a verifier is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Property<'a> {
    /// Position in the test set.
    pub index: u32,
    /// Values in `[0, 1]`, in the order channel, row, column.
    pub image: &'a [f32],
    /// The class that every point of the ball must keep.
    pub label: u16,
    /// The number of classes.
    pub classes: usize,
}

impl Property<'_> {
    /// What would break it: a point of the Linf ball, cut to `[0, 1]`, at which another logit is at least the label's.
    pub fn text(&self, eps: Epsilon) -> String {
        let Self {
            index,
            label,
            classes,
            ..
        } = self;
        let mut text = format!("; image {index}, label {label}, Linf ball of radius {eps} cut to [0, 1]\n");
        let lines = |text: &mut String, name: &str, count: usize| {
            for place in 0..count {
                let _ = writeln!(text, "(declare-const {name}_{place} Real)");
            }
        };
        lines(&mut text, "X", self.image.len());
        lines(&mut text, "Y", *classes);
        for (place, &value) in self.image.iter().enumerate() {
            let value = f64::from(value);
            let (low, high) = ((value - eps.value()).max(0.0), (value + eps.value()).min(1.0));
            let _ = writeln!(
                text,
                "(assert (>= X_{place} {low}))\n(assert (<= X_{place} {high}))"
            );
        }
        let others = (0..*classes).filter(|class| class != &usize::from(*label));
        let each: Vec<String> = others
            .map(|class| format!("(and (>= Y_{class} Y_{label}))"))
            .collect();
        let _ = writeln!(text, "(assert (or {}))", each.join(" "));
        text
    }
}

/// The name of a property's file: it says which ball around which image.
pub fn file_name(eps: Epsilon, index: u32) -> String {
    format!("linf-{}-{index:05}.vnnlib", eps.to_string().replace('/', "_"))
}

/// The ball and the image that a name says, wherever the file lay; none for a name of another kind.
pub fn of_file_name(path: &str) -> Option<(Epsilon, u32)> {
    let name = path.rsplit(['/', '\\']).next()?;
    let name = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".vnnlib")?;
    let (eps, index) = name.strip_prefix("linf-")?.rsplit_once('-')?;
    Some((eps.replace('_', "/").parse().ok()?, index.parse().ok()?))
}

/// Writes properties and the list of instances, each with so many seconds; gives the list's path.
///
/// # Errors
/// When the disk refuses.
pub fn save(folder: &Path, properties: &[Property<'_>], eps: Epsilon, seconds: u64) -> Result<PathBuf> {
    create_folder(&folder.join(PROPERTIES))?;
    let mut instances = String::new();
    for property in properties {
        let name = format!("{PROPERTIES}/{}", file_name(eps, property.index));
        write_atomic(&folder.join(&name), property.text(eps).as_bytes())?;
        let _ = writeln!(instances, "{NETWORK},{name},{seconds}");
    }
    let list = folder.join(INSTANCES);
    write_atomic(&list, instances.as_bytes())?;
    Ok(list)
}

/// What a verifier says of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// No point of the ball breaks it (`unsat`, `holds`).
    Proven,
    /// Some point does (`sat`, `violated`).
    Broken,
    /// Neither: out of time, or an error.
    Nothing,
}

/// The verdicts of a file of results: comma-separated, a line an instance, in any order of columns, as the tools of the
/// competition write them.
///
/// # Errors
/// When no line names a property of [`save`], or one has no verdict.
pub fn results(path: &Path) -> Result<Vec<(Epsilon, u32, Said)>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::reading(path, error))?;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let cells: Vec<&str> = line
            .split(',')
            .map(|cell| cell.trim().trim_matches('"'))
            .collect();
        let Some((eps, index)) = cells.iter().find_map(|cell| of_file_name(cell)) else {
            continue;
        };
        let said = cells.iter().find_map(|cell| match cell.to_lowercase().as_str() {
            "unsat" | "holds" | "verified" => Some(Said::Proven),
            "sat" | "violated" | "falsified" => Some(Said::Broken),
            "unknown" | "timeout" | "error" | "run_instance_timeout" => Some(Said::Nothing),
            _ => None,
        });
        let why = || {
            Error::reading(
                path,
                format!("line {number} has no verdict: unsat, sat, unknown, timeout or error"),
            )
        };
        found.push((eps, index, said.ok_or_else(why)?));
    }
    if found.is_empty() {
        let why =
            "no line names a property that `rlnet export --format vnnlib` wrote (linf-1_255-00042.vnnlib)";
        return Err(Error::reading(path, why));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_the_ball_and_what_would_break_it() {
        let property = Property {
            index: 42,
            image: &[0.0, 0.5],
            label: 1,
            classes: 3,
        };
        let text = property.text("0.25".parse().expect("a radius"));
        for line in [
            "(declare-const X_1 Real)",
            "(declare-const Y_2 Real)",
            "(assert (>= X_0 0))",
            "(assert (<= X_0 0.25))",
            "(assert (>= X_1 0.25))",
            "(assert (<= X_1 0.75))",
            "(assert (or (and (>= Y_0 Y_1)) (and (>= Y_2 Y_1))))",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        assert!(!text.contains("X_2") && !text.contains("Y_3"));
    }

    #[test]
    fn results_are_read_by_the_names_of_their_properties() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("results.csv");
        let eps: Epsilon = "1/255".parse().expect("a radius");
        let name = file_name(eps, 7);
        assert_eq!(of_file_name(&format!("/x/{name}.gz")), Some((eps, 7)));
        let lines = format!(
            "category,onnx,vnnlib,prepare,result,time\nc,net.onnx,p/{name},0.1,holds,2.0\nc,n,{},0,timeout,60\n",
            file_name(eps, 8)
        );
        std::fs::write(&file, lines).expect("a file");
        assert_eq!(
            results(&file).expect("verdicts"),
            [(eps, 7, Said::Proven), (eps, 8, Said::Nothing)]
        );
        for (bad, said) in [
            ("a,b,c\n".to_owned(), "no line names"),
            (format!("n,{name},maybe\n"), "line 1 has no verdict"),
        ] {
            std::fs::write(&file, bad).expect("a file");
            let error = results(&file).expect_err("nothing to read").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
