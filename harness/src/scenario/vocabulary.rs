//! The names a scenario may use that this module cannot know: what the harness and the services offer.

use std::collections::{BTreeMap, BTreeSet};

/// Known kinds of services, checkers, points and metrics. A name outside it is a mistake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    pub(crate) service_kinds: BTreeSet<String>,
    pub(crate) checkers: BTreeMap<String, WithKeys>,
    pub(crate) points: BTreeSet<String>,
    pub(crate) metrics: BTreeSet<String>,
}

/// The keys a checker reads from `with`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WithKeys {
    pub(crate) required: BTreeSet<String>,
    pub(crate) optional: BTreeSet<String>,
}

impl Vocabulary {
    /// No names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds kinds of services.
    #[must_use]
    pub fn service_kinds<'a>(mut self, kinds: impl IntoIterator<Item = &'a str>) -> Self {
        self.service_kinds.extend(kinds.into_iter().map(str::to_owned));
        self
    }

    /// Adds a checker and the keys of `with` it must and may be given.
    #[must_use]
    pub fn checker(mut self, name: &str, required: &[&str], optional: &[&str]) -> Self {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        self.checkers
            .insert(name.to_owned(), WithKeys { required: owned(required), optional: owned(optional) });
        self
    }

    /// Adds code points.
    #[must_use]
    pub fn points<'a>(mut self, points: impl IntoIterator<Item = &'a str>) -> Self {
        self.points.extend(points.into_iter().map(str::to_owned));
        self
    }

    /// Adds metrics.
    #[must_use]
    pub fn metrics<'a>(mut self, metrics: impl IntoIterator<Item = &'a str>) -> Self {
        self.metrics.extend(metrics.into_iter().map(str::to_owned));
        self
    }
}
