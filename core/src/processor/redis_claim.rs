//! What Redis knows of an event, and claiming an event there when Redis is the authority.
//!
//! One key for each handler and event. Its value is `claimed:<digest>:<attempts>:<effect key>`, then
//! `done:<digest>` or `dead:<digest>`. The digest is part of it because an equal id alone is no duplicate.

use std::sync::Arc;
use std::time::Duration;

use super::dedup::Claim;
use crate::event_id::Digest;
use crate::keys::{Keys, KeysError};
use crate::mutant;
use crate::store::{Finished, InboxKey, InboxSubject};

/// What the value says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Somebody has begun.
    Claimed {
        /// Claims so far.
        attempts: u32,
        /// The token of the first claim.
        effect_key: &'a str,
    },
    /// Done, or dead.
    Finished,
    /// It speaks of another event with the same id.
    Other,
}

impl<'a> Known<'a> {
    /// Reads a value; `None` if it is not one of ours.
    pub(super) fn parse(value: &'a str, digest: Option<Digest>) -> Option<Self> {
        let (state, rest) = value.split_once(':')?;
        let (known, rest) = rest.split_once(':').unwrap_or((rest, ""));
        if !["claimed", "done", "dead"].contains(&state) {
            return None;
        }
        if known != text(digest) {
            return Some(Self::Other);
        }
        if state != "claimed" {
            return Some(Self::Finished);
        }
        let (attempts, effect_key) = rest.split_once(':')?;
        Some(Self::Claimed { attempts: attempts.parse().ok()?, effect_key })
    }
}

/// Claims an event by its key in Redis.
pub(super) async fn claim_in_redis(
    keys: &Arc<dyn Keys>,
    event: &InboxKey,
    digest: Option<Digest>,
    fresh: &str,
    ttl: Duration,
) -> Result<Claim, KeysError> {
    let key = dedup_key(event);
    let first = claimed(digest, 1, fresh);
    loop {
        let before = if mutant::enabled("dedup-get-then-set") {
            // Mutant 6: another worker may come in between these two.
            let before = keys.get(&key).await?;
            if before.is_none() {
                keys.set(&key, &first, ttl).await?;
            }
            before
        } else {
            keys.set_if_absent(&key, &first, ttl).await?
        };
        let Some(before) = before else {
            return Ok(Claim::Run { effect_key: fresh.to_owned(), attempt: 1 });
        };
        let (attempts, effect_key) = match Known::parse(&before, digest) {
            Some(Known::Claimed { attempts, effect_key }) => (attempts, effect_key),
            Some(Known::Finished) => return Ok(Claim::Finished),
            Some(Known::Other) => return Ok(Claim::Collision),
            None => {
                let expected = "claimed:<digest>:<attempts>:<effect key>, done:<digest> or dead:<digest>";
                return Err(KeysError::Unexpected { expected, found: before });
            }
        };
        let attempt = attempts.saturating_add(1);
        if keys.replace_if(&key, &before, &claimed(digest, attempt, effect_key), ttl).await? {
            return Ok(Claim::Run { effect_key: effect_key.to_owned(), attempt });
        }
        // Somebody else was quicker: look again.
    }
}

/// The value of a finished event.
pub(super) fn finished(state: Finished, digest: Option<Digest>) -> String {
    let word = match state {
        Finished::Done => "done",
        Finished::Dead => "dead",
    };
    format!("{word}:{}", text(digest))
}

/// The key under which Redis knows an event.
pub(super) fn dedup_key(event: &InboxKey) -> String {
    named("dedup", event)
}

/// The key of the lease on an event.
pub(super) fn lease_key(event: &InboxKey) -> String {
    named("lease", event)
}

fn claimed(digest: Option<Digest>, attempts: u32, effect_key: &str) -> String {
    format!("claimed:{}:{attempts}:{effect_key}", text(digest))
}

/// Bytes that are no event have no digest.
fn text(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string())
}

/// Both the handler's name and the event's: another handler of the same event is another key.
fn named(purpose: &str, InboxKey { handler, subject }: &InboxKey) -> String {
    match subject {
        InboxSubject::Event(id) => format!("{purpose}:{handler}:{id}"),
        InboxSubject::Record { topic, partition, offset } => {
            format!("{purpose}:{handler}:{topic}/{partition}/{offset}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(of: &[u8]) -> Digest {
        Digest::of_name(&uuid::Uuid::nil(), of)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_garbage_is_not_mistaken(
            attempts: u32, effect_key in "[a-z0-9:]{0,40}", garbage in ".{0,80}",
        ) {
            for mine in [None, Some(digest(b"mine"))] {
                let value = claimed(mine, attempts, &effect_key);
                let known = Known::Claimed { attempts, effect_key: &effect_key };
                prop_assert_eq!(Known::parse(&value, mine), Some(known));
                prop_assert_eq!(Known::parse(&value, Some(digest(b"other"))), Some(Known::Other));
                for state in [Finished::Done, Finished::Dead] {
                    let value = finished(state, mine);
                    prop_assert_eq!(Known::parse(&value, mine), Some(Known::Finished));
                }
            }
            let misread = Known::parse(&garbage, Some(digest(b"mine")));
            prop_assert!(misread.is_none_or(|known| known == Known::Other));
        }
    }
}
