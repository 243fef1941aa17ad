//! AlterReplicaLogDirs (34): replicas into other directories of the asked broker.
//!
//! Behaviour: a broker has one directory here, so nothing moves; any other is not there (LOG_DIR_NOT_FOUND),
//! and a partition without a replica on the broker is unknown.
//! Versions: 1-2.
//! Not supported: more directories.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, TopicName};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &AlterReplicaLogDirsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.dirs.iter().flat_map(|dir| &dir.topics);
    Described::partitions(
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.name.to_string(), *p))),
    )
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AlterReplicaLogDirsRequest,
) -> Answer<AlterReplicaLogDirsResponse> {
    let mut topics: BTreeMap<String, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    let own = cluster.log_dir(call.node);
    for dir in &request.dirs {
        for topic in &dir.topics {
            for number in &topic.partitions {
                let image = cluster.image_of(call.node);
                let known = image.partition(&topic.name, *number);
                let code = match call.faults.either(&topic.name, Some(*number)) {
                    Some(code) => code,
                    None if dir.path.as_str() != own => ResponseError::LogDirNotFound.code(),
                    None if !known.is_some_and(|known| known.replicas.contains(&call.node)) => {
                        ResponseError::UnknownTopicOrPartition.code()
                    }
                    None => 0,
                };
                let result = AlterReplicaLogDirPartitionResult::default().with_partition_index(*number);
                topics.entry(topic.name.to_string()).or_default().push(result.with_error_code(code));
            }
        }
    }
    let told = |(name, partitions): (String, Vec<AlterReplicaLogDirPartitionResult>)| {
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(TopicName(text(&name)))
            .with_partitions(partitions)
    };
    Answer::Now(AlterReplicaLogDirsResponse::default().with_results(topics.into_iter().map(told).collect()))
}

pub(super) fn outcome(answer: &AlterReplicaLogDirsResponse) -> i16 {
    let partitions = answer.results.iter().flat_map(|topic| &topic.partitions);
    first_error(partitions.map(|partition| partition.error_code))
}
