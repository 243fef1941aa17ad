//! What connections may take: Kafka's limits with Kafka's defaults.

use std::str::FromStr;
use std::time::Duration;

use super::options::KafkaOptions;
use super::wire::frame::MAX_FRAME;

/// Limits of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request, in bytes (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// Most connections of a node; more wait to be accepted (`max.connections`).
    pub max_connections: usize,
    /// Most connections of a node from one host; more are closed (`max.connections.per.ip`).
    pub max_connections_per_ip: usize,
    /// How long a connection may bring no whole request and a client take no answer
    /// (`connections.max.idle.ms`).
    pub max_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: MAX_FRAME,
            max_connections: usize::MAX,
            max_connections_per_ip: usize::MAX,
            max_idle: Duration::from_secs(600),
        }
    }
}

impl Limits {
    /// The limits in force: a broker's setting by name goes before the field.
    pub(crate) fn of(options: &KafkaOptions) -> Self {
        fn set<T: FromStr>(options: &KafkaOptions, name: &str) -> Option<T> {
            options.broker_configs.get(name)?.parse().ok()
        }
        let Self { max_request_bytes, max_connections, max_connections_per_ip, max_idle } = options.limits;
        Self {
            max_request_bytes: set(options, "socket.request.max.bytes").unwrap_or(max_request_bytes),
            max_connections: set(options, "max.connections").unwrap_or(max_connections),
            max_connections_per_ip: set(options, "max.connections.per.ip").unwrap_or(max_connections_per_ip),
            max_idle: set(options, "connections.max.idle.ms").map_or(max_idle, Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_by_kafkas_name_goes_before_the_field() {
        let mut options = KafkaOptions::brokers(1);
        options.limits.max_connections = 7;
        options.set_broker_config("socket.request.max.bytes", "1000").expect("a setting");
        options.set_broker_config("connections.max.idle.ms", "2000").expect("a setting");
        let limits = Limits::of(&options);
        assert_eq!((limits.max_request_bytes, limits.max_connections), (1000, 7));
        assert_eq!(limits.max_idle, Duration::from_secs(2));
    }
}
