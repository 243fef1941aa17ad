//! What a broker says of the cluster: brokers, topics, leaders; cached for clients, raw for readiness checks.
//!
//! Brokers apply changes at different times, so an answer may be older than one seen before. The cache keeps,
//! for each partition, what was said under the newest leader epoch, as long as the topic is the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::error::{ClientError, ErrorCode};
use super::types::TopicPartition;
use super::{Broker, KafkaClient};

/// The cluster as one broker described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterMetadata {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The controller's node.
    pub controller: Option<i32>,
    /// Advertised `host:port` of every live broker, by node id.
    pub brokers: BTreeMap<i32, String>,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicMetadata>,
}

/// A topic as one broker described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMetadata {
    /// The topic's id; a topic that was deleted and created again has another one.
    pub id: Uuid,
    /// Why the broker cannot describe the topic.
    pub error: Option<ErrorCode>,
    /// Partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// A partition as one broker described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// What is wrong with the partition.
    pub error: Option<ErrorCode>,
    /// The leader's node.
    pub leader: Option<i32>,
    /// Counts the partition's leaders.
    pub leader_epoch: i32,
    /// Nodes that hold a replica.
    pub replicas: Vec<i32>,
    /// Nodes whose replica is in sync.
    pub isr: Vec<i32>,
}

/// Who leads a partition.
pub(super) struct Leader {
    pub(super) node: i32,
    /// `host:port`.
    pub(super) address: String,
    pub(super) epoch: i32,
}

impl ClusterMetadata {
    fn read(response: MetadataResponse) -> Self {
        let address = |host: &str, port: i32| format!("{host}:{port}");
        let brokers = response.brokers.iter().map(|b| (b.node_id.0, address(&b.host, b.port))).collect();
        let named = |topic: MetadataResponseTopic| {
            let name = topic.name.as_ref().map_or_else(String::new, |name| name.to_string());
            (name, TopicMetadata::read(topic))
        };
        Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: Some(response.controller_id.0).filter(|node| *node >= 0),
            brokers,
            topics: response.topics.into_iter().map(named).collect(),
        }
    }

    /// Keeps, of `older`, what this answer cannot know better.
    fn merge(&mut self, older: &Self) {
        for (name, topic) in &mut self.topics {
            let Some(old) = older.topics.get(name).filter(|old| old.id == topic.id) else { continue };
            for (number, partition) in &mut topic.partitions {
                let newer = |old: &&PartitionMetadata| old.leader_epoch > partition.leader_epoch;
                if let Some(old) = old.partitions.get(number).filter(newer) {
                    *partition = old.clone();
                }
            }
        }
    }

    fn knows(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.error.is_none())
    }
}

impl TopicMetadata {
    fn read(topic: MetadataResponseTopic) -> Self {
        let partition = |partition: MetadataResponsePartition| {
            let nodes = |ids: &[kafka_protocol::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
            let described = PartitionMetadata {
                error: ErrorCode::of(partition.error_code),
                leader: Some(partition.leader_id.0).filter(|node| *node >= 0),
                leader_epoch: partition.leader_epoch,
                replicas: nodes(&partition.replica_nodes),
                isr: nodes(&partition.isr_nodes),
            };
            (partition.partition_index, described)
        };
        Self {
            id: topic.topic_id,
            error: ErrorCode::of(topic.error_code),
            partitions: topic.partitions.into_iter().map(partition).collect(),
        }
    }
}

/// What the client remembers.
#[derive(Default)]
pub(super) struct MetadataCache {
    state: Mutex<State>,
    /// Held while one caller asks, so that others wait for its answer instead of asking too.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    image: Option<(Arc<ClusterMetadata>, Instant)>,
    /// Counts the answers.
    version: u64,
    /// Someone has learnt that the image is wrong.
    stale: bool,
    /// Topics anyone asked for, as far as they exist.
    topics: BTreeSet<String>,
    /// Which candidate is asked first: they take turns.
    turn: usize,
}

impl MetadataCache {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KafkaClient {
    /// The cluster's metadata, at most as old as [`metadata_max_age`](super::ClientOptions::metadata_max_age),
    /// with at least `topics` in it. A topic may carry an error; no topic is created by asking.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], if no broker answers.
    pub async fn metadata(&self, topics: &[&str]) -> Result<Arc<ClusterMetadata>, ClientError> {
        let cache = &self.inner.metadata;
        let max_age = self.options().metadata_max_age;
        let version = {
            let state = cache.lock();
            let fresh = state.image.as_ref().filter(|(image, at)| {
                !state.stale && at.elapsed() <= max_age && topics.iter().all(|topic| image.knows(topic))
            });
            if let Some((image, _)) = fresh {
                return Ok(Arc::clone(image));
            }
            state.version
        };
        let _asking = cache.asking.lock().await;
        let names: Vec<String> = {
            let mut state = cache.lock();
            let covered = topics.iter().all(|topic| state.topics.contains(*topic));
            if let Some((image, _)) = state.image.as_ref().filter(|_| covered && state.version != version) {
                return Ok(Arc::clone(image));
            }
            state.topics.extend(topics.iter().map(|topic| (*topic).to_owned()));
            state.topics.iter().cloned().collect()
        };
        let request = names_request(&names);
        let mut image = ClusterMetadata::read(self.request_any(&request).await?);
        let mut state = cache.lock();
        if let Some((older, _)) = &state.image {
            image.merge(older);
        }
        // What does not exist is not asked for again by itself, so wrong names do not pile up.
        state.topics.retain(|topic| {
            let error = image.topics.get(topic).and_then(|topic| topic.error);
            error.is_none_or(|error| error.0 != ResponseError::UnknownTopicOrPartition)
        });
        let image = Arc::new(image);
        state.image = Some((Arc::clone(&image), Instant::now()));
        state.version += 1;
        state.stale = false;
        Ok(image)
    }

    /// Makes the next [`metadata`](Self::metadata) ask a broker again.
    pub fn invalidate_metadata(&self) {
        self.inner.metadata.lock().stale = true;
    }

    /// What one broker says, `topics` being all there are if none are named. Neither cached nor merged.
    ///
    /// # Errors
    /// [`ClientError`], if the broker does not answer.
    pub async fn metadata_from(
        &self,
        broker: &Broker,
        topics: Option<&[String]>,
    ) -> Result<ClusterMetadata, ClientError> {
        let request = topics.map_or_else(
            || MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false),
            names_request,
        );
        let response = self.request_to(broker, &request).await?;
        Ok(ClusterMetadata::read(response))
    }

    /// The topic with this id as one broker describes it; none if that broker knows no such topic.
    ///
    /// # Errors
    /// [`ClientError`], if the broker does not answer.
    pub async fn topic_by_id(&self, broker: &Broker, id: Uuid) -> Result<Option<TopicMetadata>, ClientError> {
        let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        let request =
            MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        let response = self.request_to(broker, &request).await?;
        let topics = ClusterMetadata::read(response).topics;
        let unknown = |topic: &TopicMetadata| {
            topic.error.is_some_and(|error| {
                matches!(error.0, ResponseError::UnknownTopicId | ResponseError::UnknownTopicOrPartition)
            })
        };
        Ok(topics.into_values().next().filter(|topic| !unknown(topic)))
    }

    /// Node and address of a partition's leader.
    pub(super) async fn leader(&self, partition: &TopicPartition) -> Result<(i32, String), ClientError> {
        let image = self.metadata(&[&partition.topic]).await?;
        let missing = || ClientError::NotFound(format!("the leader of {partition}"));
        let topic = image.topics.get(&*partition.topic).ok_or_else(missing)?;
        if let Some(code) = topic.error {
            return Err(ClientError::Refused { what: format!("metadata of {partition}"), code });
        }
        let leader = topic.partitions.get(&partition.partition).and_then(|partition| partition.leader);
        let found = leader.and_then(|node| Some((node, image.brokers.get(&node)?.clone())));
        if found.is_none() {
            self.invalidate_metadata();
        }
        found.ok_or_else(missing)
    }

    /// Looks leaders up in what is known already; nobody is known to lead while that is out of date.
    pub(super) fn leaders_known(&self) -> impl Fn(&TopicPartition) -> Option<Leader> + use<> {
        let state = self.inner.metadata.lock();
        let max_age = self.options().metadata_max_age;
        let fresh = state.image.as_ref().filter(|(_, at)| !state.stale && at.elapsed() <= max_age);
        let image = fresh.map(|(image, _)| Arc::clone(image));
        move |partition| {
            let image = image.as_ref()?;
            let topic = image.topics.get(&*partition.topic).filter(|topic| topic.error.is_none())?;
            let known = topic.partitions.get(&partition.partition)?;
            let node = known.leader?;
            Some(Leader { node, address: image.brokers.get(&node)?.clone(), epoch: known.leader_epoch })
        }
    }

    /// The advertised address of a broker.
    pub(super) async fn address_of(&self, node: i32) -> Result<String, ClientError> {
        if let Some(address) = self.metadata(&[]).await?.brokers.get(&node) {
            return Ok(address.clone());
        }
        self.invalidate_metadata();
        let address = self.metadata(&[]).await?.brokers.get(&node).cloned();
        address.ok_or_else(|| ClientError::NotFound(format!("broker {node}")))
    }

    /// Addresses to try in turn: the brokers that are known, then the bootstrap brokers.
    pub(super) fn candidates(&self) -> Vec<String> {
        let mut state = self.inner.metadata.lock();
        let known = state.image.iter().flat_map(|(image, _)| image.brokers.values());
        let mut known: Vec<String> = known.cloned().collect();
        let mut bootstrap = self.options().bootstrap.clone();
        bootstrap.retain(|address| !known.contains(address));
        for addresses in [&mut known, &mut bootstrap] {
            let turn = state.turn.checked_rem(addresses.len()).unwrap_or(0);
            addresses.rotate_left(turn);
        }
        state.turn = state.turn.wrapping_add(1);
        known.append(&mut bootstrap);
        known
    }
}

fn names_request(names: impl AsRef<[String]>) -> MetadataRequest {
    let topic = |name: &String| {
        MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
    };
    MetadataRequest::default()
        .with_topics(Some(names.as_ref().iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}
