//! Sets: sorted integers while all members are integers and few, else a table, as Redis 7.0 holds them.
//!
//! A set of integers is visited in ascending order, as clients of the real server see it. A table never turns
//! back into integers.

use bytes::Bytes;
use indexmap::IndexSet;

use super::db::FixedState;
use crate::redis::engine::number::strict_i64;

/// Members without order or repetition.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    members: Members,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Members {
    /// Ascending.
    Integers(Vec<i64>),
    Table(IndexSet<Bytes, FixedState>),
}

impl Default for Set {
    fn default() -> Self {
        Self { members: Members::Integers(Vec::new()), bytes: 0 }
    }
}

/// Most integers of an integer set, whatever the configuration says.
const MOST_INTEGERS: usize = 1 << 30;

impl Set {
    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.members {
            Members::Integers(integers) => integers.len(),
            Members::Table(table) => table.len(),
        }
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether Redis would hold it as a hash table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.members, Members::Table(_))
    }

    /// Bytes of payload.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes
    }

    /// Whether this is a member.
    #[must_use]
    pub fn contains(&self, member: &Bytes) -> bool {
        match &self.members {
            Members::Integers(integers) => {
                strict_i64(member).is_some_and(|number| integers.binary_search(&number).is_ok())
            }
            Members::Table(table) => table.contains(member),
        }
    }

    /// The member at a position.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Bytes> {
        match &self.members {
            Members::Integers(integers) => integers.get(index).map(|number| Bytes::from(number.to_string())),
            Members::Table(table) => table.get_index(index).cloned(),
        }
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = Bytes> {
        (0..self.len()).filter_map(|index| self.at(index))
    }

    /// Adds a member; whether it is new. `most_integers` bounds a set of integers.
    pub fn add(&mut self, member: Bytes, most_integers: usize) -> bool {
        let length = member.len();
        let added = match (&mut self.members, strict_i64(&member)) {
            (Members::Integers(integers), Some(number)) => match integers.binary_search(&number) {
                Ok(_) => false,
                Err(at) => {
                    integers.insert(at, number);
                    let full = integers.len() > most_integers.min(MOST_INTEGERS);
                    if full {
                        self.become_table();
                    }
                    true
                }
            },
            (Members::Integers(_), None) => self.become_table().insert(member),
            (Members::Table(table), _) => table.insert(member),
        };
        self.bytes += if added { length } else { 0 };
        added
    }

    /// Removes a member; whether it was there.
    pub fn remove(&mut self, member: &Bytes) -> bool {
        let removed = match &mut self.members {
            Members::Integers(integers) => {
                let found = strict_i64(member).and_then(|number| integers.binary_search(&number).ok());
                found.map(|at| integers.remove(at)).is_some()
            }
            Members::Table(table) => table.swap_remove(member),
        };
        self.bytes -= if removed { member.len() } else { 0 };
        removed
    }

    fn become_table(&mut self) -> &mut IndexSet<Bytes, FixedState> {
        if let Members::Integers(integers) = &self.members {
            let members = integers.iter().map(|number| Bytes::from(number.to_string()));
            self.members = Members::Table(members.collect());
        }
        match &mut self.members {
            Members::Table(table) => table,
            Members::Integers(_) => unreachable!("replaced by a table above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_holds_what_was_added_and_not_removed(
            steps in prop::collection::vec((any::<bool>(), "(-?[0-9]{1,2}|[a-c])"), 0..60),
        ) {
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            for (adds, member) in steps {
                let member = Bytes::from(member);
                if adds {
                    prop_assert_eq!(set.add(member.clone(), 8), model.insert(member));
                } else {
                    prop_assert_eq!(set.remove(&member), model.remove(&member));
                }
                prop_assert_eq!(&set.iter().collect::<BTreeSet<_>>(), &model);
                prop_assert_eq!(set.weight(), model.iter().map(Bytes::len).sum::<usize>());
            }
        }
    }
}
