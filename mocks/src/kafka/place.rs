//! What a connection may ask of the shell: the fault rules, the request log, its login.
//!
//! One place is one connection; it knows nothing of streams and frames on their way.

use std::sync::Arc;

use super::api::{Described, Request};
use super::cluster::Faults;
use super::mailbox::Mailbox;
use super::matcher::{KafkaRequest, Target};
use super::requests::{self, RequestRecord, Unsupported};
use super::shell::Shared;
use super::wire::edit::Answered;
use super::wire::errors;
use super::wire::frame::{Frame, FrameError};
use crate::observe::What;
use crate::rule::Act;

/// A connection's place among the others; dropping it takes it out of the cluster, however its task ends.
pub(super) struct Place {
    pub shared: Arc<Shared>,
    pub conn: u64,
    pub node: i32,
    pub mailbox: Arc<Mailbox>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.disconnect(self.conn);
    }
}

/// What the fault rules say about a request.
#[derive(Default)]
pub(super) struct Ruled {
    pub faults: Faults,
    pub act: Option<Act>,
    /// Which of its targets the rule is about.
    pub matched: Vec<Target>,
}

impl Place {
    /// Asks the fault rules about a request, and writes it into the request log.
    pub fn decide(&self, request: &Request) -> Ruled {
        let shared = &*self.shared;
        let is_kept = shared.requests.is_kept();
        if shared.rules.is_empty() && !is_kept {
            return Ruled::default();
        }
        let described = shared.look(|cluster| request.describe(cluster, self.node));
        let head = &request.head;
        let (groups, targets) = (&described.groups, &described.targets);
        let seen = KafkaRequest::new(head.api.name, self.node, &head.client_id, groups, targets)
            .of_transactions(&described.transactional_ids);
        let decided = shared.rules.decide(&seen);
        let matched = seen.into_matched();
        if is_kept {
            shared.requests.came(RequestRecord {
                number: 0,
                unix_ms: shared.clock().unix_ms(),
                node: self.node,
                connection: self.conn,
                client_id: head.client_id.clone(),
                api: head.api.name,
                version: head.version,
                groups: requests::names(groups),
                targets: requests::texts(targets),
                rule: decided.as_ref().map(|(name, _)| name.clone()),
                error: None,
            });
        }
        let Some((name, act)) = decided else { return Ruled::default() };
        let text = described_text(head.api.name, &described, &matched);
        shared.with(|cluster| {
            cluster.sight(&format!("kafka-{}", self.node), What::Rule { name, request: text });
        });
        Ruled { faults: faults(&act, &matched), act: Some(act), matched }
    }

    /// Turns bits of the batches that an answer has of the matched partitions.
    pub fn corrupt(&self, answered: Answered, answer: Frame, matched: &[Target]) -> Frame {
        if answered.api.name != "fetch" {
            return answer;
        }
        answered.corrupt_batches(answer, |name, id, partition| {
            let name = match id.is_nil() {
                true => Some(name.to_string()),
                false => self.shared.look(|cluster| cluster.topic_name(self.node, id)),
            };
            let same = |target: &Target| {
                Some(&target.topic) == name.as_ref() && target.partition.is_none_or(|it| it == partition)
            };
            matched.is_empty() || matched.iter().any(same)
        })
    }

    /// Whether the next frame is an authentication token and no request.
    pub fn is_token_next(&self) -> bool {
        self.shared.has_sasl() && self.shared.look(|cluster| cluster.sasl.expects_token(self.conn))
    }

    /// The answer to an authentication token; none if it is refused.
    pub fn authenticate(&self, token: &[u8]) -> Option<Frame> {
        self.shared.with(|cluster| {
            let answer = cluster.sasl_token(self.node, self.conn, token);
            answer.ok().map(|(bytes, _)| Frame::raw(bytes.into()))
        })
    }

    /// Bytes that are no request this cluster serves: the owner is told.
    pub fn refuse(&self, peer: &str, error: &FrameError) {
        let (node, shared) = (self.node, &*self.shared);
        tracing::warn!(%error, peer, node, "closing a connection");
        let reason = error.to_string();
        if shared.is_strict() {
            let what = What::Unsupported(reason.clone());
            shared.with(|cluster| cluster.sight(&format!("kafka-{node}"), what));
        }
        shared.requests.refuse(Unsupported { node, peer: peer.trim_start_matches('/').to_owned(), reason });
    }
}

fn described_text(api: &str, described: &Described, targets: &[Target]) -> String {
    let mut text = api.to_owned();
    for group in &described.groups {
        text.push_str(&format!(" group {group}"));
    }
    for id in &described.transactional_ids {
        text.push_str(&format!(" transactional-id {id}"));
    }
    for target in targets {
        let partition = target.partition.map(|number| format!("-{number}")).unwrap_or_default();
        text.push_str(&format!(" {}{partition}", target.topic));
    }
    text
}

/// What an act changes in how a request is handled.
fn faults(act: &Act, targets: &[Target]) -> Faults {
    // A broker answers these only once the work is done, so a rule that names them means that.
    const ALWAYS_AFTER: [&str; 2] = ["REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"];
    let code = |name: &str| {
        errors::code_of(name).unwrap_or_else(|| {
            tracing::warn!(name, "a rule names no error of Kafka's; answering UNKNOWN_SERVER_ERROR");
            -1
        })
    };
    let targets = targets.to_vec();
    match act {
        Act::Error(name) if !ALWAYS_AFTER.contains(&name.as_str()) => {
            Faults { before: Some(code(name)), targets, ..Faults::default() }
        }
        Act::Error(name) | Act::ErrorAfter(name) => {
            Faults { after: Some(code(name)), targets, ..Faults::default() }
        }
        Act::StaleMetadata => Faults { stale: true, ..Faults::default() },
        _ => Faults::default(),
    }
}
