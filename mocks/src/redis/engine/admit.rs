//! From a command line to a call: which commands are refused, which are queued, which run.
//!
//! The order of checks is `processCommand`'s, since it decides which error a client gets.

use bytes::Bytes;

use super::acl::{Context, Denied};
use super::client::ClientId;
use super::cluster::is_redirect;
use super::error::CmdError;
use super::table::flags::{DENYOOM, NO_AUTH, NO_MULTI, WRITE};
use super::table::{self, Spec};
use super::{Engine, Expiry};
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
    match table::resolve(args).or_else(|unknown| table::resolve_later(args).ok_or(unknown)) {
        Ok(spec) => Described {
            command: spec.name,
            key: spec.key_positions(args).first().and_then(|at| args.get(*at)),
        },
        Err(_) => Described { command: "unknown", key: None },
    }
}

pub(super) const NO_REPLICAS: CmdError = CmdError::fixed("NOREPLICAS Not enough good replicas to write.");

/// Bytes a transaction may queue.
const QUEUE_BYTES: usize = 512 * 1024 * 1024;

impl Engine {
    pub(super) fn dispatch(&mut self, id: ClientId, args: Vec<Bytes>) -> Reply {
        let (spec, flags) = match self.admit(id, &args) {
            Ok(admitted) => admitted,
            Err(error) => return self.refuse(id, &args, error),
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return Reply::Error("ERR the connection is closed".to_owned());
        };
        client.last_command = spec.name;
        client.asking &= spec.name == "asking" || client.transaction.is_some();
        if self.is_paused_for(id, flags) {
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
            }
            // What will not run is not kept: its keys say no longer where `EXEC` belongs.
            if !transaction.aborted && !client.watch_broken {
                transaction.flags |= flags;
                transaction.queue.push((spec, args));
            }
            return Reply::Status("QUEUED".into());
        }
        let reply = self.call(id, spec, &args);
        self.forget_caching(id, spec);
        reply
    }

    /// The command and its flags; those of `EXEC` are also those of what it runs.
    fn admit(&mut self, id: ClientId, args: &[Bytes]) -> Result<(&'static Spec, u32), CmdError> {
        let spec = self.resolve(args)?;
        if !spec.takes(args.len()) {
            return Err(CmdError::wrong_arity(spec.name));
        }
        let client = self.clients.get(&id);
        let authenticated = client.is_some_and(|client| client.authenticated) || self.acl.is_open();
        if !authenticated && !spec.has(NO_AUTH) {
            return Err(CmdError::NO_AUTH);
        }
        let queued = client.and_then(|client| client.transaction.as_ref());
        let queues = queued.is_some();
        let run = queued.filter(|_| spec.name == "exec").map_or(0, |queued| queued.flags);
        let flags = self.flags_of_call(spec, args) | run;
        if queues && spec.has(NO_MULTI) {
            return Err(CmdError::fixed("ERR Command not allowed inside a transaction"));
        }
        let context = if queues { Context::Multi } else { Context::TopLevel };
        if let Err(denied) = self.check_permission(id, spec, args, context) {
            return Err(not_permitted(spec, denied));
        }
        if self.cluster.is_some() {
            self.route(id, spec, args)?;
        }
        if self.config.tuning.memory_limit > 0 {
            self.make_room();
        }
        let ends = matches!(spec.name, "exec" | "discard" | "quit" | "reset");
        let needs_memory = flags & DENYOOM != 0 || queues && !ends;
        if needs_memory && self.is_out_of_memory() {
            return Err(CmdError::OUT_OF_MEMORY);
        }
        let writes = flags & WRITE != 0;
        if writes && self.lacks_replicas() {
            return Err(NO_REPLICAS);
        }
        if writes && self.read_only {
            return Err(CmdError::READ_ONLY);
        }
        if let Some(client) = self.clients.get(&id) {
            client.check_mode(spec)?;
        }
        Ok((spec, flags))
    }

    /// Whether `min-replicas-to-write` forbids writes: there are no replicas that could be good enough.
    pub(super) fn lacks_replicas(&self) -> bool {
        self.config.tuning.needs_replicas && !self.read_only
    }

    /// Runs a queued command, if the client may still run it.
    pub(super) fn call_queued(&mut self, id: ClientId, spec: &'static Spec, args: &[Bytes]) -> Reply {
        let Err(denied) = self.check_permission(id, spec, args, Context::Multi) else {
            return self.call(id, spec, args);
        };
        let reason = match denied {
            Denied::Command => "no permission to execute the command or subcommand",
            Denied::Key(_) => "no permission to touch the specified keys",
            Denied::Channel(_) => "no permission to access one of the channels used as arguments",
        };
        let line = format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
             This command is no longer allowed for the following reason: {reason}"
        );
        self.stats.count_error(&line);
        Reply::Error(line)
    }

    /// Whether a script that a client runs may call a command.
    ///
    /// # Errors
    /// The error line that the script gets.
    pub(super) fn permit_in_script(
        &mut self,
        id: ClientId,
        spec: &'static Spec,
        args: &[Bytes],
    ) -> Result<(), CmdError> {
        let denied = self.check_permission(id, spec, args, Context::Lua);
        denied.map_err(|denied| {
            CmdError::fixed(match denied {
                Denied::Command => "ERR The user executing the script can't run this command or subcommand",
                Denied::Key(_) => {
                    "ERR The user executing the script can't access at least one of the keys mentioned in the \
                     command arguments"
                }
                Denied::Channel(_) => {
                    "ERR The user executing the script can't publish to the channel mentioned in the command"
                }
            })
        })?;
        self.route_in_script(id, spec, args)
    }

    /// Does what parameters want done when they are set.
    pub(super) fn config_was_set(&mut self, pairs: &[(String, String)]) {
        for (name, value) in pairs {
            if name.eq_ignore_ascii_case("requirepass") {
                self.acl.set_default_password(value.as_bytes());
            }
        }
        if let (Expiry::Redis { hz }, Some(now)) = (&mut self.expiry, self.config.get("hz")) {
            *hz = now.parse().unwrap_or(*hz);
        }
        self.watch_memory();
        if pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("maxmemory")) {
            self.limit_was_set();
        }
        self.rearm_idle();
    }

    /// Answers an error for a command that was not run; a transaction under way is spoilt by it.
    pub(super) fn refuse(&mut self, id: ClientId, args: &[Bytes], error: CmdError) -> Reply {
        self.stats.count_error(error.code());
        let known = self.resolve(args).ok();
        if let Some(spec) = known {
            self.stats.count_rejected(spec.name);
        }
        let is_exec = known.is_some_and(|spec| spec.name == "exec");
        let in_transaction = self.clients.get_mut(&id).and_then(|client| client.transaction.as_mut());
        if let Some(transaction) = in_transaction {
            transaction.aborted = true;
            if is_exec && is_redirect(&error) {
                self.discard(id);
            } else if is_exec {
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

fn not_permitted(spec: &Spec, denied: Denied) -> CmdError {
    match denied {
        Denied::Command => {
            CmdError::new(format!("NOPERM this user has no permissions to run the '{}' command", spec.name))
        }
        Denied::Key(_) => {
            CmdError::fixed("NOPERM this user has no permissions to access one of the keys used as arguments")
        }
        Denied::Channel(_) => CmdError::fixed(
            "NOPERM this user has no permissions to access one of the channels used as arguments",
        ),
    }
}
