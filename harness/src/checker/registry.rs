//! The checkers a scenario can name: the standard ones, and those a user registers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{
    Checker, DlqComplete, Drained, Idempotent, KeyOrder, MutualExclusion, NoAckedLoss, NoPhantom, OneResult,
    RateLimited, Recovered,
};

/// Checkers by name.
#[derive(Clone)]
pub struct Registry {
    checkers: BTreeMap<String, Arc<dyn Checker>>,
}

/// Why a checker was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is taken.
    #[error("expected a new name, found a second checker named {0:?}; rename one of them")]
    Taken(String),
    /// The name cannot be written in a scenario.
    #[error("expected a name of lower-case letters, digits and hyphens, found {0:?}")]
    Malformed(String),
}

impl Registry {
    /// No checkers.
    #[must_use]
    pub fn empty() -> Self {
        Self { checkers: BTreeMap::new() }
    }

    /// The checkers of this crate.
    #[must_use]
    pub fn standard() -> Self {
        let all: [Arc<dyn Checker>; 10] = [
            Arc::new(DlqComplete),
            Arc::new(Drained),
            Arc::new(Idempotent),
            Arc::new(KeyOrder),
            Arc::new(MutualExclusion),
            Arc::new(NoAckedLoss),
            Arc::new(NoPhantom),
            Arc::new(OneResult),
            Arc::new(RateLimited),
            Arc::new(Recovered),
        ];
        let checkers = all.into_iter().map(|checker| (checker.name().to_owned(), checker)).collect();
        Self { checkers }
    }

    /// Adds a checker.
    ///
    /// # Errors
    /// [`RegistryError`], if the name is taken or cannot be written in a scenario.
    pub fn register(&mut self, checker: Arc<dyn Checker>) -> Result<(), RegistryError> {
        let name = checker.name().to_owned();
        let writable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(writable) {
            return Err(RegistryError::Malformed(name));
        }
        if self.checkers.contains_key(&name) {
            return Err(RegistryError::Taken(name));
        }
        self.checkers.insert(name, checker);
        Ok(())
    }

    /// The checker of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Checker>> {
        self.checkers.get(name)
    }

    /// Every checker, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Checker>> {
        self.checkers.values()
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.checkers.keys().map(String::as_str)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::standard()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Judgement, Params};
    use super::*;
    use crate::history::History;

    struct Named(&'static str);

    impl Checker for Named {
        fn name(&self) -> &str {
            self.0
        }

        fn about(&self) -> &str {
            "Always holds."
        }

        fn judge(&self, _: &History, _: &Params) -> Judgement {
            Judgement::Holds(String::new())
        }
    }

    #[test]
    fn a_registered_checker_is_found_and_names_are_unique() {
        let mut registry = Registry::standard();
        assert_eq!(registry.register(Arc::new(Named("mine"))), Ok(()));
        assert!(registry.get("mine").is_some());
        assert_eq!(registry.register(Arc::new(Named("mine"))), Err(RegistryError::Taken("mine".into())));
        assert_eq!(
            registry.register(Arc::new(Named("metric x"))),
            Err(RegistryError::Malformed("metric x".into()))
        );
    }

    #[test]
    fn every_standard_checker_finds_an_empty_history_unknown() {
        for checker in Registry::standard().iter() {
            let judgement = checker.judge(&History::default(), &Params::new());
            assert!(matches!(judgement, Judgement::Unknown(_)), "{}: {judgement:?}", checker.name());
        }
    }
}
