//! One call of a command: its arguments, and the engine as commands see it.

use bytes::Bytes;

use super::Engine;
use super::client::{Client, ClientId};
use super::error::CmdError;
use super::notify::{KEY_MISS, NEW_KEY};
use super::number;
use super::table::Spec;
use crate::redis::resp::Reply;
use crate::redis::store::{Entry, Value};

/// What a command answers.
pub(crate) type Outcome = Result<Reply, CmdError>;

/// A command being run.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) client: ClientId,
    pub(crate) spec: &'static Spec,
    /// The command line, the name included. Long enough for the command's arity.
    pub(crate) args: &'a [Bytes],
}

impl<'a> Call<'a> {
    /// The time of the command in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.engine.at.unix_ms()
    }

    /// The client.
    ///
    /// # Errors
    /// If its connection has been closed meanwhile.
    pub(crate) fn client(&mut self) -> Result<&mut Client, CmdError> {
        let client = self.engine.clients.get_mut(&self.client);
        client.ok_or(CmdError::fixed("ERR the connection is closed"))
    }

    /// The number of the client's database.
    pub(crate) fn db(&self) -> usize {
        self.engine.clients.get(&self.client).map_or(0, |client| client.db)
    }

    /// The version of the protocol that the reply will be written in.
    pub(crate) fn protocol(&self) -> u8 {
        match self.engine.script {
            Some(mode) => mode.protocol,
            None => self.engine.clients.get(&self.client).map_or(2, |client| client.protocol),
        }
    }

    /// The arguments from `index` on.
    pub(crate) fn rest(&self, index: usize) -> &'a [Bytes] {
        self.args.get(index..).unwrap_or_default()
    }

    /// An integer argument.
    pub(crate) fn integer(&self, index: usize) -> Result<i64, CmdError> {
        let argument = self.args.get(index).ok_or(CmdError::SYNTAX)?;
        number::strict_i64(argument).ok_or(CmdError::NOT_INTEGER)
    }

    /// An optional last argument that counts elements. `surplus` says what is wrong with more than it.
    pub(crate) fn optional_count(&self, at: usize, surplus: CmdError) -> Result<Option<usize>, CmdError> {
        match self.rest(at) {
            [] => Ok(None),
            [count] => count_of(count).map(Some),
            _ => Err(surplus),
        }
    }

    /// Looks a key up to be read: counts a hit or a miss, and notes the use.
    pub(crate) fn read(&mut self, key: &Bytes) -> Option<&Entry> {
        let (db, now) = (self.db(), self.now_ms());
        let touches = !self.engine.clients.get(&self.client).is_some_and(|client| client.no_touch);
        if !touches {
            return self.peek(key);
        }
        let Some(index) = self.engine.store.find(db, key, now) else {
            self.missed(key);
            return None;
        };
        self.engine.stats.hits += 1;
        self.engine.note_use(db, key);
        self.engine.store.db(db).at(index)
    }

    /// Looks a key up to say something of it: counts a hit or a miss, but no use.
    pub(crate) fn peek(&mut self, key: &Bytes) -> Option<&Entry> {
        let (db, now) = (self.db(), self.now_ms());
        let Some(index) = self.engine.store.locate(db, key, now) else {
            self.missed(key);
            return None;
        };
        self.engine.stats.hits += 1;
        self.engine.store.db(db).at(index)
    }

    fn missed(&mut self, key: &Bytes) {
        self.engine.tell_expired();
        self.engine.stats.misses += 1;
        self.notify(KEY_MISS, "keymiss", key);
    }

    /// Looks a key up to be written, or only to be looked at: counts nothing.
    pub(crate) fn look(&mut self, key: &Bytes) -> Option<&Entry> {
        let (db, now) = (self.db(), self.now_ms());
        let Some(index) = self.engine.store.locate(db, key, now) else {
            self.engine.tell_expired();
            return None;
        };
        self.engine.store.db(db).at(index)
    }

    /// A string to be read.
    pub(crate) fn read_str(&mut self, key: &Bytes) -> Result<Option<Bytes>, CmdError> {
        self.read(key).map(|entry| str_of(&entry.value)).transpose()
    }

    /// A string to be written.
    pub(crate) fn look_str(&mut self, key: &Bytes) -> Result<Option<Bytes>, CmdError> {
        self.look(key).map(|entry| str_of(&entry.value)).transpose()
    }

    /// Sets a key, replacing value and deadline.
    pub(crate) fn put(&mut self, key: &Bytes, value: Value, deadline_ms: Option<i64>) {
        let (db, now) = (self.db(), self.now_ms());
        let is_told = self.engine.config.events & NEW_KEY != 0;
        let is_new = is_told && self.engine.store.db(db).get(key).is_none();
        self.engine.store.put(db, key, value, deadline_ms, now);
        if is_new {
            self.notify(NEW_KEY, "new", key);
        }
    }

    /// A value to be changed in place.
    pub(crate) fn edit(&mut self, key: &Bytes) -> Option<&mut Value> {
        let db = self.db();
        self.engine.store.edit(db, key)
    }

    /// Says that the answer is there before what the client hears of the command, as Redis has it with this one.
    pub(crate) fn answers_first(&mut self) {
        self.engine.is_answered = self.can_wait();
    }

    /// Says what a replica is to run instead of this command, which would not do the same there.
    pub(crate) fn replicate(&mut self, args: Vec<Bytes>) {
        self.engine.rewritten.push(args);
    }

    /// Says that a replica is to run only what [`Call::replicate`] says, be it nothing: an empty line runs nothing.
    pub(crate) fn replicates_by_itself(&mut self) {
        self.engine.rewritten.push(Vec::new());
    }

    /// Removes a key; whether it existed and had not expired.
    pub(crate) fn delete(&mut self, key: &Bytes) -> bool {
        self.take(key).is_some()
    }

    /// Removes a key; what it held, if it existed and had not expired.
    pub(crate) fn take(&mut self, key: &Bytes) -> Option<Entry> {
        let (db, now) = (self.db(), self.now_ms());
        let expired = self.engine.store.expire_if_due(db, key, now);
        self.engine.tell_expired();
        // An expired key that a pause keeps is removed all the same, as Redis does.
        self.engine.store.remove(db, key).filter(|_| !expired)
    }
}

fn str_of(value: &Value) -> Result<Bytes, CmdError> {
    match value {
        Value::Str(text) => Ok(text.to_bytes()),
        _ => Err(CmdError::WRONG_TYPE),
    }
}

/// An argument that counts something.
pub(crate) fn count_of(argument: &[u8]) -> Result<usize, CmdError> {
    const NOT_POSITIVE: CmdError = CmdError::fixed("ERR value is out of range, must be positive");
    number::strict_i64(argument).and_then(|count| usize::try_from(count).ok()).ok_or(NOT_POSITIVE)
}

/// Whether an argument is this word, in any case.
pub(crate) fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}
