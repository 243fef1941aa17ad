//! The consumers' own protocol inside the classic one: subscriptions and assignments, byte by byte.
//!
//! The coordinator reads them to know which topics a group reads, and to turn a classic group into one of the
//! consumer protocol and back. Bytes that break the format give nothing, and a count is never believed before
//! the bytes it promises are there. The user data of an assignor is kept out: only its presence is told.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";
/// The newest version of the format.
const NEWEST: i16 = 3;

/// What a consumer wants, from its JoinGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub topics: BTreeSet<String>,
    /// Partitions it holds, by topic name; since version 1.
    pub owned: BTreeMap<String, Vec<i32>>,
    /// Since version 3.
    pub rack: Option<String>,
}

/// What a consumer was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub partitions: BTreeMap<String, Vec<i32>>,
    /// Whether an assignor put something of its own beside.
    pub has_user_data: bool,
}

/// The version a subscription or an assignment is written in, as far as it is known.
pub(crate) fn version(mut bytes: Bytes) -> Option<i16> {
    let version = bytes.try_get_i16().ok()?;
    (version >= 0).then(|| version.min(NEWEST))
}

/// Reads a subscription.
pub(crate) fn subscription(mut bytes: Bytes) -> Option<Subscription> {
    let version = take_version(&mut bytes)?;
    let topics = list(&mut bytes, text)?.into_iter().collect();
    let _ = user_data(&mut bytes)?;
    let owned = if version >= 1 { list(&mut bytes, topic)?.into_iter().collect() } else { BTreeMap::new() };
    if version >= 2 {
        bytes.try_get_i32().ok()?; // the generation the partitions were owned in
    }
    let rack = if version >= 3 { nullable_text(&mut bytes)? } else { None };
    Some(Subscription { topics, owned, rack })
}

/// Reads an assignment. No bytes at all are the empty one, which a member has that was never given any.
pub(crate) fn assigned(mut bytes: Bytes) -> Option<Assigned> {
    if bytes.is_empty() {
        return Some(Assigned::default());
    }
    take_version(&mut bytes)?;
    let partitions = list(&mut bytes, topic)?.into_iter().collect();
    let has_user_data = user_data(&mut bytes)?.is_some_and(|data| !data.is_empty());
    Some(Assigned { partitions, has_user_data })
}

/// Writes an assignment.
pub(crate) fn write_assigned(version: i16, partitions: &BTreeMap<String, Vec<i32>>) -> Bytes {
    let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    bytes.put_i32(count(partitions.len()));
    for (name, numbers) in partitions {
        // A topic's name has at most 249 bytes.
        bytes.put_i16(i16::try_from(name.len()).unwrap_or(i16::MAX));
        bytes.put_slice(name.as_bytes());
        bytes.put_i32(count(numbers.len()));
        numbers.iter().for_each(|number| bytes.put_i32(*number));
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

fn take_version(bytes: &mut Bytes) -> Option<i16> {
    let known = version(bytes.clone())?;
    bytes.advance(2);
    Some(known)
}

fn list<T>(bytes: &mut Bytes, mut one: impl FnMut(&mut Bytes) -> Option<T>) -> Option<Vec<T>> {
    let count = bytes.try_get_i32().ok()?.max(0);
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(one(bytes)?);
    }
    Some(found)
}

fn topic(bytes: &mut Bytes) -> Option<(String, Vec<i32>)> {
    let name = text(bytes)?;
    Some((name, list(bytes, |bytes| bytes.try_get_i32().ok())?))
}

fn text(bytes: &mut Bytes) -> Option<String> {
    nullable_text(bytes)?
}

fn nullable_text(bytes: &mut Bytes) -> Option<Option<String>> {
    let Ok(length) = usize::try_from(bytes.try_get_i16().ok()?) else { return Some(None) };
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    Some(Some(String::from_utf8(text.to_vec()).ok()?))
}

fn user_data(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    let Ok(length) = usize::try_from(bytes.try_get_i32().ok()?) else { return Some(None) };
    Some(Some((length <= bytes.len()).then(|| bytes.split_to(length))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_assignment_is_read_as_it_was_written(
            partitions in proptest::collection::btree_map("[a-z]{1,9}", proptest::collection::vec(0..99, 0..9), 0..5),
            version in 0_i16..=3,
        ) {
            let read = assigned(write_assigned(version, &partitions));
            prop_assert_eq!(read, Some(Assigned { partitions, has_user_data: false }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = subscription(Bytes::from(bytes.clone()));
            let _ = assigned(Bytes::from(bytes));
        }
    }

    #[test]
    fn a_subscription_has_its_fields_since_their_versions() {
        let mut bytes = BytesMut::new();
        bytes.put_slice(b"\x00\x03\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff");
        bytes
            .put_slice(b"\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x02\x00\x01r");
        let topics = BTreeSet::from(["t".to_owned()]);
        let owned = BTreeMap::from([("t".to_owned(), vec![7])]);
        let all = Subscription { topics: topics.clone(), owned: owned.clone(), rack: Some("r".to_owned()) };
        for (version, expected) in [
            (3, all),
            (2, Subscription { topics: topics.clone(), owned: owned.clone(), rack: None }),
            (1, Subscription { topics: topics.clone(), owned, rack: None }),
            (0, Subscription { topics, owned: BTreeMap::new(), rack: None }),
        ] {
            bytes[1] = version;
            assert_eq!(subscription(bytes.clone().freeze()), Some(expected));
        }
    }
}
