//! Streams against a plain list of entries, whatever is done to them.

use proptest::prelude::*;

use super::*;

/// What is done to a stream; numbers stand for IDs.
#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Delete(Vec<u64>),
    Trim(Trim),
}

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: 0 }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let to = prop_oneof![(0_u64..6).prop_map(TrimTo::Length), (0_u64..40).prop_map(|ms| TrimTo::Id(id(ms))),];
    let trim = (to, any::<bool>(), 0_u64..6).prop_map(|(to, approximate, limit)| Trim {
        to,
        approximate,
        limit: if approximate { limit } else { 0 },
    });
    let step = prop_oneof![
        4 => (1_u64..3).prop_map(Step::Add),
        2 => prop::collection::vec(0_u64..40, 1..4).prop_map(Step::Delete),
        1 => trim.prop_map(Step::Trim),
    ];
    prop::collection::vec(step, 1..60)
}

fn fields(ms: u64) -> [Bytes; 2] {
    let name = Bytes::from_static(if ms.is_multiple_of(3) { b"other" } else { b"name" });
    [name, Bytes::from(ms.to_string())]
}

fn kept(stream: &Stream) -> Vec<u64> {
    stream.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id.ms).collect()
}

/// Does a step to the stream and to the plain list.
fn apply(stream: &mut Stream, plain: &mut Vec<u64>, step: &Step, limits: NodeLimits) {
    match step {
        Step::Add(further) => {
            let ms = stream.counters().last_id.ms + further;
            stream.append(id(ms), &fields(ms), limits);
            plain.push(ms);
        }
        Step::Delete(ids) => {
            let before = plain.len();
            plain.retain(|ms| !ids.contains(ms));
            let ids: Vec<StreamId> = ids.iter().map(|ms| id(*ms)).collect();
            assert_eq!(stream.delete_all(&ids), before - plain.len());
        }
        Step::Trim(trim) => {
            let too_many = match trim.to {
                TrimTo::Length(most) => plain.len().saturating_sub(usize::try_from(most).unwrap_or(0)),
                TrimTo::Id(least) => plain.iter().filter(|ms| id(**ms) < least).count(),
            };
            let trimmed = usize::try_from(stream.trim(*trim)).unwrap_or(usize::MAX);
            if trim.approximate {
                assert!(trimmed <= too_many);
                assert!(trim.limit == 0 || trimmed as u64 <= trim.limit);
            } else {
                assert_eq!(trimmed, too_many);
            }
            plain.drain(..trimmed);
        }
    }
}

proptest! {
    #[test]
    fn a_stream_holds_what_a_plain_list_holds(
        steps in steps(), entries in 0_u64..5, bytes in prop::sample::select(vec![0_u64, 40, 90]),
    ) {
        let (mut stream, mut plain) = (Stream::default(), Vec::new());
        for step in &steps {
            apply(&mut stream, &mut plain, step, NodeLimits { bytes, entries });
            prop_assert_eq!(kept(&stream), plain.clone());
            prop_assert_eq!(stream.len(), plain.len() as u64);
            prop_assert_eq!(stream.counters().first_id.ms, plain.first().copied().unwrap_or(0));
            prop_assert_eq!(stream.last_entry_id().map(|last| last.ms), plain.last().copied());
            let back: Vec<u64> =
                stream.range_back(StreamId::MIN, StreamId::MAX).map(|entry| entry.id.ms).collect();
            prop_assert!(back.iter().rev().eq(&plain));
            let bytes: usize = stream.nodes.values().map(Node::bytes).sum();
            prop_assert_eq!(stream.weight(), bytes);
            prop_assert!(stream.nodes.values().all(|node| entries == 0 || node.entries().len() as u64 <= entries));
        }
    }

    #[test]
    fn a_range_holds_the_entries_between_its_ends(
        steps in steps(), start in 0_u64..40, end in 0_u64..40,
    ) {
        let (mut stream, mut plain) = (Stream::default(), Vec::new());
        for step in &steps {
            apply(&mut stream, &mut plain, step, NodeLimits { bytes: 0, entries: 3 });
        }
        let expected: Vec<u64> = plain.into_iter().filter(|ms| (start..=end).contains(ms)).collect();
        let forward: Vec<u64> = stream.range(id(start), id(end)).map(|entry| entry.id.ms).collect();
        let mut back: Vec<u64> = stream.range_back(id(start), id(end)).map(|entry| entry.id.ms).collect();
        back.reverse();
        prop_assert_eq!(&forward, &expected);
        prop_assert_eq!(&back, &expected);
    }

    #[test]
    fn what_is_pending_for_a_group_is_what_is_pending_for_its_consumers(
        steps in prop::collection::vec((0_u8..5, 0_u64..8, 0_u8..3), 0..60),
    ) {
        let mut group = Group::default();
        for (what, ms, name) in steps {
            let name = Bytes::from(vec![name]);
            match what {
                0 => drop(group.add_consumer(&name, 0)),
                1 => drop(group.remove_consumer(&name)),
                2 => drop(group.acknowledge(id(ms))),
                _ => group.assign(id(ms), &name, 0, 1),
            }
            let of = |(name, consumer): (&Bytes, &Consumer)| {
                let owned = consumer.pending().iter().map(|id| (*id, name.clone()));
                owned.collect::<Vec<_>>()
            };
            let mut by_consumer: Vec<_> = group.consumers().iter().flat_map(of).collect();
            by_consumer.sort();
            let all = group.pending().iter().map(|(id, pending)| (*id, pending.consumer.clone()));
            prop_assert_eq!(by_consumer, all.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #[test]
    fn a_stream_taken_apart_and_put_together_is_the_same(steps in steps(), entries in 0_u64..5) {
        let (mut stream, mut plain) = (Stream::default(), Vec::new());
        for step in &steps {
            apply(&mut stream, &mut plain, step, NodeLimits { bytes: 0, entries });
        }
        let mut again = Stream::default();
        for (master, elements) in stream.packed() {
            let bytes: usize = elements.iter().map(|element| node::text_bytes(element)).sum();
            let node = stream.nodes.get(&master).map(Node::listpack_bytes);
            prop_assert_eq!(node, Some(bytes + 7));
            prop_assert_eq!(again.push_packed(master, &elements), Some(()));
            prop_assert_eq!(again.push_packed(master, &elements), None, "a node of that ID is there");
        }
        prop_assert_eq!(again.len(), stream.len());
        prop_assert_eq!(again.counters().first_id, stream.counters().first_id);
        *again.counters_mut() = *stream.counters();
        prop_assert_eq!(again, stream);
    }

    #[test]
    fn elements_that_are_no_node_are_refused(
        elements in prop::collection::vec((-3_i64..5).prop_map(|number| Bytes::from(number.to_string())), 0..20),
    ) {
        let mut stream = Stream::default();
        if stream.push_packed(id(1), &elements).is_some() {
            let again: Vec<_> = stream.packed().collect();
            prop_assert_eq!(again.len(), 1);
        } else {
            prop_assert_eq!(stream, Stream::default());
        }
    }
}

/// As redis-server 7.0.15 decides it for entries `name <number>`: its listpack had no room for a third.
#[test]
fn a_node_is_full_when_its_listpack_would_be() {
    let mut stream = Stream::default();
    for ms in 1..=6 {
        stream.append(id(ms), &fields(2 * ms), NodeLimits { bytes: 40, entries: 0 });
    }
    let masters: Vec<u64> = stream.nodes.keys().map(|master| master.ms).collect();
    assert_eq!(masters, [1, 3, 5]);
}
