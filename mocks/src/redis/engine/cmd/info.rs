//! `INFO`: the fields clients and test suites read, by section.
//!
//! Fields about the machine (memory, CPU, forks) that a fake cannot know are left out or constant; what is
//! counted is counted as the real server counts it.

use bytes::Bytes;

use super::info_order::complete;
use super::replication;
use crate::redis::engine::Engine;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::eviction::EMPTY_BYTES;
use crate::redis::engine::pubsub::Topic;
use crate::redis::resp::Reply;

/// Writes the fields of a section.
type Fields = fn(&Engine) -> String;

/// Sections in the order in which they are printed.
const SECTIONS: [(&str, Fields); 13] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication::fields),
    ("CPU", cpu),
    ("Modules", |_| String::new()),
    ("Commandstats", |engine| engine.stats.command_lines()),
    ("Errorstats", |engine| engine.stats.error_lines()),
    // Commands take no time here.
    ("Latencystats", |_| String::new()),
    ("Cluster", |engine| format!("cluster_enabled:{}\r\n", u8::from(engine.cluster.is_some()))),
    ("Keyspace", keyspace),
];

/// Printed only when they are asked for.
const NOT_DEFAULT: [&str; 2] = ["Commandstats", "Latencystats"];

pub(crate) fn info(call: &mut Call<'_>) -> Outcome {
    let wanted = call.rest(1);
    let asked = |word: &str| wanted.iter().any(|section| is(section, word));
    let default = wanted.is_empty() || asked("default");
    let everything = asked("all") || asked("everything");
    let parts = SECTIONS
        .iter()
        .filter(|(name, _)| everything || asked(name) || default && !NOT_DEFAULT.contains(name));
    let parts = parts.map(|(name, fields)| format!("# {name}\r\n{}", complete(name, &fields(call.engine))));
    let text = parts.collect::<Vec<_>>().join("\r\n");
    Ok(Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text)))
}

pub(super) fn lines<const N: usize>(fields: [(&str, String); N]) -> String {
    fields.into_iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect()
}

pub(super) fn number(value: impl std::fmt::Display) -> String {
    value.to_string()
}

fn server(engine: &Engine) -> String {
    let uptime = (engine.at.elapsed_us - engine.started.elapsed_us) / 1_000_000;
    let config = |name| engine.config.get(name).unwrap_or_default().to_owned();
    lines([
        ("redis_version", engine.version.number().to_owned()),
        ("redis_git_sha1", "00000000".to_owned()),
        ("redis_git_dirty", number(0)),
        ("redis_build_id", "0".to_owned()),
        ("redis_mode", engine.mode().to_owned()),
        ("os", "squall".to_owned()),
        ("arch_bits", number(64)),
        ("process_id", number(1)),
        ("run_id", engine.run_id.clone()),
        ("tcp_port", config("port")),
        ("server_time_usec", number(engine.at.unix_us)),
        ("uptime_in_seconds", number(uptime)),
        ("uptime_in_days", number(uptime / 86_400)),
        ("hz", config("hz")),
        ("configured_hz", config("hz")),
        ("lru_clock", number(engine.at.unix_us.div_euclid(1_000_000) & 0xff_ffff)),
        ("executable", String::new()),
        ("config_file", String::new()),
        ("io_threads_active", number(0)),
    ])
}

fn clients(engine: &Engine) -> String {
    lines([
        ("connected_clients", number(engine.clients.len())),
        ("cluster_connections", number(0)),
        ("maxclients", engine.config.get("maxclients").unwrap_or_default().to_owned()),
        ("blocked_clients", number(engine.blocked_clients())),
        ("tracking_clients", number(engine.copies.clients())),
        ("clients_in_timeout_table", number(0)),
    ])
}

fn memory(engine: &Engine) -> String {
    let config = |name| engine.config.get(name).unwrap_or_default().to_owned();
    let (used, peak) = (engine.used_memory(), engine.peak_memory());
    lines([
        ("used_memory", number(used)),
        ("used_memory_peak", number(peak)),
        ("used_memory_startup", number(EMPTY_BYTES)),
        ("used_memory_dataset", number(used - EMPTY_BYTES)),
        ("number_of_cached_scripts", number(engine.scripts.len())),
        ("number_of_functions", number(engine.functions.counts().1)),
        ("number_of_libraries", number(engine.functions.counts().0)),
        ("maxmemory", config("maxmemory")),
        ("maxmemory_policy", config("maxmemory-policy")),
        ("mem_fragmentation_ratio", "1.00".to_owned()),
        ("mem_allocator", "rust".to_owned()),
        ("lazyfree_pending_objects", number(0)),
        ("lazyfreed_objects", number(engine.stats.freed_in_thread)),
    ])
}

fn persistence(engine: &Engine) -> String {
    lines([
        ("loading", number(0)),
        ("async_loading", number(0)),
        ("rdb_changes_since_last_save", number(engine.store.dirty())),
        ("rdb_bgsave_in_progress", number(0)),
        ("rdb_last_save_time", number(engine.saved_at_s)),
        ("rdb_last_bgsave_status", "ok".to_owned()),
        ("aof_enabled", number(0)),
        ("aof_rewrite_in_progress", number(0)),
        ("aof_last_write_status", "ok".to_owned()),
    ])
}

fn stats(engine: &Engine) -> String {
    let stats = &engine.stats;
    let tracked = engine.copies.sizes();
    lines([
        ("total_connections_received", number(stats.connections)),
        ("total_commands_processed", number(stats.commands)),
        ("instantaneous_ops_per_sec", number(0)),
        ("rejected_connections", number(stats.rejected_connections)),
        ("sync_full", number(0)),
        ("sync_partial_ok", number(0)),
        ("sync_partial_err", number(0)),
        ("expired_keys", number(stats.expired)),
        ("evicted_keys", number(stats.evicted)),
        ("evicted_clients", number(stats.evicted_clients)),
        ("keyspace_hits", number(stats.hits)),
        ("keyspace_misses", number(stats.misses)),
        ("pubsub_channels", number(engine.pubsub.len(Topic::Channel))),
        ("pubsub_patterns", number(engine.pubsub.len(Topic::Pattern))),
        ("pubsubshard_channels", number(engine.pubsub.len(Topic::Shard))),
        ("latest_fork_usec", number(0)),
        ("total_forks", number(0)),
        ("tracking_total_keys", number(tracked.0)),
        ("tracking_total_items", number(tracked.1)),
        ("tracking_total_prefixes", number(tracked.2)),
        ("unexpected_error_replies", number(0)),
        ("total_error_replies", number(stats.errors)),
    ])
}

fn cpu(_: &Engine) -> String {
    lines([("used_cpu_sys", "0.000000".to_owned()), ("used_cpu_user", "0.000000".to_owned())])
}

fn keyspace(engine: &Engine) -> String {
    let now = engine.at.unix_ms();
    let db = |at: usize| {
        let db = engine.store.db(at);
        let line = format!(
            "db{at}:keys={},expires={},avg_ttl={}\r\n",
            db.len(),
            db.deadlines(),
            db.mean_ttl_ms(now)
        );
        (!db.is_empty()).then_some(line)
    };
    (0..engine.store.databases()).filter_map(db).collect()
}
