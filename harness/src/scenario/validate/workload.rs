//! Rules for workloads: where events go, how many there are, and that they fit into the run.

use squall_mocks::rule::duration_text;

use super::{Check, EVENTS_MAX, join};
use crate::scenario::document::Step;
use crate::scenario::schema::{Field, KAFKA_KIND, Keys, Workload};

/// Most keys of a workload.
const KEYS_MAX: u32 = 1_000_000;
/// Steepest Zipf exponent: beyond it all events have the first key.
const EXPONENT_MAX: f64 = 10.0;
/// Most fields of a payload.
const FIELDS_MAX: usize = 256;

pub(super) fn check(check: &mut Check<'_>) {
    let path = join(&[], ["workload"]);
    let rows = check.rows(&path, &check.scenario.workloads);
    if rows.is_empty() && !check.is_plan && check.is_sound(&path) {
        check.warning(&path, "the scenario has no workload: nothing will happen", "add a [[workload]]");
    }
    check.unique_names(&rows, |workload| Some(&workload.name));
    let total = rows.iter().fold(0u64, |sum, (_, workload)| sum.saturating_add(workload.count));
    if let Some((path, _)) = rows.last().filter(|_| total > EVENTS_MAX) {
        let text = format!("the workloads have {total} events, more than {EVENTS_MAX}");
        check.mistake(&join(path, ["count"]), text, "lower `count`");
    }
    for (path, workload) in rows {
        load(check, &path, workload);
        target(check, &path, workload);
        payload(check, &path, workload);
    }
}

fn load(check: &mut Check<'_>, path: &[Step], workload: &Workload) {
    let Workload { name, count, rate, .. } = workload;
    if name.trim().is_empty() {
        check.mistake(&join(path, ["name"]), "a workload needs a name", "name = \"place-orders\"");
    }
    if workload.emit.trim().is_empty() {
        check.mistake(&join(path, ["emit"]), "events need a type", "emit = \"order.placed\"");
    }
    if *count == 0 {
        check.mistake(&join(path, ["count"]), "a workload of no events does nothing", "count = 1000");
        return;
    }
    let duration = check.scenario.run.duration;
    let last = rate.due(count - 1);
    let fits = last < duration || check.is_plan || *count > EVENTS_MAX;
    if !fits && check.is_sound(&join(&[], ["run"])) {
        let (last, duration) = (duration_text::format(last), duration_text::format(duration));
        let text = format!(
            "{count} events at {rate} do not fit: the last is due after {last}, at the end of {duration} or later"
        );
        check.mistake(&join(path, ["count"]), text, "lower `count`, or raise `rate` or `run.duration`");
    }
    if workload.producer.delivery_timeout.is_zero() {
        let path = join(path, ["producer", "delivery-timeout"]);
        check.mistake(&path, "no event can be delivered in no time", "delivery-timeout = \"30s\"");
    }
}

fn target(check: &mut Check<'_>, path: &[Step], workload: &Workload) {
    let path = join(path, ["to"]);
    let (cluster, topic) = (workload.cluster(), workload.topic());
    if cluster.is_empty() || topic.is_empty() || topic.contains('/') {
        let text = format!("expected a Kafka cluster and a topic, found {:?}", workload.to);
        check.mistake(&path, text, "to = \"kafka/orders\"");
        return;
    }
    if !check.topology_is_sound {
        return;
    }
    let topology = &check.scenario.topology;
    let clusters = || topology.iter().filter(|(_, service)| service.kind == KAFKA_KIND);
    match clusters().find(|(name, _)| *name == cluster) {
        None => check.unknown(&path, "Kafka cluster", cluster, clusters().map(|(name, _)| name.as_str())),
        Some((_, service)) if !service.topics.is_empty() && !service.topics.contains_key(topic) => {
            check.unknown(&path, "topic", topic, service.topics.keys().map(String::as_str));
        }
        Some(_) => {}
    }
}

fn payload(check: &mut Check<'_>, path: &[Step], workload: &Workload) {
    let (kind, keys) = match workload.keys {
        Keys::Unique => ("unique", 1),
        Keys::Uniform { n } => ("uniform", n),
        Keys::Zipf { n, .. } => ("zipf", n),
    };
    if !(1..=KEYS_MAX).contains(&keys) {
        let text = format!("a workload has 1 to {KEYS_MAX} keys, not {keys}");
        check.mistake(&join(path, ["keys", kind, "n"]), text, "n = 500");
    }
    if let Keys::Zipf { s, .. } = workload.keys
        && !(0.0..=EXPONENT_MAX).contains(&s)
    {
        let text = format!("the exponent `s` is 0 to {EXPONENT_MAX}, not {s}");
        check.mistake(&join(path, ["keys", "zipf", "s"]), text, "s = 1.1");
    }
    if workload.data.len() > FIELDS_MAX {
        check.mistake(&join(path, ["data"]), format!("more than {FIELDS_MAX} fields"), "use fewer fields");
    }
    for (name, field) in &workload.data {
        let path = join(path, ["data", name]);
        match field {
            Field::Range([low, high]) if low > high => {
                let text = format!("nothing is between {low} and {high}");
                check.mistake(&path, text, format!("range = [{high}, {low}]"));
            }
            Field::OneOf(values) if values.is_empty() => {
                check.mistake(&path, "there is nothing to choose from", "one-of = [\"EUR\", \"USD\"]");
            }
            _ => {}
        }
    }
}
