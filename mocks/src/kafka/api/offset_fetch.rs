//! OffsetFetch (9): a group's committed positions.
//!
//! Behaviour: an unknown group or partition has offset -1 and no error; no list of topics means all that were
//! committed. Several groups at once since version 8. Who requires stable offsets hears UNSTABLE_OFFSET_COMMIT
//! where a transaction that is not ended holds one.
//! Versions: 1-10; since version 9 members of the consumer protocol tell their epoch, which is checked; since version
//! 10 topics by id.
//! Not supported: nothing.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::{Answer, Described, first_error, tags_of, topic_id};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::Committed;
use crate::kafka::image::Image;
use crate::kafka::matcher::Target;
use crate::kafka::wire::text;

/// A group asked for: its name, the member that asks with its epoch, the partitions.
struct Asked {
    group: String,
    member_id: Option<String>,
    epoch: i32,
    wanted: Wanted,
}
/// Partitions asked for, by topic; none means all.
type Wanted = Option<Vec<(String, Vec<i32>)>>;
/// What is known of a topic: each partition's offset or error.
type Known = (String, Vec<(i32, Result<Option<Committed>, i16>)>);

pub(super) fn describe(request: &OffsetFetchRequest, cluster: &Cluster, node: i32) -> Described {
    let mut described = Described::default();
    let image = cluster.image_of(node);
    for Asked { group, wanted, .. } in asked(request, &image) {
        described.groups.push(group);
        for (topic, partitions) in wanted.into_iter().flatten() {
            let target = |number| Target { topic: topic.clone(), partition: Some(number) };
            described.targets.extend(partitions.into_iter().map(target));
        }
    }
    described
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    mut request: OffsetFetchRequest,
) -> Answer<OffsetFetchResponse> {
    let image = cluster.image_of(call.node);
    let several = call.version() >= 8;
    let by_id = call.version() >= 10;
    let mut nowhere = if by_id { take_unknown(&mut request, &image) } else { Vec::new() }.into_iter();
    let mut answer = OffsetFetchResponse::default();
    let nobody = several && request.groups.is_empty();
    for Asked { group, member_id, epoch, wanted } in asked(&request, &image).into_iter().filter(|_| !nobody) {
        let may_fetch = || {
            cluster.coordinates(call.node, &group)?;
            let known = cluster.groups.get(&group);
            known.map_or(Ok(()), |group| group.may_fetch(member_id.as_deref(), epoch))
        };
        let refused = fault_of_all(call, &wanted).or_else(|| may_fetch().err().map(|error| error.code()));
        let known = match refused {
            Some(_) if call.version() >= 2 => Vec::new(),
            _ => known(cluster, call, (&group, request.require_stable), wanted),
        };
        let code = refused.unwrap_or(0);
        if several {
            // Of all that a group has committed, what has no id any more is not told.
            let has_id = |(topic, _): &Known| !by_id || image.topics.contains_key(topic.as_str());
            let told = |known: Known| {
                let id = image.topics.get(known.0.as_str()).map(|topic| topic.id).filter(|_| by_id);
                topics_of_group(known).with_unknown_tagged_fields(tags_of(id))
            };
            let mut topics: Vec<_> = known.into_iter().filter(has_id).map(told).collect();
            topics.extend(nowhere.next().into_iter().flatten().filter(|_| code == 0));
            let one = OffsetFetchResponseGroup::default().with_error_code(code).with_topics(topics);
            answer.groups.push(one.with_group_id(text(&group).into()));
        } else {
            answer.error_code = code;
            // Before version 2 there was no error for the whole answer.
            let each = if call.version() < 2 { code } else { 0 };
            answer.topics = known.into_iter().map(|topic| topic_alone(topic, each)).collect();
        }
    }
    Answer::Now(answer)
}

pub(super) fn outcome(answer: &OffsetFetchResponse) -> i16 {
    first_error(answer.groups.iter().map(|group| group.error_code).chain([answer.error_code]))
}

/// The error of a rule that concerns everything asked for: it stands for the whole group, as the errors of a
/// coordinator do.
fn fault_of_all(call: &Call<'_>, wanted: &Wanted) -> Option<i16> {
    let code = call.faults.before.or(call.faults.after)?;
    let mut partitions = wanted.iter().flatten().flat_map(|(topic, numbers)| {
        numbers.iter().map(move |number| call.faults.either(topic, Some(*number)))
    });
    partitions.all(|fault| fault.is_some()).then_some(code)
}

/// Takes out the topics whose ids nobody knows: for each group, their answers.
fn take_unknown(request: &mut OffsetFetchRequest, image: &Image) -> Vec<Vec<OffsetFetchResponseTopics>> {
    let is_unknown = |topic: &mut OffsetFetchRequestTopics| {
        !topic_id(&topic.unknown_tagged_fields).is_some_and(|id| image.ids.contains_key(&id))
    };
    let refused = |topic: OffsetFetchRequestTopics| {
        let error = || Err(ResponseError::UnknownTopicId.code());
        let known = topic.partition_indexes.iter().map(|number| (*number, error())).collect();
        topics_of_group((String::new(), known))
            .with_unknown_tagged_fields(tags_of(topic_id(&topic.unknown_tagged_fields)))
    };
    let of_group = |group: &mut OffsetFetchRequestGroup| match &mut group.topics {
        Some(topics) => topics.extract_if(.., is_unknown).map(refused).collect(),
        None => Vec::new(),
    };
    request.groups.iter_mut().map(of_group).collect()
}

fn asked(request: &OffsetFetchRequest, image: &Image) -> Vec<Asked> {
    if request.groups.is_empty() {
        let topic = |t: &OffsetFetchRequestTopic| (t.name.to_string(), t.partition_indexes.clone());
        let wanted = request.topics.as_ref().map(|topics| topics.iter().map(topic).collect());
        return vec![Asked { group: request.group_id.to_string(), member_id: None, epoch: -1, wanted }];
    }
    let topic = |t: &OffsetFetchRequestTopics| {
        let named = topic_id(&t.unknown_tagged_fields).and_then(|id| image.ids.get(&id));
        (named.cloned().unwrap_or_else(|| t.name.to_string()), t.partition_indexes.clone())
    };
    let group = |g: &OffsetFetchRequestGroup| Asked {
        group: g.group_id.to_string(),
        member_id: g.member_id.as_ref().map(ToString::to_string),
        epoch: g.member_epoch,
        wanted: g.topics.as_ref().map(|topics| topics.iter().map(topic).collect()),
    };
    request.groups.iter().map(group).collect()
}

fn known(
    cluster: &Cluster,
    call: &Call<'_>,
    (group, require_stable): (&str, bool),
    wanted: Wanted,
) -> Vec<Known> {
    let group = cluster.groups.get(group);
    let offsets = group.map(|group| &group.offsets);
    let held = |key: &(String, i32)| group.is_some_and(|group| group.pending_offsets.is_open(key));
    let wanted = wanted.unwrap_or_else(|| {
        let mut all: Vec<(String, Vec<i32>)> = Vec::new();
        for (topic, number) in offsets.into_iter().flat_map(|offsets| offsets.keys()) {
            match all.last_mut() {
                Some((last, numbers)) if last == topic => numbers.push(*number),
                _ => all.push((topic.clone(), vec![*number])),
            }
        }
        all
    });
    let one = |topic: &String, number: i32| match call.faults.either(topic, Some(number)) {
        Some(code) => (number, Err(code)),
        None => {
            let key = (topic.clone(), number);
            if require_stable && held(&key) {
                return (number, Err(ResponseError::UnstableOffsetCommit.code()));
            }
            (number, Ok(offsets.and_then(|offsets| offsets.get(&key)).cloned()))
        }
    };
    let topic = |(topic, numbers): (String, Vec<i32>)| {
        let known = numbers.into_iter().map(|number| one(&topic, number)).collect();
        (topic, known)
    };
    wanted.into_iter().map(topic).collect()
}

/// Offset, leader epoch, note and error of one partition.
fn flat(known: Result<Option<Committed>, i16>) -> (i64, i32, String, i16) {
    match known {
        Ok(Some(committed)) => (committed.offset, committed.leader_epoch, committed.metadata, 0),
        Ok(None) => (-1, -1, String::new(), 0),
        Err(code) => (-1, -1, String::new(), code),
    }
}

fn topics_of_group((topic, partitions): Known) -> OffsetFetchResponseTopics {
    let one = |(number, known)| {
        let (offset, epoch, metadata, code) = flat(known);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(number)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(&metadata)))
            .with_error_code(code)
    };
    OffsetFetchResponseTopics::default()
        .with_name(TopicName(text(&topic)))
        .with_partitions(partitions.into_iter().map(one).collect())
}

fn topic_alone((topic, partitions): Known, each: i16) -> OffsetFetchResponseTopic {
    let one = |(number, known)| {
        let (offset, epoch, metadata, code) = flat(known);
        OffsetFetchResponsePartition::default()
            .with_partition_index(number)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(&metadata)))
            .with_error_code(if code == 0 { each } else { code })
    };
    OffsetFetchResponseTopic::default()
        .with_name(TopicName(text(&topic)))
        .with_partitions(partitions.into_iter().map(one).collect())
}
