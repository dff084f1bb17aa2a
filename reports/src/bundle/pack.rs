//! Making a bundle: the parts of a run in a folder, then what is claimed of them, then one file.

use super::stated;
use super::{FileRecord, MANIFEST, Manifest, SCHEMA, Sample, Statement};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::files;
use crate::run::Run;
use crate::runs::Runs;
use rlnet_suites::io::{checksum, write_atomic};
use rlnet_suites::{CellRecord, Plan};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Writes a plan and the finished cells of a run that it names into an empty folder: records and rows. The name of the
/// machine is left out of the records, its processor stays.
///
/// # Errors
/// When a file cannot be read or written.
pub fn stage(run: &Path, plan: &Plan, folder: &Path) -> Result<Run, ReportError> {
    put_json(&folder.join("plan.json"), plan)?;
    for cell in &plan.cells {
        let (from, to) = (
            run.join("cells").join(&cell.id.0),
            folder.join("cells").join(&cell.id.0),
        );
        let file = from.join("cell.json");
        if !file.is_file() {
            continue;
        }
        let mut record: CellRecord = serde_json::from_slice(&files::read(&file)?)
            .map_err(|error| ReportError::file(&file, format!("not the record of a cell: {error}")))?;
        if let Some((_, processor)) = record.provenance.machine.split_once(", ") {
            record.provenance.machine = processor.to_owned();
        }
        files::create_folder(&to)?;
        put_json(&to.join("cell.json"), &record)?;
        for name in record
            .provenance
            .files
            .keys()
            .filter(|name| name.ends_with(".parquet"))
        {
            let bytes = files::read(&from.join(name))?;
            files::write_atomic(&to.join(name), &bytes)?;
        }
    }
    Run::load(folder)
}

/// Adds what is claimed (tables and model cards) and `bundle.json` to a folder that has all other files.
///
/// # Errors
/// When the rows cannot be read, or a file cannot be written.
pub fn seal(
    folder: &Path,
    program: &str,
    division: &str,
    statement: Statement,
    sample: Sample,
) -> Result<Manifest, ReportError> {
    let analysis = Analysis::of(Runs::load(&[folder.to_owned()])?)?;
    for (name, json) in stated::claims(&analysis) {
        let path = folder.join(name);
        files::create_folder(path.parent().unwrap_or(folder))?;
        put_json(&path, &json)?;
    }
    let mut manifest = Manifest {
        schema: SCHEMA,
        program: program.to_owned(),
        division: division.to_owned(),
        statement,
        sample,
        files: BTreeMap::new(),
    };
    for name in list(folder)? {
        let bytes = files::read(&folder.join(&name))?;
        let record = FileRecord {
            blake3: checksum(&bytes),
            bytes: bytes.len() as u64,
        };
        manifest.files.insert(name, record);
    }
    put_json(&folder.join(MANIFEST), &manifest)?;
    Ok(manifest)
}

/// Writes the files of a sealed folder into one zip archive, whole or not at all. Equal files give equal bytes.
///
/// # Errors
/// When a file cannot be read or written.
pub fn archive(folder: &Path, out: &Path) -> Result<(), ReportError> {
    let failed = |error: zip::result::ZipError| ReportError::make("the archive", error);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut names = list(folder)?;
    names.retain(|name| name != MANIFEST);
    // What names the others comes first.
    names.insert(0, MANIFEST.to_owned());
    for name in names {
        // Rows, pictures and floats do not get smaller, and what a compressor writes depends on its version and the
        // processor.
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        writer.start_file(name.as_str(), options).map_err(failed)?;
        let path = folder.join(&name);
        writer
            .write_all(&files::read(&path)?)
            .map_err(|error| ReportError::io("pack", &path, error))?;
    }
    let bytes = writer.finish().map_err(failed)?.into_inner();
    write_atomic(out, &bytes).map_err(|error| ReportError::io("write", out, error))
}

/// Every file below a folder, by its name from there, sorted.
pub(super) fn list(folder: &Path) -> Result<Vec<String>, ReportError> {
    let (mut found, mut open) = (Vec::new(), vec![String::new()]);
    while let Some(below) = open.pop() {
        let path = folder.join(&below);
        let entries = fs::read_dir(&path).map_err(|error| ReportError::io("read", &path, error))?;
        for entry in entries.flatten() {
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => open.push(format!("{name}/")),
                false => found.push(name),
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn put_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ReportError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| ReportError::make(path.display().to_string(), error))?;
    text.push('\n');
    files::write_atomic(path, text.as_bytes())
}
