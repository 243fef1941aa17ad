//! Admin calls: what fixtures and readiness checks ask, each of one named broker where that makes sense.
//!
//! Every call is one request. Waiting until the cluster agrees is the caller's business.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, FindCoordinatorRequest,
    GroupId, ListOffsetsRequest, OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::coordinator::Kind;
use super::error::{ClientError, ErrorCode};
use super::isolation::Isolation;
use super::types::TopicPartition;
use super::{Broker, KafkaClient};

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 leaves it to the broker.
    pub partitions: i32,
    /// How many replicas of each; -1 leaves it to the broker.
    pub replication_factor: i16,
    /// Configuration that differs from the broker's.
    pub configs: BTreeMap<String, String>,
}

/// A broker's refusal to create or delete a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicError {
    /// The error.
    pub code: ErrorCode,
    /// What the broker had to say about it.
    pub message: Option<String>,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{} ({message})", self.code),
            None => self.code.fmt(f),
        }
    }
}

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record's.
    Earliest,
    /// That of the record to be appended next.
    Latest,
    /// The first record's at or after this time, Unix milliseconds.
    Timestamp(i64),
}

impl KafkaClient {
    /// Creates topics; answers each one's id or the broker's refusal. Success means that the controller has
    /// accepted it: brokers learn of it later.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
    ) -> Result<BTreeMap<String, Result<Uuid, TopicError>>, ClientError> {
        let config = |(name, value): (&String, &String)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        };
        let topic = |topic: &NewTopic| {
            CreatableTopic::default()
                .with_name(TopicName(text(&topic.name)))
                .with_num_partitions(topic.partitions)
                .with_replication_factor(topic.replication_factor)
                .with_configs(topic.configs.iter().map(config).collect())
        };
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(topic).collect())
            .with_timeout_ms(self.request_timeout_ms());
        let response = self.request_to(&Broker::Controller, &request).await?;
        let answers = response.topics.into_iter().map(|topic| {
            let message = topic.error_message.map(|message| message.to_string());
            let refused = ErrorCode::of(topic.error_code).map(|code| TopicError { code, message });
            (topic.name.to_string(), refused.map_or(Ok(topic.topic_id), Err))
        });
        Ok(answers.collect())
    }

    /// Deletes topics; answers the broker's refusals. Success means that the controller has accepted it:
    /// brokers learn of it later.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came.
    pub async fn delete_topics(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        let topic = |name: &&str| DeleteTopicState::default().with_name(Some(TopicName(text(name))));
        let request = DeleteTopicsRequest::default()
            .with_topics(names.iter().map(topic).collect())
            .with_timeout_ms(self.request_timeout_ms());
        let response = self.request_to(&Broker::Controller, &request).await?;
        let answers = response.responses.into_iter().map(|topic| {
            let name = topic.name.map_or_else(String::new, |name| name.to_string());
            let message = topic.error_message.map(|message| message.to_string());
            (name, ErrorCode::of(topic.error_code).map_or(Ok(()), |code| Err(TopicError { code, message })))
        });
        Ok(answers.collect())
    }

    /// The named configuration of a topic, or all of it, as one broker tells it.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused.
    pub async fn describe_topic_configs(
        &self,
        broker: &Broker,
        topic: &str,
        names: Option<&[&str]>,
    ) -> Result<BTreeMap<String, Option<String>>, ClientError> {
        const TOPIC: i8 = 2;
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configuration_keys(names.map(|names| names.iter().map(|name| text(name)).collect()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let what = || format!("configuration of {topic}");
        let response = self.request_to(broker, &request).await?;
        let result = response.results.into_iter().next().ok_or_else(|| no_answer(what()))?;
        ErrorCode::check(result.error_code, what)?;
        let read =
            |(name, value): (StrBytes, Option<StrBytes>)| (name.to_string(), value.map(|v| v.to_string()));
        Ok(result.configs.into_iter().map(|config| read((config.name, config.value))).collect())
    }

    /// An offset of a partition, asked of its leader. With a timestamp for which there is no record, the
    /// answer is -1.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused, for instance because it does not lead.
    pub async fn list_offset(
        &self,
        partition: &TopicPartition,
        spec: OffsetSpec,
    ) -> Result<i64, ClientError> {
        self.list_offset_for(Isolation::Uncommitted, partition, spec).await
    }

    /// As [`list_offset`](Self::list_offset), for a reader of this kind: where transactions are open, what it
    /// sees ends before them.
    ///
    /// # Errors
    /// As for [`list_offset`](Self::list_offset).
    pub async fn list_offset_for(
        &self,
        isolation: Isolation,
        partition: &TopicPartition,
        spec: OffsetSpec,
    ) -> Result<i64, ClientError> {
        let (node, _) = self.leader(partition).await?;
        self.ask_offset(&Broker::Node(node), isolation, partition, spec).await
    }

    /// An offset of a partition, asked of one broker.
    ///
    /// # Errors
    /// As for [`list_offset`](Self::list_offset).
    pub async fn list_offset_at(
        &self,
        broker: &Broker,
        partition: &TopicPartition,
        spec: OffsetSpec,
    ) -> Result<i64, ClientError> {
        self.ask_offset(broker, Isolation::Uncommitted, partition, spec).await
    }

    async fn ask_offset(
        &self,
        broker: &Broker,
        isolation: Isolation,
        partition: &TopicPartition,
        spec: OffsetSpec,
    ) -> Result<i64, ClientError> {
        let timestamp = match spec {
            OffsetSpec::Latest => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::Timestamp(ms) => ms,
        };
        let asked = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_timestamp(timestamp)
            .with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(text(&partition.topic)))
            .with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation.level())
            .with_topics(vec![topic]);
        let what = || format!("offsets of {partition}");
        let response = self.request_to(broker, &request).await?;
        let answer = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let answer = answer.ok_or_else(|| no_answer(what()))?;
        ErrorCode::check(answer.error_code, what)?;
        Ok(answer.offset)
    }

    /// Node and address of a group's coordinator, as one broker tells it.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused.
    pub async fn find_coordinator(&self, broker: &Broker, group: &str) -> Result<(i32, String), ClientError> {
        self.find_coordinator_of(broker, Kind::Group, group).await
    }

    pub(super) async fn find_coordinator_of(
        &self,
        broker: &Broker,
        kind: Kind,
        key: &str,
    ) -> Result<(i32, String), ClientError> {
        let request = FindCoordinatorRequest::default().with_key(text(key)).with_key_type(kind as i8);
        let response = self.request_to(broker, &request).await?;
        ErrorCode::check(response.error_code, || format!("coordinator of {kind:?} {key}"))?;
        Ok((response.node_id.0, format!("{}:{}", response.host.as_str(), response.port)))
    }

    /// The offsets a group has committed, asked of one broker; none where it has committed none.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused, for instance because it does not coordinate
    /// the group.
    pub async fn offset_fetch(
        &self,
        broker: &Broker,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, ClientError> {
        let request = offset_fetch_request(group, partitions, Isolation::Uncommitted);
        let response = self.request_to(broker, &request).await?;
        let committed = read_committed(group, response)?;
        Ok(committed.into_iter().map(|(partition, at)| (partition, at.map(|(offset, _)| offset))).collect())
    }

    pub(super) fn request_timeout_ms(&self) -> i32 {
        millis(self.options().request_timeout)
    }
}

pub(super) fn offset_fetch_request(
    group: &str,
    partitions: &[TopicPartition],
    isolation: Isolation,
) -> OffsetFetchRequest {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, numbers): (&str, Vec<i32>)| {
        OffsetFetchRequestTopic::default().with_name(TopicName(text(name))).with_partition_indexes(numbers)
    };
    OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_require_stable(isolation == Isolation::Committed)
        .with_topics(Some(topics.into_iter().map(topic).collect()))
}

/// Committed offsets with the epoch of the leader they were read from.
pub(super) fn read_committed(
    group: &str,
    response: OffsetFetchResponse,
) -> Result<BTreeMap<TopicPartition, Option<(i64, i32)>>, ClientError> {
    let what = || format!("committed offsets of group {group}");
    ErrorCode::check(response.error_code, what)?;
    let mut committed = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            ErrorCode::check(partition.error_code, what)?;
            let at = (partition.committed_offset, partition.committed_leader_epoch);
            let at = Some(at).filter(|(offset, _)| *offset >= 0);
            committed.insert(TopicPartition::new(topic.name.as_str(), partition.partition_index), at);
        }
    }
    Ok(committed)
}

/// The protocol's strings, from ours.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Milliseconds as the protocol carries them.
pub(super) fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// An answer that leaves out what was asked for.
pub(super) fn no_answer(what: String) -> ClientError {
    ClientError::Malformed { what, reason: "the answer leaves it out".to_owned() }
}
