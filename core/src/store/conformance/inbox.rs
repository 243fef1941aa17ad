//! Claiming events.

use std::sync::Arc;

use futures::future::join_all;

use super::{claim_request, event, forged, inbox_key};
use crate::event_id::IdentityError;
use crate::store::{
    ClaimRequest, Committed, EventStore, Finish, Finished, InboxKey, InboxRow, InboxState, StoreError,
    Transaction,
};

pub(super) async fn check(make: &impl AsyncFn() -> Arc<dyn EventStore>) {
    the_first_claim_decides_the_effect_key(&*make().await).await;
    finished_events_are_not_claimed_again(&*make().await).await;
    claims_of_other_handlers_and_records_are_apart(&*make().await).await;
    claims_with_another_digest_are_refused(&*make().await).await;
    concurrent_claims_share_one_effect_key(&*make().await).await;
    rows_can_be_overwritten_by_hand(&*make().await).await;
}

async fn the_first_claim_decides_the_effect_key(store: &dyn EventStore) {
    let key = inbox_key("stock", 1);
    assert_eq!(store.inbox(&key).await, Ok(None), "nothing is claimed in an empty store");
    for (attempts, effect_key) in (1..).zip(["first", "second", "third"]) {
        let row = store.claim(&key, claim_request(1, effect_key)).await;
        let expected = InboxRow {
            state: InboxState::Claimed,
            effect_key: "first".to_owned(),
            attempts,
            digest: Some(event(1).digest()),
        };
        assert_eq!(row, Ok(expected.clone()), "a later claim counts, and keeps the first effect key");
        assert_eq!(store.inbox(&key).await, Ok(Some(expected)), "the claim is written, not only answered");
    }
}

async fn finished_events_are_not_claimed_again(store: &dyn EventStore) {
    for (n, state) in [(1, Finished::Done), (2, Finished::Dead)] {
        let key = inbox_key("stock", n);
        let claimed = store.claim(&key, claim_request(n, "first")).await.expect("nothing is in the way");
        let finish = Some(Finish { key: key.clone(), state });
        let committed = store.commit(Transaction { finish, ..Transaction::default() }).await;
        assert!(matches!(committed, Ok(Committed::Applied { .. })), "{committed:?}");
        let finished = InboxRow { state: state.into(), ..claimed };
        let again = store.claim(&key, claim_request(n, "second")).await;
        assert_eq!(again, Ok(finished.clone()), "a finished row is answered unchanged");
        assert_eq!(store.inbox(&key).await, Ok(Some(finished)));
    }
}

async fn claims_of_other_handlers_and_records_are_apart(store: &dyn EventStore) {
    let keys = [
        inbox_key("stock", 1),
        inbox_key("mail", 1),
        inbox_key("stock", 2),
        InboxKey::record("stock", "orders", 0, 7),
        InboxKey::record("stock", "orders", 1, 7),
        InboxKey::record("stock", "orders", 0, 8),
        InboxKey::record("stock", "orders-2", 0, 7),
        InboxKey::record("mail", "orders", 0, 7),
    ];
    for (index, key) in keys.iter().enumerate() {
        let effect_key = format!("effect-{index}");
        let request = ClaimRequest { digest: None, effect_key: effect_key.clone() };
        let row = store.claim(key, request).await.expect("nothing is in the way");
        assert_eq!((row.attempts, row.effect_key), (1, effect_key), "{key} shares a row with another key");
    }
}

async fn claims_with_another_digest_are_refused(store: &dyn EventStore) {
    let key = inbox_key("stock", 1);
    let row = store.claim(&key, claim_request(1, "first")).await.expect("nothing is in the way");
    let request = ClaimRequest { digest: Some(forged(1).digest()), effect_key: "second".to_owned() };
    let answer = store.claim(&key, request).await;
    let is_collision = matches!(answer, Err(StoreError::Identity(IdentityError::Collision { .. })));
    assert!(is_collision, "another event with a known id is no duplicate: {answer:?}");
    assert_eq!(store.inbox(&key).await, Ok(Some(row)), "a refused claim changes nothing");
}

async fn concurrent_claims_share_one_effect_key(store: &dyn EventStore) {
    let key = inbox_key("stock", 1);
    let claims = (0..8).map(|rival| store.claim(&key, claim_request(1, ["a", "b", "c", "d"][rival % 4])));
    let rows: Vec<InboxRow> = join_all(claims).await.into_iter().flatten().collect();
    assert_eq!(rows.len(), 8, "every claim is answered");
    assert!(rows.iter().all(|row| row.effect_key == rows[0].effect_key), "one effect key for all: {rows:?}");
    let mut attempts: Vec<u32> = rows.iter().map(|row| row.attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, (1..=8).collect::<Vec<_>>(), "every claim is counted");
}

async fn rows_can_be_overwritten_by_hand(store: &dyn EventStore) {
    let key = inbox_key("stock", 1);
    let dead = InboxRow {
        state: InboxState::Dead,
        effect_key: "first".to_owned(),
        attempts: 9,
        digest: Some(event(1).digest()),
    };
    for state in [InboxState::Dead, InboxState::Claimed] {
        let row = InboxRow { state, ..dead.clone() };
        assert_eq!(store.put_inbox(&key, row.clone()).await, Ok(()));
        assert_eq!(store.inbox(&key).await, Ok(Some(row)));
    }
    let redriven = store.claim(&key, claim_request(1, "second")).await.expect("nothing is in the way");
    assert_eq!(
        (redriven.attempts, redriven.effect_key.as_str()),
        (10, "first"),
        "a dead letter driven again"
    );
}
