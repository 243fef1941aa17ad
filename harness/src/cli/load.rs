//! Loads every scenario a command names, or says all that is wrong with all of them, before anything runs.

use std::io::Write;
use std::path::PathBuf;

use super::{Context, Failure, Seeds, Selection};
use crate::run::Runner;
use crate::scenario::{Case, LoadOptions, Scenario, discover};
use crate::seed::Seed;

/// A case and the file it comes from.
pub(super) struct Loaded {
    pub(super) file: PathBuf,
    pub(super) case: Case,
}

impl Loaded {
    /// Name and case, as reports write them.
    pub(super) fn title(&self) -> String {
        let Case { label, scenario } = &self.case;
        if label.is_empty() { scenario.name.clone() } else { format!("{} [{label}]", scenario.name) }
    }

    /// The seeds to run: those asked for, or the scenario's own.
    pub(super) fn seeds(&self, asked: &Seeds) -> Vec<Seed> {
        if !asked.seed.is_empty() {
            return asked.seed.clone();
        }
        match asked.seeds {
            None => self.case.seeds().collect(),
            Some(n) => {
                let (name, label) = (&self.case.scenario.name, &self.case.label);
                (0..n).map(|i| crate::seed::scenario_seed(name, label, i)).collect()
            }
        }
    }
}

pub(super) fn load(
    selection: &Selection,
    runner: &Runner,
    context: &Context<'_>,
) -> Result<Vec<Loaded>, Failure> {
    let options = LoadOptions { overrides: selection.set.clone(), vocabulary: runner.vocabulary() };
    let (mut loaded, mut wrong) = (Vec::new(), String::new());
    for file in files(selection)? {
        match Scenario::load(&file, &options) {
            Ok(found) => {
                if !found.warnings.is_empty() {
                    let _ = write!(std::io::stderr(), "{}", found.warnings.render(context.error_colour));
                }
                loaded.extend(found.cases.into_iter().map(|case| Loaded { file: file.clone(), case }));
            }
            Err(diagnostics) => {
                wrong.push_str(diagnostics.render(context.error_colour).trim_end());
                wrong.push_str("\n\n");
            }
        }
    }
    if wrong.is_empty() { Ok(loaded) } else { Err(Failure::Invalid(wrong.trim_end().to_owned())) }
}

/// The scenario files a selection names, each once.
pub(super) fn files(selection: &Selection) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in &selection.paths {
        let found = discover(path).map_err(|error| match error {
            none @ crate::scenario::DiscoverError::None(_) => Failure::Nothing(none.to_string()),
            error => Failure::Invalid(format!("error: {error}")),
        })?;
        files.extend(found);
    }
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}
