//! What is said about each mistake, and where.

use squall::scenario::Severity;

use crate::support::{VALID, changed, load, mistakes};

/// One change of the valid scenario, and what must be said: the text at the place, and parts of message and
/// hint.
struct Mistake {
    from: &'static str,
    to: &'static str,
    at: &'static str,
    message: &'static str,
    hint: &'static str,
}

const fn mistake(
    from: &'static str,
    to: &'static str,
    at: &'static str,
    message: &'static str,
    hint: &'static str,
) -> Mistake {
    Mistake { from, to, at, message, hint }
}

const PARTITION: &str = "net.partition = { between = [[\"worker-1\"], [\"kafka-*\"]], direction = \"both\" }";
const MOVE: &str = "kafka.move-coordinator = { group = \"billing\" }";
const KILL: &str = "process.kill = { restart = true }";

#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    // Keys, names and types.
    mistake("about =", "abuot =", "abuot", "unknown key `abuot`", "did you mean `about`"),
    mistake("count = 2000", "cuont = 2000", "cuont", "unknown key `cuont`", "did you mean `count`"),
    mistake("rate = \"200/s\"\n", "", "[[workload]]", "the key `rate` is missing", "rate = \"200/s\""),
    mistake("count = 2000", "count = \"many\"", "\"many\"", "expected a whole number", ""),
    mistake("count = 2000", "count = -5", "-5", "expected a whole number", ""),
    mistake("\"sim\"", "\"simm\"", "\"simm\"", "unknown name `simm`", "did you mean `sim`"),
    mistake("net.partition", "net.partion", "partion", "unknown fault `net.partion`", "did you mean `partition`"),
    mistake("net.partition", "nett.partition", "nett", "unknown key `nett`", "did you mean `net`"),
    mistake("direction = \"both\"", "direction = \"sideways\"", "\"sideways\"", "unknown name `sideways`", "`both`, `forward`"),
    mistake("direction = \"both\"", "derection = \"both\"", "derection", "unknown key `derection`", "did you mean `direction`"),
    mistake("[[\"worker-1\"], [\"kafka-*\"]]", "[[\"worker-1\"]]", "[[\"worker-1\"]]", "expected a list of length 2", ""),
    mistake("fake = \"email\"", "fake = \"emial\"", "\"emial\"", "unknown name `emial`", "did you mean `email`"),
    mistake("{ range = [1, 100000] }", "{ rnge = [1, 2] }", "rnge", "unknown key `rnge`", "did you mean `range`"),
    mistake("range = [1, 100000]", "range = [9, 1]", "{ range = [9, 1] }", "nothing is between 9 and 1", "range = [1, 9]"),
    mistake("test = true", "test = 2026-01-01", "2026-01-01", "no key takes a date", "write it as text"),
    mistake("s = 1.1", "s = nan", "nan", "expected a finite number", ""),
    mistake("schema = 1", "schema = 2", "2", "version 2", "schema = 1"),
    // Quantities.
    mistake("duration = \"60s\"", "duration = \"60\"", "\"60\"", "expected a duration with a unit", ""),
    mistake("settle = \"60s\"", "settle = 60", "60", "a duration with a unit like", ""),
    mistake("tick = \"1ms\"", "tick = \"1500us\"", "\"1500us\"", "whole milliseconds", ""),
    mistake("\"200/s\"", "\"0/s\"", "\"0/s\"", "a rate above zero", ""),
    mistake("count = 2000", "count = 0", "0", "a workload of no events", ""),
    mistake("count = 2000", "count = 2000000", "2000000", "more than 1000000", ""),
    mistake("\"200/s\"", "\"20/s\"", "2000", "do not fit", "raise `rate`"),
    mistake("seeds = 200", "seeds = 0", "0", "no seed means no run", ""),
    mistake("seeds = 200", "seeds = []", "[]", "no seed means no run", ""),
    mistake("seeds = 200", "seeds = 2000000", "2000000", "more than 1000000", ""),
    mistake("duplicate = 0.02", "duplicate = 1.5", "1.5", "a probability from 0 to 1", ""),
    mistake("replicas = 3", "replicas = 0", "0", "1 to 64 replicas", ""),
    mistake("replicas = 3", "replicas = 65", "65", "1 to 64 replicas", ""),
    mistake("n = 500", "n = 0", "0", "1 to 1000000 keys", ""),
    // Topology.
    mistake("kind = \"squall.redis\"", "kind = \"squall.rdis\"", "\"squall.rdis\"", "unknown kind of service", "did you mean `squall.redis`"),
    mistake("uses = [\"kafka\", \"redis\"]", "uses = [\"kafak\", \"redis\"]", "\"kafak\"", "unknown service `kafak`", "did you mean `kafka`"),
    mistake("partitions = 6", "partitions = 0", "0", "1 to 1024 partitions", ""),
    mistake("\"kafka/orders\"", "\"kafka/order\"", "\"kafka/order\"", "unknown topic `order`", "did you mean `orders`"),
    mistake("\"kafka/orders\"", "\"orders\"", "\"orders\"", "expected a Kafka cluster and a topic", "kafka/orders"),
    mistake("\"kafka/orders\"", "\"redis/orders\"", "\"redis/orders\"", "unknown Kafka cluster `redis`", "kafka"),
    // Faults.
    mistake("[\"worker-1\"], [\"kafka-*\"]", "[\"redsi\"], [\"kafka-*\"]", "\"redsi\"", "no host is called `redsi`", "did you mean `redis`"),
    mistake("[\"worker-1\"], [\"kafka-*\"]", "[\"worker-1\"], [\"kafka-1\", \"broker-*\"]", "\"broker-*\"", "no host is called `broker-*`", "known are"),
    mistake("[\"worker-1\"], [\"kafka-*\"]", "[\"redis\"], [\"redis\"]", "{ between = [[\"redis\"], [\"redis\"]], direction = \"both\" }", "both ends are `redis`", ""),
    mistake("[\"worker-1\"], [\"kafka-*\"]", "[], [\"kafka-*\"]", "[]", "at least one host", ""),
    mistake("point = \"processor.after-effect\"", "point = \"procesor.after-effect\"", "\"procesor.after-effect\"", "unknown point", "did you mean `processor.after-effect`"),
    mistake("nth = 17 }", "nth = 0 }", "0", "counted from 1", ""),
    mistake("at = \"20s\"\n", "", "[[fault]]", "it has neither `at` nor `when`", "at = "),
    mistake("at = \"20s\"", "at = \"20s\"\nwhen = { point = \"processor.after-effect\" }", "when", "not both", ""),
    mistake("at = \"20s\"", "at = \"60s\"", "\"60s\"", "after the end of the run's duration", ""),
    mistake("for = \"8s\"\n", "", "[[fault]]", "`net.partition` lasts", "for ="),
    mistake("at = \"35s\"", "at = \"35s\"\nfor = \"1s\"", "for", "`kafka.move-coordinator` does not last", "remove `for`"),
    mistake(PARTITION, "", "[[fault]]", "has no kind", ""),
    mistake(PARTITION, "net.reset = { link = [\"redis\", \"worker\"] }\nredis.flush = {}", "redis", "a fault has one kind", ""),
    mistake(PARTITION, "process.kill = {}", "{}", "names no host", ""),
    mistake(PARTITION, "process.pause = {}", "{}", "names no host", ""),
    mistake("for = \"8s\"\nnet", "process.pause = { host = \"redis\" }\n#", "[[fault]]", "`process.pause` lasts", "for ="),
    mistake(MOVE, "clock.jump = { host = \"redis\", by = \"0s\" }", "\"0s\"", "does not move the clock", "1h"),
    mistake(MOVE, "clock.jump = { host = \"kafka-*\", by = \"1h\" }", "\"kafka-*\"", "the clock of `kafka-1` cannot be set", ""),
    mistake(MOVE, "clock.jump = { host = \"redis\", by = \"-1h\" }", "\"-1h\"", "between 0 and 100 years", ""),
    mistake(MOVE, "clock.jump = { host = \"redis\", by = \"1h\" }\nfor = \"1s\"", "for", "does not last", ""),
    mistake(KILL, "net.reset = { link = [\"redis\", \"worker-*\"] }", "for", "does not last", ""),
    mistake("partition = 5", "partition = 6", "6", "no partition 6", "0 to 5"),
    mistake("to = 2", "to = 4", "4", "there is no broker 4", "1 to 3"),
    mistake("nth = 3 }", "probability = 1.5 }", "1.5", "a probability from 0 to 1", ""),
    mistake("api = \"produce\"", "api = \"Produce\"", "\"Produce\"", "unknown API of Kafka `Produce`", "did you mean `produce`"),
    mistake(MOVE, "redis.rule = { match = { command = \"GTE\" }, act = \"silence\" }", "\"GTE\"", "unknown command of Redis `GTE`", "did you mean `get`"),
    mistake("act = \"drop-after\"", "act = \"drop-aftr\"", "\"drop-aftr\"", "unknown name `drop-aftr`", "did you mean `drop-after`"),
    mistake("at = \"35s\"", "at = \"35s\"\nname = \"crash-in-the-gap\"", "\"crash-in-the-gap\"", "is taken", ""),
    mistake("replicas = 3", "replicas = 4000000000", "4000000000", "1 to 64 replicas", ""),
    mistake("name = \"crash-in-the-gap\"", "name = \"chaos.crash\"", "\"chaos.crash\"", "begin with `chaos.`", ""),
    // Chaos.
    mistake("weight = 4", "weight = 0", "0", "a weight is 1 to 100", ""),
    mistake("max-concurrent = 2", "max-concurrent = 0", "0", "faults at once", ""),
    mistake("mean = \"6s\"", "mean = \"1ms\"", "\"1ms\"", "more than 10000 times", ""),
    mistake("min = \"200ms\"", "min = \"20s\"", "{ min = \"20s\", max = \"10s\" }", "`min` is longer than `max`", ""),
    mistake("gap = { mean = \"6s\" }\n", "", "[[chaos.any]]", "the key `gap` is missing", "gap ="),
    // Expectations.
    mistake("always = \"idempotent\"", "always = \"idempotnt\"", "\"idempotnt\"", "unknown checker `idempotnt`", "did you mean `idempotent`"),
    mistake("always = \"idempotent\"", "alwys = \"idempotent\"", "alwys", "unknown key `alwys`", "did you mean `always`"),
    mistake("sometimes = \"dedup.suppressed\"", "sometimes = \"dedup.supressed\"", "\"dedup.supressed\"", "unknown point or fault", "did you mean `dedup.suppressed`"),
    mistake("sometimes = \"dedup.suppressed\"", "sometimes = \"crash-in-the-gap.hit\"", "\"crash-in-the-gap.hit\"", "unknown point or fault", "did you mean `crash-in-the-gap`"),
    mistake("sometimes = \"dedup.suppressed\"", "sometimes = \"drained\"", "\"drained\"", "cannot be counted", "always = \"drained\""),
    mistake("never = \"phantom\"", "never = \"phantm\"", "\"phantm\"", "unknown mishap `phantm`", "did you mean `phantom`"),
    mistake("never = \"phantom\"", "never = \"no-phantom\"", "\"no-phantom\"", "`no-phantom` is a promise", "always = \"no-phantom\""),
    mistake("after = \"last-heal\"", "after = \"load-end\"", "\"load-end\"", "unknown name `load-end`", "`last-heal`"),
    mistake("consumer.lag < 1000", "consumer.lagg < 1000", "\"consumer.lagg < 1000\"", "unknown metric `consumer.lagg`", "did you mean `consumer.lag`"),
    mistake("consumer.lag < 1000", "consumer.lag < lots", "\"consumer.lag < lots\"", "expected a comparison", "< <="),
    mistake("key = \"order_id\", effect", "effect", "{ effect = \"card.charged\" }", "needs to be told `key`", "key ="),
    mistake("effect = \"card", "efect = \"card", "efect", "unknown key of `idempotent` `efect`", "did you mean `effect`"),
    mistake("within = \"30s\"", "within = \"90s\"", "\"90s\"", "longer than `run.settle` of 1m", "run.settle"),
    mistake("at-least = 1", "within = \"1s\"", "within", "`within` goes with `eventually`", ""),
    mistake("at-least = 1", "at-least = 0", "0", "zero times always holds", ""),
    mistake("never = \"phantom\"", "never = \"phantom\"\nalways = \"phantom\"", "never", "found `always` and `never`", ""),
    mistake("never = \"phantom\"", "", "[[expect]]", "found none", "always ="),
    // Parameters.
    mistake("\"${workers}\"", "\"${workrs}\"", "\"${workrs}\"", "unknown parameter `workrs`", "did you mean `workers`"),
    mistake("workers = [1, 3]", "workers = []", "[]", "needs a list of plain values", ""),
    mistake("\"${dedup-ttl}\"", "\"${dedup-ttl\"", "\"${dedup-ttl\"", "without its `}`", ""),
    // Syntax.
    mistake("seeds = 200", "seeds = = 200", "=", "this is not TOML", ""),
];

#[test]
fn each_mistake_is_shown_at_its_place_with_a_way_out() {
    for Mistake { from, to, at, message, hint } in MISTAKES {
        let text = changed(from, to);
        let found = mistakes(&text);
        let errors: Vec<_> = found.iter().filter(|record| record.severity == Severity::Error).collect();
        let what = || format!("{from:?} -> {to:?}: {errors:#?}");
        assert!(!errors.is_empty(), "{}", what());
        let expected = errors.iter().find(|record| record.message.contains(message));
        let record = expected.unwrap_or_else(|| panic!("no {message:?} for {}", what()));
        let line = text.lines().nth(record.line.unwrap_or(0) - 1).unwrap_or_default();
        let shown: String = line.chars().skip(record.column.unwrap_or(1) - 1).collect();
        assert!(shown.starts_with(at), "expected {at:?}, found {shown:?} for {}", what());
        let end = shown.chars().count().min(at.chars().count());
        let length = record.end_column.unwrap_or(0) - record.column.unwrap_or(0);
        assert_eq!(length, end, "the whole of {at:?} is marked for {}", what());
        assert!(record.hint.as_deref().unwrap_or_default().contains(hint), "no {hint:?} for {}", what());
        // One mistake is one diagnostic: what only follows from it is not said.
        assert_eq!(errors.len(), 1, "{}", what());
    }
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = changed("count = 2000", "count = 0")
        .replace("\"10m\"", "\"10m\"\nunused = 1")
        .replace("always = \"idempotent\"", "always = \"idempotnt\"")
        .replace("net.partition", "net.partion")
        .replace("settle = \"60s\"", "settle = 60")
        .replace("fake = \"email\"", "fake = \"emial\"")
        .replace("kind = \"squall.redis\"", "kind = \"squall.rdis\"");
    let found = mistakes(&text);
    for expected in
        ["idempotnt", "net.partion", "with a unit", "emial", "squall.rdis", "`unused` is never used"]
    {
        assert!(found.iter().any(|record| record.message.contains(expected)), "{expected}: {found:#?}");
    }
    let lines: Vec<_> = found.iter().map(|record| record.line).collect();
    assert!(lines.is_sorted(), "in the order of the file: {lines:?}");
}

#[test]
fn every_missing_key_is_named() {
    let text = changed("rate = \"200/s\"\n", "").replace("count = 2000\n", "").replace("emit = ", "emti = ");
    let text = text.replace("[\"worker-1\"], [\"kafka-*\"]", "[\"worker-9\"], [\"kafka-*\"]");
    let found = mistakes(&text);
    let messages: Vec<&str> = found.iter().map(|record| record.message.as_str()).collect();
    let expected = [
        "the key `count` is missing",
        "the key `rate` is missing",
        "unknown key `emti`",
        "no host is called `worker-9`",
    ];
    assert_eq!(messages, expected);
    let plan =
        squall::plan::Plan::parse("x.plan.toml", "schema = 1\n[[fault]]\nat = 3").expect_err("mistakes");
    let shown = plan.to_string();
    for part in [
        "`scenario` is missing",
        "`seed` is missing",
        "`settle` is missing",
        "`name` is missing",
        "with a unit",
    ] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}

#[test]
fn a_diagnostic_shows_the_line_and_marks_the_place() {
    let shown = load(&changed("net.partition", "net.partion")).expect_err("a mistake").render(false);
    let expected = [
        "error: unknown fault `net.partion`",
        "test.toml:52:5",
        "52 | net.partion = { between",
        "   |     ^^^^^^^",
        "help: did you mean `partition`?",
    ];
    for part in expected {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    let coloured = load(&changed("net.partition", "net.partion")).expect_err("a mistake").render(true);
    assert!(coloured.contains("\u{1b}[") && !shown.contains('\u{1b}'));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warnings = |text: &str| {
        let loaded = load(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        loaded.warnings.records().into_iter().map(|record| record.message).collect::<Vec<_>>().join("; ")
    };
    let tail = VALID.rfind("[[expect]]").expect("expectations");
    assert!(warnings(&VALID[..tail]).contains("no `sometimes`"));
    assert!(warnings(&changed("\"10m\"", "\"10m\"\nspare = 3")).contains("`spare` is never used"));
    assert!(warnings(&changed("for = \"8s\"", "for = \"8m\"")).contains("ends after the run's duration"));
    assert!(warnings(&changed("[\"sim\"]", "[\"sim\", \"local\"]")).contains("cannot be injected in local"));
}

#[test]
fn a_fault_no_world_of_the_scenario_can_inject_is_a_mistake() {
    let found = mistakes(&changed("[\"sim\"]", "[\"containers\"]"));
    assert!(
        found.iter().any(|record| record.message.contains("`process.kill` at a point cannot be injected"))
    );
    assert!(found.iter().any(|record| record.message.contains("`redis.failover` cannot be injected")));
}

#[test]
fn a_fault_in_a_service_the_topology_lacks_is_a_mistake() {
    let text = "schema = 1\nname = \"x\"\n[topology.w]\nkind = \"squall.processor\"\n\
                [[fault]]\nat = \"1s\"\nredis.flush = {}\n[[fault]]\nat = \"1s\"\n\
                kafka.move-coordinator = { group = \"g\" }\n[[expect]]\nsometimes = \"dedup.suppressed\"";
    let found = mistakes(text);
    assert!(found.iter().any(|record| record.message.contains("`redis.flush` has no host")), "{found:#?}");
    assert!(found.iter().any(|record| record.message.contains("`kafka.move-coordinator` has no host")));
}

#[test]
fn an_unknown_override_is_a_mistake() {
    let mut options = crate::support::options();
    options.overrides = vec![("worker".to_owned(), "3".to_owned())];
    let found = crate::support::load_files(&[("test.toml", VALID)], &options).expect_err("a mistake");
    let shown = found.to_string();
    assert!(shown.contains("no parameter `worker`") && shown.contains("did you mean `workers`"), "{shown}");
    assert!(shown.contains("--set:1:1"), "{shown}");
}

#[test]
fn what_is_counted_may_be_a_point_a_fault_or_what_its_rule_did() {
    let text = changed("at = \"40s\"", "at = \"40s\"\nname = \"lost-ack\"");
    for name in ["processor.before-effect", "crash-in-the-gap", "lost-ack", "lost-ack.hit"] {
        let text = text.replace("sometimes = \"dedup.suppressed\"", &format!("sometimes = \"{name}\""));
        assert!(load(&text).is_ok(), "{name}");
    }
}

#[test]
fn commands_of_redis_may_be_written_in_any_case_and_with_a_subcommand() {
    for command in ["set", "SET", "Client|Kill", "unknown"] {
        let rule = format!("redis.rule = {{ match = {{ command = \"{command}\" }}, act = \"silence\" }}");
        assert!(load(&changed(MOVE, &rule)).is_ok(), "{command}");
    }
}
