//! A plan on a Slurm cluster: one job array a level of its graph, each after the one before.
//!
//! A task of an array is a worker like any other: it takes what nobody has claimed among the cells
//! of its level and ends when nothing is left to take. So any number of tasks does the work, and
//! a task that is killed and requeued goes on where it was. The time limit, a preemption and
//! `scontrol requeue` all come as signals that the job's script hands to the program.

use super::directory::RunDirectory;
use crate::error::{Error, Problem, Result, STOPPED};
use crate::files::{create_folder, write_atomic, write_json};
use rlnet_suites::{Cell, CellId, CellSpec, Slurm};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Times that a task whose program was killed is tried again.
const TRIES: u32 = 5;

/// One submitted job array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlurmJob {
    /// Slurm's number.
    pub id: String,
    /// `level-0`, ..., `report`.
    pub name: String,
    /// Its tasks.
    pub tasks: u32,
    /// The cells it is to finish.
    pub cells: Vec<CellId>,
}

/// What one command submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The run's name among its workers.
    pub session: String,
    /// Its jobs, in order.
    pub jobs: Vec<SlurmJob>,
}

/// What a submission needs to know.
pub struct SlurmRequest<'a> {
    /// The suite's name.
    pub suite: &'a str,
    /// The run's name among its workers.
    pub session: &'a str,
    /// What the cluster wants.
    pub slurm: &'a Slurm,
    /// The program and its arguments for a worker, each as a shell takes it; the file of its
    /// cells is added.
    pub worker: Vec<String>,
    /// The command of the last job, which draws the report.
    pub report: Vec<String>,
    /// Missing cells, parents first.
    pub missing: Vec<&'a Cell>,
    /// Pieces that an evaluation falls into.
    pub shards: &'a dyn Fn(&Cell) -> usize,
}

/// Missing cells by how many missing ones come before them.
pub fn levels<'a>(missing: &[&'a Cell]) -> Vec<Vec<&'a Cell>> {
    let mut level: BTreeMap<&CellId, usize> = BTreeMap::new();
    let mut levels: Vec<Vec<&Cell>> = Vec::new();
    for cell in missing {
        let before = cell.parents.iter().filter_map(|id| level.get(id));
        let own = before.max().map_or(0, |level| level + 1);
        level.insert(&cell.id, own);
        if levels.len() <= own {
            levels.resize_with(own + 1, Vec::new);
        }
        levels[own].push(cell);
    }
    levels
}

/// Submits the missing cells and the report.
///
/// # Errors
/// When `sbatch` is not there or refuses (with its words); jobs already submitted are cancelled.
pub fn submit(directory: &RunDirectory, request: &SlurmRequest<'_>) -> Result<Submission> {
    let root = fs::canonicalize(directory.root()).map_err(|error| Error::reading(directory.root(), error))?;
    let folder = root.join("slurm").join(request.session);
    create_folder(&folder)?;
    let mut submission = Submission {
        session: request.session.to_owned(),
        jobs: Vec::new(),
    };
    let levels = levels(&request.missing);
    for (number, cells) in levels.iter().enumerate() {
        let ids: Vec<CellId> = cells.iter().map(|cell| cell.id.clone()).collect();
        let list = folder.join(format!("level-{number}.json"));
        write_json(&list, &ids)?;
        let units: usize = cells
            .iter()
            .map(|cell| match cell.spec {
                CellSpec::Train(_) => 1,
                CellSpec::Evaluate(_) => (request.shards)(cell).max(1),
            })
            .sum();
        let tasks = (units as u32)
            .min(request.slurm.tasks.unwrap_or(Slurm::TASKS))
            .max(1);
        let mut command = request.worker.clone();
        command.extend(["--cells".to_owned(), shell(&list)]);
        let name = format!("level-{number}");
        submit_one(&mut submission, request, &folder, (name, tasks, ids, command))?;
    }
    let name = "report".to_owned();
    submit_one(
        &mut submission,
        request,
        &folder,
        (name, 1, Vec::new(), request.report.clone()),
    )?;
    write_json(&root.join("slurm").join("submission.json"), &submission)?;
    Ok(submission)
}

fn shell(path: &Path) -> String {
    super::shell::quoted(path.display().to_string())
}

fn submit_one(
    submission: &mut Submission,
    request: &SlurmRequest<'_>,
    folder: &Path,
    (name, tasks, cells, command): (String, u32, Vec<CellId>, Vec<String>),
) -> Result<()> {
    let path = folder.join(format!("{name}.sh"));
    let text = script(request, folder, &name, &command)?;
    write_atomic(&path, text.as_bytes())?;
    let mut sbatch = Command::new("sbatch");
    sbatch.args(["--parsable", &format!("--array=0-{}", tasks - 1)]);
    if let Some(before) = submission.jobs.last() {
        sbatch.arg(format!("--dependency=afterok:{}", before.id));
        sbatch.arg("--kill-on-invalid-dep=yes");
    }
    match said(sbatch.arg(&path)) {
        Ok(answer) => {
            // `12` or `12;cluster`.
            let id = answer.trim().split(';').next().unwrap_or_default().to_owned();
            submission.jobs.push(SlurmJob {
                id,
                name,
                tasks,
                cells,
            });
            Ok(())
        }
        Err(why) => {
            let ids = submission.jobs.iter().map(|job| job.id.as_str());
            let _ = said(Command::new("scancel").args(ids));
            Err(Error::External(format!("submitting {}: {why}", path.display())))
        }
    }
}

/// The script of a job: options, the program in the background, signals handed on to it, and a
/// requeue when it was stopped or killed.
fn script(request: &SlurmRequest<'_>, folder: &Path, name: &str, command: &[String]) -> Result<String> {
    let here = std::env::current_dir().map_err(|error| Error::External(format!("where this is: {error}")))?;
    let mut lines = vec![
        "#!/bin/bash".to_owned(),
        format!("#SBATCH --job-name=rlnet-{}-{name}", request.suite),
        format!("#SBATCH --output={}/{name}-%a.log", folder.display()),
        "#SBATCH --open-mode=append".to_owned(),
        "#SBATCH --requeue".to_owned(),
        format!(
            "#SBATCH --signal=B:USR1@{}",
            request.slurm.grace.unwrap_or(Slurm::GRACE)
        ),
    ];
    lines.extend(request.slurm.directives()?);
    lines.push(format!("cd {} || exit 2", shell(&here)));
    lines.push(
        "export OMP_NUM_THREADS=\"${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}}\""
            .to_owned(),
    );
    lines.extend(request.slurm.setup.iter().cloned());
    lines.push(format!("{} &", command.join(" ")));
    lines.push(format!(
        r#"child=$!
trap 'kill -USR1 "$child" 2>/dev/null' USR1
trap 'kill -TERM "$child" 2>/dev/null' TERM
# A signal ends `wait` before the program has ended.
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"; code=$?
# {STOPPED}: it saved and stopped. Above 128: something killed it.
if [ "$code" = {STOPPED} ] || {{ [ "$code" -gt 128 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {TRIES} ]; }}; then
    if [ ! -e {cancelled} ]; then
        echo "exit code $code: requeued"
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && sleep 60
    fi
fi
exit "$code"
"#,
        cancelled = shell(&folder.join("cancelled")),
    ));
    Ok(lines.join("\n"))
}

/// The last submission of a run directory; nothing when there is none.
pub fn last(root: &Path) -> Option<Submission> {
    let text = fs::read(root.join("slurm").join("submission.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What the queue says of a submission's tasks, a line each (`12_3 RUNNING None`); an error's
/// text when it cannot be asked.
pub fn queue(submission: &Submission) -> std::result::Result<Vec<String>, Problem> {
    let ids: Vec<&str> = submission.jobs.iter().map(|job| job.id.as_str()).collect();
    let mut squeue = Command::new("squeue");
    squeue.args([
        "--noheader",
        "--array",
        "--format=%i %T %r",
        "--jobs",
        &ids.join(","),
    ]);
    match said(&mut squeue) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        // Jobs that Slurm has forgotten are not in the queue.
        Err(why) if why.to_string().contains("Invalid job id") => Ok(Vec::new()),
        Err(why) => Err(why),
    }
}

/// Cancels a submission: its tasks save and are not requeued.
///
/// # Errors
/// When Slurm refuses.
pub fn cancel(root: &Path, submission: &Submission) -> Result<()> {
    let mark: PathBuf = root.join("slurm").join(&submission.session).join("cancelled");
    write_atomic(&mark, b"")?;
    let ids = submission.jobs.iter().map(|job| job.id.as_str());
    // The script hands SIGTERM on; without --full only the program's children would get it.
    said(Command::new("scancel").arg("--full").args(ids))
        .map_err(|why| Error::External(format!("scancel: {why}")))?;
    Ok(())
}

/// Runs a command of Slurm's; its output, or why not.
fn said(command: &mut Command) -> std::result::Result<String, Problem> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{program} is not there; is this a login node of a Slurm cluster?")
        }
        _ => format!("{program}: {error}"),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().into())
}
