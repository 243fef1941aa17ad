//! The parameters that are looked at with every command: limits of memory and of patience, as numbers.

use super::config::Config;
use super::eviction::{Policy, Rank};
use crate::redis::store::NodeLimits;

/// Copies of parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning {
    /// `maxmemory` in bytes; 0 for no limit.
    pub(super) memory_limit: usize,
    pub(super) policy: Policy,
    /// Keys drawn to find one to evict.
    pub(super) memory_samples: usize,
    /// How much harder each use is to count than the one before.
    pub(super) lfu_factor: f64,
    /// Minutes after which a count of uses shrinks by one; 0 for never.
    pub(super) lfu_decay_minutes: i64,
    /// Microseconds from which on a command is slow; negative for never.
    pub(super) slower_than_us: i64,
    /// Milliseconds from which on latency is watched; 0 for never.
    pub(super) latency_threshold_ms: i64,
    /// Whether writes need replicas that keep up: `min-replicas-to-write` and `min-replicas-max-lag`.
    pub(super) needs_replicas: bool,
    /// When a node of a stream is full.
    pub(crate) stream_nodes: NodeLimits,
    /// Whether histograms of latency are kept.
    pub(super) tracks_latency: bool,
    /// `maxclients`.
    pub(super) most_clients: usize,
    /// `timeout` in seconds; 0 for never.
    pub(super) timeout_s: i64,
    /// `maxmemory-clients` in bytes; 0 for no limit.
    pub(super) clients_memory_limit: usize,
}

impl Tuning {
    /// Whether eviction goes by what is known of each key alone, so that no two may share a value.
    pub(super) fn tells_keys_apart(&self) -> bool {
        self.memory_limit > 0 && matches!(self.policy.rank, Rank::Idle | Rank::Rare)
    }

    pub(super) fn read(config: &Config) -> Self {
        let text = |name| config.get(name).unwrap_or_default();
        let integer = |name| text(name).parse::<i64>().unwrap_or(0);
        let size = |name| usize::try_from(integer(name)).unwrap_or(0);
        Self {
            memory_limit: size("maxmemory"),
            policy: Policy::parse(text("maxmemory-policy")),
            memory_samples: size("maxmemory-samples"),
            lfu_factor: text("lfu-log-factor").parse().unwrap_or(10.0),
            lfu_decay_minutes: integer("lfu-decay-time"),
            slower_than_us: integer("slowlog-log-slower-than"),
            latency_threshold_ms: integer("latency-monitor-threshold"),
            needs_replicas: integer("min-replicas-to-write") > 0 && integer("min-replicas-max-lag") > 0,
            stream_nodes: NodeLimits {
                bytes: integer("stream-node-max-bytes").cast_unsigned(),
                entries: integer("stream-node-max-entries").cast_unsigned(),
            },
            tracks_latency: text("latency-tracking") == "yes",
            most_clients: size("maxclients"),
            timeout_s: integer("timeout"),
            clients_memory_limit: match text("maxmemory-clients").strip_suffix('%') {
                Some(percent) => size("maxmemory") / 100 * percent.parse::<usize>().unwrap_or(0),
                None => size("maxmemory-clients"),
            },
        }
    }
}
