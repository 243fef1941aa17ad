//! DescribeLogDirs (35): how large the asked broker's replicas are.
//!
//! Behaviour: one directory, that of `log.dirs` or `log.dir`, with every replica the broker has; or those
//! asked for that it has. Sizes are the bytes of the batches in the log.
//! Versions: 1-5; no directory is cordoned (version 5).
//! Not supported: the size of the disk (told as unknown, -1, as of a broker that cannot tell), moves between
//! directories.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &DescribeLogDirsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter().flatten();
    Described::partitions(
        topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic.to_string(), *p))),
    )
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeLogDirsRequest,
) -> Answer<DescribeLogDirsResponse> {
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(DescribeLogDirsResponse::default().with_error_code(code));
    }
    let asked = |topic: &str, number: i32| {
        request.topics.as_ref().is_none_or(|topics| {
            topics.iter().any(|of| of.topic.as_str() == topic && of.partitions.contains(&number))
        })
    };
    let image = cluster.image_of(call.node);
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for (name, topic) in &image.topics {
        for (number, partition) in (0..).zip(&topic.partitions) {
            let Some(log) = cluster.logs.get(&(topic.id, number)) else { continue };
            if partition.replicas.contains(&call.node) && asked(name, number) {
                let size = log.bytes_between(log.start(), log.end(), usize::MAX);
                let told = DescribeLogDirsPartition::default()
                    .with_partition_index(number)
                    .with_partition_size(i64::try_from(size).unwrap_or(i64::MAX));
                topics.entry(name.as_str()).or_default().push(told);
            }
        }
    }
    let told = |(name, partitions): (&str, Vec<DescribeLogDirsPartition>)| {
        DescribeLogDirsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    };
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(&cluster.log_dir(call.node)))
        .with_topics(topics.into_iter().map(told).collect());
    Answer::Now(DescribeLogDirsResponse::default().with_results(vec![result]))
}

pub(super) fn outcome(answer: &DescribeLogDirsResponse) -> i16 {
    answer.error_code
}

impl Cluster {
    /// The directory a broker says its logs are in.
    pub fn log_dir(&self, node: i32) -> String {
        let levels = self.levels_of(node);
        let dirs = levels.value("log.dirs").or_else(|| levels.value("log.dir")).unwrap_or_default();
        dirs.split(',').next().unwrap_or_default().to_owned()
    }
}
