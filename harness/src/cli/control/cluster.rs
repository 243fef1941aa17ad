//! A Kafka cluster as JSON that people can read: nodes, topics, groups, records.
//!
//! Topics of the cluster's own are among the others. Bytes are [`readable`], and long ones are cut, and say so.

use serde_json::{Map, Value, json};
use squall_mocks::kafka::{KafkaCluster, KafkaError, LogRecord, MetadataView, TopicView};
use squall_mocks::redis::readable;

/// Bytes of a key or value that are shown.
const BYTES: usize = 64 * 1024;

/// Everything but records.
pub(super) fn snapshot(cluster: &KafkaCluster) -> Value {
    let groups: Map<String, Value> =
        cluster.group_ids().into_iter().filter_map(|id| group(cluster, &id).map(|it| (id, it))).collect();
    json!({
        "groups": groups,
        "nodes": nodes(cluster),
        "topics": topics(cluster),
        "unix-ms": cluster.clock().unix_ms(),
    })
}

pub(super) fn nodes(cluster: &KafkaCluster) -> Value {
    let connections = cluster.connections();
    let node = |(node, view): (i32, squall_mocks::kafka::NodeView)| {
        json!({
            "address": view.address,
            "connections": connections.get(&node).copied().unwrap_or_default(),
            "node": node,
            "up": view.up,
        })
    };
    cluster.nodes().into_iter().map(node).collect()
}

pub(super) fn topics(cluster: &KafkaCluster) -> Value {
    let MetadataView { topics, .. } = cluster.metadata();
    topics.into_iter().map(|(name, view)| (name.clone(), shown(cluster, &name, &view))).collect()
}

/// One topic; none if there is no such topic.
pub(super) fn topic(cluster: &KafkaCluster, name: &str) -> Option<Value> {
    let found = cluster.metadata().topics.remove(name)?;
    Some(shown(cluster, name, &found))
}

fn shown(cluster: &KafkaCluster, name: &str, topic: &TopicView) -> Value {
    let partition = |(number, view): (&i32, &squall_mocks::kafka::PartitionView)| {
        let offsets = cluster.offsets(name, *number).unwrap_or_default();
        json!({
            "end": offsets.end,
            "epoch": view.leader_epoch,
            "isr": view.isr,
            "leader": view.leader,
            "partition": number,
            "replicas": view.replicas,
            "start": offsets.start,
        })
    };
    let partitions: Vec<Value> = topic.partitions.iter().map(partition).collect();
    json!({ "configs": topic.configs, "id": topic.id, "partitions": partitions })
}

/// One group; none if it has neither members nor offsets.
pub(super) fn group(cluster: &KafkaCluster, id: &str) -> Option<Value> {
    let group = cluster.group(id)?;
    let members: Map<String, Value> = group
        .members
        .into_iter()
        .map(|(id, member)| {
            let shown = json!({
                "assigned": member.assigned,
                "client-host": member.client_host,
                "client-id": member.client_id,
                "instance-id": member.instance_id,
            });
            (id, shown)
        })
        .collect();
    let offsets: Map<String, Value> = group
        .offsets
        .into_iter()
        .map(|((topic, partition), committed)| {
            let shown = json!({
                "lag": committed.lag,
                "metadata": committed.metadata,
                "offset": committed.offset,
            });
            (format!("{topic}-{partition}"), shown)
        })
        .collect();
    Some(json!({
        "coordinator": group.coordinator,
        "generation": group.generation,
        "members": members,
        "offsets": offsets,
        "protocol": group.protocol,
        "state": group.state.name(),
    }))
}

/// Records of a partition from an offset on, at most `limit`.
pub(super) fn records(
    cluster: &KafkaCluster,
    topic: &str,
    partition: i32,
    from: i64,
    limit: usize,
) -> Result<Value, KafkaError> {
    let all = cluster.log_from(topic, partition, from)?;
    let records: Vec<Value> = all.iter().take(limit).map(record).collect();
    let offsets = cluster.offsets(topic, partition).unwrap_or_default();
    Ok(json!({ "end": offsets.end, "records": records, "start": offsets.start }))
}

fn record(record: &LogRecord) -> Value {
    let text = |bytes: &[u8]| match bytes.get(..BYTES) {
        Some(start) if bytes.len() > BYTES => format!("{}... ({} bytes)", readable(start), bytes.len()),
        _ => readable(bytes),
    };
    let headers: Vec<Value> =
        record.headers.iter().map(|(name, value)| json!([name, value.as_deref().map(text)])).collect();
    json!({
        "headers": headers,
        "key": record.key.as_deref().map(text),
        "offset": record.offset,
        "timestamp-ms": record.timestamp_ms,
        "value": record.value.as_deref().map(text),
    })
}
