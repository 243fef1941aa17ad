//! Commands of all groups mixed, sent in batches, so that many are compared in little time.
//!
//! `SQUALL_DIFF_OPS` says how many commands each version of the protocol gets, `SQUALL_DIFF_SEED` which. What
//! differs is shrunk to a short sequence by leaving commands out.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use squall_mocks::redis::engine;

use crate::choice;
use crate::random::{command, show};
use crate::templates::{self, Template};
use crate::wire::{Pair, Resp, Servers};

type Command = Vec<Vec<u8>>;

/// Commands on one pair of empty servers, and those sent before a reply is read.
const SEQUENCE: usize = 200;
const BATCH: usize = 50;
/// Sequences tried to shorten one.
const SHRINKS: usize = 400;

/// Templates that are drawn in their groups only: among so many commands some would differ that may.
const NOT_MIXED: &[Template] = &[
    // In a skiplist whose scores differ, ranges by name are undefined.
    "config set zset-max-listpack-entries S",
    // Of a large set, the payload has an order of its own.
    "dump K",
    // After any command was given a number out of range, the real server takes numbers here for such too.
    "sort K -/desc/asc",
    "sort K limit I I -/alpha",
    "sort K store K",
    "sort z -/alpha -/desc",
    "sort z store K",
    // The members of equal weight have an order of their own, too.
    "sort K by w* -/alpha -/desc",
    "sort K by w* alpha limit 0/1/2 I -/desc",
    "sort K by h*->f -/alpha get # get w* get h*->f",
    "sort K by nosort get #",
    "sort K by nosort -/desc limit I I",
    // A copy of a small integer is shared in the mock (known gap).
    "object refcount K",
    // Whether the same time from now is later depends on the millisecond.
    "expire K T -/nx/xx/gt/lt",
    "pexpire K T -/nx/xx/gt/lt",
];

/// Commands that no template draws, and why.
const NOT_DRAWN: &[(&str, &str)] = &[
    ("bgrewriteaof", "what is answered depends on whether the last one has ended; a golden sequence has it"),
    ("bgsave", "what is answered depends on whether the last one has ended; a golden sequence has it"),
    ("client|reply", "replies that do not come cannot be paired; golden sequences compare them"),
    ("command", "the rows are compared one by one by command_table_agrees"),
    ("command|count", "counts the commands there are"),
    ("command|docs", "the rows are compared one by one by command_table_agrees"),
    ("command|list", "lists the commands there are"),
    ("debug", "a golden sequence compares the parts there are"),
    ("function|dump", "the libraries have no order; a golden sequence compares the dump of one"),
    ("memory|doctor", "tells of the memory of the process"),
    ("memory|malloc-stats", "tells of the memory of the process"),
    ("memory|stats", "tells of the memory of the process"),
    ("monitor", "what it shows comes between replies; a golden sequence compares it"),
    ("psync", "turns the connection into a replica's"),
    ("quit", "ends the connection; a golden sequence compares it"),
    ("shutdown", "ends the server"),
    ("sync", "turns the connection into a replica's"),
];

/// Compares random sequences of all groups' commands.
pub fn run(servers: &Servers, version: u8, keys: &'static [&'static str]) -> Result<(), String> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (ops, seed) = (number("SQUALL_DIFF_OPS").unwrap_or(3_000), number("SQUALL_DIFF_SEED").unwrap_or(0));
    let mut bytes = [version; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let one =
        proptest::sample::select(weighted_templates()).prop_flat_map(|template| command(template, keys));
    let mut left = ops;
    while left > 0 {
        let count = left.min(SEQUENCE as u64);
        left -= count;
        let draw = |_| one.new_tree(&mut runner).map(|tree| tree.current());
        let sequence: Vec<Command> =
            (0..count).map(draw).collect::<Result<_, _>>().map_err(|reason| reason.to_string())?;
        if difference(servers, version, &sequence).is_some() {
            return Err(explain(servers, version, sequence));
        }
    }
    Ok(())
}

/// Fails if the table has a command that nothing draws.
pub fn every_command_is_drawn() -> Result<(), String> {
    let drawn: BTreeSet<String> = all_templates().into_iter().flat_map(names_of).collect();
    let mut missing = Vec::new();
    for spec in engine::commands() {
        let own =
            if spec.children().is_empty() || spec.name == "command" { vec![spec.name] } else { Vec::new() };
        for name in own.into_iter().chain(spec.children().iter().map(|child| child.name)) {
            if !drawn.contains(name) && !NOT_DRAWN.iter().any(|(known, _)| *known == name) {
                missing.push(name);
            }
        }
    }
    // The name alone of a command with subcommands is drawn with each of them.
    let idle = NOT_DRAWN.iter().map(|(name, _)| *name).filter(|name| *name != "command");
    let idle: Vec<_> = idle.filter(|name| drawn.contains(*name)).collect();
    if missing.is_empty() && idle.is_empty() {
        return Ok(());
    }
    Err(format!("no template draws {missing:?}; drawn after all: {idle:?}"))
}

/// All templates, those rarely that can wait: the real server notices the end of a wait up to 100 ms late.
fn weighted_templates() -> Vec<Template> {
    let groups = templates::mixed_groups();
    let all = groups.iter().flat_map(|(_, templates)| templates.iter().copied());
    let mixed = all.filter(|template| !NOT_MIXED.contains(template));
    let (waiting, others): (Vec<Template>, Vec<Template>) = mixed.partition(waits);
    std::iter::repeat_n(others, 30).flatten().chain(waiting).collect()
}

/// Whether a command can wait for something.
pub fn waits(template: &Template) -> bool {
    let name = template.split(' ').next().unwrap_or_default();
    let is_blocking_form = name.starts_with('b') && !name.starts_with("bit") && !name.starts_with("bg");
    name == "wait" || is_blocking_form || template.contains(" block ")
}

fn all_templates() -> Vec<Template> {
    let groups = templates::groups();
    groups.iter().flat_map(|(_, templates)| templates.iter().copied()).collect()
}

/// The commands that a template can be, as the table names them.
fn names_of(template: Template) -> Vec<String> {
    let mut words = template.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let pairs = first.split('/').flat_map(|first| second.split('/').map(move |second| (first, second)));
    pairs.flat_map(|(first, second)| [first.to_owned(), format!("{first}|{second}")]).collect()
}

/// The first difference between the servers, if there is one.
fn difference(servers: &Servers, version: u8, sequence: &[Command]) -> Option<String> {
    let mut pair = match servers.pair(version) {
        Ok(pair) => pair,
        Err(why) => return Some(why),
    };
    let mut session = Session { queued: None };
    let mut rest = sequence;
    while let Some(first) = rest.first() {
        if choice::is_one(first) {
            rest = &rest[1..];
            // What a transaction draws by chance cannot be compared.
            if session.queued.is_none()
                && let Err(why) = choice::agrees(&mut pair, first)
            {
                return Some(format!("{}\n{why}", show(first)));
            }
            continue;
        }
        let length = rest
            .iter()
            .take(BATCH)
            .position(|command| choice::is_one(command))
            .unwrap_or(rest.len().min(BATCH));
        let (batch, tail) = rest.split_at(length);
        rest = tail;
        let replies = match pair.ask_all(batch) {
            Ok(replies) => replies,
            Err(why) => return Some(why),
        };
        for (command, (real, mock)) in batch.iter().zip(replies) {
            if !session.agrees(&pair, command, &real, &mock) {
                return Some(format!("{}\nreal {real:?}\nmock {mock:?}", show(command)));
            }
        }
    }
    None
}

/// What the replies so far say about the connection.
struct Session {
    /// The commands that `EXEC` will answer.
    queued: Option<Vec<Command>>,
}

impl Session {
    fn agrees(&mut self, pair: &Pair<'_>, command: &Command, real: &Resp, mock: &Resp) -> bool {
        match (command[0].as_slice(), real) {
            (b"multi", Resp::Simple(_)) => self.queued = Some(Vec::new()),
            (_, Resp::Simple(text)) if text == "QUEUED" => {
                if let Some(queued) = &mut self.queued {
                    queued.push(command.clone());
                }
            }
            (b"exec", _) => {
                let queued = self.queued.take().unwrap_or_default();
                let (Resp::List(_, reals), Resp::List(_, mocks)) = (real, mock) else { return real == mock };
                // A change of protocol half way shows in the mock's whole reply (known gap).
                let speaks_twice = queued.iter().any(|command| command[0] == b"hello");
                let mut all = queued.iter().zip(reals.iter().zip(mocks));
                return reals.len() == queued.len()
                    && mocks.len() == queued.len()
                    && all.all(|(command, (real, mock))| speaks_twice || pair.same(command, real, mock));
            }
            (b"discard" | b"reset", Resp::Simple(_)) => self.queued = None,
            _ => {}
        }
        pair.same(command, real, mock)
    }
}

/// Leaves commands out while the servers still differ, and tells what is left.
fn explain(servers: &Servers, version: u8, mut sequence: Vec<Command>) -> String {
    let mut why = difference(servers, version, &sequence);
    let (mut size, mut tries) = (sequence.len() / 2, 0);
    while size > 0 && tries < SHRINKS {
        let mut at = 0;
        while at < sequence.len() && tries < SHRINKS {
            let mut shorter = sequence.clone();
            shorter.drain(at..(at + size).min(sequence.len()));
            tries += 1;
            match difference(servers, version, &shorter) {
                Some(found) => (sequence, why) = (shorter, Some(found)),
                None => at += size,
            }
        }
        size /= 2;
    }
    let lines: Vec<String> = sequence.iter().map(|command| format!("  {}", show(command))).collect();
    let why = why.unwrap_or_else(|| "the servers differed, but not when asked again".to_owned());
    format!("{why}\nafter\n{}", lines.join("\n"))
}
