//! Payloads of the real server, payloads of our own, and payloads of nobody.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::redis::store::{End, Group, Hash, List, NodeLimits, Set, Str, Stream, StreamId, Zset};

const LAYOUT: Layout =
    Layout { version: 12, hash: (8, 16), zset: (8, 16), set_integers: 8, list_node: -2, compress: true };

fn text() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        any::<i64>().prop_flat_map(|number| (0_u32..64).prop_map(move |by| (number >> by).to_string())),
        "[a-c]{0,40}",
        "[ -~]{0,30}",
        ("[ab]{1,3}", 1_usize..2000).prop_map(|(piece, times)| piece.repeat(times)),
    ]
    .prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Value> {
    let texts = || prop::collection::vec(text(), 1..30);
    prop_oneof![
        text().prop_map(|text| Value::Str(Str::encoded(text))),
        texts().prop_map(|texts| {
            let mut list = List::default();
            texts.into_iter().for_each(|text| list.push(End::Right, text));
            Value::List(Arc::new(list))
        }),
        texts().prop_map(|texts| {
            let mut set = Set::default();
            texts.into_iter().for_each(|text| {
                set.add(text, LAYOUT.set_integers);
            });
            Value::Set(Arc::new(set))
        }),
        prop::collection::vec(any::<i16>(), 1..9).prop_map(|numbers| {
            let mut set = Set::default();
            for number in numbers {
                set.add(Bytes::from(number.to_string()), LAYOUT.set_integers);
            }
            Value::Set(Arc::new(set))
        }),
        prop::collection::vec((text(), text(), prop::option::of(1..1_i64 << 46)), 1..12).prop_map(|fields| {
            let mut hash = Hash::default();
            for (field, value, deadline) in fields {
                hash.replace(field.clone(), value, LAYOUT.hash);
                if deadline.is_some() {
                    hash.set_deadline(&field, deadline);
                }
            }
            Value::Hash(Arc::new(hash))
        }),
        stream(),
        prop::collection::vec((text(), -1e9_f64..1e9), 1..12).prop_map(|items| {
            let mut zset = Zset::default();
            items.into_iter().for_each(|(member, score)| zset.set(member, score, LAYOUT.zset));
            Value::Zset(Arc::new(zset))
        }),
    ]
}

fn stream() -> impl Strategy<Value = Value> {
    let entry = (0_u64..5, prop::collection::vec(text(), 2..5));
    let pending =
        prop::collection::btree_map(any::<(u64, u64)>(), (0_usize..3, any::<i64>(), any::<u64>()), 0..6);
    let group = (any::<(u64, u64)>(), any::<Option<u32>>(), pending);
    let groups = prop::collection::btree_map("[a-c]{0,9}", group, 0..3);
    let deleted = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (prop::collection::vec(entry, 0..20), deleted, groups).prop_map(|(entries, deleted, groups)| {
        let mut stream = Stream::default();
        let mut ids = Vec::new();
        for (step, fields) in entries {
            let last = stream.counters().last_id;
            let id = StreamId { ms: last.ms + step, seq: last.seq + 1 };
            let even = fields.len() & !1;
            stream.append(id, &fields[..even], NodeLimits { bytes: 4096, entries: 5 });
            ids.push(id);
        }
        let gone: Vec<StreamId> =
            deleted.into_iter().filter(|_| !ids.is_empty()).map(|at| ids[at.index(ids.len())]).collect();
        stream.delete_all(&gone);
        for (name, ((ms, seq), read, pending)) in groups {
            let mut group = Group::new(StreamId { ms, seq }, read.map(i64::from));
            let consumers = ["", "one", "two"].map(Bytes::from);
            for name in &consumers {
                group.add_consumer(name, 5);
            }
            for ((ms, seq), (owner, delivered, times)) in pending {
                group.assign(StreamId { ms, seq }, &consumers[owner], delivered, times);
            }
            stream.groups_mut().insert(Bytes::from(name), group);
        }
        Value::Stream(Arc::new(stream))
    })
}

fn sealed(mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend_from_slice(&LAYOUT.version.to_le_bytes());
    let checksum = crc64::checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was(value in value()) {
        let back = restore(&dump(&value, &LAYOUT), &LAYOUT);
        prop_assert_eq!(back, Ok(value));
    }

    #[test]
    fn a_changed_byte_is_noticed(value in value(), at in any::<prop::sample::Index>(), by in 1_u8..=255) {
        let mut payload = dump(&value, &LAYOUT);
        let at = at.index(payload.len());
        payload[at] ^= by;
        prop_assert_eq!(restore(&payload, &LAYOUT), Err(RdbError::Footer));
    }

    #[test]
    fn damage_under_a_right_checksum_is_read_or_refused(
        value in value(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = dump(&value, &LAYOUT);
        payload.truncate(payload.len() - FOOTER);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        payload.truncate(cut.index(payload.len()) + 1);
        let _ = restore(&sealed(payload), &LAYOUT);
    }

    #[test]
    fn noise_is_refused(first in 0_u8..27, noise in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = restore(&sealed([vec![first], noise].concat()), &LAYOUT);
    }
}

#[test]
fn a_length_that_is_not_there_is_not_believed() {
    for first in [0, 1, 2, 3, 4, 5, 14, 18, 24] {
        let deadline = if first == 24 { &[0; 8][..] } else { &[] };
        let payload = [&[first][..], deadline, &[0x81], &[0xff; 8], b"abc"].concat();
        assert_eq!(restore(&sealed(payload), &LAYOUT), Err(RdbError::Format));
    }
}

#[test]
fn payloads_of_older_versions_are_read() {
    // A ziplist of "a" and 1000.
    let ziplist = b"\x12\0\0\0\x0d\0\0\0\x02\0\0\x01a\x03\xc0\xe8\x03\xff";
    let list = [&[10, 18][..], ziplist].concat();
    let texts = ["a", "1000"].map(Bytes::from);
    let Ok(Value::List(list)) = restore(&sealed(list), &LAYOUT) else { panic!("a list") };
    assert!(list.iter().eq(&texts));
    let hash = [&[13, 18][..], ziplist].concat();
    let Ok(Value::Hash(hash)) = restore(&sealed(hash), &LAYOUT) else { panic!("a hash") };
    assert_eq!(hash.get(&texts[0]), Some(&texts[1]));
    let zset = [&[3, 1, 1][..], b"a", &[4], b"1.25"].concat();
    let Ok(Value::Zset(zset)) = restore(&sealed(zset), &LAYOUT) else { panic!("a sorted set") };
    assert_eq!(zset.score(&texts[0]), Some(1.25));
}

/// The payloads are those of a server of version 8.0.
#[test]
fn fields_with_deadlines_are_written_as_a_later_server_writes_them() {
    let packed = "1960 51c2 2cbb 0300 002c 2c00 0000 0900 8163 0203 01f4 6051 c22c bb03 0000 0981 6102 0101 f400 \
                  d8c3 2cbb 0300 0009 8162 0202 0100 01ff 0c00 af64 f5a7 aed1 cb8a";
    let table = "1800 d8c3 2cbb 0300 0002 0101 61c0 0100 0162 c002";
    let bytes = |hex: &str| -> Vec<u8> {
        let digits: Vec<u8> =
            hex.bytes().filter_map(|digit| char::from(digit).to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    let hash = |limits, fields: &[(&'static str, &'static str, Option<i64>)]| {
        let mut hash = Hash::default();
        for (field, value, deadline) in fields {
            hash.set(Bytes::from(*field), Bytes::from(*value), limits);
            if deadline.is_some() {
                hash.set_deadline(&Bytes::from(*field), *deadline);
            }
        }
        Value::Hash(Arc::new(hash))
    };
    let fields = [("b", "2", None), ("a", "1", Some(4_102_444_800_000)), ("c", "3", Some(4_102_444_700_000))];
    assert_eq!(dump(&hash(LAYOUT.hash, &fields), &LAYOUT), bytes(packed));
    let fields = [("a", "1", Some(4_102_444_800_000)), ("b", "2", None)];
    assert!(dump(&hash((0, 0), &fields), &LAYOUT).starts_with(&bytes(table)));
}
