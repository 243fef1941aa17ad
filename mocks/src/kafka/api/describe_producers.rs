//! DescribeProducers (61): the producers a partition's leader knows.
//!
//! Behaviour: epoch, last sequence, time and coordinator's epoch of each, and where its open transaction began.
//! Versions: 0.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller;

pub(super) fn describe(request: &DescribeProducersRequest, _: &Cluster, _: i32) -> Described {
    Described::partitions(
        request
            .topics
            .iter()
            .flat_map(|topic| topic.partition_indexes.iter().map(|number| (topic.name.to_string(), *number))),
    )
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeProducersRequest,
) -> Answer<DescribeProducersResponse> {
    let mut topics = Vec::new();
    for topic in request.topics {
        let one = |number: i32| {
            let known = match call.faults.either(&topic.name, Some(number)) {
                Some(code) => Err(code),
                None => producers(cluster, call.node, &topic.name, number).map_err(|error| error.code()),
            };
            let answer = PartitionResponse::default().with_partition_index(number);
            match known {
                Ok(known) => answer.with_active_producers(known),
                Err(code) => answer.with_error_code(code),
            }
        };
        let partitions = topic.partition_indexes.iter().map(|number| one(*number)).collect();
        topics.push(TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions));
    }
    Answer::Now(DescribeProducersResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &DescribeProducersResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

fn producers(
    cluster: &Cluster,
    node: i32,
    topic: &str,
    number: i32,
) -> Result<Vec<ProducerState>, ResponseError> {
    controller::check_name(topic).map_err(|_| ResponseError::InvalidTopicException)?;
    let (id, _) = cluster.led_by(node, topic, number)?;
    let log = cluster.logs.get(&(id, number)).ok_or(ResponseError::KafkaStorageError)?;
    let state = |(id, known): (i64, &crate::kafka::log::Producer)| {
        ProducerState::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(i32::from(known.epoch))
            .with_last_sequence(known.last_sequence())
            .with_last_timestamp(known.last_timestamp)
            .with_coordinator_epoch(known.coordinator_epoch)
            .with_current_txn_start_offset(known.open.unwrap_or(-1))
    };
    Ok(log.producers.known().map(state).collect())
}
