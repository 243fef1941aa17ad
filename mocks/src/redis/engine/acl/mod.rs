//! Users and what they may do, as `acl.c` of Redis 7.0: the rules, the checks and the log of refusals.
//!
//! Most servers have one user who may do everything; then no check looks at a command line at all.

mod commands;
mod file;
mod log;
mod rule_error;
mod selector;
mod user;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Engine;
use super::client::{Client, ClientId};
use super::error::CmdError;
use super::table::Spec;
use crate::redis::resp::Reply;

use super::pubsub::Topic;
pub(in crate::redis::engine) use commands::{CATEGORIES, category, names_in};
pub(crate) use file::Declared;
pub(in crate::redis::engine) use log::{Context, LogEntry};
use selector::{READ, Selector, WRITE, Wish, is_allowed_channel};
use user::User;

/// The user that connections start as.
pub(in crate::redis::engine) const DEFAULT: Bytes = Bytes::from_static(b"default");

/// The address clients are told the server has: the engine does not know where it listens.
const SERVER: &str = "127.0.0.1:6379";

/// Why a command line may not run, with the position of the argument that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::redis::engine) enum Denied {
    Command,
    Key(usize),
    Channel(usize),
}

/// The users of a server.
#[derive(Debug)]
pub(in crate::redis::engine) struct Acl {
    users: BTreeMap<Bytes, User>,
    /// Every user may do everything.
    unrestricted: bool,
    pub(in crate::redis::engine) log: log::Log,
}

impl Acl {
    /// A server whose one user may do everything.
    fn new() -> Self {
        let users = BTreeMap::from([(DEFAULT, User::default_user())]);
        Self { users, unrestricted: true, log: log::Log::default() }
    }

    /// A server whose one user has this password; none if it is empty.
    pub(in crate::redis::engine) fn with_password(password: &[u8]) -> Self {
        let mut acl = Self::new();
        acl.set_default_password(password);
        acl
    }

    /// Whether connections start as a user who is logged in.
    pub(in crate::redis::engine) fn is_open(&self) -> bool {
        self.users.get(&DEFAULT).is_some_and(|user| user.no_password && user.enabled)
    }

    /// Whether the default user has no password.
    pub(in crate::redis::engine) fn default_needs_no_password(&self) -> bool {
        self.users.get(&DEFAULT).is_some_and(|user| user.no_password)
    }

    /// Whether there is such a user.
    pub(in crate::redis::engine) fn has(&self, user: &Bytes) -> bool {
        self.users.contains_key(user)
    }

    /// Makes a password the default user's only one; an empty one lets everyone in (`requirepass`).
    pub(in crate::redis::engine) fn set_default_password(&mut self, password: &[u8]) {
        if let Some(user) = self.users.get_mut(&DEFAULT) {
            user.set_only_password(password);
        }
    }

    /// Names of users.
    pub(in crate::redis::engine) fn names(&self) -> impl Iterator<Item = &Bytes> {
        self.users.keys()
    }

    /// The lines of `ACL LIST`.
    pub(in crate::redis::engine) fn lines(&self) -> impl Iterator<Item = Bytes> {
        let line = |(name, user): (&Bytes, &User)| {
            Bytes::from([b"user ", &name[..], b" ", &user.describe()[..]].concat())
        };
        self.users.iter().map(line)
    }

    /// What `ACL GETUSER` says.
    pub(in crate::redis::engine) fn describe(&self, name: &Bytes) -> Option<Reply> {
        let user = self.users.get(name)?;
        let mut fields = vec![
            (Reply::bulk("flags"), Reply::Set(user.flags().into_iter().map(Reply::bulk).collect())),
            (Reply::bulk("passwords"), Reply::bulks(user.passwords.iter().cloned())),
        ];
        fields.extend(selector_fields(&user.root));
        let selectors = user.selectors.iter().map(|one| Reply::Map(selector_fields(one).into()));
        fields.push((Reply::bulk("selectors"), Reply::Array(selectors.collect())));
        Some(Reply::Map(fields))
    }

    /// Checks a command line against a user's rules. The reason is the last that no selector let pass, as the
    /// real server picks it.
    pub(in crate::redis::engine) fn check(
        &self,
        user: &Bytes,
        spec: &'static Spec,
        args: &[Bytes],
    ) -> Result<(), Denied> {
        if self.unrestricted {
            return Ok(());
        }
        let Some(user) = self.users.get(user) else { return Ok(()) };
        if user.may_everything() {
            return Ok(());
        }
        let wish = Wish::new(spec, args);
        let mut denied = Denied::Command;
        for selector in user.all_selectors() {
            match selector.check(&wish) {
                Ok(()) => return Ok(()),
                Err(why) => denied = denied.max(why),
            }
        }
        Err(denied)
    }

    fn refresh(&mut self) {
        self.unrestricted = self.users.values().all(User::may_everything);
    }
}

impl<'a> Wish<'a> {
    fn new(spec: &'static Spec, args: &'a [Bytes]) -> Self {
        let access = |flags: &str| {
            let writes = ["insert", "delete", "update"].iter().any(|word| flags.contains(word));
            let reads = flags.contains("access");
            (u8::from(reads) * READ) | (u8::from(writes) * WRITE)
        };
        let keys = spec.key_uses(args).into_iter().map(|(at, flags)| (at, access(flags))).collect();
        let channels = match spec.name {
            // A script may ask of a line that is too short to be run.
            "publish" | "spublish" => (1..args.len().min(2)).map(|at| (at, false)).collect(),
            "subscribe" | "ssubscribe" => (1..args.len()).map(|at| (at, false)).collect(),
            "psubscribe" => (1..args.len()).map(|at| (at, true)).collect(),
            _ => Vec::new(),
        };
        Self { spec, args, keys, channels }
    }
}

fn selector_fields(selector: &Selector) -> [(Reply, Reply); 3] {
    let text = |rules: Vec<Vec<u8>>| Reply::bulk(rules.join(&b' '));
    [
        (Reply::bulk("commands"), Reply::bulk(selector.command_rules())),
        (Reply::bulk("keys"), text(selector.key_rules())),
        (Reply::bulk("channels"), text(selector.channel_rules())),
    ]
}

impl Engine {
    /// Changes a user by rules, all or none; makes the user if there is none.
    ///
    /// # Errors
    /// The error line of the real server.
    pub(in crate::redis::engine) fn set_user(
        &mut self,
        name: &Bytes,
        rules: &[Bytes],
        asked_by: ClientId,
    ) -> Result<(), CmdError> {
        if selector::has_spaces(name) {
            return Err(CmdError::fixed("ERR Usernames can't contain spaces or null characters"));
        }
        let all_channels = self.config.get("acl-pubsub-default") == Some("allchannels");
        let before = self.acl.users.get(name);
        let mut user = before.cloned().unwrap_or_else(|| User::new(all_channels));
        let rules = user::merge_parentheses(rules).map_err(|open| {
            let open = String::from_utf8_lossy(&open);
            CmdError::new(format!("ERR Unmatched parenthesis in acl selector starting at '{open}'."))
        })?;
        for rule in rules {
            user.apply(&rule, all_channels).map_err(|why| {
                let rule = String::from_utf8_lossy(&rule);
                CmdError::new(format!("ERR Error in ACL SETUSER modifier '{rule}': {why}"))
            })?;
        }
        let lost = self.acl.users.get(name).and_then(|before| channels_left(before, &user));
        self.acl.users.insert(name.clone(), user);
        self.acl.refresh();
        if let Some(left) = lost {
            self.end_forbidden_subscriptions(name, &left, asked_by);
        }
        Ok(())
    }

    /// Removes a user and ends the connections that are logged in as it; whether there was one.
    pub(in crate::redis::engine) fn remove_user(&mut self, name: &Bytes, asked_by: ClientId) -> bool {
        if self.acl.users.remove(name).is_none() {
            return false;
        }
        self.acl.refresh();
        let its = self.clients.values().filter(|client| client.user == *name).map(|client| client.id);
        for id in its.collect::<Vec<_>>() {
            self.end_connection(id, asked_by);
        }
        true
    }

    /// Logs a client in. A refusal goes to the log.
    ///
    /// # Errors
    /// If there is no such user, it may not log in, or the password is wrong.
    pub(in crate::redis::engine) fn authenticate(
        &mut self,
        id: ClientId,
        user: &Bytes,
        password: &[u8],
        command: &Bytes,
    ) -> Result<(), CmdError> {
        const WRONG: CmdError =
            CmdError::fixed("WRONGPASS invalid username-password pair or user is disabled.");
        if !self.acl.users.get(user).is_some_and(|user| user.accepts(password)) {
            let context = self.context_of(id);
            self.log_refusal(id, "auth", context, command.clone(), user.clone());
            return Err(WRONG);
        }
        if let Some(client) = self.clients.get_mut(&id) {
            client.authenticated = true;
            client.user = user.clone();
        }
        Ok(())
    }

    /// Checks a client's command line, and notes a refusal in the log.
    pub(in crate::redis::engine) fn check_permission(
        &mut self,
        id: ClientId,
        spec: &'static Spec,
        args: &[Bytes],
        context: Context,
    ) -> Result<(), Denied> {
        if self.acl.unrestricted {
            return Ok(());
        }
        let Some(user) = self.clients.get(&id).map(|client| client.user.clone()) else { return Ok(()) };
        let Err(denied) = self.acl.check(&user, spec, args) else { return Ok(()) };
        let (reason, object) = match denied {
            Denied::Command => ("command", Bytes::from_static(spec.name.as_bytes())),
            Denied::Key(at) => ("key", args[at].clone()),
            Denied::Channel(at) => ("channel", args[at].clone()),
        };
        self.log_refusal(id, reason, context, object, user);
        Err(denied)
    }

    /// Where a command of a client would be refused.
    pub(in crate::redis::engine) fn context_of(&self, id: ClientId) -> Context {
        let client = self.clients.get(&id);
        let queues = client.is_some_and(|client| client.transaction.is_some());
        if queues { Context::Multi } else { Context::TopLevel }
    }

    fn log_refusal(
        &mut self,
        id: ClientId,
        reason: &'static str,
        context: Context,
        object: Bytes,
        user: Bytes,
    ) {
        let client = self.clients.get(&id).map(|client| client.describe(self.at, SERVER, (0, 0)));
        let client = client.map(|line| line.trim_end().to_owned()).unwrap_or_default();
        let most = self.config.get("acllog-max-len").and_then(|most| most.parse().ok()).unwrap_or(128);
        let at_ms = self.at.unix_ms();
        self.acl.log.add(LogEntry { count: 0, reason, context, object, user, at_ms, client }, most);
    }

    /// Ends the connections of a user that listen to what it may not hear any more.
    fn end_forbidden_subscriptions(&mut self, user: &Bytes, left: &[Bytes], asked_by: ClientId) {
        let topics = [Topic::Channel, Topic::Pattern, Topic::Shard];
        let hears_too_much = |client: &&Client| {
            topics.into_iter().any(|topic| {
                let is_pattern = topic == Topic::Pattern;
                client.subscriptions.of(topic).iter().any(|name| !is_allowed_channel(left, name, is_pattern))
            })
        };
        let of_user = self.clients.values().filter(|client| client.user == *user);
        let ids: Vec<ClientId> = of_user.filter(hears_too_much).map(|client| client.id).collect();
        for id in ids {
            self.end_connection(id, asked_by);
        }
    }

    /// Ends a connection because of what `asked_by` did; its own is closed after the answer.
    fn end_connection(&mut self, id: ClientId, asked_by: ClientId) {
        if id == asked_by {
            if let Some(client) = self.clients.get_mut(&id) {
                client.user = DEFAULT;
                client.authenticated = false;
            }
            self.close = true;
        } else {
            self.disconnect(id);
            self.kill.push(id);
        }
    }
}

/// The channels a user may still use, if it had more before.
fn channels_left(before: &User, after: &User) -> Option<Vec<Bytes>> {
    if after.all_selectors().any(|one| one.all_channels) {
        return None;
    }
    let left: Vec<Bytes> = after.all_selectors().flat_map(|one| one.channels.clone()).collect();
    let mut had = before.all_selectors();
    let keeps_all = had.all(|one| !one.all_channels && one.channels.iter().all(|had| left.contains(had)));
    (!keeps_all).then_some(left)
}

#[cfg(test)]
mod tests;
