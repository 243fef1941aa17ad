//! What a broker remembers between two requests: sessions of fetches, members of consumer groups (KIP-848).

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::*;

use crate::build::{self, fetched, plain, produce_to, text};
use crate::pair::Pair;

/// A session's id is at random.
fn some(answer: &mut FetchResponse) {
    answer.session_id = i32::from(answer.session_id != 0);
}

pub fn of_fetches(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 3)?;
    for version in [7, 11, 12] {
        let request = |partitions| build::fetch(&name, partitions).with_session_epoch(0);
        pair.ask(9, produce_to(&name, 0, -1, plain(&["a"])))?;
        let all = vec![fetched(0, 0), fetched(1, 0), fetched(7, 0)];
        let started = pair.fetch(version, request(all))?;
        let ids = started.map(|answer| answer.session_id);
        let in_session = |id: &i32, epoch: i32, topics: Vec<fetch_request::FetchTopic>| {
            let request = FetchRequest::default().with_max_wait_ms(0).with_min_bytes(0);
            request
                .with_max_bytes(10_000_000)
                .with_topics(topics)
                .with_session_id(*id)
                .with_session_epoch(epoch)
        };
        let mut told = started;
        some(&mut told.real);
        some(&mut told.mock);
        pair.compare(&format!("the first fetch of a session in version {version}"), &told);
        // Nothing new but the error, then a record, another place, a partition more.
        pair.ask_but(version, ids.map(|id| in_session(id, 1, Vec::new())), some)?;
        let place = request(vec![fetched(0, 9)]).topics;
        pair.ask_but(version, ids.map(|id| in_session(id, 2, place.clone())), some)?;
        let place = request(vec![fetched(0, 0), fetched(2, 0)]).topics;
        pair.ask_but(version, ids.map(|id| in_session(id, 3, place.clone())), some)?;
        pair.ask(9, produce_to(&name, 1, -1, plain(&["a"])))?;
        pair.ask_but(version, ids.map(|id| in_session(id, 4, Vec::new())), some)?;
        let forgotten = fetch_request::ForgottenTopic::default().with_topic(TopicName(text(&name)));
        let forget = forgotten.with_partitions(vec![0, 7]);
        let request =
            |id: &i32| in_session(id, 5, Vec::new()).with_forgotten_topics_data(vec![forget.clone()]);
        pair.ask_but(version, ids.map(request), some)?;
        // An epoch that was, one that is to come, another session; and the end of this one.
        for epoch in [5, 9] {
            pair.ask_but(version, ids.map(|id| in_session(id, epoch, Vec::new())), some)?;
        }
        pair.ask_but(version, ids.map(|id| in_session(&(id ^ 1), 6, Vec::new())), some)?;
        pair.ask_but(version, ids.map(|id| in_session(id, -1, Vec::new())), some)?;
        pair.ask_but(version, ids.map(|id| in_session(id, 6, Vec::new())), some)?;
    }
    Ok(())
}

pub fn of_consumers(pair: &mut Pair) -> Result<(), String> {
    let (topic, group) = (pair.topic("a", 2)?, pair.name("group"));
    let id = pair.id_of(&topic)?;
    pair.coordinator(&group)?;
    let beat = |member: &str, epoch: i32| {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&group)))
            .with_member_id(text(member))
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None)
    };
    let join = |member: &str| {
        beat(member, 0)
            .with_rebalance_timeout_ms(30_000)
            .with_topic_partitions(Some(Vec::new()))
            .with_subscribed_topic_names(Some(vec![TopicName(text(&topic))]))
    };
    let sorted = |answer: &mut ConsumerGroupHeartbeatResponse| {
        for topic in answer.assignment.iter_mut().flat_map(|told| &mut told.topic_partitions) {
            topic.partitions.sort_unstable();
        }
    };
    let me = "0f0e0d0c-0b0a-4908-8706-050403020100";
    pair.ask(1, join(""))?;
    pair.ask(1, beat(me, 0))?;
    pair.ask(1, beat(me, 3))?;
    pair.ask(1, join(me).with_server_assignor(Some(text("nosuch"))))?;
    pair.ask_but(1, join(me), sorted)?;
    let epoch = pair.ask_but(1, join(me), sorted)?.real.member_epoch;
    for wrong in [epoch + 1, -3] {
        pair.ask(1, beat(me, wrong))?;
    }
    let owned = |owned: &[i32]| {
        let topic =
            id.map(|id| TopicPartitions::default().with_topic_id(*id).with_partitions(owned.to_vec()));
        topic.map(|topic| beat(me, epoch).with_topic_partitions(Some(vec![topic.clone()])))
    };
    for numbers in [&[][..], &[0], &[0, 1]] {
        pair.ask_but(1, owned(numbers), sorted)?;
    }
    pair.ask(1, beat(me, epoch))?;
    pair.ask(1, beat("another", epoch))?;
    let describe = ConsumerGroupDescribeRequest::default();
    let describe = describe.with_group_ids(vec![GroupId(text(&group)), GroupId(text("nosuch"))]);
    pair.ask_but(1, describe.clone(), |answer| {
        answer.groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
    })?;
    pair.ask(0, build::heartbeat(&group, me, 1))?;
    pair.ask(9, build::commit(&group, &topic, &[(0, 5)]))?;
    let by_me = build::commit(&group, &topic, &[(0, 5)]).with_member_id(text(me));
    for known in [epoch, epoch - 1, epoch + 1] {
        pair.ask(9, by_me.clone().with_generation_id_or_member_epoch(known))?;
    }
    pair.ask(1, beat(me, -1))?;
    pair.ask(1, beat(me, epoch))?;
    pair.ask(1, describe.with_group_ids(vec![GroupId(text(&group))])).map(|_| ())
}
