//! Publish and subscribe: who listens to which channel, and messages on their way.
//!
//! A message goes to the subscribers of the channel in the order in which they subscribed, then to those of
//! patterns that match it, as `pubsubPublishMessage` of Redis 7.0 does it. Nothing is kept for those who are
//! not there.
//!
//! Invariant: a client's own list of subscriptions and the lists here name each other.

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};

use super::Engine;
use super::client::{Client, ClientId};
use super::error::CmdError;
use super::table::Spec;
use super::table::flags::{MAY_REPLICATE, READONLY, WRITE};
use crate::redis::glob;
use crate::redis::resp::Reply;
use crate::redis::store::FixedState;

/// What a subscription names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A channel.
    Channel,
    /// Every channel that matches.
    Pattern,
    /// A channel of a shard, which patterns do not reach.
    Shard,
}

impl Topic {
    fn subscribed(self) -> &'static [u8] {
        match self {
            Self::Channel => b"subscribe",
            Self::Pattern => b"psubscribe",
            Self::Shard => b"ssubscribe",
        }
    }

    fn unsubscribed(self) -> &'static [u8] {
        match self {
            Self::Channel => b"unsubscribe",
            Self::Pattern => b"punsubscribe",
            Self::Shard => b"sunsubscribe",
        }
    }
}

pub(crate) type Names = IndexSet<Bytes, FixedState>;
pub(crate) type Subscribers = IndexMap<Bytes, IndexSet<ClientId, FixedState>, FixedState>;

/// Something for each kind of names.
#[derive(Debug, Default)]
pub(crate) struct ByTopic<T> {
    channels: T,
    patterns: T,
    shards: T,
}

impl<T> ByTopic<T> {
    /// What there is for one kind.
    pub(crate) fn of(&self, topic: Topic) -> &T {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::Shard => &self.shards,
        }
    }

    fn of_mut(&mut self, topic: Topic) -> &mut T {
        match topic {
            Topic::Channel => &mut self.channels,
            Topic::Pattern => &mut self.patterns,
            Topic::Shard => &mut self.shards,
        }
    }
}

/// What a client listens to, in the order in which it began to.
pub(crate) type Subscriptions = ByTopic<Names>;

impl Subscriptions {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }

    /// How many a client is told it has: shards are counted apart.
    fn told(&self, topic: Topic) -> usize {
        if topic == Topic::Shard { self.shards.len() } else { self.channels.len() + self.patterns.len() }
    }
}

/// Who listens to what.
pub(crate) type PubSub = ByTopic<Subscribers>;

impl PubSub {
    /// Whether anyone listens to a channel, by its name or by a pattern.
    pub(crate) fn has_listeners(&self) -> bool {
        !self.channels.is_empty() || !self.patterns.is_empty()
    }

    /// The names of one kind that someone listens to.
    pub(crate) fn names(&self, topic: Topic) -> impl Iterator<Item = &Bytes> {
        self.of(topic).keys()
    }

    /// How many names of one kind someone listens to.
    pub(crate) fn len(&self, topic: Topic) -> usize {
        self.of(topic).len()
    }

    /// How many clients listen to a name.
    pub(crate) fn subscribers(&self, topic: Topic, name: &Bytes) -> usize {
        self.of(topic).get(name).map_or(0, IndexSet::len)
    }

    fn remove(&mut self, topic: Topic, name: &Bytes, id: ClientId) {
        let Some(ids) = self.of_mut(topic).get_mut(name) else { return };
        ids.shift_remove(&id);
        if ids.is_empty() {
            self.of_mut(topic).shift_remove(name);
        }
    }
}

impl Client {
    /// Whether the connection takes nothing but a subscriber's commands: version 2 of the protocol cannot tell
    /// a message from an answer.
    pub(crate) fn only_listens(&self) -> bool {
        self.protocol < 3 && !self.subscriptions.is_empty()
    }

    /// Refuses what a connection that only listens or watches cannot run.
    pub(crate) fn check_mode(&self, spec: &Spec) -> Result<(), CmdError> {
        const ALLOWED: [&str; 9] = [
            "ping",
            "psubscribe",
            "punsubscribe",
            "quit",
            "reset",
            "ssubscribe",
            "subscribe",
            "sunsubscribe",
            "unsubscribe",
        ];
        if self.monitors && spec.flags & (READONLY | WRITE | MAY_REPLICATE) != 0 {
            return Err(CmdError::fixed("ERR Replica can't interact with the keyspace"));
        }
        if !self.only_listens() || ALLOWED.contains(&spec.name) {
            return Ok(());
        }
        Err(CmdError::new(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context",
            spec.name
        )))
    }
}

impl Engine {
    /// Lets a client listen; what it is told.
    pub(crate) fn subscribe(&mut self, id: ClientId, topic: Topic, name: &Bytes) -> Reply {
        let Some(client) = self.clients.get_mut(&id) else { return Reply::None };
        if client.subscriptions.of_mut(topic).insert(name.clone()) {
            self.pubsub.of_mut(topic).entry(name.clone()).or_default().insert(id);
        }
        told(topic.subscribed(), Reply::Bulk(name.clone()), &client.subscriptions, topic)
    }

    /// Lets a client listen no more; what it is told, whether or not it did.
    pub(crate) fn unsubscribe(&mut self, id: ClientId, topic: Topic, name: &Bytes) -> Reply {
        let Some(client) = self.clients.get_mut(&id) else { return Reply::None };
        if client.subscriptions.of_mut(topic).shift_remove(name) {
            self.pubsub.remove(topic, name, id);
        }
        told(topic.unsubscribed(), Reply::Bulk(name.clone()), &client.subscriptions, topic)
    }

    /// Ends all subscriptions of one kind; what the client is told.
    pub(crate) fn unsubscribe_from_all(&mut self, id: ClientId, topic: Topic) -> Vec<Reply> {
        let Some(client) = self.clients.get(&id) else { return Vec::new() };
        let names: Vec<Bytes> = client.subscriptions.of(topic).iter().cloned().collect();
        if names.is_empty() {
            return vec![told(topic.unsubscribed(), Reply::Null, &client.subscriptions, topic)];
        }
        names.iter().map(|name| self.unsubscribe(id, topic, name)).collect()
    }

    /// Ends all subscriptions of a client, which is not told.
    pub(crate) fn forget_subscriptions(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let all = std::mem::take(&mut client.subscriptions);
        for topic in [Topic::Channel, Topic::Pattern, Topic::Shard] {
            for name in all.of(topic) {
                self.pubsub.remove(topic, name, id);
            }
        }
    }

    /// Sends a message to whoever subscribed; how many received it.
    pub(crate) fn publish(&mut self, channel: &Bytes, message: &Bytes) -> usize {
        if !self.pubsub.has_listeners() {
            return 0;
        }
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
        self.push_all(out)
    }

    /// Sends a message to the subscribers of a channel of a shard; how many received it.
    pub(crate) fn publish_to_shard(&mut self, channel: &Bytes, message: &Bytes) -> usize {
        let ids = self.pubsub.shards.get(channel).into_iter().flatten();
        let out = ids.map(|id| (*id, Reply::Push(bulks(&[b"smessage", channel, message])))).collect();
        self.push_all(out)
    }

    fn push_all(&mut self, out: Vec<(ClientId, Reply)>) -> usize {
        let count = out.len();
        for (id, reply) in out {
            self.push(id, reply);
        }
        count
    }
}

fn told(word: &'static [u8], name: Reply, subscriptions: &Subscriptions, topic: Topic) -> Reply {
    Reply::Push(vec![Reply::bulk(word), name, Reply::count(subscriptions.told(topic))])
}

fn bulks(parts: &[&[u8]]) -> Vec<Reply> {
    parts.iter().map(|part| Reply::bulk(Bytes::copy_from_slice(part))).collect()
}
