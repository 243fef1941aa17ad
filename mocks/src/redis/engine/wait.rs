//! Clients that wait for a key, as `blocked.c` of Redis 7.0 lets them.
//!
//! A command that finds nothing asks to wait. When a key it waits for holds a value of the right type, the same
//! command runs again, looking at that key only; if it answers, the client waits no longer. Keys are served in
//! the order in which they became ready, and clients of one key in the order in which they came, after the
//! command that made them ready is over: a transaction or a script as a whole.
//!
//! Deadlines are times of the wall clock, as in Redis, so a clock that jumps ends waits early or late.
//!
//! What is not here: waiting for the end of a pause. Waiting for replicas, which no key ends, is in part: who
//! waits, and until when; `replica.rs` says when they have got there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Engine;
use super::call::{Call, Outcome, is};
use super::client::ClientId;
use super::error::CmdError;
use super::long_double::LongDouble;
use super::number::strict_i64;
use super::table::Spec;
use crate::redis::resp::Reply;
use crate::redis::store::{Place, Value};

/// The type of value that ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    List,
    Stream,
    /// A stream with a group: whoever waits for it must also hear that it is gone.
    StreamGroup,
    Zset,
    /// None: the client waits for replicas to be at this place in the stream of all writes.
    Replicas(u64),
}

impl Kind {
    fn is_of(self, value: Option<&Value>) -> bool {
        match self {
            Self::List => matches!(value, Some(Value::List(_))),
            Self::Stream => matches!(value, Some(Value::Stream(_))),
            Self::StreamGroup => true,
            Self::Zset => matches!(value, Some(Value::Zset(_))),
            Self::Replicas(_) => false,
        }
    }
}

/// A command that waits.
pub(crate) struct Waiting {
    spec: &'static Spec,
    args: Vec<Bytes>,
    places: Vec<Place>,
    kind: Kind,
    deadline_ms: Option<i64>,
}

impl Waiting {
    /// What ends it.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("command", &self.spec.name).field("for", &self.places).finish()
    }
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_place: BTreeMap<Place, Vec<ClientId>>,
    deadlines: BTreeSet<(i64, ClientId)>,
    /// Keys written since waiting clients were last served.
    ready: Vec<Place>,
    /// What the command under way writes makes no key ready.
    hushed: bool,
    /// The key a command that waited runs again for.
    serving: Option<Bytes>,
    /// That command still finds nothing.
    goes_on: bool,
    count: usize,
}

impl Waiters {
    /// How many clients wait for a key.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// When the next wait is over, in Unix milliseconds.
    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        // The deadline itself still belongs to the wait, as it does to a key.
        self.deadlines.first().map(|(deadline, _)| deadline.saturating_add(1))
    }

    /// Notes that a key was written, if someone waits for it.
    pub(super) fn written(&mut self, place: &Place) {
        if !self.hushed && self.by_place.contains_key(place) {
            self.ready.push(place.clone());
        }
    }

    /// The keys that a command wrote were all looked at.
    pub(super) fn settled(&mut self) {
        self.hushed = false;
    }
}

impl Call<'_> {
    /// Whether the command may wait: not in a transaction or a script.
    pub(crate) fn can_wait(&self) -> bool {
        !self.engine.in_transaction && self.engine.script.is_none()
    }

    /// Says that a key is ready though nothing was written to it that would break a watch.
    pub(crate) fn makes_ready(&mut self, key: &Bytes) {
        let place = (self.db(), key.clone());
        self.engine.waiters.written(&place);
    }

    /// Says that what this command writes takes away only, so nobody who waits need look.
    pub(crate) fn makes_nothing_ready(&mut self) {
        self.engine.waiters.hushed = true;
    }

    /// The key that became ready, if this command waited for it and runs again: the only one to look at.
    pub(crate) fn ready_key(&self) -> Option<&Bytes> {
        self.engine.waiters.serving.as_ref()
    }

    /// Puts the client to wait for one of `keys` to hold a value of type `kind`.
    pub(crate) fn wait_for(&mut self, keys: &[Bytes], kind: Kind, deadline_ms: Option<i64>) -> Outcome {
        if self.engine.waiters.serving.is_some() {
            self.engine.waiters.goes_on = true;
            return Ok(Reply::None);
        }
        let db = self.db();
        let mut places: Vec<Place> = Vec::new();
        for key in keys {
            let place = (db, key.clone());
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let waiting = Waiting { spec: self.spec, args: self.args.to_vec(), places, kind, deadline_ms };
        self.engine.wait(self.client, waiting);
        Ok(Reply::None)
    }

    /// The deadline that an argument of seconds means, in Unix milliseconds; `None` for no end.
    pub(crate) fn timeout_argument(&self, index: usize) -> Result<Option<i64>, CmdError> {
        const NOT_FLOAT: CmdError = CmdError::fixed("ERR timeout is not a float or out of range");
        let text = self.args.get(index).ok_or(CmdError::SYNTAX)?;
        let is_infinite = is(text, "inf") || is(text, "infinity");
        let ms =
            if is_infinite { i64::MIN } else { LongDouble::parse(text).ok_or(NOT_FLOAT)?.seconds_to_ms() };
        self.timeout(ms)
    }

    /// The deadline that an argument of milliseconds means, in Unix milliseconds; `None` for no end.
    pub(crate) fn timeout_ms_argument(&self, index: usize) -> Result<Option<i64>, CmdError> {
        const NOT_INTEGER: CmdError = CmdError::fixed("ERR timeout is not an integer or out of range");
        let text = self.args.get(index).ok_or(CmdError::SYNTAX)?;
        self.timeout(strict_i64(text).ok_or(NOT_INTEGER)?)
    }

    fn timeout(&self, ms: i64) -> Result<Option<i64>, CmdError> {
        match ms {
            ..0 => Err(CmdError::fixed("ERR timeout is negative")),
            0 => Ok(None),
            ms => Ok(Some(self.now_ms().saturating_add(ms))),
        }
    }
}

impl Engine {
    /// Whether a client waits: nothing else of what it sent may run.
    #[must_use]
    pub fn is_waiting(&self, id: ClientId) -> bool {
        let engine = self.reader_of(id).unwrap_or(self);
        engine.clients.get(&id).is_some_and(|client| client.waiting.is_some() || client.is_postponed)
    }

    /// How many clients wait, for a key or for the end of a pause.
    pub(crate) fn blocked_clients(&self) -> usize {
        self.waiters.len() + self.postponed.len()
    }

    fn wait(&mut self, id: ClientId, waiting: Waiting) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        for place in &waiting.places {
            self.waiters.by_place.entry(place.clone()).or_default().push(id);
        }
        self.waiters.deadlines.extend(waiting.deadline_ms.map(|deadline| (deadline, id)));
        self.waiters.count += 1;
        client.waiting = Some(Box::new(waiting));
        self.choose_notes();
    }

    /// Ends a client's wait, answering `reply`; whether it waited.
    pub(crate) fn unblock(&mut self, id: ClientId, reply: Reply) -> bool {
        let client = self.clients.get(&id);
        let over = client.and_then(|client| client.waiting.as_ref()).map(|it| (it.spec, it.args.clone()));
        let ended = self.forget_wait(id);
        if let Some((spec, args)) = over {
            self.note_time(id, spec, &args, 0);
            self.push(id, reply);
        }
        ended
    }

    /// Ends a client's wait as if its time were over, or with an error; whether it waited.
    pub(crate) fn end_wait_early(&mut self, id: ClientId, with_error: bool) -> bool {
        const ENDED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
        let reply = if with_error { Reply::Error(ENDED.to_owned()) } else { self.timeout_reply(id) };
        self.unblock(id, reply)
    }

    /// Ends all waits with an error, and the connections of those who waited: what they wait for will not come.
    pub(super) fn end_all_waits(&mut self) {
        const ENDED: &str =
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
        let waiting = self.clients.values().filter(|client| client.waiting.is_some());
        for id in waiting.map(|client| client.id).collect::<Vec<_>>() {
            self.forget_wait(id);
            self.push_last(id, Reply::Error(ENDED.to_owned()));
        }
    }

    /// Ends a client's wait without an answer; whether it waited.
    pub(super) fn forget_wait(&mut self, id: ClientId) -> bool {
        let Some(waiting) = self.clients.get_mut(&id).and_then(|client| client.waiting.take()) else {
            return false;
        };
        for place in &waiting.places {
            if let Some(ids) = self.waiters.by_place.get_mut(place) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.waiters.by_place.remove(place);
                }
            }
        }
        if let Some(deadline) = waiting.deadline_ms {
            self.waiters.deadlines.remove(&(deadline, id));
        }
        self.waiters.count -= 1;
        self.choose_notes();
        true
    }

    /// Ends the waits whose time is over.
    pub(super) fn end_overdue_waits(&mut self) {
        let now = self.at.unix_ms();
        while let Some((deadline, id)) = self.waiters.deadlines.first().copied() {
            if deadline >= now {
                break;
            }
            let reply = self.timeout_reply(id);
            self.unblock(id, reply);
        }
    }

    /// What a client is answered whose wait ends without what it waited for.
    pub(crate) fn timeout_reply(&self, id: ClientId) -> Reply {
        let waiting = self.clients.get(&id).and_then(|client| client.waiting.as_deref());
        match waiting.map(|waiting| waiting.kind) {
            Some(Kind::Replicas(end)) => Reply::Int(self.replicas_at(end)),
            _ => Reply::NullArray,
        }
    }

    /// Lets the clients that wait for written keys try again, until nobody's key is ready.
    pub(super) fn serve_ready(&mut self) {
        while !self.waiters.ready.is_empty() {
            for place in std::mem::take(&mut self.waiters.ready) {
                let ids = self.waiters.by_place.get(&place).cloned().unwrap_or_default();
                for id in ids {
                    self.serve(id, &place);
                }
            }
        }
    }

    fn serve(&mut self, id: ClientId, place: &Place) {
        let Some(waiting) = self.clients.get(&id).and_then(|client| client.waiting.as_deref()) else {
            return;
        };
        let entry = self.store.db(place.0).get(&place.1);
        if !waiting.kind.is_of(entry.map(|entry| &entry.value)) {
            return;
        }
        let (spec, args) = (waiting.spec, waiting.args.clone());
        self.waiters.serving = Some(place.1.clone());
        self.waiters.goes_on = false;
        let (sent, current) = (self.deliveries(), self.current.replace(id));
        let reply = self.rerun(id, spec, &args);
        self.current = current;
        self.waiters.serving = None;
        if !self.waiters.goes_on {
            // Its answer comes before what it hears of what it did.
            let heard = self.recall_all(sent, id);
            self.unblock(id, reply);
            heard.into_iter().for_each(|told| self.push_after(id, told));
        }
    }
}
