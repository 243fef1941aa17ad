//! What a replica is told of what a group was given: claims that leave no choice (`streamPropagateXCLAIM`).

use bytes::Bytes;

use super::stream_id;
use crate::redis::store::{Group, Pending, StreamId};

/// The claim that makes a pending entry of a group what it is; `None` if the entry is not pending.
pub(super) fn claim(key: &Bytes, name: &Bytes, id: StreamId, group: &Group) -> Option<Vec<Bytes>> {
    group.pending().get(&id).map(|pending| claim_of(key, name, id, pending, group.last_id))
}

/// The claim that makes an entry pending as given; a replica that has no such entry forgets it instead.
pub(super) fn claim_of(
    key: &Bytes,
    name: &Bytes,
    id: StreamId,
    pending: &Pending,
    last_id: StreamId,
) -> Vec<Bytes> {
    vec![
        word("XCLAIM"),
        key.clone(),
        name.clone(),
        pending.consumer.clone(),
        word("0"),
        stream_id::text(id),
        word("TIME"),
        Bytes::from(pending.delivered_ms.to_string()),
        word("RETRYCOUNT"),
        Bytes::from(pending.deliveries.cast_signed().to_string()),
        word("FORCE"),
        word("JUSTID"),
        word("LASTID"),
        stream_id::text(last_id),
    ]
}

/// The command that sets what a group has read.
pub(super) fn group_id(key: &Bytes, name: &Bytes, group: &Group) -> Vec<Bytes> {
    let read = group.entries_read.unwrap_or(-1).to_string();
    let id = stream_id::text(group.last_id);
    let [command, sub, option] = [word("XGROUP"), word("SETID"), word("ENTRIESREAD")];
    vec![command, sub, key.clone(), name.clone(), id, option, Bytes::from(read)]
}

/// The command that makes a consumer.
pub(super) fn consumer(key: &Bytes, name: &Bytes, consumer: &Bytes) -> Vec<Bytes> {
    vec![word("XGROUP"), word("CREATECONSUMER"), key.clone(), name.clone(), consumer.clone()]
}

fn word(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
