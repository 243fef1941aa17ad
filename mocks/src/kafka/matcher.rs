//! Which Kafka requests a fault rule is about.
//!
//! A request with several partitions matches if one of them does, and the fault then concerns the matching
//! partitions only: [`KafkaRequest`] remembers them while the rule is asked.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use crate::rule::Matcher;

/// Matches requests by every field that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KafkaMatch {
    /// The API's name in kebab case: `produce`, `find-coordinator`; one of
    /// [`api_names`](super::api_names), or nothing matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The node that received the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<i32>,
    /// A topic of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// A partition of the request, of `topic` if that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The group of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The transactional id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactional_id: Option<String>,
    /// The client's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl KafkaMatch {
    /// Matches one API, named in kebab case: `produce`.
    pub fn api(name: impl Into<String>) -> Self {
        Self { api: Some(name.into()), ..Self::default() }
    }

    /// Narrows to one node.
    #[must_use]
    pub fn node(self, node: i32) -> Self {
        Self { node: Some(node), ..self }
    }

    /// Narrows to one topic.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..self }
    }

    /// Narrows to one partition number.
    #[must_use]
    pub fn partition(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// Narrows to one group.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Narrows to one transactional id.
    #[must_use]
    pub fn transactional_id(self, transactional_id: impl Into<String>) -> Self {
        Self { transactional_id: Some(transactional_id.into()), ..self }
    }

    /// Narrows to one client id.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }
}

/// A topic of a request, or one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The topic's name.
    pub topic: String,
    /// The partition; none where the API is about whole topics.
    pub partition: Option<i32>,
}

/// A request as rules see it.
#[derive(Debug)]
pub struct KafkaRequest<'a> {
    /// The API's name in kebab case.
    pub api: &'a str,
    /// The node that received it.
    pub node: i32,
    /// The client's id; empty if it gave none.
    pub client_id: &'a str,
    /// The groups it names.
    pub groups: &'a [String],
    /// The transactional ids it names.
    pub transactional_ids: &'a [String],
    /// The topics or partitions it names.
    pub targets: &'a [Target],
    matched: RefCell<Vec<Target>>,
}

impl<'a> KafkaRequest<'a> {
    pub(crate) fn new(
        api: &'a str,
        node: i32,
        client_id: &'a str,
        groups: &'a [String],
        targets: &'a [Target],
    ) -> Self {
        let transactional_ids = &[];
        Self { api, node, client_id, groups, transactional_ids, targets, matched: RefCell::default() }
    }

    pub(crate) fn of_transactions(self, transactional_ids: &'a [String]) -> Self {
        Self { transactional_ids, ..self }
    }

    /// The targets of the rule asked last. [`Rules::decide`](crate::rule::Rules::decide) asks no further
    /// rule after the one that acts, so these are the acting rule's.
    pub(crate) fn into_matched(self) -> Vec<Target> {
        self.matched.into_inner()
    }
}

impl Matcher for KafkaMatch {
    type Request<'a> = KafkaRequest<'a>;

    fn matches(&self, request: &KafkaRequest<'_>) -> bool {
        fn fits<T: PartialEq + ?Sized>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        if !fits(self.api.as_deref(), request.api)
            || !fits(self.node.as_ref(), &request.node)
            || !fits(self.client_id.as_deref(), request.client_id)
            || self.group.as_ref().is_some_and(|group| !request.groups.contains(group))
            || self.transactional_id.as_ref().is_some_and(|id| !request.transactional_ids.contains(id))
        {
            return false;
        }
        let narrowed = self.topic.is_some() || self.partition.is_some();
        let fits_target = |target: &&Target| {
            fits(self.topic.as_deref(), &target.topic)
                && (self.partition.is_none() || self.partition == target.partition)
        };
        let matched: Vec<Target> = request.targets.iter().filter(fits_target).cloned().collect();
        let matches = !narrowed || !matched.is_empty();
        *request.matched.borrow_mut() = matched;
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(topic: &str, partition: i32) -> Target {
        Target { topic: topic.to_owned(), partition: Some(partition) }
    }

    #[test]
    fn a_rule_on_one_partition_matches_that_partition_of_the_request_only() {
        let targets = [target("a", 0), target("a", 1), target("b", 0)];
        let request = KafkaRequest::new("produce", 1, "", &[], &targets);
        assert!(KafkaMatch::api("produce").topic("a").partition(1).matches(&request));
        assert_eq!(request.into_matched(), [target("a", 1)]);
    }

    #[test]
    fn a_rule_on_a_topic_does_not_match_a_request_without_topics() {
        let request = KafkaRequest::new("heartbeat", 1, "", &[], &[]);
        assert!(!KafkaMatch::default().topic("a").matches(&request));
        assert!(KafkaMatch::default().matches(&request));
    }

    #[test]
    fn a_rule_on_a_transactional_id_matches_requests_that_name_it() {
        let ids = ["payments".to_owned()];
        let request = KafkaRequest::new("end-txn", 1, "", &[], &[]);
        assert!(!KafkaMatch::default().transactional_id("payments").matches(&request));
        let request = request.of_transactions(&ids);
        assert!(KafkaMatch::default().transactional_id("payments").matches(&request));
        assert!(!KafkaMatch::default().transactional_id("orders").matches(&request));
    }

    #[test]
    fn rules_are_read_from_kebab_case_and_unknown_fields_are_refused() {
        let read: KafkaMatch = toml::from_str("api = \"fetch\"\nclient-id = \"c\"").expect("a matcher");
        assert_eq!(read, KafkaMatch::api("fetch").client_id("c"));
        assert!(toml::from_str::<KafkaMatch>("topics = \"a\"").is_err());
    }
}
