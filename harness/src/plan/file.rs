//! Plans as files: `*.plan.toml`, meant to be read, kept and edited by people.
//!
//! What is read is checked as far as a run needs to be safe: versions, bounds, hosts that exist. Names of
//! checkers and points are checked by whoever runs the plan.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::{PLAN_SCHEMA, Plan, PlannedService};
use crate::scenario::document::{Node, Step, parse, read};
use crate::scenario::schema::{FaultEntry, Run, Scenario, Seeds};
use crate::scenario::{Diagnostic, Diagnostics, read_text, validate_plan};

/// Longest `duration` and `settle` of a plan.
const RUN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most hosts and most faults of a plan.
const HOSTS_MAX: usize = 256;
const FAULTS_MAX: usize = 50_000;

impl Plan {
    /// The plan as a file's text, headed by a comment that says what it is.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let case = if self.case.is_empty() { String::new() } else { format!(" ({})", self.case) };
        // A comment ends at the line's end; a name may hold anything.
        let title = format!("{}{case}, seed {}", self.scenario, self.seed).replace(char::is_control, " ");
        let header = format!(
            "# A run of {title}, with every random choice made.\n# Run it again: squall replay FILE.plan.toml\n\n"
        );
        // Every type of a plan can be written: the tests write each of them.
        let body = toml::to_string(self).unwrap_or_else(|error| format!("# cannot be written: {error}\n"));
        header + &body
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each mistake with its place.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        match read_text(path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text),
            Err(problem) => {
                let mut diagnostics = Diagnostics::default();
                let text = format!("cannot read {}: {problem}", path.display());
                diagnostics.push(Diagnostic::error(None, text).hint("give the path of a *.plan.toml file"));
                Err(diagnostics)
            }
        }
    }

    /// Reads a plan from the text of the file `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each mistake with its place.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source(name, text);
        let plan = parse(source, &mut diagnostics).and_then(|mut root| {
            let plan = read::<Self>(&mut root, &mut diagnostics)?;
            check(&plan, &root, &mut diagnostics);
            Some(plan)
        });
        diagnostics.sort();
        match plan {
            Some(plan) if !diagnostics.has_errors() => Ok(plan),
            _ => Err(diagnostics),
        }
    }
}

fn check(plan: &Plan, root: &Node, diagnostics: &mut Diagnostics) {
    let mut report = |path: &[Step], text: String, hint: &str| {
        diagnostics.push(Diagnostic::error(root.place_of(path), text).hint(hint));
    };
    if plan.schema != PLAN_SCHEMA {
        let text = format!("this is version {} of the format, and only {PLAN_SCHEMA} is known", plan.schema);
        report(&["schema".into()], text, "draw the plan again from its scenario and seed");
    }
    for (key, time) in [("duration", plan.duration), ("settle", plan.settle)] {
        if time > RUN_MAX {
            report(&[key.into()], format!("`{key}` is longer than 7 days"), "30s to 10m is usual");
        }
    }
    if plan.duration.is_zero() {
        report(&["duration".into()], "a run of no duration proves nothing".to_owned(), "duration = \"30s\"");
    }
    if plan.tick.is_zero()
        || plan.tick > Duration::from_secs(1)
        || !plan.tick.as_micros().is_multiple_of(1000)
    {
        let text = "a tick is 1ms to 1s, in whole milliseconds".to_owned();
        report(&["tick".into()], text, "tick = \"10ms\"");
    }
    if plan.hosts().count() > HOSTS_MAX {
        report(&["service".into()], format!("more than {HOSTS_MAX} hosts"), "remove some");
    }
    if plan.faults.len() > FAULTS_MAX {
        report(&["fault".into()], format!("more than {FAULTS_MAX} faults"), "remove some");
    }
    let mut services = BTreeSet::new();
    for (index, service) in plan.services.iter().enumerate() {
        let path = |key: &str| vec![Step::from("service"), Step::from(index), Step::from(key)];
        if !services.insert(&service.name) {
            report(&path("name"), format!("the name `{}` is taken", service.name), "rename one");
        }
        // The lengths are compared first: `replicas` may be any number.
        let PlannedService { name, hosts, spec } = service;
        if spec.replicas as usize != hosts.len() || spec.host_names(name) != *hosts {
            let text = format!("these are not the hosts of `{name}` with {} replicas", spec.replicas);
            report(&path("hosts"), text, "change `hosts` and `spec.replicas` together");
        }
    }
    // With a mistake above, or in a table that was left out, nothing is said about what names those hosts.
    if root.is_sound() && !diagnostics.has_errors() {
        validate_plan(&view(plan), root, diagnostics);
    }
}

/// What of a plan is checked as a scenario is.
fn view(plan: &Plan) -> Scenario {
    let topology = plan.services.iter().map(|service| (service.name.clone(), service.spec.clone()));
    Scenario {
        schema: plan.schema,
        name: plan.scenario.clone(),
        about: String::new(),
        worlds: Vec::new(),
        run: Run { duration: plan.duration, settle: plan.settle, seeds: Seeds::Count(1), tick: plan.tick },
        topology: topology.collect(),
        workloads: plan.workloads.clone(),
        faults: plan.faults.iter().cloned().map(FaultEntry::from).collect(),
        chaos: None,
        expectations: Vec::new(),
    }
}
