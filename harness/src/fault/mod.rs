//! The faults a scenario can name: what can go wrong, not how it is made to.
//!
//! One enum, [`Fault`], serves scenario and plan files. In both a fault is one dotted key, `net.partition`,
//! that holds its settings. Each kind says whether it lasts ([`Needs`]), which hosts it names and which
//! worlds can inject it. Nothing here injects anything.

mod clock;
mod host;
mod http;
mod kafka;
mod net;
mod process;
mod redis;
pub mod unit;

use serde::{Deserialize, Serialize};

pub use clock::{ClockFault, Shift};
pub use host::{Hosts, host_names, selects};
pub use http::{HttpAct, HttpFault};
pub use kafka::KafkaFault;
pub use net::{Direction, NetFault};
pub use process::ProcessFault;
pub use redis::{Keep, RedisFault};

/// Where a scenario can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// Everything simulated, in virtual time.
    Sim,
    /// Real processes on this machine, behind the fault proxy.
    Local,
    /// Containers, behind the fault proxy.
    Containers,
}

impl World {
    /// The name used in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Local => "local",
            Self::Containers => "containers",
        }
    }
}

/// Whether a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// It lasts, and must be told how long with `for`.
    Window,
    /// It is over at once, or only ended by healing: `for` is a mistake.
    Instant,
    /// It may be told how long; otherwise it lasts until everything is healed, or what the kind says.
    Either,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// Between hosts.
    Net(NetFault),
    /// On a host.
    Process(ProcessFault),
    /// Of a host's wall clock.
    Clock(ClockFault),
    /// In the Kafka cluster.
    Kafka(KafkaFault),
    /// In Redis.
    Redis(RedisFault),
    /// In a service called over HTTP.
    Http(HttpFault),
}

impl Fault {
    /// The groups: the first part of a kind's name.
    pub const GROUPS: [&str; 6] = ["net", "process", "clock", "kafka", "redis", "http"];

    /// The names of all kinds, in order of their groups.
    pub const KINDS: [&str; 22] = [
        "net.partition",
        "net.latency",
        "net.reset",
        "net.cut-after",
        "net.bandwidth",
        "net.slice",
        "net.half-open",
        "process.kill",
        "process.pause",
        "clock.jump",
        "kafka.rule",
        "kafka.move-coordinator",
        "kafka.move-leader",
        "kafka.replica-lag",
        "kafka.metadata-lag",
        "redis.rule",
        "redis.failover",
        "redis.restart",
        "redis.flush",
        "redis.evict",
        "redis.readonly",
        "http.rule",
    ];

    /// The kind's name: `net.partition`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Net(fault) => fault.kind(),
            Self::Process(fault) => fault.kind(),
            Self::Clock(fault) => fault.kind(),
            Self::Kafka(fault) => fault.kind(),
            Self::Redis(fault) => fault.kind(),
            Self::Http(fault) => fault.kind(),
        }
    }

    /// Whether it lasts.
    #[must_use]
    pub fn needs(&self) -> Needs {
        match self {
            Self::Net(fault) => fault.needs(),
            Self::Process(fault) => fault.needs(),
            Self::Clock(fault) => fault.needs(),
            Self::Kafka(fault) => fault.needs(),
            Self::Redis(fault) => fault.needs(),
            Self::Http(fault) => fault.needs(),
        }
    }

    /// Whether, without being told how long, it lasts until everything is healed. Others are over at once.
    #[must_use]
    pub fn lingers(&self) -> bool {
        match self {
            Self::Process(ProcessFault::Kill { restart, .. }) => !restart,
            Self::Kafka(KafkaFault::Rule(_)) | Self::Redis(RedisFault::Rule(_)) | Self::Http(_) => true,
            _ => false,
        }
    }

    /// The worlds that can inject it.
    #[must_use]
    pub fn worlds(&self) -> &'static [World] {
        match self {
            Self::Net(fault) => fault.worlds(),
            Self::Process(fault) => fault.worlds(),
            Self::Clock(fault) => fault.worlds(),
            Self::Kafka(fault) => fault.worlds(),
            Self::Redis(fault) => fault.worlds(),
            Self::Http(fault) => fault.worlds(),
        }
    }

    /// The hosts it names, each with the key that names them; a link has two.
    pub fn hosts_mut(&mut self) -> Vec<(&'static str, &mut Hosts)> {
        match self {
            Self::Net(fault) => fault.hosts_mut(),
            Self::Process(fault) => fault.hosts_mut(),
            Self::Clock(fault) => fault.hosts_mut(),
            Self::Kafka(_) | Self::Redis(_) => Vec::new(),
            Self::Http(fault) => fault.hosts_mut(),
        }
    }
}
