//! From a path to checked cases: inherit, put parameters in, read, check. Each step reports and the next goes
//! on with what is sound, so one loading finds the mistakes of all steps.

use std::collections::BTreeSet;
use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::{Node, Value, read};
use super::parameter::Parameters;
use super::schema::{SCHEMA, Scenario};
use super::vocabulary::Vocabulary;
use super::{inherit, validate};
use crate::seed::Seed;

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Values for parameters, by name: `--set workers=3`. A value is read as TOML if it is that, or else as
    /// text.
    pub overrides: Vec<(String, String)>,
    /// The names a scenario may use.
    pub vocabulary: Vocabulary,
}

/// A file without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The cases: one, or one for each combination of the matrix.
    pub cases: Vec<Case>,
    /// What is legal but probably not meant.
    pub warnings: Diagnostics,
}

/// A scenario with its parameters put in.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The matrix values, `workers=3`; empty without a matrix.
    pub label: String,
    /// What it says, defaults filled in.
    pub scenario: Scenario,
}

impl Case {
    /// The scenario as TOML, with everything inherited, put in and filled in.
    #[must_use]
    pub fn effective(&self) -> String {
        // Every type of the schema can be written: the tests write each of them.
        let text =
            toml::to_string(&self.scenario).unwrap_or_else(|error| format!("# cannot be written: {error}\n"));
        let case = if self.label.is_empty() { String::new() } else { format!("# case: {}\n", self.label) };
        // A value that holds `${` has been put in already, and must stay as it is when this is loaded again.
        format!("{case}{}", text.replace("${", "$${"))
    }

    /// Its seeds, in order.
    pub fn seeds(&self) -> impl Iterator<Item = Seed> {
        let Scenario { run, name, .. } = &self.scenario;
        (0..run.seeds.len()).filter_map(|i| run.seeds.get(name, &self.label, i))
    }
}

impl Scenario {
    /// Loads a scenario file, with everything it extends, into one checked scenario per case.
    ///
    /// # Errors
    /// Every mistake found, each with its place; also those that are only warnings.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let cases = load(path, options, &mut diagnostics);
        diagnostics.sort();
        if diagnostics.has_errors() { Err(diagnostics) } else { Ok(Loaded { cases, warnings: diagnostics }) }
    }
}

fn load(path: &Path, options: &LoadOptions, diagnostics: &mut Diagnostics) -> Vec<Case> {
    let Some(mut root) = inherit::load(path, diagnostics) else { return Vec::new() };
    check_version(&mut root, diagnostics);
    check_abstract(&mut root, diagnostics);
    let parameters = Parameters::take(&mut root, &options.overrides, diagnostics);
    let mut used = BTreeSet::new();
    let mut cases = Vec::new();
    for values in parameters.cases(diagnostics) {
        let mut root = root.clone();
        values.substitute(&mut root, &mut used, diagnostics);
        let Some(scenario) = read::<Scenario>(&mut root, diagnostics) else { continue };
        validate::validate(&scenario, &root, &options.vocabulary, diagnostics);
        cases.push(Case { label: values.label, scenario });
    }
    parameters.warn_of_unused(&used, diagnostics);
    cases
}

/// A file of another version is not worth reading further, but it is read: most of it will be the same.
fn check_version(root: &mut Node, diagnostics: &mut Diagnostics) {
    let hint = format!("schema = {SCHEMA}");
    match root.get("schema").map(|node| (&node.value, node.place.clone())) {
        None => {
            diagnostics.push(Diagnostic::error(root.place.clone(), "the key `schema` is missing").hint(hint));
        }
        Some((Value::Integer(version), place)) if *version != i64::from(SCHEMA) => {
            let text = format!("this is version {version} of the format, and only {SCHEMA} is known");
            diagnostics.push(Diagnostic::error(place, text).hint(hint));
        }
        Some(_) => {}
    }
}

/// `abstract` says that a file is only there to be extended; loading it by itself is a mistake.
fn check_abstract(root: &mut Node, diagnostics: &mut Diagnostics) {
    let Some(entry) = root.table_mut().and_then(|table| table.remove("abstract")) else { return };
    match entry.node.value {
        Value::Boolean(false) => {}
        Value::Boolean(true) => {
            let text = "this scenario is abstract: it is there to be extended, not to run";
            diagnostics.push(Diagnostic::error(entry.key, text).hint("run a scenario that extends it"));
        }
        _ => {
            let text = format!("expected `true` or `false`, found {}", entry.node.type_name());
            diagnostics.push(Diagnostic::error(entry.node.place, text));
        }
    }
}
