//! Publish and subscribe: who listens to which channel, and messages on their way.
//!
//! A message goes to the subscribers of the channel in the order in which they subscribed, then to those of
//! patterns that match it, as `pubsubPublishMessage` of Redis 7.0 does it. Nothing is kept for those who are
//! not there.

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

use super::Engine;
use super::client::ClientId;
use crate::redis::glob;
use crate::redis::resp::Reply;
use crate::redis::store::FixedState;

pub(super) type Subscribers = IndexMap<Bytes, IndexSet<ClientId, FixedState>, FixedState>;

/// Who listens to what.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    pub(crate) channels: Subscribers,
    pub(crate) patterns: Subscribers,
}

impl Engine {
    /// Sends a message to whoever subscribed; how many received it.
    pub(crate) fn publish(&mut self, channel: &Bytes, message: &Bytes) -> usize {
        let mut out: Vec<(ClientId, Reply)> = Vec::new();
        for id in self.pubsub.channels.get(channel).into_iter().flatten() {
            out.push((*id, Reply::Push(bulks(&[b"message", channel, message]))));
        }
        for (pattern, ids) in &self.pubsub.patterns {
            if glob::matches(pattern, channel) {
                let push =
                    |id: &ClientId| (*id, Reply::Push(bulks(&[b"pmessage", pattern, channel, message])));
                out.extend(ids.iter().map(push));
            }
        }
        let count = out.len();
        for (id, reply) in out {
            self.push(id, reply);
        }
        count
    }
}

fn bulks(parts: &[&[u8]]) -> Vec<Reply> {
    parts.iter().map(|part| Reply::bulk(Bytes::copy_from_slice(part))).collect()
}
