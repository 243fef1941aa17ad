//! Every command and subcommand numbered, so that what a user may run is a set of bits.
//!
//! The numbers follow the command table. One number beyond the last stands for commands that do not exist
//! yet: it tells `+@all -get` from the sum of all other commands, as the real server's reserved bit does.

use std::sync::OnceLock;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::redis::engine::table::{self, Spec};
use crate::redis::store::FixedState;

/// The categories, in the order in which the real server lists and tries them.
pub(in crate::redis::engine) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The position of a category, its name in any case.
pub(in crate::redis::engine) fn category(name: &[u8]) -> Option<usize> {
    CATEGORIES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// A command as rules see it.
pub(super) struct Row {
    pub(super) spec: &'static Spec,
    /// Bits of [`CATEGORIES`].
    pub(super) categories: u32,
    /// How many of the rows after this one are its subcommands.
    pub(super) children: usize,
    pub(super) is_subcommand: bool,
}

pub(super) struct Commands {
    pub(super) rows: Vec<Row>,
    by_name: IndexMap<&'static str, usize, FixedState>,
}

impl Commands {
    /// The commands of the table.
    pub(super) fn get() -> &'static Self {
        static COMMANDS: OnceLock<Commands> = OnceLock::new();
        COMMANDS.get_or_init(|| {
            let mut rows = Vec::new();
            for spec in table::all() {
                rows.push(Row::new(spec, false));
                rows.extend(spec.children().iter().map(|child| Row::new(child, true)));
            }
            let by_name = rows.iter().enumerate().map(|(at, row)| (row.spec.name, at)).collect();
            Self { rows, by_name }
        })
    }

    /// The number of a command of the table.
    pub(super) fn number(&self, spec: &Spec) -> Option<usize> {
        self.by_name.get(spec.name).copied()
    }

    /// The number of the command or subcommand of this name, in any case.
    pub(super) fn named(&self, name: &[u8]) -> Option<usize> {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        self.by_name.get(name.as_str()).copied()
    }

    /// The commands and subcommands of a category, by its position.
    pub(super) fn of_category(&self, category: usize) -> impl Iterator<Item = (usize, &Row)> {
        self.rows.iter().enumerate().filter(move |(_, row)| row.categories >> category & 1 == 1)
    }
}

impl Row {
    fn new(spec: &'static Spec, is_subcommand: bool) -> Self {
        let bits = spec.categories.split(' ').filter_map(|name| category(name.as_bytes()));
        let categories = bits.fold(0, |bits, at| bits | 1 << at);
        Self { spec, categories, children: spec.children().len(), is_subcommand }
    }
}

/// Names of the commands and subcommands of a category, by its position.
pub(in crate::redis::engine) fn names_in(category: usize) -> impl Iterator<Item = Bytes> {
    Commands::get().of_category(category).map(|(_, row)| Bytes::from_static(row.spec.name.as_bytes()))
}

/// A set of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandSet {
    words: [u64; Self::WORDS],
}

impl CommandSet {
    const WORDS: usize = 16;
    /// Stands for commands that do not exist yet.
    const FUTURE: usize = Self::WORDS * 64 - 1;

    pub(super) const NONE: Self = Self { words: [0; Self::WORDS] };
    pub(super) const ALL: Self = Self { words: [u64::MAX; Self::WORDS] };

    pub(super) fn has(&self, number: usize) -> bool {
        self.words.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(super) fn has_future(&self) -> bool {
        self.has(Self::FUTURE)
    }

    pub(super) fn set(&mut self, number: usize, on: bool) {
        let Some(word) = self.words.get_mut(number / 64) else { return };
        if on {
            *word |= 1 << (number % 64);
        } else {
            *word &= !(1 << (number % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_own_number_and_room_in_a_set() {
        let commands = Commands::get();
        assert_eq!(commands.rows.len(), commands.by_name.len());
        assert!(commands.rows.len() < CommandSet::FUTURE);
    }
}
