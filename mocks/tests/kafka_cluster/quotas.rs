//! Quotas and credentials: kept, told, and byte rates held to.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::alter_client_quotas_request as alter;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::*;
use tokio::time::Instant;

use crate::log::{batch, fetch_from, produce_to};
use crate::sasl;
use crate::wire::{Bench, Wire, text};

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

async fn limit(wire: &mut Wire, entity: Entity<'_>, key: &str, value: Option<f64>) -> (i16, String) {
    let part = |(kind, name): &(&str, Option<&str>)| {
        alter::EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
    };
    let op = alter::OpData::default().with_key(text(key)).with_value(value.unwrap_or_default());
    let entry = alter::EntryData::default()
        .with_entity(entity.iter().map(part).collect())
        .with_ops(vec![op.with_remove(value.is_none())]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let told = wire.call(1, request).await.entries.remove(0);
    (told.error_code, told.error_message.map(|message| message.to_string()).unwrap_or_default())
}

/// How many entities a filter finds.
async fn found(wire: &mut Wire, components: &[(&str, i8, Option<&str>)], strict: bool) -> usize {
    let component = |(kind, how, name): &(&str, i8, Option<&str>)| {
        ComponentData::default().with_entity_type(text(kind)).with_match_type(*how).with_match(name.map(text))
    };
    let request = DescribeClientQuotasRequest::default()
        .with_components(components.iter().map(component).collect())
        .with_strict(strict);
    wire.call(1, request).await.entries.map_or(0, |entries| entries.len())
}

#[tokio::test(start_paused = true)]
async fn limits_are_kept_by_entity_and_found_by_filters() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let key = "producer_byte_rate";
    let (bob, any_user) = (("user", Some("bob")), ("user", None));
    let app = ("client-id", Some("app"));
    for entity in [&[bob][..], &[any_user], &[app], &[bob, app]] {
        assert_eq!(limit(&mut wire, entity, key, Some(1000.0)).await, (0, String::new()));
    }
    assert_eq!(found(&mut wire, &[], false).await, 4);
    assert_eq!(found(&mut wire, &[("user", 2, None)], false).await, 3);
    assert_eq!(found(&mut wire, &[("user", 2, None)], true).await, 2);
    assert_eq!(found(&mut wire, &[("user", 0, Some("bob"))], false).await, 2);
    assert_eq!(found(&mut wire, &[("user", 1, None)], false).await, 1);
    assert_eq!(limit(&mut wire, &[bob], key, None).await.0, 0);
    assert_eq!(found(&mut wire, &[("user", 0, Some("bob"))], false).await, 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_limits_are_refused_with_kafkas_words() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let user: Entity<'_> = &[("user", Some("bob"))];
    for (entity, key, value, message) in [
        (user, "no_such", 1.0, "Invalid configuration key no_such"),
        (user, "producer_byte_rate", 0.0, "Quota producer_byte_rate must be greater than 0"),
        (user, "producer_byte_rate", 1.5, "producer_byte_rate cannot be a fractional value."),
        (&[("host", None)], "producer_byte_rate", 1.0, "Unhandled client quota entity type: host"),
        (&[("user", Some(""))], "producer_byte_rate", 1.0, "Empty user not supported"),
        (&[], "producer_byte_rate", 1.0, "Invalid empty client quota entity"),
        (
            &[("ip", Some("127.0.0.1"))],
            "producer_byte_rate",
            1.0,
            "Invalid configuration key producer_byte_rate",
        ),
    ] {
        assert_eq!(limit(&mut wire, entity, key, Some(value)).await, (42, message.to_owned()));
    }
    assert_eq!(found(&mut wire, &[], false).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_producer_above_its_rate_is_told_to_wait_and_not_heard_until_then() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    let request = || produce_to("orders", 0, 1, batch(&"x".repeat(5000), -1, -1, -1));
    let free = wire.call(9, request()).await;
    assert_eq!(free.throttle_time_ms, 0);
    limit(&mut wire, &[("client-id", Some("wire"))], "producer_byte_rate", Some(400.0)).await;
    // 5000 and some bytes over ten seconds are more than 400 a second.
    let told = wire.call(9, request()).await;
    assert_eq!(told.responses[0].partition_responses[0].error_code, 0);
    assert!(told.throttle_time_ms > 2000, "{}", told.throttle_time_ms);
    let asked = Instant::now();
    wire.call(4, ApiVersionsRequest::default().with_client_software_name(text("a"))).await;
    assert!(
        asked.elapsed() >= Duration::from_millis(u64::try_from(told.throttle_time_ms).expect("positive"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_above_its_rate_gets_an_empty_answer_first_and_its_records_later() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    for _ in 0..3 {
        wire.call(9, produce_to("orders", 0, 1, batch(&"x".repeat(3000), -1, -1, -1))).await;
    }
    limit(&mut wire, &[("client-id", None)], "consumer_byte_rate", Some(1000.0)).await;
    let (mut empty, mut full, begun) = (0, 0, Instant::now());
    for _ in 0..10 {
        let answer = wire.call(11, fetch_from("orders", 0, 0)).await;
        assert_eq!(answer.responses.is_empty(), answer.throttle_time_ms > 0);
        if answer.responses.is_empty() { empty += 1 } else { full += 1 }
    }
    assert!(empty > 0 && full > 1, "{empty} empty, {full} full");
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_users_quota_is_for_whoever_has_logged_in_as_that_user() {
    let bench = sasl::bench(None);
    bench.cluster.create_topic("orders", 1).expect("created");
    let (mut alice, mut bob) = (bench.connect(1).await, bench.connect(1).await);
    assert_eq!(sasl::login_with(&mut alice, b"\0alice\0secret").await.error_code, 0);
    assert_eq!(sasl::login_with(&mut bob, b"\0bob\0hidden").await.error_code, 0);
    let request = || produce_to("orders", 0, 1, batch(&"x".repeat(5000), -1, -1, -1));
    for rate in ["producer_byte_rate", "consumer_byte_rate"] {
        assert_eq!(limit(&mut bob, &[("user", Some("alice"))], rate, Some(400.0)).await.0, 0);
    }
    assert!(alice.call(9, request()).await.throttle_time_ms > 2000);
    assert_eq!(bob.call(9, request()).await.throttle_time_ms, 0);
    let fetched = alice.call(11, fetch_from("orders", 0, 0)).await.throttle_time_ms;
    assert!(fetched > 0 && bob.call(11, fetch_from("orders", 0, 0)).await.throttle_time_ms == 0);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_set_told_without_their_secrets_and_deleted() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let set = |name: &str, mechanism, iterations| {
        ScramCredentialUpsertion::default()
            .with_name(text(name))
            .with_mechanism(mechanism)
            .with_iterations(iterations)
            .with_salt(Bytes::from_static(b"salt"))
            .with_salted_password(Bytes::from_static(b"password"))
    };
    let gone = |name: &str| ScramCredentialDeletion::default().with_name(text(name)).with_mechanism(1);
    let request = AlterUserScramCredentialsRequest::default()
        .with_deletions(vec![gone("nobody"), gone("both")])
        .with_upsertions(vec![
            set("bob", 1, 4096),
            set("both", 1, 4096),
            set("few", 1, 4095),
            set("many", 2, 16_385),
            set("other", 3, 4096),
            set("", 1, 4096),
        ]);
    let told = wire.call(0, request).await.results;
    let codes: Vec<(&str, i16)> =
        told.iter().map(|result| (result.user.as_str(), result.error_code)).collect();
    let expected =
        [("", 93), ("bob", 0), ("both", 92), ("few", 93), ("many", 93), ("nobody", 91), ("other", 33)];
    assert_eq!(codes, expected);
    let all = wire.call(0, DescribeUserScramCredentialsRequest::default().with_users(None)).await.results;
    assert_eq!((all.len(), all[0].user.as_str()), (1, "bob"));
    let info = &all[0].credential_infos[0];
    assert_eq!((info.mechanism, info.iterations), (1, 4096));
    let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![gone("bob")]);
    assert_eq!(wire.call(0, request).await.results[0].error_code, 0);
    let all = wire.call(0, DescribeUserScramCredentialsRequest::default().with_users(None)).await.results;
    assert!(all.is_empty());
}
