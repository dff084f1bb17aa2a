//! `[slurm]`: what a cluster wants to know of its jobs. Part of a suite, or a user's own file;
//! nothing here changes a result.

use crate::error::SuiteError;
use serde::{Deserialize, Serialize};

/// Options of `sbatch`, by their names there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Slurm {
    /// Partition.
    pub partition: Option<String>,
    /// Account that pays.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Features that a node must have.
    pub constraint: Option<String>,
    /// Generic resources of a task: `gpu:1`.
    pub gres: Option<String>,
    /// Time limit of a task: `04:00:00`. A task that reaches it saves, is requeued and goes on.
    pub time: Option<String>,
    /// Memory of a task: `16G`.
    pub mem: Option<String>,
    /// Cores of a task.
    pub cpus: Option<u32>,
    /// Tasks of one level of the plan that may run at once (default 16).
    pub tasks: Option<u32>,
    /// Seconds before the time limit at which a task is told to save (default 120).
    pub grace: Option<u32>,
    /// Any other options, as written after `#SBATCH`: `--exclude=node7`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Shell lines before the program: `module load ...`.
    #[serde(default)]
    pub setup: Vec<String>,
}

impl Slurm {
    /// These settings, and where they say nothing, those of `base`.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let lines = |own: Vec<String>, base: Vec<String>| if own.is_empty() { base } else { own };
        Self {
            partition: self.partition.or(base.partition),
            account: self.account.or(base.account),
            qos: self.qos.or(base.qos),
            constraint: self.constraint.or(base.constraint),
            gres: self.gres.or(base.gres),
            time: self.time.or(base.time),
            mem: self.mem.or(base.mem),
            cpus: self.cpus.or(base.cpus),
            tasks: self.tasks.or(base.tasks),
            grace: self.grace.or(base.grace),
            options: lines(self.options, base.options),
            setup: lines(self.setup, base.setup),
        }
    }

    /// The `#SBATCH` lines of what is set.
    ///
    /// # Errors
    /// When a value has a line break, which would end the option.
    pub fn directives(&self) -> Result<Vec<String>, SuiteError> {
        let named = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("constraint", &self.constraint),
            ("gres", &self.gres),
            ("time", &self.time),
            ("mem", &self.mem),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)));
        let cpus = self.cpus.map(|cpus| ("cpus-per-task", cpus.to_string()));
        let options = named.chain(cpus).map(|(name, value)| format!("--{name}={value}"));
        options
            .chain(self.options.iter().cloned())
            .map(|option| match option.contains(['\n', '\r']) {
                true => Err(SuiteError::value("slurm", &option, "an option is one line")),
                false => Ok(format!("#SBATCH {option}")),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_laid_over_a_users_file_and_becomes_directives() {
        let user: Slurm = toml::from_str("partition = 'gpu'\naccount = 'lab'\ncpus = 8").expect("a file");
        let suite: Slurm = toml::from_str("partition = 'long'\noptions = ['--exclude=n7']").expect("a table");
        let lines = suite.over(user).directives().expect("lines");
        assert_eq!(
            lines,
            [
                "#SBATCH --partition=long",
                "#SBATCH --account=lab",
                "#SBATCH --cpus-per-task=8",
                "#SBATCH --exclude=n7"
            ]
        );
        let bad: Slurm = toml::from_str("gres = \"gpu:1\\n#SBATCH --uid=0\"").expect("a table");
        assert!(bad.directives().is_err());
        assert!(toml::from_str::<Slurm>("nodes = 3").is_err());
    }
}
