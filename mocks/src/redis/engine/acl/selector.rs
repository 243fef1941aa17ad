//! A selector: which commands may run, on which keys and channels. A user has one, and may have more.
//!
//! Rules are applied in order and later ones win, as `ACLSetSelector` of Redis 7.0 does it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Denied;
use super::commands::{CATEGORIES, CommandSet, Commands, category};
use super::rule_error::RuleError;
use crate::redis::engine::call::is;
use crate::redis::engine::table::Spec;
use crate::redis::engine::table::flags::NO_AUTH;
use crate::redis::glob;

/// What may be done with a key.
pub(super) const READ: u8 = 1;
pub(super) const WRITE: u8 = 2;

/// Keys that may be used, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPattern {
    pub(super) pattern: Bytes,
    /// [`READ`], [`WRITE`] or both.
    pub(super) access: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::redis::engine) struct Selector {
    pub(super) all_keys: bool,
    pub(super) all_channels: bool,
    /// No bit has to be looked at.
    pub(super) all_commands: bool,
    pub(super) commands: CommandSet,
    /// First arguments with which a command may run though it may not otherwise.
    pub(super) first_args: BTreeMap<usize, Vec<Bytes>>,
    pub(super) patterns: Vec<KeyPattern>,
    pub(super) channels: Vec<Bytes>,
}

/// What a command line wants, found once for all selectors.
pub(super) struct Wish<'a> {
    pub(super) spec: &'static Spec,
    pub(super) args: &'a [Bytes],
    /// Positions of keys and what is done with them.
    pub(super) keys: Vec<(usize, u8)>,
    /// Positions of channels, and whether they are patterns.
    pub(super) channels: Vec<(usize, bool)>,
}

impl Selector {
    pub(super) fn new(all_channels: bool) -> Self {
        Self {
            all_keys: false,
            all_channels,
            all_commands: false,
            commands: CommandSet::NONE,
            first_args: BTreeMap::new(),
            patterns: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Whether nothing is forbidden.
    pub(super) fn allows_everything(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if is(rule, "allkeys") || rule == b"~*" {
            self.all_keys = true;
            self.patterns.clear();
        } else if is(rule, "resetkeys") {
            self.all_keys = false;
            self.patterns.clear();
        } else if is(rule, "allchannels") || rule == b"&*" {
            self.all_channels = true;
            self.channels.clear();
        } else if is(rule, "resetchannels") {
            self.all_channels = false;
            self.channels.clear();
        } else if is(rule, "allcommands") || is(rule, "+@all") {
            self.allow_all(true);
        } else if is(rule, "nocommands") || is(rule, "-@all") {
            self.allow_all(false);
        } else {
            match rule {
                [b'~', pattern @ ..] => self.add_keys(pattern, READ | WRITE)?,
                [b'%', rest @ ..] => self.add_keys_with_access(rest)?,
                [b'&', channel @ ..] => self.add_channel(channel)?,
                [b'+', b'@', name @ ..] => self.allow_category(name, true)?,
                [b'-', b'@', name @ ..] => self.allow_category(name, false)?,
                [b'+', name @ ..] => self.allow_command(name)?,
                [b'-', name @ ..] => {
                    let number = Commands::get().named(name).ok_or(RuleError::UnknownName)?;
                    self.change(number, false);
                }
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    pub(super) fn allow_all(&mut self, on: bool) {
        self.commands = if on { CommandSet::ALL } else { CommandSet::NONE };
        self.all_commands = on;
        self.first_args.clear();
    }

    fn add_keys_with_access(&mut self, rest: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        let end = rest.iter().position(|byte| *byte == b'~').unwrap_or(rest.len());
        let mut access = 0;
        for letter in &rest[..end] {
            let one = match letter.to_ascii_uppercase() {
                b'R' => READ,
                b'W' => WRITE,
                _ => return Err(RuleError::Syntax),
            };
            if access & one != 0 {
                return Err(RuleError::Syntax);
            }
            access |= one;
        }
        if access == 0 {
            return Err(RuleError::Syntax);
        }
        self.add_keys(rest.get(end + 1..).unwrap_or_default(), access)
    }

    fn add_keys(&mut self, pattern: &[u8], access: u8) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.patterns.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.access |= access,
            None => {
                self.patterns.push(KeyPattern { pattern: Bytes::copy_from_slice(pattern), access });
            }
        }
        Ok(())
    }

    fn add_channel(&mut self, channel: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_spaces(channel) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == channel) {
            self.channels.push(Bytes::copy_from_slice(channel));
        }
        Ok(())
    }

    fn allow_category(&mut self, name: &[u8], on: bool) -> Result<(), RuleError> {
        let category = category(name).ok_or(RuleError::UnknownName)?;
        self.change_category(category, on);
        Ok(())
    }

    /// Allows or forbids the commands of a category, with their subcommands.
    pub(super) fn change_category(&mut self, category: usize, on: bool) {
        for (number, _) in Commands::get().of_category(category) {
            self.change(number, on);
        }
    }

    /// `+command`, `+command|subcommand` or `+command|first-argument`.
    fn allow_command(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let commands = Commands::get();
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            let number = commands.named(name).ok_or(RuleError::UnknownName)?;
            self.change(number, true);
            return Ok(());
        };
        let (parent, argument) = (&name[..bar], &name[bar + 1..]);
        let number = commands.named(parent).ok_or(RuleError::UnknownName)?;
        let row = &commands.rows[number];
        if row.is_subcommand {
            return Err(RuleError::ArgumentOfSubcommand);
        }
        if argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        if row.children > 0 {
            let number = commands.named(name).ok_or(RuleError::UnknownName)?;
            self.change(number, true);
        } else {
            let allowed = self.first_args.entry(number).or_default();
            if !allowed.iter().any(|known| known.eq_ignore_ascii_case(argument)) {
                allowed.push(Bytes::copy_from_slice(argument));
            }
        }
        Ok(())
    }

    /// Allows or forbids a command, with its subcommands.
    pub(super) fn change(&mut self, number: usize, on: bool) {
        let children = Commands::get().rows.get(number).map_or(0, |row| row.children);
        self.first_args.remove(&number);
        for number in number..=number + children {
            self.commands.set(number, on);
        }
        self.all_commands &= on;
    }

    /// Whether a command line may run.
    pub(super) fn check(&self, wish: &Wish<'_>) -> Result<(), Denied> {
        if !self.all_commands && !wish.spec.has(NO_AUTH) && !self.may_run(wish) {
            return Err(Denied::Command);
        }
        let denied = wish.keys.iter().find(|(at, access)| !self.may_use(&wish.args[*at], *access));
        if let Some((at, _)) = denied {
            return Err(Denied::Key(*at));
        }
        let denied = wish.channels.iter().find(|(at, literal)| !self.may_hear(&wish.args[*at], *literal));
        match denied {
            Some((at, _)) => Err(Denied::Channel(*at)),
            None => Ok(()),
        }
    }

    fn may_run(&self, wish: &Wish<'_>) -> bool {
        // Commands of later versions have no number: they count as those that do not exist yet.
        let Some(number) = Commands::get().number(wish.spec) else { return self.commands.has_future() };
        if self.commands.has(number) {
            return true;
        }
        let first = wish.args.get(1);
        let allowed = self.first_args.get(&number);
        first.is_some_and(|first| {
            allowed.is_some_and(|allowed| allowed.iter().any(|known| known.eq_ignore_ascii_case(first)))
        })
    }

    pub(super) fn may_use(&self, key: &[u8], access: u8) -> bool {
        let fits = |known: &KeyPattern| known.access & access == access && glob::matches(&known.pattern, key);
        self.all_keys || self.patterns.iter().any(fits)
    }

    /// Whether a channel may be used. A pattern must be allowed word for word.
    pub(super) fn may_hear(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_channels || is_allowed_channel(&self.channels, channel, is_pattern)
    }

    /// The rules that make such a set of commands, starting from all or from none.
    pub(super) fn command_rules(&self) -> String {
        let commands = Commands::get();
        let additive = !self.commands.has_future();
        let mut rules = vec![if additive { "-@all" } else { "+@all" }.to_owned()];
        let mut made = Self::new(false);
        made.allow_all(!additive);
        let mut left = Self { commands: self.commands.clone(), ..Self::new(false) };
        let mut applied = [false; CATEGORIES.len()];
        while let Some(best) = best_category(&left.commands, additive, &applied) {
            rules.push(format!("{}@{}", if additive { '+' } else { '-' }, CATEGORIES[best]));
            made.change_category(best, additive);
            left.change_category(best, !additive);
            applied[best] = true;
        }
        for (number, row) in commands.rows.iter().enumerate() {
            let wanted = self.commands.has(number);
            if wanted != made.commands.has(number) {
                rules.push(format!("{}{}", if wanted { '+' } else { '-' }, row.spec.name));
                made.change(number, wanted);
            }
            if let (false, Some(allowed)) = (wanted, self.first_args.get(&number)) {
                let rule = |first: &Bytes| format!("+{}|{}", row.spec.name, String::from_utf8_lossy(first));
                rules.extend(allowed.iter().map(rule));
            }
        }
        rules.join(" ")
    }

    /// The rules for keys.
    pub(super) fn key_rules(&self) -> Vec<Vec<u8>> {
        if self.all_keys {
            return vec![b"~*".to_vec()];
        }
        let rule = |known: &KeyPattern| {
            let prefix = match known.access {
                READ => "%R~",
                WRITE => "%W~",
                _ => "~",
            };
            [prefix.as_bytes(), &known.pattern].concat()
        };
        self.patterns.iter().map(rule).collect()
    }

    /// The rules for channels.
    pub(super) fn channel_rules(&self) -> Vec<Vec<u8>> {
        if self.all_channels {
            return vec![b"&*".to_vec()];
        }
        self.channels.iter().map(|channel| [b"&", &channel[..]].concat()).collect()
    }

    /// All rules, as `ACL LIST` shows them.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut words = self.key_rules();
        if !self.all_channels {
            words.push(b"resetchannels".to_vec());
        }
        words.extend(self.channel_rules());
        words.push(self.command_rules().into_bytes());
        words.join(&b' ')
    }
}

/// Whether a channel is among those allowed.
pub(super) fn is_allowed_channel(allowed: &[Bytes], channel: &[u8], is_pattern: bool) -> bool {
    let fits = |known: &Bytes| if is_pattern { known == channel } else { glob::matches(known, channel) };
    allowed.iter().any(fits)
}

/// The category that brings an empty set nearest to `left`, or a full one if not `additive`.
fn best_category(left: &CommandSet, additive: bool, applied: &[bool]) -> Option<usize> {
    let mut best: Option<(usize, usize, usize)> = None;
    for category in (0..CATEGORIES.len()).filter(|category| !applied[*category]) {
        let (mut same, mut different) = (0, 0);
        for (number, _) in Commands::get().of_category(category) {
            if left.has(number) == additive {
                same += 1;
            } else {
                different += 1;
            }
        }
        let is_better =
            best.is_none_or(|(_, least, most)| different < least || different == least && same > most);
        if same > different && is_better {
            best = Some((category, different, same));
        }
    }
    best.map(|(category, _, _)| category)
}

/// Names and patterns with these could not be told from several in a list of rules.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0)
}
