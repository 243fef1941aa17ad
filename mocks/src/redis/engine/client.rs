//! What the server knows of a connection: its database, name, protocol version, transaction and watches.

use std::cell::Cell;

use bytes::Bytes;
use indexmap::IndexMap;

use super::Moment;
use super::client_limits::Buffers;
use super::pubsub::{Subscriptions, Topic};
use super::table::Spec;
use super::tracking::Tracking;
use super::wait::Waiting;
use crate::redis::resp::Reply;
use crate::redis::store::{FixedState, Place};

/// Numbers connections, from 1.
pub type ClientId = u64;

/// All connections, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_id: IndexMap<ClientId, Box<Client>, FixedState>,
    /// Where the client asked for last is: a command asks for its client many times over.
    last: Cell<usize>,
}

impl Clients {
    fn place(&self, id: ClientId) -> Option<usize> {
        let last = self.last.get();
        if self.by_id.get_index(last).is_some_and(|(found, _)| *found == id) {
            return Some(last);
        }
        let place = self.by_id.get_index_of(&id)?;
        self.last.set(place);
        Some(place)
    }

    pub(crate) fn get(&self, id: &ClientId) -> Option<&Client> {
        Some(self.by_id.get_index(self.place(*id)?)?.1)
    }

    pub(crate) fn get_mut(&mut self, id: &ClientId) -> Option<&mut Client> {
        Some(self.by_id.get_index_mut(self.place(*id)?)?.1)
    }

    pub(crate) fn insert(&mut self, client: Client) {
        self.by_id.insert(client.id, Box::new(client));
    }

    pub(crate) fn remove(&mut self, id: &ClientId) {
        self.by_id.shift_remove(id);
    }

    pub(crate) fn contains_key(&self, id: &ClientId) -> bool {
        self.place(*id).is_some()
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &Client> {
        self.by_id.values().map(|client| &**client)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) address: String,
    pub(crate) name: Bytes,
    pub(crate) db: usize,
    /// 2 or 3.
    pub(crate) protocol: u8,
    pub(crate) authenticated: bool,
    /// Whom it is logged in as.
    pub(crate) user: Bytes,
    pub(crate) created: Moment,
    pub(crate) used: Moment,
    pub(crate) last_command: &'static str,
    pub(crate) replies: Replies,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) watches: Vec<Watch>,
    /// A watched key changed, so `EXEC` will do nothing.
    pub(crate) watch_broken: bool,
    pub(crate) never_evict: bool,
    /// Reading does not make keys used.
    pub(crate) no_touch: bool,
    /// Name and version of its library, where the server's version knows of that.
    pub(crate) library: Option<[Bytes; 2]>,
    /// The next command may use slots that are being imported.
    pub(crate) asking: bool,
    /// The command that waits for a key.
    pub(crate) waiting: Option<Box<Waiting>>,
    /// Where the stream of all writes ended when its last command was over.
    pub(crate) written_to: u64,
    /// Its command waits for the end of a pause.
    pub(crate) is_postponed: bool,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) tracking: Option<Box<Tracking>>,
    /// What its connection holds, as far as somebody wants to know.
    pub(super) buffers: Buffers,
    /// It is shown what others run.
    pub(crate) monitors: bool,
}

/// The kinds of clients that `CLIENT LIST`, `CLIENT KILL` and limits know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    /// Of a replica; there are none here.
    Replica,
    PubSub,
    /// Of a primary; there are none here.
    Primary,
}

impl Class {
    /// The class of this name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"normal" => Self::Normal,
            b"slave" | b"replica" => Self::Replica,
            b"pubsub" => Self::PubSub,
            b"master" => Self::Primary,
            _ => return None,
        })
    }
}

/// What `CLIENT REPLY` chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// This command's reply is not sent; then on again.
    SkipThis,
    /// The next command's reply is not sent.
    SkipNext,
}

/// Commands between `MULTI` and `EXEC`.
#[derive(Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<(&'static Spec, Vec<Bytes>)>,
    pub(crate) bytes: usize,
    /// The flags of all that is queued; of scripts and functions, as they were declared when they came.
    pub(crate) flags: u32,
    /// A command was refused, so `EXEC` will be too.
    pub(crate) aborted: bool,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}

/// A key a client watches.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) place: Place,
    /// It had already expired when it was watched, so its removal is no change.
    pub(crate) was_expired: bool,
}

impl Client {
    pub(crate) fn new(id: ClientId, address: String, authenticated: bool, at: Moment) -> Self {
        Self {
            id,
            address,
            name: Bytes::new(),
            db: 0,
            protocol: 2,
            authenticated,
            user: super::acl::DEFAULT,
            created: at,
            used: at,
            last_command: "NULL",
            replies: Replies::On,
            transaction: None,
            watches: Vec::new(),
            watch_broken: false,
            never_evict: false,
            no_touch: false,
            library: None,
            asking: false,
            waiting: None,
            is_postponed: false,
            subscriptions: Subscriptions::default(),
            tracking: None,
            buffers: Buffers::default(),
            monitors: false,
            written_to: 0,
        }
    }

    pub(crate) fn class(&self) -> Class {
        if self.subscriptions.is_empty() { Class::Normal } else { Class::PubSub }
    }

    /// The line of `CLIENT LIST`. Sizes of buffers are 0 while nobody limits them, but for the command under way:
    /// `command` is its size on the wire and the size of its arguments.
    pub(crate) fn describe(&self, now: Moment, server: &str, command: (usize, usize)) -> String {
        let seconds = |since: Moment| (now.elapsed_us - since.elapsed_us) / 1_000_000;
        let tracking = self.tracking.as_deref();
        let mut flags = String::new();
        for (on, flag) in [
            (self.monitors, 'O'),
            (!self.subscriptions.is_empty(), 'P'),
            (self.transaction.is_some(), 'x'),
            (self.waiting.is_some() || self.is_postponed, 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some_and(|tracking| tracking.broken), 'R'),
            (tracking.is_some_and(|tracking| tracking.broadcast), 'B'),
            (self.watch_broken, 'd'),
            (self.never_evict, 'e'),
        ] {
            if on {
                flags.push(flag);
            }
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let redirect = tracking.map_or(-1, |tracking| i64::try_from(tracking.redirect).unwrap_or(i64::MAX));
        let queued =
            self.transaction.as_ref().map_or(-1, |tx| i64::try_from(tx.queue.len()).unwrap_or(i64::MAX));
        let queued_bytes = self.transaction.as_ref().map_or(0, |tx| tx.bytes);
        let library = self.library.as_ref().map_or_else(String::new, |[name, version]| {
            let text = String::from_utf8_lossy;
            format!(" lib-name={} lib-ver={}", text(name), text(version))
        });
        format!(
            "id={} addr={} laddr={server} fd={} name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} \
             multi={queued} qbuf={} qbuf-free=0 argv-mem={} multi-mem={queued_bytes} rbs=0 rbp=0 obl={} oll=0 omem=0 \
             tot-mem={} events=r cmd={} user={} redir={redirect} resp={}{library}\n",
            self.id,
            self.address,
            self.id + 7,
            String::from_utf8_lossy(&self.name),
            seconds(self.created),
            seconds(self.used),
            self.db,
            self.subscriptions.of(Topic::Channel).len(),
            self.subscriptions.of(Topic::Pattern).len(),
            self.subscriptions.of(Topic::Shard).len(),
            command.0.max(self.buffers.query),
            command.1,
            self.buffers.output,
            self.memory(),
            self.last_command,
            String::from_utf8_lossy(&self.user),
            self.protocol,
        )
    }
}

impl Client {
    /// Drops the reply if `CLIENT REPLY` said so.
    pub(super) fn filter_reply(&mut self, reply: Reply) -> Option<Reply> {
        let is_told = is_told(&reply);
        match self.replies {
            Replies::Off if is_told => Some(reply),
            Replies::SkipThis if is_told => {
                self.replies = Replies::On;
                Some(reply)
            }
            Replies::On => Some(reply),
            Replies::Off => None,
            Replies::SkipThis => {
                self.replies = Replies::On;
                None
            }
            Replies::SkipNext => {
                self.replies = Replies::SkipThis;
                None
            }
        }
    }

    /// Whether something beside the answer to its own command reaches the client.
    pub(super) fn hears(&self, reply: &Reply) -> bool {
        self.replies != Replies::Off || matches!(reply, Reply::None) || is_told(reply)
    }
}

/// Whether a reply is a message, which `CLIENT REPLY` does not keep back.
fn is_told(reply: &Reply) -> bool {
    match reply {
        Reply::Push(_) => true,
        Reply::Several(replies) => replies.iter().all(is_told),
        _ => false,
    }
}
