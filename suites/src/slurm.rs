//! `[slurm]`: options of a cluster. Part of a suite, or a user's own file;
//! nothing here changes a result.

use crate::error::SuiteError;
use crate::settings::{Kind::*, section};
use serde::Serialize;

section! {
    /// Options of `sbatch`, by their names there.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
    pub struct Slurm {
        partition: Option<String>, Text, (none "the cluster's"), "partition";
        account: Option<String>, Text, (none "the user's"), "account that pays";
        qos: Option<String>, Text, (none "the cluster's"), "quality of service";
        constraint: Option<String>, Text, (none "none"), "features a node must have";
        gres: Option<String>, Text, (none "none"), "generic resources of a task: gpu:1";
        time: Option<String>, Text, (none "the cluster's"),
            "time limit of a task: 04:00:00; a task that reaches it saves and is queued again";
        mem: Option<String>, Text, (none "the cluster's"), "memory of a task: 16G";
        cpus: Option<u32>, Whole(1, Some(100_000)), (none "the cluster's"), "cores of a task";
        tasks: Option<u32>, Whole(1, Some(100_000)), (later = Slurm::TASKS),
            "tasks of one level of the plan at once";
        grace: Option<u32>, Whole(0, Some(86_400)), (later = Slurm::GRACE),
            "seconds before the time limit at which a task is asked to save";
        options: Vec<String>, Names, (none "none"), "other options, as written after #SBATCH: --exclude=node7";
        setup: Vec<String>, Names, (none "none"), "shell lines before the program: module load ...";
    }
}

impl Slurm {
    /// Tasks of one level at once, by default.
    pub const TASKS: u32 = 16;
    /// Seconds to save in, by default.
    pub const GRACE: u32 = 120;

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
