//! Users from files: the `user` lines of a configuration, and the file that `ACL LOAD` reads and `ACL SAVE` writes.
//!
//! Either all lines are right or nothing changes; errors are the real server's, with its numbers of lines.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::rule_error::RuleError;
use super::selector::has_spaces;
use super::user::{User, merge_parentheses};
use super::{Acl, DEFAULT};
use crate::redis::engine::Engine;
use crate::redis::engine::client::ClientId;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::files::reason;

/// The `user` lines of a configuration, each known to be a line of rules.
#[derive(Debug, Default)]
pub(crate) struct Declared(Vec<(Bytes, Vec<Vec<u8>>)>);

impl Declared {
    /// Takes a line's words after `user`: a name and rules. Names of commands are checked later, by
    /// [`Declared::users`], when modules would have added theirs.
    ///
    /// # Errors
    /// Why the real server does not start.
    pub(crate) fn add(&mut self, words: &[Bytes]) -> Result<(), String> {
        let shown = |at: usize| match at {
            0 => "user".to_owned(),
            at => words.get(at - 1).map(|word| lossy(word)).unwrap_or_default(),
        };
        let refused = |at: usize, why: &str| Err(format!("Error in user declaration '{}': {why}", shown(at)));
        let Some((name, rules)) = words.split_first() else { return Ok(()) };
        if self.0.iter().any(|(known, _)| known == name) {
            return refused(1, "Duplicate user found. A user can only be defined once in config files");
        }
        let Ok(rules) = merge_parentheses(rules) else {
            return refused(0, &RuleError::UnknownName.to_string());
        };
        let mut user = User::new(false);
        for (at, rule) in rules.iter().enumerate() {
            match user.apply(rule, false) {
                Ok(()) | Err(RuleError::UnknownName) => {}
                Err(why) => return refused(at, &why.to_string()),
            }
        }
        self.0.push((name.clone(), rules));
        Ok(())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The users of a file's text, the default user among them.
fn parse(file: &str, text: &str, all_channels: bool) -> Result<BTreeMap<Bytes, User>, String> {
    let mut users = BTreeMap::new();
    let mut errors = String::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        let words: Vec<Bytes> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let at = format!("{file}:{number}");
        let (name, rules) = match words.as_slice() {
            _ if line.is_empty() => continue,
            [word, name, rules @ ..] if word == "user" => (name, rules),
            _ => {
                errors += &format!("{at} should start with user keyword followed by the username. ");
                continue;
            }
        };
        if has_spaces(name) {
            errors += &format!("'{at}: username '{}' contains invalid characters. ", lossy(name));
        } else if users.contains_key(name) {
            errors += &format!("WARNING: Duplicate user '{}' found on line {number}. ", lossy(name));
        } else {
            users.insert(name.clone(), user(&at, rules, all_channels, &mut errors));
        }
    }
    if errors.is_empty() {
        users.entry(DEFAULT).or_insert_with(User::default_user);
        return Ok(users);
    }
    errors += "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
    Err(errors)
}

/// The user of a line's rules. Of unknown names all are told, of other errors the first: it may cause the others.
fn user(at: &str, rules: &[Bytes], all_channels: bool, errors: &mut String) -> User {
    let mut user = User::new(all_channels);
    let Ok(rules) = merge_parentheses(rules) else {
        *errors += &format!("{at}: Unmatched parenthesis in selector definition.");
        return user;
    };
    let mut is_broken = false;
    for rule in rules {
        match user.apply(rule.trim_ascii(), all_channels) {
            Ok(()) => {}
            Err(why @ RuleError::UnknownName) => {
                *errors += &format!("{at}: Error in applying operation '{}': {why}. ", lossy(&rule));
            }
            Err(why) if !is_broken => {
                *errors += &format!("{at}: {why}. ");
                is_broken = true;
            }
            Err(_) => {}
        }
    }
    user
}

impl Acl {
    /// Takes over users that were declared; the others stay as they are.
    fn declare(&mut self, declared: &Declared, all_channels: bool) -> Result<(), String> {
        for (name, rules) in &declared.0 {
            if has_spaces(name) {
                return Err("Spaces not allowed in ACL usernames".to_owned());
            }
            let mut user = User::new(all_channels);
            for rule in rules {
                user.apply(rule, all_channels).map_err(|why| {
                    let (rule, name) = (lossy(rule), lossy(name));
                    format!("Error loading ACL rule '{rule}' for the user named '{name}': {why}")
                })?;
            }
            self.users.insert(name.clone(), user);
        }
        self.refresh();
        Ok(())
    }
}

impl Engine {
    /// Takes over the users a server is started with: those of its configuration, or those of its file.
    ///
    /// # Errors
    /// Why the real server does not start.
    pub(crate) fn begin_users(&mut self, declared: &Declared) -> Result<(), String> {
        const BOTH: &str = "Configuring Redis with users defined in redis.conf and at the same setting an ACL file \
                            path is invalid. This setup is very likely to lead to configuration errors and \
                            security holes, please define either an ACL file or declare users directly in your \
                            redis.conf, but not both.";
        let has_file = self.config.get("aclfile").is_some_and(|file| !file.is_empty());
        if has_file && !declared.is_empty() {
            return Err(BOTH.to_owned());
        }
        let all_channels = self.all_channels();
        let declared = self.acl.declare(declared, all_channels);
        declared.map_err(|why| format!("{why}\nCritical error while loading ACLs. Exiting."))?;
        if has_file {
            let users = self.users_of_file();
            self.acl.users =
                users.map_err(|why| format!("Aborting Redis startup because of ACL errors: {why}"))?;
            self.acl.refresh();
        }
        Ok(())
    }

    /// `ACL LOAD`: the users are those of the file. All connections that are not the default user's end.
    pub(in crate::redis::engine) fn load_users(&mut self, asked_by: ClientId) -> Result<(), CmdError> {
        self.acl.users = self.users_of_file().map_err(|why| CmdError::new(format!("ERR {why}")))?;
        self.acl.refresh();
        let others = self.clients.values().filter(|client| client.user != DEFAULT).map(|client| client.id);
        for id in others.collect::<Vec<_>>() {
            self.end_connection(id, asked_by);
        }
        Ok(())
    }

    /// `ACL SAVE`: the file has the lines of `ACL LIST`.
    pub(in crate::redis::engine) fn save_users(&self) -> Result<(), CmdError> {
        const FAILED: CmdError = CmdError::fixed(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        );
        let text: String = self.acl_lines().into_iter().map(|line| line + "\n").collect();
        let (file, home) = (self.config.get("aclfile").unwrap_or_default(), self.config.home.as_ref());
        home.ok_or(FAILED)?.files.write(file, &text).map_err(|_| FAILED)
    }

    /// The users, as `ACL LIST` tells them.
    pub(crate) fn acl_lines(&self) -> Vec<String> {
        self.acl.lines().map(|line| lossy(&line)).collect()
    }

    fn users_of_file(&self) -> Result<BTreeMap<Bytes, User>, String> {
        let file = self.config.get("aclfile").unwrap_or_default();
        let unreadable = |why: &str| format!("Error loading ACLs, opening file '{file}': {why}");
        let home = self.config.home.as_ref().ok_or_else(|| unreadable("the mock has no files"))?;
        let text = home.files.read(file).map_err(|error| unreadable(&reason(&error)))?;
        parse(file, &text, self.all_channels())
    }

    fn all_channels(&self) -> bool {
        self.config.get("acl-pubsub-default") == Some("allchannels")
    }
}
