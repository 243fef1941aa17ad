//! Rules for faults: exactly one kind, a time or a point, hosts that exist, worlds that can inject it.

use std::time::Duration;

use squall_mocks::kafka::api_names;
use squall_mocks::redis::command_names;
use squall_mocks::rule::{Rule, duration_text};

use super::{Check, FAULTS_MAX, join};
use crate::fault::{
    ClockFault, Fault, HttpAct, HttpFault, KafkaFault, Needs, NetFault, ProcessFault, RedisFault, World,
    selects,
};
use crate::scenario::document::{Node, Step};
use crate::scenario::schema::{FaultEntry, KAFKA_KIND, REDIS_KIND, SINK_KIND};

pub(super) fn check(check: &mut Check<'_>) {
    let path = join(&[], ["fault"]);
    let rows = check.rows(&path, &check.scenario.faults);
    check.unique_names(&rows, |entry| entry.name.as_deref());
    if rows.len() > FAULTS_MAX && !check.is_plan {
        check.mistake(&path, format!("more than {FAULTS_MAX} faults"), "leave faults to [chaos]");
    }
    for (path, entry) in rows {
        name(check, &path, entry);
        trigger(check, &path, entry);
        if let Some(fault) = one_kind(check, &path, entry.faults()) {
            window(check, &path, &fault, entry.lasts.is_some());
            length(check, &path, entry);
            worlds(check, &path, &fault, entry.when.is_some());
            settings(check, &path, fault, entry.when.is_some());
        }
    }
}

fn name(check: &mut Check<'_>, path: &[Step], entry: &FaultEntry) {
    let path = join(path, ["name"]);
    match entry.name.as_deref() {
        Some(name) if name.trim().is_empty() => {
            check.mistake(&path, "an empty name names nothing", "name = \"crash-in-the-gap\"");
        }
        Some(name) if name.starts_with("chaos.") && !check.is_plan => {
            check.mistake(&path, "names that begin with `chaos.` are given to what chaos draws", "rename it");
        }
        _ => {}
    }
}

/// The fault of an entry that has exactly one.
pub(super) fn one_kind(check: &mut Check<'_>, path: &[Step], faults: Vec<Fault>) -> Option<Fault> {
    let node = check.node(path)?;
    let groups: Vec<&str> = Fault::GROUPS.into_iter().filter(|group| node.get(group).is_some()).collect();
    match groups.as_slice() {
        // A kind that was misspelt is a faulty key and was reported.
        [] if node.is_sound() => {
            let text = "this fault has no kind: nothing would go wrong";
            check.mistake(path, text, "net.partition = { between = [[\"worker-1\"], [\"kafka-*\"]] }");
        }
        [first, second, ..] => {
            let text = format!("a fault has one kind, and this one has `{first}.…` and `{second}.…`");
            check.key_mistake(&join(path, [*second]), text, "make two faults of it");
        }
        _ => {}
    }
    if groups.len() == 1 { faults.into_iter().next() } else { None }
}

fn trigger(check: &mut Check<'_>, path: &[Step], entry: &FaultEntry) {
    let has = |key: &str| check.node(path).is_some_and(|node| node.get(key).is_some());
    match (has("at"), has("when")) {
        (true, true) => {
            let text = "a fault happens `at` a time or `when` a point is passed, not both";
            check.key_mistake(&join(path, ["when"]), text, "remove one, or make two faults of it");
        }
        (false, false) if check.is_sound(path) => {
            let text = "this fault never happens: it has neither `at` nor `when`";
            check.mistake(
                path,
                text,
                "at = \"20s\", or when = { point = \"processor.after-effect\", nth = 17 }",
            );
        }
        _ => {}
    }
    let duration = check.scenario.run.duration;
    if entry.at.is_some_and(|at| at >= duration) && !check.is_plan && check.is_sound(&join(&[], ["run"])) {
        let text =
            format!("this is after the end of the run's duration of {}", duration_text::format(duration));
        check.mistake(
            &join(path, ["at"]),
            text,
            "faults happen within `run.duration`; what follows is settling",
        );
    }
    let Some(when) = &entry.when else { return };
    let vocabulary = check.vocabulary;
    let path = join(path, ["when"]);
    if !vocabulary.points.contains(&when.point) && !check.is_plan {
        let known = vocabulary.points.iter().map(String::as_str);
        check.unknown(&join(&path, ["point"]), "point", &when.point, known);
    }
    if when.nth == 0 {
        check.mistake(&join(&path, ["nth"]), "passages are counted from 1", "nth = 1");
    }
    if let Some(hosts) = &when.host {
        names(check, &join(&path, ["host"]), hosts.names());
    }
}

/// Whether `for` is there exactly when the kind of fault wants it.
pub(super) fn window(check: &mut Check<'_>, path: &[Step], fault: &Fault, given: bool) {
    let kind = fault.kind();
    match fault.needs() {
        Needs::Window if !given && check.is_sound(path) => {
            let text = format!("`{kind}` lasts: it needs to be told how long");
            check.mistake(path, text, "for = \"5s\"");
        }
        Needs::Instant if given => {
            let text = format!("`{kind}` does not last: `for` means nothing here");
            check.key_mistake(&join(path, ["for"]), text, "remove `for`");
        }
        _ => {}
    }
}

fn length(check: &mut Check<'_>, path: &[Step], entry: &FaultEntry) {
    let path = join(path, ["for"]);
    let Some(lasts) = entry.lasts else { return };
    if lasts.is_zero() {
        check.mistake(&path, "a fault of no length is no fault", "for = \"5s\"");
    }
    let duration = check.scenario.run.duration;
    let ends = entry.at.unwrap_or(Duration::ZERO).saturating_add(lasts);
    if ends > duration && !check.is_plan && check.is_sound(&join(&[], ["run"])) {
        let text = format!("this ends after the run's duration of {}", duration_text::format(duration));
        check.warning(&path, text, "everything is healed then; shorten it, or lengthen `run.duration`");
    }
}

/// Whether the worlds of the scenario can inject it.
pub(super) fn worlds(check: &mut Check<'_>, path: &[Step], fault: &Fault, by_point: bool) {
    let can = |world: &World| fault.worlds().contains(world) && (!by_point || *world == World::Sim);
    let kind = fault.kind();
    let (able, unable): (Vec<World>, Vec<World>) = check.scenario.worlds.iter().partition(|world| can(world));
    let names = unable.iter().map(|world| world.name()).collect::<Vec<_>>().join(", ");
    let what = if by_point { format!("`{kind}` at a point") } else { format!("`{kind}`") };
    if unable.is_empty() {
        return;
    }
    if able.is_empty() {
        let text = format!("{what} cannot be injected in any of the scenario's worlds ({names})");
        check.mistake(path, text, "add \"sim\" to `worlds`, or choose another fault");
    } else {
        let text = format!("{what} cannot be injected in {names}: runs there go without it");
        check.warning(path, text, "remove the world from `worlds`, or accept it");
    }
}

/// The settings of a fault: the hosts it names, and numbers.
pub(super) fn settings(check: &mut Check<'_>, path: &[Step], fault: Fault, by_point: bool) {
    let kind = fault.kind();
    let path = join(path, kind.split('.'));
    let mut named = fault.clone();
    let mut ends: Vec<(Vec<Step>, Vec<String>)> = Vec::new();
    for (key, hosts) in named.hosts_mut() {
        let place = join(&path, [key]);
        // The two ends of a link are two lists under one key.
        let place = if matches!(key, "link" | "between") { join(&place, [ends.len()]) } else { place };
        ends.push((place, hosts.names().to_vec()));
    }
    for (place, hosts) in &ends {
        names(check, place, hosts);
    }
    if let [(_, left), (_, right)] = ends.as_slice() {
        two_ends(check, &path, left, right);
    }
    match fault {
        Fault::Net(fault) => net(check, &path, &fault),
        Fault::Process(ProcessFault::Kill { host: None, .. } | ProcessFault::Pause { host: None })
            if !by_point =>
        {
            let text = format!("`{kind}` names no host, and no point says which one passed");
            check.mistake(&path, text, "host = \"worker-1\", or trigger it with `when`");
        }
        Fault::Process(_) => {}
        Fault::Clock(fault) => clock(check, &path, &fault),
        Fault::Kafka(fault) => kafka(check, &path, kind, &fault),
        Fault::Redis(fault) => redis(check, &path, kind, &fault),
        Fault::Http(fault) => http(check, &path, &fault),
    }
}

/// Every one of the names, at `path` or in the list there, selects a host.
fn names(check: &mut Check<'_>, path: &[Step], names: &[String]) {
    let list = !check.node(path).map_or(&[][..], Node::array).is_empty();
    for (index, name) in names.iter().enumerate() {
        let place = if list { join(path, [index]) } else { path.to_vec() };
        check.selector(&place, name);
    }
}

/// A link from a host to itself carries nothing.
fn two_ends(check: &mut Check<'_>, path: &[Step], left: &[String], right: &[String]) {
    let chosen = |names: &[String]| -> Vec<&String> {
        check.hosts.iter().filter(|host| names.iter().any(|name| selects(name, host))).collect()
    };
    if let ([one], [other]) = (chosen(left).as_slice(), chosen(right).as_slice())
        && one == other
    {
        let text = format!("both ends are `{one}`");
        check.mistake(path, text, "name two different hosts");
    }
}

fn net(check: &mut Check<'_>, path: &[Step], fault: &NetFault) {
    match fault {
        NetFault::Latency { add, jitter, .. } if add.is_zero() && jitter.is_zero() => {
            check.mistake(&join(path, ["add"]), "this adds no latency at all", "add = \"150ms\"");
        }
        NetFault::Slice { max_bytes: 0, .. } => {
            check.mistake(&join(path, ["max-bytes"]), "a piece has at least one byte", "max-bytes = 1");
        }
        _ => {}
    }
}

fn clock(check: &mut Check<'_>, path: &[Step], fault: &ClockFault) {
    let ClockFault::Jump { host, by, .. } = fault;
    if by.is_zero() {
        check.mistake(&join(path, ["by"]), "this does not move the clock at all", "by = \"1h\"");
    }
    let unmoved: Vec<String> = check
        .scenario
        .topology
        .iter()
        .filter(|(_, service)| matches!(service.kind.as_str(), KAFKA_KIND | SINK_KIND))
        .flat_map(|(name, service)| service.host_names(name))
        .filter(|name| host.names().iter().any(|selector| selects(selector, name)))
        .collect();
    if let Some(name) = unmoved.first().filter(|_| check.topology_is_sound) {
        let text = format!("the clock of `{name}` cannot be set: brokers and sinks have none of their own");
        check.mistake(&join(path, ["host"]), text, "name a Redis server or a service");
    }
}

fn kafka(check: &mut Check<'_>, path: &[Step], kind: &str, fault: &KafkaFault) {
    let Some(brokers) = check.brokers() else {
        if check.topology_is_sound {
            let text = format!("`{kind}` has no host: the topology has no Kafka cluster");
            check.mistake(path, text, format!("[topology.kafka]\nkind = \"{KAFKA_KIND}\""));
        }
        return;
    };
    let mut node_exists = |key: &[&str], node: i32| {
        if !check.topology_is_sound {
            return;
        }
        if u32::try_from(node).is_ok_and(|node| (1..=brokers).contains(&node)) {
            return;
        }
        let text = format!("there is no broker {node}");
        check.mistake(&join(path, key.iter().copied()), text, format!("brokers are 1 to {brokers}"));
    };
    match fault {
        KafkaFault::Rule(request) => {
            if let Some(node) = request.matcher.node {
                node_exists(&["match", "node"], node);
            }
            if let Some(api) =
                request.matcher.api.as_deref().filter(|api| !api_names().any(|name| name == *api))
            {
                check.unknown(&join(path, ["match", "api"]), "API of Kafka", api, api_names());
            }
            rule(check, path, request);
        }
        KafkaFault::MetadataLag { node, .. } => node_exists(&["node"], *node),
        KafkaFault::MoveLeader { topic, partition, to } => {
            if let Some(node) = to {
                node_exists(&["to"], *node);
            }
            partition_exists(check, path, topic, *partition);
        }
        KafkaFault::ReplicaLag { topic } => partition_exists(check, path, topic, 0),
        KafkaFault::MoveCoordinator { .. } => {}
    }
}

fn partition_exists(check: &mut Check<'_>, path: &[Step], topic: &str, partition: i32) {
    let clusters = check.scenario.topology.values();
    let topics: Vec<_> = clusters.flat_map(|service| &service.topics).collect();
    // A topology that names no topics has them created by whoever asks.
    if topics.is_empty() || !check.topology_is_sound {
        return;
    }
    match topics.iter().find(|(name, _)| *name == topic) {
        None => {
            let known = topics.iter().map(|(name, _)| name.as_str());
            check.unknown(&join(path, ["topic"]), "topic", topic, known);
        }
        Some((_, spec)) => {
            if !u32::try_from(partition).is_ok_and(|partition| partition < spec.partitions) {
                let text = format!("`{topic}` has no partition {partition}");
                let hint = format!("partitions are 0 to {}", spec.partitions.saturating_sub(1));
                check.mistake(&join(path, ["partition"]), text, hint);
            }
        }
    }
}

fn redis(check: &mut Check<'_>, path: &[Step], kind: &str, fault: &RedisFault) {
    if !check.has_redis() && check.topology_is_sound {
        let text = format!("`{kind}` has no host: the topology has no Redis");
        check.mistake(path, text, format!("[topology.redis]\nkind = \"{REDIS_KIND}\""));
    }
    if let RedisFault::Rule(request) = fault {
        let known = |command: &String| command_names().any(|name| name.eq_ignore_ascii_case(command));
        if let Some(command) = request.matcher.command.as_ref().filter(|command| !known(command)) {
            check.unknown(&join(path, ["match", "command"]), "command of Redis", command, command_names());
        }
        if request.act.is_of_kafka_only() {
            check.mistake(&join(path, ["act"]), "only Kafka has such a thing", "act = \"drop-after\"");
        }
        rule(check, path, request);
    }
}

fn rule<M>(check: &mut Check<'_>, path: &[Step], rule: &Rule<M>) {
    if rule.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
        let text = "expected a probability from 0 to 1";
        check.mistake(&join(path, ["probability"]), text, "probability = 0.02 is 2 in a hundred");
    }
    for (key, value) in [("nth", rule.nth), ("count", rule.count)] {
        if value == Some(0) {
            check.mistake(&join(path, [key]), "this never happens", format!("{key} = 1"));
        }
    }
}

fn http(check: &mut Check<'_>, path: &[Step], fault: &HttpFault) {
    let HttpFault::Rule { host, act, count, .. } = fault;
    let sinks: Vec<String> = check
        .scenario
        .topology
        .iter()
        .filter(|(_, service)| service.kind == SINK_KIND)
        .flat_map(|(name, service)| service.host_names(name))
        .collect();
    let chosen = |name: &String| host.names().iter().any(|selector| selects(selector, name));
    let known = host.names().iter().all(|selector| check.hosts.iter().any(|name| selects(selector, name)));
    if known && check.topology_is_sound && !sinks.iter().any(chosen) {
        let text = format!("none of these hosts is a `{SINK_KIND}`, and only those have such rules");
        let hint = if sinks.is_empty() { format!("kind = \"{SINK_KIND}\"") } else { sinks.join(", ") };
        check.mistake(&join(path, ["host"]), text, hint);
    }
    if let HttpAct::Status(status) = act
        && !(200..=599).contains(status)
    {
        let text = format!("{status} is no final status of HTTP");
        check.mistake(&join(path, ["act", "status"]), text, "act = { status = 503 }");
    }
    if *count == Some(0) {
        check.mistake(&join(path, ["count"]), "this never happens", "count = 1");
    }
}
