//! What the server knows of a connection: its database, name, protocol version, transaction and watches.

use bytes::Bytes;
use indexmap::IndexMap;

use super::Moment;
use super::table::Spec;
use super::wait::Waiting;
use crate::redis::store::{FixedState, Place};

/// Numbers connections, from 1.
pub type ClientId = u64;

/// All connections, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Clients(IndexMap<ClientId, Box<Client>, FixedState>);

impl Clients {
    pub(crate) fn get(&self, id: &ClientId) -> Option<&Client> {
        self.0.get(id).map(|client| &**client)
    }

    pub(crate) fn get_mut(&mut self, id: &ClientId) -> Option<&mut Client> {
        self.0.get_mut(id).map(|client| &mut **client)
    }

    pub(crate) fn insert(&mut self, client: Client) {
        self.0.insert(client.id, Box::new(client));
    }

    pub(crate) fn remove(&mut self, id: &ClientId) {
        self.0.shift_remove(id);
    }

    pub(crate) fn contains_key(&self, id: &ClientId) -> bool {
        self.0.contains_key(id)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Client> {
        self.0.values().map(|client| &**client)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
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
    pub(crate) created: Moment,
    pub(crate) used: Moment,
    pub(crate) last_command: &'static str,
    pub(crate) replies: Replies,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) watches: Vec<Watch>,
    /// A watched key changed, so `EXEC` will do nothing.
    pub(crate) watch_broken: bool,
    pub(crate) never_evict: bool,
    /// The command that waits for a key.
    pub(crate) waiting: Option<Box<Waiting>>,
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
            created: at,
            used: at,
            last_command: "NULL",
            replies: Replies::On,
            transaction: None,
            watches: Vec::new(),
            watch_broken: false,
            never_evict: false,
            waiting: None,
        }
    }

    /// The line of `CLIENT LIST`. Sizes of buffers, which belong to the shell, are reported as 0.
    pub(crate) fn describe(&self, now: Moment, server: &str) -> String {
        let seconds = |since: Moment| (now.elapsed_us - since.elapsed_us) / 1_000_000;
        let mut flags = String::new();
        for (on, flag) in [
            (self.waiting.is_some(), 'b'),
            (self.transaction.is_some(), 'x'),
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
        let queued =
            self.transaction.as_ref().map_or(-1, |tx| i64::try_from(tx.queue.len()).unwrap_or(i64::MAX));
        let queued_bytes = self.transaction.as_ref().map_or(0, |tx| tx.bytes);
        format!(
            "id={} addr={} laddr={server} fd={} name={} age={} idle={} flags={flags} db={} sub=0 psub=0 ssub=0 \
             multi={queued} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl=0 oll=0 omem=0 \
             tot-mem=0 events=r cmd={} user=default redir=-1 resp={}\n",
            self.id,
            self.address,
            self.id + 7,
            String::from_utf8_lossy(&self.name),
            seconds(self.created),
            seconds(self.used),
            self.db,
            self.last_command,
            self.protocol,
        )
    }
}
