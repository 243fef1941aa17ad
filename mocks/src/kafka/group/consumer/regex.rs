//! Subscriptions by regular expression: which topics each one stands for.
//!
//! An expression is resolved after the heartbeat that brought it was answered, and all of a group's together;
//! again when topics were created since, or after a time, but no more often than every ten seconds. An
//! expression stands for topics whose whole name it matches, internal ones included. Kafka reads RE2's syntax,
//! and so does the `regex` crate but for the wording of errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use crate::kafka::image::Image;

/// Shortest time between two resolutions of a group's expressions.
const REFRESH_MIN: Duration = Duration::from_secs(10);
/// Largest program an expression may become, in bytes.
const PROGRAM_MAX: usize = 1024 * 1024;

/// The expressions of a group that were resolved.
#[derive(Debug, Default)]
pub(super) struct Regexes {
    topics: BTreeMap<String, BTreeSet<String>>,
    /// When all of them were resolved last, and what the cluster looked like.
    resolved: Option<(Duration, Arc<Image>)>,
}

impl Regexes {
    /// Topics an expression stands for; none if it was not resolved yet.
    pub fn topics(&self, regex: &str) -> Option<&BTreeSet<String>> {
        self.topics.get(regex)
    }

    /// Keeps only expressions that `is_wanted`.
    pub fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.topics.retain(|regex, _| is_wanted(regex));
    }

    /// Whether the expressions are to be resolved again; `wanted` are those of the members, and `is_new` says
    /// that one of them came with this call.
    pub fn is_due(
        &self,
        now: Duration,
        image: &Image,
        every: Duration,
        wanted: &BTreeSet<&str>,
        is_new: bool,
    ) -> bool {
        let Some((at, seen)) = self.resolved.as_ref().filter(|_| !self.topics.is_empty()) else {
            return !wanted.is_empty();
        };
        let since = now.saturating_sub(*at);
        let has_new_topics = || image.ids.keys().any(|id| !seen.ids.contains_key(id));
        since > REFRESH_MIN
            && (is_new || wanted.len() != self.topics.len() || since > every || has_new_topics())
    }

    /// Resolves expressions; returns whether any of them now stands for other topics.
    pub fn resolve(&mut self, now: Duration, image: &Arc<Image>, wanted: BTreeSet<String>) -> bool {
        self.resolved = Some((now, Arc::clone(image)));
        let mut changed = false;
        for regex in wanted {
            let matches = match compile(&regex) {
                Ok(compiled) => image.topics.keys().filter(|name| compiled.is_match(name)).cloned().collect(),
                // Expressions are checked when they come.
                Err(_) => BTreeSet::new(),
            };
            let before = self.topics.insert(regex, matches.clone()).unwrap_or_default();
            changed |= before != matches;
        }
        changed
    }
}

/// Why an expression cannot be one, as Kafka tells it.
pub(super) fn check(regex: &str) -> Result<(), String> {
    let told = |why| format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {why}.");
    compile(regex).map(|_| ()).map_err(|error| {
        let text = error.to_string();
        told(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })
}

fn compile(regex: &str) -> Result<Regex, regex::Error> {
    // Alone first: `a)(b` is no expression, though it would be one between parentheses.
    let build = |text: &str| RegexBuilder::new(text).size_limit(PROGRAM_MAX).build();
    build(regex)?;
    build(&format!("^(?:{regex})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_whole_names() {
        let compiled = compile("a|bc").expect("an expression");
        let matches = |name| compiled.is_match(name);
        assert!(matches("a") && matches("bc") && !matches("abc") && !matches("ab"));
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_reason() {
        for regex in ["(", "a)(b", "*", "[z-a]", "a{1000}{1000}{1000}"] {
            let told = check(regex).expect_err("no expression");
            assert!(told.starts_with(&format!("SubscribedTopicRegex `{regex}` is not a valid")), "{told}");
        }
        assert_eq!(check("ord(ers|inal)-.*"), Ok(()));
    }
}
