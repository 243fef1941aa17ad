//! The command table: every command's name, arity, flags, categories and keys, and the function that runs it.
//!
//! One table drives everything: finding commands, arity errors, what scripts, transactions and read-only
//! servers refuse, which keys a rule matches, and `COMMAND`. Whether Redis knows a command the table lacks is
//! not recorded: the client gets the real server's text for unknown commands.

mod connection;
mod expire;
pub(crate) mod flags;
mod hash;
mod keyspace;
mod list;
mod pubsub;
mod replication;
mod script;
mod server;
mod set;
mod stream;
mod string;
mod transaction;
mod zset;

use std::sync::OnceLock;

use bytes::Bytes;
use indexmap::IndexMap;

use super::call::{Call, Outcome};
use super::error::CmdError;
use crate::redis::store::FixedState;

/// Runs a command. Arity, permissions and modes were checked.
pub(crate) type Run = fn(&mut Call<'_>) -> Outcome;

/// One command or subcommand.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The name in lower case; of a subcommand `client|id`.
    pub name: &'static str,
    /// Arguments including the name; negative: at least so many.
    pub arity: i32,
    pub(crate) flags: u32,
    pub(crate) categories: &'static str,
    pub(crate) run: Run,
    pub(crate) since: &'static str,
    pub(crate) group: &'static str,
    pub(crate) complexity: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) tips: &'static [&'static str],
    pub(crate) keys: &'static [KeySpec],
    pub(crate) subcommands: &'static [Self],
}

/// Where a command's keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) first: usize,
    pub(crate) find: Find,
    pub(crate) flags: &'static str,
    pub(crate) note: Option<&'static str>,
}

/// How keys follow the first position of a [`KeySpec`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// To `last`, counted from the first, or from the end if negative, each `step`th argument.
    Range { last: i32, step: usize },
    /// The argument there says how many follow.
    Counted,
    /// After a word that stands at the position or later, the first half of the arguments.
    AfterWord(&'static str),
}

const fn range(first: usize, last: i32, step: usize, flags: &'static str) -> KeySpec {
    KeySpec { first, find: Find::Range { last, step }, flags, note: None }
}

const fn keynum(first: usize, flags: &'static str) -> KeySpec {
    KeySpec { first, find: Find::Counted, flags, note: None }
}

const fn keyword(word: &'static str, first: usize, flags: &'static str) -> KeySpec {
    KeySpec { first, find: Find::AfterWord(word), flags, note: None }
}

impl KeySpec {
    const fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    fn positions(&self, args: &[Bytes]) -> Vec<usize> {
        let (first, last, step) = match self.find {
            Find::Range { last, step } => {
                let end = if last < 0 {
                    args.len().checked_add_signed(last as isize)
                } else {
                    self.first.checked_add_signed(last as isize)
                };
                (self.first, end, step)
            }
            Find::AfterWord(word) => {
                let is_word = |arg: &Bytes| arg.eq_ignore_ascii_case(word.as_bytes());
                let found = args.iter().skip(self.first).position(is_word);
                let Some(first) = found.map(|at| self.first + at + 1) else { return Vec::new() };
                let half = args.len().saturating_sub(first) / 2;
                return (first..first + half).collect();
            }
            Find::Counted => {
                let count =
                    args.get(self.first).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
                (self.first + 1, count.and_then(|count: usize| self.first.checked_add(count)), 1)
            }
        };
        let Some(last) = last else { return Vec::new() };
        (first..=last.min(args.len().saturating_sub(1))).step_by(step).collect()
    }
}

impl Spec {
    const fn new(name: &'static str, arity: i32, flags: u32, categories: &'static str, run: Run) -> Self {
        Self {
            name,
            arity,
            flags,
            categories,
            run,
            since: "",
            group: "",
            complexity: "",
            summary: "",
            tips: &[],
            keys: &[],
            subcommands: &[],
        }
    }

    const fn docs(
        self,
        since: &'static str,
        group: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Self {
        Self { since, group, complexity, summary, ..self }
    }

    const fn tips(self, tips: &'static [&'static str]) -> Self {
        Self { tips, ..self }
    }

    const fn keys(self, keys: &'static [KeySpec]) -> Self {
        Self { keys, ..self }
    }

    const fn subcommands(self, subcommands: &'static [Self]) -> Self {
        Self { subcommands, ..self }
    }

    /// The subcommands the command has; empty for most.
    #[must_use]
    pub fn children(&self) -> &'static [Self] {
        self.subcommands
    }

    /// Whether the command may change data.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.has(flags::WRITE)
    }

    /// Whether the command has all of `flags`.
    pub(crate) fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Whether a command line of `count` arguments is long enough, and not too long.
    pub(crate) fn takes(&self, count: usize) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let arity = i64::from(self.arity);
        if arity >= 0 { count == arity } else { count >= -arity }
    }

    /// The positions of the keys in a command line, in order.
    pub(crate) fn key_positions(&self, args: &[Bytes]) -> Vec<usize> {
        self.keys.iter().flat_map(|spec| spec.positions(args)).collect()
    }

    /// First key, last key and step, as clients that know no key specifications expect them.
    pub(crate) fn legacy_range(&self) -> (i64, i64, i64) {
        let mut all: Option<(i64, i64, i64)> = None;
        for spec in self.keys {
            let Find::Range { last, step } = spec.find else { continue };
            let first = i64::try_from(spec.first).unwrap_or(0);
            let step = i64::try_from(step).unwrap_or(1);
            let last = if last < 0 { i64::from(last) } else { first + i64::from(last) };
            all = Some(match all {
                None => (first, last, step),
                // A negative one counts from the end, so it is the later.
                Some((from, to, by)) => {
                    (from.min(first), if to < 0 || last < 0 { to.min(last) } else { to.max(last) }, by)
                }
            });
        }
        all.unwrap_or((0, 0, 0))
    }
}

/// All top-level commands, sorted by name.
pub fn all() -> &'static [&'static Spec] {
    static ALL: OnceLock<Vec<&'static Spec>> = OnceLock::new();
    ALL.get_or_init(|| {
        let groups = [
            connection::TABLE,
            expire::TABLE,
            hash::TABLE,
            keyspace::TABLE,
            list::TABLE,
            pubsub::TABLE,
            replication::TABLE,
            script::TABLE,
            server::TABLE,
            set::TABLE,
            stream::TABLE,
            string::TABLE,
            transaction::TABLE,
            zset::TABLE,
        ];
        let mut all: Vec<&'static Spec> = groups.into_iter().flatten().collect();
        all.sort_by_key(|spec| spec.name);
        all
    })
}

/// Longest command name looked for.
const NAME_BYTES: usize = 32;

/// The top-level command of this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
    static INDEX: OnceLock<IndexMap<&'static [u8], &'static Spec, FixedState>> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().iter().map(|spec| (spec.name.as_bytes(), *spec)).collect());
    let mut lower = [0_u8; NAME_BYTES];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    index.get(&*lower).copied()
}

/// The command a command line names, with its subcommand if it has one.
pub(crate) fn resolve(args: &[Bytes]) -> Result<&'static Spec, CmdError> {
    let name = args.first().map_or(&[][..], |name| name);
    let Some(spec) = find(name) else { return Err(CmdError::unknown_command(args)) };
    let (Some(sub), false) = (args.get(1), spec.subcommands.is_empty()) else { return Ok(spec) };
    let is_named = |spec: &&'static Spec| {
        spec.name.split_once('|').is_some_and(|(_, name)| name.as_bytes().eq_ignore_ascii_case(sub))
    };
    let found = spec.subcommands.iter().find(is_named);
    found.ok_or_else(|| CmdError::unknown_subcommand(spec.name, sub))
}

/// What a command that only holds subcommands does when it gets none; arity forbids it.
pub(crate) fn container(call: &mut Call<'_>) -> Outcome {
    Err(CmdError::wrong_arity(call.spec.name))
}
