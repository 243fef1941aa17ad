//! The rules a type cannot express: names that must exist, numbers in bounds, times that fit.
//!
//! Every rule is checked, whatever the others found; a rule whose question was already answered by a mistake
//! in what it looks at keeps silent. Nothing is changed here.

mod chaos;
mod expect;
mod fault;
mod run;
mod topology;
mod workload;

use super::diagnostic::{Diagnostic, Diagnostics, Place};
use super::document::{Node, Step};
use super::schema::{KAFKA_KIND, REDIS_KIND, Scenario};
use super::suggest;
use super::vocabulary::Vocabulary;
use crate::fault::selects;

/// Most replicas of one service.
const REPLICAS_MAX: u32 = 64;
/// Most hosts of a topology.
const HOSTS_MAX: usize = 256;
/// Most events of all workloads together.
const EVENTS_MAX: u64 = 1_000_000;
/// Most seeds of one case.
const SEEDS_MAX: u64 = 1_000_000;
/// Most faults a scenario names, and most entries of its chaos.
const FAULTS_MAX: usize = 1000;

/// Checks a scenario that was read from `root`.
pub(super) fn validate(
    scenario: &Scenario,
    root: &Node,
    vocabulary: &Vocabulary,
    diagnostics: &mut Diagnostics,
) {
    let mut check = Check::new(scenario, root, vocabulary, diagnostics);
    topology::check(&mut check);
    // Whether a host or a topic exists cannot be said of a topology that is wrong.
    check.topology_is_sound &= !check.reported;
    run::check(&mut check);
    workload::check(&mut check);
    fault::check(&mut check);
    chaos::check(&mut check);
    expect::check(&mut check);
}

/// Checks the workloads and faults of a plan, which stand under the same keys as a scenario's.
///
/// Hosts are names without patterns, and nothing needs to happen before the duration ends: whoever shortens a
/// plan need not also remove what no longer happens. The topology must have been checked.
pub(crate) fn validate_plan(plan: &Scenario, root: &Node, diagnostics: &mut Diagnostics) {
    let vocabulary = Vocabulary::default();
    let mut check = Check::new(plan, root, &vocabulary, diagnostics);
    check.is_plan = true;
    workload::check(&mut check);
    fault::check(&mut check);
}

/// What every rule looks at.
struct Check<'a> {
    scenario: &'a Scenario,
    root: &'a Node,
    vocabulary: &'a Vocabulary,
    diagnostics: &'a mut Diagnostics,
    /// Whether what runs is known: hosts, brokers, topics.
    topology_is_sound: bool,
    /// Whether a mistake was reported.
    reported: bool,
    is_plan: bool,
    /// Every host of a sound topology, by name.
    hosts: Vec<String>,
}

impl<'a> Check<'a> {
    fn new(
        scenario: &'a Scenario,
        root: &'a Node,
        vocabulary: &'a Vocabulary,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let topology_is_sound = root.get("topology").is_none_or(Node::is_sound);
        let mut check = Self {
            scenario,
            root,
            vocabulary,
            diagnostics,
            topology_is_sound,
            reported: false,
            is_plan: false,
            hosts: Vec::new(),
        };
        check.list_hosts();
        check
    }

    /// Not before the replicas are known to be within bounds: they decide how many names there are.
    fn list_hosts(&mut self) {
        let services = &self.scenario.topology;
        self.topology_is_sound &= services.values().all(|service| service.replicas <= REPLICAS_MAX);
        self.hosts = match self.topology_is_sound {
            true => services.iter().flat_map(|(name, service)| service.host_names(name)).collect(),
            false => Vec::new(),
        };
    }

    /// Reports a mistake in the value at `path`.
    fn mistake(&mut self, path: &[Step], message: impl Into<String>, hint: impl Into<String>) {
        let place = self.root.place_of(path);
        self.report(place, message, hint);
    }

    /// Reports a mistake in the key at the end of `path`.
    fn key_mistake(&mut self, path: &[Step], message: impl Into<String>, hint: impl Into<String>) {
        let place = self.root.key_place_of(path);
        self.report(place, message, hint);
    }

    fn warning(&mut self, path: &[Step], message: impl Into<String>, hint: impl Into<String>) {
        let place = self.root.place_of(path);
        self.diagnostics.push(Diagnostic::warning(place, message).hint(hint));
    }

    fn report(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.reported = true;
        self.diagnostics.push(Diagnostic::error(place, message).hint(hint));
    }

    /// Reports a name that is not known.
    fn unknown<'k>(
        &mut self,
        path: &[Step],
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let place = self.root.place_of(path);
        self.unknown_at(place, what, name, known);
    }

    fn unknown_at<'k>(
        &mut self,
        place: Place,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let hint = suggest::hint(name, known).unwrap_or_else(|| format!("no {what} is known at all"));
        self.report(place, format!("unknown {what} `{name}`"), hint);
    }

    /// The node at `path`.
    fn node(&self, path: &[Step]) -> Option<&'a Node> {
        path.iter().try_fold(self.root, |node, step| node.child(step))
    }

    /// Whether nothing at `path` or inside was reported; what is not there is sound.
    fn is_sound(&self, path: &[Step]) -> bool {
        self.node(path).is_none_or(Node::is_sound)
    }

    /// The items of a list, each with the path to where it was read: faulty ones are in the tree only.
    fn rows<T>(&self, path: &[Step], items: &'a [T]) -> Vec<(Vec<Step>, &'a T)> {
        let nodes = self.node(path).map_or(&[][..], Node::array);
        let sound = nodes.iter().enumerate().filter(|(_, node)| !node.faulty);
        sound.zip(items).map(|((index, _), item)| (join(path, [index]), item)).collect()
    }

    /// Reports the second of two rows with the same name.
    fn unique_names<T>(&mut self, rows: &[(Vec<Step>, &T)], name: impl Fn(&T) -> Option<&str>) {
        let mut seen = std::collections::BTreeSet::new();
        for (path, row) in rows {
            if let Some(name) = name(row)
                && !seen.insert(name.to_owned())
            {
                let text = format!("the name `{name}` is taken");
                self.mistake(&join(path, ["name"]), text, "a name decides what is drawn: each needs its own");
            }
        }
    }

    /// Reports `name` at `path` if it selects none of the hosts.
    fn selector(&mut self, path: &[Step], name: &str) {
        if !self.topology_is_sound {
            return;
        }
        let selects = |host: &String| if self.is_plan { host == name } else { selects(name, host) };
        if self.hosts.iter().any(selects) {
            return;
        }
        let known = suggest::hint(name, self.hosts.iter().map(String::as_str));
        let hint = match known {
            _ if self.is_plan && name.contains(['*', '?']) => {
                "a plan names hosts, without patterns".to_owned()
            }
            known => known.unwrap_or_else(|| "the topology has no hosts".to_owned()),
        };
        self.mistake(path, format!("no host is called `{name}`"), hint);
    }

    /// How many brokers the Kafka clusters have, at most; `None` without a cluster.
    fn brokers(&self) -> Option<u32> {
        let services = self.scenario.topology.values();
        services.filter(|service| service.kind == KAFKA_KIND).map(|service| service.replicas).max()
    }

    fn has_redis(&self) -> bool {
        self.scenario.topology.values().any(|service| service.kind == REDIS_KIND)
    }
}

/// `path`, and more steps behind it.
fn join<S: Into<Step>>(path: &[Step], more: impl IntoIterator<Item = S>) -> Vec<Step> {
    path.iter().cloned().chain(more.into_iter().map(Into::into)).collect()
}
