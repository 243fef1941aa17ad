//! `KafkaCluster`: Kafka brokers that live in this process and speak the real protocol.
//!
//! A cluster is a synchronous, deterministic state machine (`cluster.rs`) behind a thin shell that does the
//! I/O (`shell.rs`). Its nodes listen wherever a [`Listener`] does: on TCP, on a simulated network, on pipes
//! in memory; clients of any language connect. One file per API under `api/` says what is supported;
//! `SUPPORT.md` sums it up.
//!
//! Records and groups outlive the crash of a node, as on a disk. There is one log per partition, of which every
//! replica has a part from the start on: what not all in sync have may be lost when leaders change, as in Kafka.
//! Lost acknowledgements and wrong answers come from [fault rules](KafkaCluster::rules) and from
//! [distorted metadata](KafkaCluster::distort_metadata).

mod api;
pub mod client;
mod cluster;
mod config;
mod conn;
mod controller;
mod coordinator;
mod group;
mod housekeeping;
mod image;
mod input;
mod inspect;
mod leaders;
mod limits;
mod log;
mod mailbox;
mod matcher;
mod options;
mod partitions;
mod place;
mod quota;
mod replica;
mod requests;
mod sasl;
mod scram;
mod settled;
mod shell;
mod snapshot;
mod throttle;
mod timers;
mod txn;
mod view;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::net::Listener;
use crate::observe::Observer;
use crate::rule::Rules;
use cluster::Cluster;
use config::topic as topic_config;
use controller::NewTopic;
use shell::Shared;

pub use group::assignor::Assignor;
pub use inspect::{NodeView, Offsets};
pub use limits::Limits;
pub use matcher::{KafkaMatch, KafkaRequest, Target};
pub use options::{ConsumerGroupMigration, KafkaError, KafkaOptions};
pub use replica::{ReplicaLag, ReplicaSnapshot};
pub use requests::{RequestRecord, Requests, Unsupported};
pub use sasl::{SaslMechanism, SaslOptions};
pub use snapshot::{CommittedOffset, GroupKind, GroupSnapshot, GroupState, LogRecord, MemberSnapshot};
pub use txn::{TransactionSnapshot, TransactionState};
pub use view::{BrokerView, MetadataView, PartitionView, TopicView};

/// A cluster. Clones are handles to the same one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use squall_mocks::kafka::{KafkaCluster, KafkaMatch, KafkaOptions};
/// use squall_mocks::rule::{Act, Rule};
///
/// let running = KafkaCluster::start_tcp(KafkaOptions::brokers(3)).await?;
/// running.cluster.create_topic("orders", 6).expect("a new topic");
/// // The third produce request is appended, but its acknowledgement is lost.
/// running.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::DropAfter).from_nth(3));
/// println!("connect any client to {}", running.bootstrap);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct KafkaCluster {
    shared: Arc<Shared>,
}

/// A cluster that listens on loopback ports; dropping it stops the nodes.
pub struct RunningCluster {
    /// The cluster's handle.
    pub cluster: KafkaCluster,
    /// `host:port` of every node, separated by commas.
    pub bootstrap: String,
    _nodes: JoinSet<()>,
}

impl KafkaCluster {
    /// A cluster whose nodes are not served yet.
    #[must_use]
    pub fn new(options: KafkaOptions) -> Self {
        Self { shared: Arc::new(Shared::new(Cluster::new(options))) }
    }

    /// Serves a node until its listener ends; dropping the future closes the node's connections and its port,
    /// as the death of its host would. The nodes may be served from several single-threaded runtimes of one
    /// thread, or all from one; a node may be served again after its host came back.
    ///
    /// # Errors
    /// No such node, or the listener's own error.
    pub async fn serve(&self, node: i32, listener: impl Listener) -> Result<(), KafkaError> {
        self.with_node(node, |_, _| ())?;
        let ended = shell::serve(&self.shared, node, listener).await;
        ended.map_err(|error| KafkaError::Listener { node, found: error.to_string() })
    }

    /// Starts a cluster on free loopback ports, one per address of the options, which are replaced.
    ///
    /// # Errors
    /// A port cannot be bound.
    pub async fn start_tcp(mut options: KafkaOptions) -> io::Result<RunningCluster> {
        let mut listeners = Vec::new();
        for address in &mut options.advertised {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            *address = listener.local_addr()?.to_string();
            listeners.push(listener);
        }
        let bootstrap = options.advertised.join(",");
        let cluster = Self::new(options);
        let mut nodes = JoinSet::new();
        for (node, listener) in (1..).zip(listeners) {
            let cluster = cluster.clone();
            nodes.spawn(async move {
                if let Err(error) = cluster.serve(node, listener).await {
                    tracing::error!(%error, "a node stopped");
                }
            });
        }
        Ok(RunningCluster { cluster, bootstrap, _nodes: nodes })
    }

    /// Creates a topic with the default number of replicas. Brokers see it after their metadata lag.
    ///
    /// # Errors
    /// The name is taken or not allowed, or the number is not.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        self.create_topic_with(name, partitions, -1, &[])
    }

    /// Creates a topic; -1 stands for the cluster's default.
    ///
    /// # Errors
    /// As for [`create_topic`](Self::create_topic), and for settings that do not exist.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(&str, &str)],
    ) -> Result<(), KafkaError> {
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let assignments = BTreeMap::new();
        let new = NewTopic { name: name.to_owned(), partitions, replication, assignments, configs };
        let refused = |(error, reason): controller::Refused| KafkaError::Topic {
            topic: name.to_owned(),
            reason: format!("{}: {reason}", wire::errors::name_of(error.code())),
        };
        self.shared.with(|cluster| {
            let topic = cluster.plan_topic(&new).map_err(refused)?;
            cluster.create_topic(name, topic);
            Ok(())
        })
    }

    /// Deletes a topic, its records and the offsets committed for it.
    ///
    /// # Errors
    /// There is no such topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        let deleted = self.shared.with(|cluster| cluster.delete_topic(name));
        if deleted { Ok(()) } else { Err(unknown(name, 0)) }
    }

    /// The fault rules. Every act is honoured for every API; an error goes into the matched topics or
    /// partitions of a request, or into the whole answer where the API has none.
    #[must_use]
    pub fn rules(&self) -> &Rules<KafkaMatch> {
        &self.shared.rules
    }

    /// Tells `observer` of every request, rule hit and event from now on, instead of an earlier observer.
    pub fn observe(&self, observer: Observer) {
        self.shared.observe(observer);
    }

    /// Moves the coordinator of a group to the next live replica of its partition of the offsets topic and
    /// returns that node, or -1 if none lives. The new coordinator knows the group's last stable generation,
    /// its members and offsets; a rebalance under way is lost.
    pub fn move_coordinator(&self, group: &str) -> i32 {
        self.shared.with(|cluster| cluster.move_coordinator(group))
    }

    /// As [`move_coordinator`](Self::move_coordinator), of a transactional id. The new coordinator knows all
    /// the old one knew, and goes on with what was decided.
    pub fn move_transaction_coordinator(&self, transactional_id: &str) -> i32 {
        self.shared.with(|cluster| cluster.move_transaction_coordinator(transactional_id))
    }

    /// Takes the epoch away from whoever uses a transactional id now, as a new producer of that id would: an
    /// open transaction is aborted, and its producer hears of it with its next request.
    ///
    /// # Errors
    /// No such id was initialised, or its coordinator is gone.
    pub fn fence_producer(&self, transactional_id: &str) -> Result<(), KafkaError> {
        let fenced = self.shared.with(|cluster| cluster.fence_producer(transactional_id));
        let unknown = || KafkaError::UnknownTransactionalId(transactional_id.to_owned());
        if fenced { Ok(()) } else { Err(unknown()) }
    }

    /// Makes `to` the leader of a partition; nobody with `None`, until another call names a leader. What the new
    /// leader's replica lacks is lost; one that is not in sync is alone in sync then, until others catch up.
    ///
    /// # Errors
    /// No such partition, or `to` holds no replica of it.
    pub fn move_leader(&self, topic: &str, partition: i32, to: Option<i32>) -> Result<(), KafkaError> {
        self.with_partition(topic, partition, to.as_slice(), |cluster| {
            cluster.move_leader(topic, partition, to);
        })
    }

    /// Makes the next live replica of a partition its leader and returns that node, or -1 if none lives.
    ///
    /// # Errors
    /// No such partition.
    pub fn move_leader_on(&self, topic: &str, partition: i32) -> Result<i32, KafkaError> {
        let mut node = -1;
        self.with_partition(topic, partition, &[], |cluster| {
            node = cluster.move_leader_on(topic, partition).unwrap_or(-1);
        })?;
        Ok(node)
    }

    /// Sets which replicas are in sync. The others copy nothing until they are named here, or until their
    /// [lag](Self::set_replica_lag) is changed. A leader that is not in sync loses its place.
    ///
    /// # Errors
    /// No such partition, or a node that holds no replica of it.
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[i32]) -> Result<(), KafkaError> {
        self.with_partition(topic, partition, isr, |cluster| cluster.set_isr(topic, partition, isr))
    }

    /// Lets a node apply metadata only that long after the controller changed it. `None` ends the lag and
    /// applies what is pending.
    ///
    /// # Errors
    /// No such node.
    pub fn set_metadata_lag(&self, node: i32, lag: Option<Duration>) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| {
            if let Some(node) = cluster.nodes.get_mut(&node) {
                node.set_lag(lag);
            }
            cluster.recheck_fetches();
        })
    }

    /// Edits what a node tells of the cluster, on every answer, until it is restored: a broker missing or at a
    /// wrong address, a topic with another id, a partition gone, a setting changed. What the node does is not
    /// touched. The closure runs under the cluster's lock and must not call the cluster.
    ///
    /// # Errors
    /// No such node.
    pub fn distort_metadata(
        &self,
        node: i32,
        distort: impl FnMut(&mut MetadataView) + Send + 'static,
    ) -> Result<(), KafkaError> {
        self.set_distortion(node, Some(Box::new(distort)))
    }

    /// Lets a node tell the truth again, as far as it knows it.
    ///
    /// # Errors
    /// No such node.
    pub fn restore_metadata(&self, node: i32) -> Result<(), KafkaError> {
        self.set_distortion(node, None)
    }

    /// A node's process dies: its connections close at once, new ones are refused, and after the time of
    /// failure detection its leaderships and groups move.
    ///
    /// # Errors
    /// No such node.
    pub fn node_down(&self, node: i32) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| cluster.node_down(node))?;
        self.shared.close_node(node);
        Ok(())
    }

    /// A node's process is back. It leads what nobody else can; elsewhere another leads, its replicas go after it,
    /// and are in sync once they have caught up. Leaderships move back at a check every five minutes, if
    /// [`auto_leader_rebalance`](KafkaOptions::auto_leader_rebalance) is on.
    ///
    /// # Errors
    /// No such node.
    pub fn node_up(&self, node: i32) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| cluster.node_up(node))
    }

    /// Looks for old segments at once, in every topic, as the check of retention does every five minutes:
    /// `retention.ms` and `retention.bytes` delete whole segments, the one being written to included.
    pub fn expire_now(&self) {
        self.shared.with(|cluster| cluster.expire(|_| true));
    }

    /// Runs the cleaner of compacted topics at once, as it runs every 15 seconds: it takes the logs that are dirty
    /// enough (`min.cleanable.dirty.ratio`, `max.compaction.lag.ms`), and of these all but the segment being
    /// written to.
    pub fn compact_now(&self) {
        self.shared.with(Cluster::compact);
    }

    /// The first offset of a partition; none if there is no such partition.
    #[must_use]
    pub fn start_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.shared.with(|cluster| cluster.log_of(topic, partition).map(log::Log::start))
    }

    /// The next offset of a partition; none if there is no such partition.
    #[must_use]
    pub fn end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.shared.with(|cluster| cluster.end_offset(topic, partition))
    }

    /// Every record of a partition.
    ///
    /// # Errors
    /// No such partition, or a batch that cannot be read.
    pub fn log(&self, topic: &str, partition: i32) -> Result<Vec<LogRecord>, KafkaError> {
        self.log_from(topic, partition, 0)
    }

    /// The records of a partition from an offset on.
    ///
    /// # Errors
    /// No such partition, or a batch that cannot be read.
    pub fn log_from(&self, topic: &str, partition: i32, offset: i64) -> Result<Vec<LogRecord>, KafkaError> {
        self.shared.with(|cluster| {
            let log = cluster.log_of(topic, partition).ok_or_else(|| unknown(topic, partition))?;
            let unreadable = |found| KafkaError::Unreadable { topic: topic.to_owned(), partition, found };
            log.from(offset).map_err(unreadable)
        })
    }

    /// The records of a partition from an offset on, as a reader of committed records is given them: no further
    /// than the first transaction that is open, without those of aborted ones.
    ///
    /// # Errors
    /// No such partition, or a batch that cannot be read.
    pub fn committed_from(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Vec<LogRecord>, KafkaError> {
        self.shared.with(|cluster| {
            let log = cluster.log_of(topic, partition).ok_or_else(|| unknown(topic, partition))?;
            let unreadable = |found| KafkaError::Unreadable { topic: topic.to_owned(), partition, found };
            log.committed_from(offset).map_err(unreadable)
        })
    }

    /// A group as its coordinator knows it; none if it has neither members nor offsets.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<GroupSnapshot> {
        self.shared.with(|cluster| cluster.group_snapshot(group))
    }

    /// A transactional id as its coordinator knows it; none if it was not initialised or has expired.
    #[must_use]
    pub fn transaction(&self, transactional_id: &str) -> Option<TransactionSnapshot> {
        self.shared.with(|cluster| cluster.transaction_snapshot(transactional_id))
    }

    /// The true leader of a partition, if there is one.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared.with(|cluster| cluster.truth.partition(topic, partition).and_then(|p| p.leader))
    }

    fn set_distortion(&self, node: i32, distortion: Option<image::Distortion>) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| {
            if let Some(node) = cluster.nodes.get_mut(&node) {
                node.distortion = distortion;
            }
        })
    }

    fn with_node(&self, node: i32, act: impl FnOnce(&mut Cluster, i32)) -> Result<(), KafkaError> {
        self.shared.with(|cluster| {
            let brokers = cluster.nodes.len();
            if !cluster.nodes.contains_key(&node) {
                return Err(KafkaError::UnknownNode { node, brokers });
            }
            act(cluster, node);
            Ok(())
        })
    }

    fn with_partition(
        &self,
        topic: &str,
        partition: i32,
        nodes: &[i32],
        act: impl FnOnce(&mut Cluster),
    ) -> Result<(), KafkaError> {
        self.shared.with(|cluster| {
            let known = cluster.truth.partition(topic, partition).ok_or_else(|| unknown(topic, partition))?;
            if let Some(node) = nodes.iter().find(|node| !known.replicas.contains(node)) {
                let (topic, replicas) = (topic.to_owned(), known.replicas.clone());
                return Err(KafkaError::NotReplica { topic, partition, node: *node, replicas });
            }
            act(cluster);
            Ok(())
        })
    }
}

/// The names of all APIs served, as [`KafkaMatch::api`] takes them, in the order of their numbers on the wire.
pub fn api_names() -> impl Iterator<Item = &'static str> {
    wire::keys::APIS.iter().map(|api| api.name)
}

/// Reads a request as a node does, its length cut off, and says which API and version it is.
///
/// # Errors
/// What was expected, and what was found.
pub fn read_request(frame: &[u8]) -> Result<(&'static str, i16), String> {
    let request =
        api::Request::decode(bytes::Bytes::copy_from_slice(frame)).map_err(|error| error.to_string())?;
    Ok((request.head.api.name, request.head.version))
}

/// The code of an error by Kafka's name: `NOT_LEADER_OR_FOLLOWER`.
#[must_use]
pub fn error_code(name: &str) -> Option<i16> {
    wire::errors::code_of(name)
}

fn unknown(topic: &str, partition: i32) -> KafkaError {
    KafkaError::UnknownPartition { topic: topic.to_owned(), partition }
}
