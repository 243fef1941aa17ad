//! The command table: every command's name, arity, flags, categories and keys, and the function that runs it.
//!
//! One table drives everything: finding commands, arity errors, what scripts, transactions and read-only
//! servers refuse, which keys a rule matches, and `COMMAND`. Whether Redis knows a command the table lacks is
//! not recorded: the client gets the real server's text for unknown commands.

mod acl;
mod admin;
mod bitmap;
mod cluster;
mod connection;
mod dump;
mod expire;
pub(crate) mod flags;
mod function;
mod geo;
mod hash;
mod hyperloglog;
mod keyspace;
mod later;
mod list;
mod pubsub;
mod replication;
mod script;
mod server;
mod set;
mod sort;
mod stream;
mod string;
mod transaction;
mod zset;

use std::sync::OnceLock;

use bytes::Bytes;
use indexmap::IndexMap;

use super::call::{Call, Outcome, is};
use super::error::CmdError;
use crate::redis::store::FixedState;

/// Runs a command. Arity, permissions and modes were checked.
pub(crate) type Run = fn(&mut Call<'_>) -> Outcome;

/// Says where the keys are in a command line, and what is done with each.
pub(crate) type FindKeys = fn(&[Bytes]) -> Vec<(usize, &'static str)>;

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
    /// Finds the keys where the specifications cannot say where they are.
    pub(crate) find_keys: Option<FindKeys>,
    pub(crate) subcommands: &'static [Self],
}

/// Where a command's keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySpec {
    pub(crate) begin: Begin,
    pub(crate) find: Find,
    pub(crate) flags: &'static str,
    pub(crate) note: Option<&'static str>,
}

/// Where the keys of a [`KeySpec`] begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    /// At this argument.
    Index(usize),
    /// After this word, which is looked for from an argument on; from the end backwards if negative.
    Keyword { word: &'static str, from: i32 },
    /// Nobody can tell from the command line's shape.
    Unknown,
}

/// How keys follow the first position of a [`KeySpec`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// To `last`, counted from the first, or from the end if negative, each `step`th argument.
    Range { last: i32, step: usize },
    /// The argument there says how many follow.
    Counted,
    /// Nobody can tell.
    Unknown,
    /// The first half of the arguments there.
    FirstHalf,
}

const fn range(first: usize, last: i32, step: usize, flags: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Index(first), find: Find::Range { last, step }, flags, note: None }
}

/// Keys after a word that is looked for from an argument on.
const fn keyword(word: &'static str, from: i32, last: i32, flags: &'static str) -> KeySpec {
    let find = Find::Range { last, step: 1 };
    KeySpec { begin: Begin::Keyword { word, from }, find, flags, note: None }
}

/// Keys of which it is known only that there may be some.
const fn unknown(flags: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags, note: None }
}

const fn keynum(first: usize, flags: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Index(first), find: Find::Counted, flags, note: None }
}

/// Keys in the first half of the arguments after a word.
const fn keyword_half(word: &'static str, from: i32, flags: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Keyword { word, from }, find: Find::FirstHalf, flags, note: None }
}

impl KeySpec {
    const fn note(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }

    /// The argument the keys begin at.
    fn first(&self, args: &[Bytes]) -> Option<usize> {
        match self.begin {
            Begin::Index(first) => Some(first),
            Begin::Keyword { word, from } => {
                let is_word = |at: &usize| is(&args[*at], word);
                let start = usize::try_from(from.unsigned_abs()).ok()?;
                let found = if from < 0 {
                    (1..=args.len().checked_sub(start)?).rev().find(is_word)
                } else {
                    (start..args.len()).find(is_word)
                };
                Some(found? + 1)
            }
            Begin::Unknown => None,
        }
    }

    /// Whether the command line says how many such keys there are, and that is not true.
    pub(crate) fn is_miscounted(&self, args: &[Bytes]) -> bool {
        matches!(self.find, Find::Counted) && self.positions(args).is_empty()
    }

    fn positions(&self, args: &[Bytes]) -> Vec<usize> {
        let Some(first) = self.first(args) else { return Vec::new() };
        let (first, last, step) = match self.find {
            Find::Range { last, step } => {
                let end = if last < 0 {
                    args.len().checked_add_signed(last as isize)
                } else {
                    first.checked_add_signed(last as isize)
                };
                (first, end, step)
            }
            Find::FirstHalf => {
                let half = args.len().saturating_sub(first) / 2;
                return (first..first + half).collect();
            }
            Find::Counted => {
                let count = args.get(first).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
                let last = count.and_then(|count: usize| first.checked_add(count));
                // More keys than there are arguments are none, as the real server finds.
                (first + 1, last.filter(|last| *last < args.len()), 1)
            }
            Find::Unknown => return Vec::new(),
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
            find_keys: None,
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

    /// Finds keys by a function where [`Spec::keys`] cannot say where they are.
    const fn find_keys(self, find: FindKeys) -> Self {
        Self { find_keys: Some(find), ..self }
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
        match self.find_keys {
            Some(find) => find(args).into_iter().map(|(at, _)| at).collect(),
            None => self.keys.iter().flat_map(|spec| spec.positions(args)).collect(),
        }
    }

    /// The positions of the keys in a command line, and the flags that say what is done with each.
    pub(crate) fn key_uses(&self, args: &[Bytes]) -> Vec<(usize, &'static str)> {
        let uses = |spec: &KeySpec| {
            let flags = match self.name {
                // `variable_flags`: options decide whether the key is also read, or only written.
                "set" if !args.iter().skip(3).any(|word| is(word, "get")) => "OW update",
                "bitfield" if !args.iter().skip(2).any(|word| is(word, "set") || is(word, "incrby")) => {
                    "RO access"
                }
                "set" | "bitfield" => "RW access update",
                _ => spec.flags,
            };
            spec.positions(args).into_iter().map(move |at| (at, flags)).collect::<Vec<_>>()
        };
        let found = match self.find_keys {
            Some(find) => find(args),
            None => self.keys.iter().flat_map(uses).collect::<Vec<_>>(),
        };
        found.into_iter().filter(|(at, flags)| *at < args.len() && !flags.contains("not_key")).collect()
    }

    /// First key, last key and step, as clients that know no key specifications expect them.
    pub(crate) fn legacy_range(&self) -> (i64, i64, i64) {
        let mut all: Option<(i64, i64, i64)> = None;
        for spec in self.keys {
            let (Begin::Index(first), Find::Range { last, step }) = (spec.begin, spec.find) else { continue };
            let first = i64::try_from(first).unwrap_or(0);
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
            acl::TABLE,
            admin::TABLE,
            bitmap::TABLE,
            cluster::TABLE,
            connection::TABLE,
            dump::TABLE,
            expire::TABLE,
            function::TABLE,
            geo::TABLE,
            hash::TABLE,
            hyperloglog::TABLE,
            keyspace::TABLE,
            list::TABLE,
            pubsub::TABLE,
            replication::TABLE,
            script::TABLE,
            server::TABLE,
            set::TABLE,
            sort::TABLE,
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

/// A command by name, or a subcommand by `container|name`.
pub(crate) fn named(name: &[u8]) -> Option<&'static Spec> {
    let Some(bar) = name.iter().position(|byte| *byte == b'|') else { return find(name) };
    let container = find(&name[..bar])?;
    container.subcommands.iter().find(|sub| name.eq_ignore_ascii_case(sub.name.as_bytes()))
}

/// The commands that came after 7.0; subcommands stand by themselves.
pub(crate) fn later() -> impl Iterator<Item = &'static Spec> {
    later::TABLE.iter()
}

/// The command of a version after 7.0 that a command line names.
pub(crate) fn resolve_later(args: &[Bytes]) -> Option<&'static Spec> {
    let name = args.first()?;
    let is_named = |spec: &&'static Spec| match spec.name.split_once('|') {
        None => spec.name.as_bytes().eq_ignore_ascii_case(name),
        Some((container, sub)) => {
            container.as_bytes().eq_ignore_ascii_case(name) && args.get(1).is_some_and(|word| is(word, sub))
        }
    };
    later::TABLE.iter().find(is_named)
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
