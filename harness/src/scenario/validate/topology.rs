//! Rules for the topology: known kinds, hosts within bounds, names that can be told apart.

use std::collections::BTreeMap;

use super::{Check, HOSTS_MAX, REPLICAS_MAX, join};
use crate::scenario::document::Step;
use crate::scenario::schema::{KAFKA_KIND, Service};

/// Most partitions of a topic.
const PARTITIONS_MAX: u32 = 1024;
/// Longest name of a service: with a number behind it, it is a label of a host's name.
const NAME_MAX: usize = 48;

pub(super) fn check(check: &mut Check<'_>) {
    let scenario = check.scenario;
    let path = join(&[], ["topology"]);
    if scenario.topology.is_empty() && check.is_sound(&path) {
        let hint = "[topology.worker]\nkind = \"orders.worker\"";
        check.mistake(&path, "the topology has no service", hint);
    }
    for (name, entry) in &scenario.topology {
        let path = join(&path, [name.as_str()]);
        service(check, &path, name, entry);
        topics(check, &path, entry);
    }
    hosts(check, &path);
}

fn service<'a>(check: &mut Check<'a>, path: &[Step], name: &str, service: &'a Service) {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edges = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(letters) || edges {
        let text = format!("`{}` cannot be part of a host's name", name.escape_debug());
        let hint = format!("use up to {NAME_MAX} of a-z, 0-9 and -, no - at the ends");
        check.key_mistake(path, text, hint);
    }
    let vocabulary = check.vocabulary;
    if !vocabulary.service_kinds.contains(&service.kind) {
        let known = vocabulary.service_kinds.iter().map(String::as_str);
        check.unknown(&join(path, ["kind"]), "kind of service", &service.kind, known);
    }
    if service.replicas == 0 || service.replicas > REPLICAS_MAX {
        let text = format!("a service has 1 to {REPLICAS_MAX} replicas, not {}", service.replicas);
        check.mistake(&join(path, ["replicas"]), text, "replicas = 3");
    }
    let topology = &check.scenario.topology;
    // A name that is there but faulty is known all the same.
    let known: Vec<&str> = match check.node(&join(&[], ["topology"])).and_then(|node| node.table()) {
        Some(table) => table.keys().map(String::as_str).collect(),
        None => topology.keys().map(String::as_str).collect(),
    };
    for (path, used) in check.rows(&join(path, ["uses"]), &service.uses) {
        if !known.contains(&used.as_str()) {
            check.unknown(&path, "service", used, known.iter().copied());
        }
    }
}

fn topics(check: &mut Check<'_>, path: &[Step], service: &Service) {
    let path = join(path, ["topics"]);
    if !service.topics.is_empty() && service.kind != KAFKA_KIND {
        let hint = format!("move them to the service of kind \"{KAFKA_KIND}\"");
        check.key_mistake(&path, "only a Kafka cluster has topics", hint);
        return;
    }
    for (name, topic) in &service.topics {
        let path = join(&path, [name.as_str()]);
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty()
            || name.len() > 249
            || !name.chars().all(letters)
            || matches!(name.as_str(), "." | "..")
        {
            let text = format!("`{}` is no name of a topic", name.escape_debug());
            check.key_mistake(&path, text, "use up to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`, as Kafka does");
        }
        if !(1..=PARTITIONS_MAX).contains(&topic.partitions) {
            let text = format!("a topic has 1 to {PARTITIONS_MAX} partitions, not {}", topic.partitions);
            check.mistake(&join(&path, ["partitions"]), text, "partitions = 6");
        }
        if let Some(copies) = topic.replication
            && !(1..=service.replicas).contains(&copies)
        {
            let text = format!("{copies} copies do not fit on {} brokers", service.replicas);
            let hint = "each copy needs a broker of its own: raise `replicas`, or lower `replication`";
            check.mistake(&join(&path, ["replication"]), text, hint);
        }
    }
}

/// Two services may not end up with the same host: `worker-1`, and the first of `worker`.
fn hosts(check: &mut Check<'_>, path: &[Step]) {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (name, service) in &check.scenario.topology {
        if service.replicas > REPLICAS_MAX {
            continue;
        }
        for host in service.host_names(name) {
            if let Some(other) = owners.insert(host.clone(), name.clone()) {
                let text = format!("the host `{host}` would belong to `{other}` and to `{name}`");
                check.key_mistake(&join(path, [name.as_str()]), text, "rename one of the services");
            }
        }
    }
    if owners.len() > HOSTS_MAX {
        let text = format!("the topology has {} hosts, more than {HOSTS_MAX}", owners.len());
        check.mistake(path, text, "lower the replicas");
    }
}
