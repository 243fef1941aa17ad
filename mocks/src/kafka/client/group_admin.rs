//! Admin calls about groups and transactional ids: who is a member of what, which offsets are forgotten, whether a
//! coordinator serves.
//!
//! Every call is one request to one broker, except that a group is looked for under both protocols. Waiting until
//! the cluster agrees is the caller's business.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, DescribeTransactionsRequest, GroupId,
    InitProducerIdRequest, OffsetDeleteRequest, ProducerId, TopicName, TransactionalId,
};
use kafka_protocol::messages::{
    consumer_group_describe_response as consumer, describe_groups_response as classic,
};

use super::admin::{no_answer, text};
use super::assignor::{read_assignment, read_subscription};
use super::coordinator::Kind;
use super::error::{ClientError, ErrorCode};
use super::types::TopicPartition;
use super::{Broker, KafkaClient};

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Kafka's name of the state: `Stable`, `PreparingRebalance`, `Assigning`.
    pub state: String,
    /// The members by id.
    pub members: BTreeMap<String, MemberDescription>,
}

/// A member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberDescription {
    /// The name of the member's client.
    pub client_id: String,
    /// Topics it subscribes to by name. A classic group tells them only while it is stable.
    pub topics: BTreeSet<String>,
    /// Partitions it has.
    pub assigned: BTreeSet<TopicPartition>,
    /// Partitions it is to have. The same as `assigned` where the protocol knows no difference.
    pub target: BTreeSet<TopicPartition>,
}

/// How a coordinator describes a group of one protocol; none where it has no such group of that protocol.
type Described = Result<Option<GroupDescription>, ClientError>;

impl KafkaClient {
    /// A group of either protocol, asked of its coordinator; none if it does not exist.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused, for instance because it does not coordinate
    /// the group.
    pub async fn describe_group(&self, broker: &Broker, group: &str) -> Described {
        match self.describe_consumer_group(broker, group).await {
            // Also what a broker answers that is older than the protocol.
            Ok(None) | Err(ClientError::Unsupported { .. }) => {
                self.describe_classic_group(broker, group).await
            }
            described => described,
        }
    }

    async fn describe_consumer_group(&self, broker: &Broker, group: &str) -> Described {
        let what = || format!("description of group {group}");
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
        let response = self.request_to(broker, &request).await?;
        let described = response.groups.into_iter().next().ok_or_else(|| no_answer(what()))?;
        if described.error_code == ResponseError::GroupIdNotFound.code() {
            return Ok(None);
        }
        ErrorCode::check(described.error_code, what)?;
        let member = |member: consumer::Member| {
            let read = MemberDescription {
                client_id: member.client_id.to_string(),
                topics: member.subscribed_topic_names.iter().map(|name| name.to_string()).collect(),
                assigned: partitions(&member.assignment),
                target: partitions(&member.target_assignment),
            };
            (member.member_id.to_string(), read)
        };
        Ok(Some(GroupDescription {
            state: described.group_state.to_string(),
            members: described.members.into_iter().map(member).collect(),
        }))
    }

    async fn describe_classic_group(&self, broker: &Broker, group: &str) -> Described {
        let what = || format!("description of group {group}");
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
        let response = self.request_to(broker, &request).await?;
        let described = response.groups.into_iter().next().ok_or_else(|| no_answer(what()))?;
        if described.error_code == ResponseError::GroupIdNotFound.code() {
            return Ok(None);
        }
        ErrorCode::check(described.error_code, what)?;
        // Brokers before the error called it dead.
        if described.group_state.as_str() == "Dead" {
            return Ok(None);
        }
        let of_consumers = described.protocol_type.as_str() == "consumer";
        let member = |member: classic::DescribedGroupMember| {
            let mut read =
                MemberDescription { client_id: member.client_id.to_string(), ..MemberDescription::default() };
            if of_consumers {
                if !member.member_metadata.is_empty() {
                    read.topics = read_subscription(member.member_metadata)?.into_iter().collect();
                }
                read.assigned = read_assignment(member.member_assignment)?.into_iter().collect();
                read.target.clone_from(&read.assigned);
            }
            Ok((member.member_id.to_string(), read))
        };
        Ok(Some(GroupDescription {
            state: described.group_state.to_string(),
            members: described.members.into_iter().map(member).collect::<Result<_, ClientError>>()?,
        }))
    }

    /// Makes a group's coordinator forget the offsets of partitions; answers its refusals. A group that does not
    /// exist has none to forget, which is no error.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused all of it, for instance because it does not
    /// coordinate the group.
    pub async fn delete_offsets(
        &self,
        broker: &Broker,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, ErrorCode>, ClientError> {
        let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let asked = OffsetDeleteRequestPartition::default().with_partition_index(partition.partition);
            topics.entry(&partition.topic).or_default().push(asked);
        }
        let topic = |(name, partitions)| {
            OffsetDeleteRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
        };
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.into_iter().map(topic).collect());
        let response = self.request_to(broker, &request).await?;
        if response.error_code == ResponseError::GroupIdNotFound.code() {
            return Ok(BTreeMap::new());
        }
        ErrorCode::check(response.error_code, || format!("deletion of offsets of group {group}"))?;
        let mut refused = BTreeMap::new();
        for topic in response.topics {
            for partition in topic.partitions {
                if let Some(code) = ErrorCode::of(partition.error_code) {
                    let of = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                    refused.insert(of, code);
                }
            }
        }
        Ok(refused)
    }

    /// Node and address of a transactional id's coordinator, as one broker tells it.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused.
    pub async fn find_transaction_coordinator(
        &self,
        broker: &Broker,
        transactional_id: &str,
    ) -> Result<(i32, String), ClientError> {
        self.find_coordinator_of(broker, Kind::Transaction, transactional_id).await
    }

    /// Kafka's name of the state of a transactional id, `Empty` or `Ongoing`, asked of its coordinator; none if it
    /// does not know the id. Nothing changes by asking.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused, for instance because it still loads its ids.
    pub async fn transaction_state(
        &self,
        broker: &Broker,
        transactional_id: &str,
    ) -> Result<Option<String>, ClientError> {
        let what = || format!("state of transactional id {transactional_id}");
        let id = TransactionalId(text(transactional_id));
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id]);
        let response = self.request_to(broker, &request).await?;
        let told = response.transaction_states.into_iter().next().ok_or_else(|| no_answer(what()))?;
        if told.error_code == ResponseError::TransactionalIdNotFound.code() {
            return Ok(None);
        }
        ErrorCode::check(told.error_code, what)?;
        Ok(Some(told.transaction_state.to_string()))
    }

    /// Asks a coordinator for the producer id of a transactional id; answers the id and its epoch. Whoever had it
    /// before is fenced, and what it began and did not end is aborted.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the broker refused.
    pub async fn init_producer_id(
        &self,
        broker: &Broker,
        transactional_id: &str,
    ) -> Result<(i64, i16), ClientError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(transactional_id))))
            .with_transaction_timeout_ms(self.request_timeout_ms())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let response = self.request_to(broker, &request).await?;
        ErrorCode::check(response.error_code, || format!("producer id of {transactional_id}"))?;
        Ok((response.producer_id.0, response.producer_epoch))
    }
}

fn partitions(assignment: &consumer::Assignment) -> BTreeSet<TopicPartition> {
    let of_topic = |topic: &consumer::TopicPartitions| {
        let name: std::sync::Arc<str> = topic.topic_name.as_str().into();
        topic
            .partitions
            .iter()
            .map(move |number| TopicPartition::new(name.clone(), *number))
            .collect::<Vec<_>>()
    };
    assignment.topic_partitions.iter().flat_map(of_topic).collect()
}
