//! DescribeQuorum (55): the controllers.
//!
//! Behaviour: every node is a controller, too; the first that lives leads. Each has written all there is, its
//! offsets being the number of changes of the metadata.
//! Versions: 0-2.
//! Not supported: elections of controllers (the epoch is always 1); a controller's address is its broker's.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::view::MetadataView;
use crate::kafka::wire::text;

const METADATA_TOPIC: &str = "__cluster_metadata";
const EPOCH: i32 = 1;

pub(super) fn describe(request: &DescribeQuorumRequest, _: &Cluster, _: i32) -> Described {
    Described::topics(request.topics.iter().map(|topic| topic.topic_name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeQuorumRequest,
) -> Answer<DescribeQuorumResponse> {
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(DescribeQuorumResponse::default().with_error_code(code));
    }
    let view = cluster.view_of(call.node);
    let empty = Some(text(""));
    let mut found = false;
    let mut topics = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for asked in &topic.partitions {
            let data = PartitionData::default().with_partition_index(asked.partition_index);
            let here = topic.topic_name.as_str() == METADATA_TOPIC && asked.partition_index == 0;
            found |= here;
            partitions.push(if here {
                quorum(cluster, &view, data).with_error_message(empty.clone())
            } else {
                data.with_error_code(ResponseError::UnknownTopicOrPartition.code())
                    .with_error_message(Some(text("This server does not host this topic-partition.")))
            });
        }
        topics
            .push(TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions));
    }
    let answer = DescribeQuorumResponse::default().with_error_message(empty).with_topics(topics);
    let nodes = if found && call.version() >= 2 { nodes(cluster) } else { Vec::new() };
    Answer::Now(answer.with_nodes(nodes))
}

pub(super) fn outcome(answer: &DescribeQuorumResponse) -> i16 {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    first_error(std::iter::once(answer.error_code).chain(partitions.map(|partition| partition.error_code)))
}

fn quorum(cluster: &Cluster, view: &MetadataView, data: PartitionData) -> PartitionData {
    let end = cluster.truth.version;
    let voter = |node: &i32| {
        ReplicaState::default()
            .with_replica_id(BrokerId(*node))
            .with_log_end_offset(end)
            .with_last_fetch_timestamp(cluster.now_ms)
            .with_last_caught_up_timestamp(cluster.now_ms)
    };
    data.with_leader_id(BrokerId(view.brokers.keys().next().copied().unwrap_or(-1)))
        .with_leader_epoch(EPOCH)
        .with_high_watermark(end)
        .with_current_voters(cluster.nodes.keys().map(voter).collect())
}

fn nodes(cluster: &Cluster) -> Vec<Node> {
    let one = |(id, node): (&i32, &crate::kafka::image::Node)| {
        let listener = Listener::default()
            .with_name(text("CONTROLLER"))
            .with_host(text(&node.advertised.host))
            .with_port(u16::try_from(node.advertised.port).unwrap_or(0));
        Node::default().with_node_id(BrokerId(*id)).with_listeners(vec![listener])
    };
    cluster.nodes.iter().map(one).collect()
}
