//! Logins by SCRAM with passwords that administrators set.

use super::*;
use crate::kafka::KafkaOptions;

const MECHANISM: SaslMechanism = SaslMechanism::ScramSha256;

fn cluster() -> Cluster {
    let sasl = Some(SaslOptions::users([("alice", "secret")]));
    Cluster::new(KafkaOptions { sasl, ..KafkaOptions::brokers(1) })
}

fn set(cluster: &mut Cluster, user: &str, password: Option<&str>) {
    let key = (user.to_owned(), SHA_256);
    let set = password.map(|password| scram::salt_password(MECHANISM, password, "salt".into()));
    cluster.change(|image| {
        let scram = Arc::make_mut(&mut image.scram);
        match set {
            Some(set) => scram.insert(key, set),
            None => scram.remove(&key),
        };
    });
}

/// Whether a new connection logs in.
fn logs_in(cluster: &mut Cluster, user: &str, password: &str) -> bool {
    let conn = 1;
    cluster.sasl.forget(conn);
    assert_eq!(cluster.sasl.handshake(conn, MECHANISM.name(), 1, Duration::ZERO).0, Ok(()));
    let bare = format!("n={user},r=nonce");
    let Ok((first, _)) = cluster.sasl_token(1, conn, format!("n,,{bare}").as_bytes()) else { return false };
    let last = scram::tests::proof(MECHANISM, password, &bare, &first);
    let is_in = cluster.sasl_token(1, conn, &last).is_ok();
    assert_eq!(cluster.sasl.user_of(conn), is_in.then_some(user));
    is_in
}

#[test]
fn passwords_that_administrators_set_are_those_of_logins() {
    let mut cluster = cluster();
    assert!(logs_in(&mut cluster, "alice", "secret") && !logs_in(&mut cluster, "alice", "other"));
    set(&mut cluster, "alice", Some("other"));
    assert!(logs_in(&mut cluster, "alice", "other") && !logs_in(&mut cluster, "alice", "secret"));
    assert!(!logs_in(&mut cluster, "carol", "new"));
    set(&mut cluster, "carol", Some("new"));
    assert!(logs_in(&mut cluster, "carol", "new"));
    set(&mut cluster, "alice", None);
    assert!(!logs_in(&mut cluster, "alice", "other"));
}

#[test]
fn the_users_of_the_options_have_a_password_for_every_mechanism_that_keeps_one() {
    let cluster = cluster();
    let known: Vec<_> = cluster.truth.scram.keys().map(|(user, number)| (user.as_str(), *number)).collect();
    assert_eq!(known, [("alice", SHA_256), ("alice", SHA_512)]);
}
