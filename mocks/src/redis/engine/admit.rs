//! From a command line to a call: which commands are refused, which are queued, which run.
//!
//! The order of checks is `processCommand`'s, since it decides which error a client gets.

use bytes::Bytes;

use super::Engine;
use super::client::ClientId;
use super::error::CmdError;
use super::table::flags::{NO_AUTH, WRITE};
use super::table::{self, Spec};
use crate::redis::resp::Reply;

/// A command line as rules and traces see it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The command's name in lower case, with its subcommand; `unknown` if there is no such command.
    pub command: &'static str,
    /// Its first key.
    pub key: Option<&'a Bytes>,
}

/// Says what a command line is about, without running it.
#[must_use]
pub fn describe(args: &[Bytes]) -> Described<'_> {
    match table::resolve(args) {
        Ok(spec) => Described {
            command: spec.name,
            key: spec.key_positions(args).first().and_then(|at| args.get(*at)),
        },
        Err(_) => Described { command: "unknown", key: None },
    }
}

/// Bytes a transaction may queue.
const QUEUE_BYTES: usize = 512 * 1024 * 1024;

impl Engine {
    pub(super) fn dispatch(&mut self, id: ClientId, args: Vec<Bytes>) -> Reply {
        let spec = match self.admit(id, &args) {
            Ok(spec) => spec,
            Err(error) => return self.refuse(id, &args, error),
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return Reply::Error("ERR the connection is closed".to_owned());
        };
        client.last_command = spec.name;
        if self.is_paused_for(id, spec, &args) {
            self.postpone(id, args);
            return Reply::None;
        }
        self.limit_copies();
        let Some(client) = self.clients.get_mut(&id) else { return Reply::None };
        let runs_in_transaction =
            matches!(spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset");
        if let Some(transaction) = client.transaction.as_mut().filter(|_| !runs_in_transaction) {
            transaction.bytes += args.iter().map(Bytes::len).sum::<usize>();
            if transaction.bytes > QUEUE_BYTES {
                transaction.aborted = true;
                transaction.queue.clear();
            } else {
                transaction.queue.push((spec, args));
            }
            return Reply::Status("QUEUED".into());
        }
        let reply = self.call(id, spec, &args);
        self.forget_caching(id, spec);
        reply
    }

    fn admit(&self, id: ClientId, args: &[Bytes]) -> Result<&'static Spec, CmdError> {
        let spec = table::resolve(args)?;
        if !spec.takes(args.len()) {
            return Err(CmdError::wrong_arity(spec.name));
        }
        let client = self.clients.get(&id);
        let authenticated = client.is_some_and(|client| client.authenticated) || self.password().is_empty();
        if !authenticated && !spec.has(NO_AUTH) {
            return Err(CmdError::NO_AUTH);
        }
        let queued_write = || {
            let transaction = client.and_then(|client| client.transaction.as_ref());
            transaction.is_some_and(|transaction| transaction.queue.iter().any(|(spec, _)| spec.has(WRITE)))
        };
        if self.read_only && (spec.has(WRITE) || spec.name == "exec" && queued_write()) {
            return Err(CmdError::READ_ONLY);
        }
        if let Some(client) = client {
            client.check_mode(spec)?;
        }
        Ok(spec)
    }

    /// Answers an error for a command that was not run; a transaction under way is spoilt by it.
    pub(super) fn refuse(&mut self, id: ClientId, args: &[Bytes], error: CmdError) -> Reply {
        self.stats.count_error(error.code());
        let known = table::find(args.first().map_or(&[][..], |name| name));
        if let Some(spec) = known {
            self.stats.count_rejected(spec.name);
        }
        let is_exec = known.is_some_and(|spec| spec.name == "exec");
        let in_transaction = self.clients.get_mut(&id).and_then(|client| client.transaction.as_mut());
        if let Some(transaction) = in_transaction {
            transaction.aborted = true;
            if is_exec {
                self.discard(id);
                // Those who watch saw the transaction begin, and should see that it is over.
                if let Some(spec) = known {
                    self.show(id, spec, args);
                }
                let error = error.to_string();
                let why = error.strip_prefix("ERR ").unwrap_or(&error);
                return Reply::Error(format!("EXECABORT Transaction discarded because of: {why}"));
            }
        }
        Reply::Error(error.to_string())
    }
}
