//! Which commands a fault rule is about, and the error lines rules name by their first word.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::engine::{self, Spec};
use super::glob;
use crate::rule::Matcher;

/// Matches commands. A field that is absent matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RedisMatch {
    /// The command in any case; a subcommand as `client|kill`. A name without `|` matches every subcommand. One
    /// of [`command_names`], or nothing matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A glob pattern for the command's first key. Commands without a key do not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A glob pattern for the name the client gave itself (`CLIENT SETNAME`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl RedisMatch {
    /// Matches every command of this name.
    pub fn command(name: impl Into<String>) -> Self {
        Self { command: Some(name.into()), ..Self::default() }
    }

    /// Narrows the match to first keys that match a glob pattern.
    #[must_use]
    pub fn key(self, pattern: impl Into<String>) -> Self {
        Self { key: Some(pattern.into()), ..self }
    }

    /// Narrows the match to clients whose name matches a glob pattern.
    #[must_use]
    pub fn client(self, pattern: impl Into<String>) -> Self {
        Self { client: Some(pattern.into()), ..self }
    }
}

/// Every name [`RedisMatch::command`] can match: the commands, their subcommands, and `unknown` for whatever is
/// no command.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    let named =
        |spec: &Spec| std::iter::once(spec.name).chain(spec.children().iter().map(|child| child.name));
    engine::commands().iter().flat_map(move |spec| named(spec)).chain(["unknown"])
}

/// A command as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct RedisRequest<'a> {
    /// The name in lower case, with its subcommand; `unknown` if there is no such command.
    pub command: &'a str,
    /// The first key.
    pub key: Option<&'a Bytes>,
    /// The name the client gave itself.
    pub client: &'a Bytes,
}

impl Matcher for RedisMatch {
    type Request<'a> = RedisRequest<'a>;

    fn matches(&self, request: &Self::Request<'_>) -> bool {
        let is_command = |wanted: &String| {
            let container = request.command.split('|').next().unwrap_or(request.command);
            wanted.eq_ignore_ascii_case(request.command) || wanted.eq_ignore_ascii_case(container)
        };
        let is_key = |pattern: &String| request.key.is_some_and(|key| glob::matches(pattern.as_bytes(), key));
        let is_client = |pattern: &String| glob::matches(pattern.as_bytes(), request.client);
        self.command.as_ref().is_none_or(is_command)
            && self.key.as_ref().is_none_or(is_key)
            && self.client.as_ref().is_none_or(is_client)
    }
}

/// The real server's error lines (`createSharedObjects` of Redis 7.0).
const LINES: [&str; 13] = [
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "EXECABORT Transaction discarded because of previous errors.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands \
     that may modify the data set are disabled, because this instance is configured to report errors during \
     writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for \
     details about the RDB error.",
    "NOAUTH Authentication required.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOSCRIPT No matching script. Please use EVAL.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
];

/// The line for an error named by its first word; a text that is more than a word is the line itself.
#[must_use]
pub(super) fn error_line(text: &str) -> String {
    let known = LINES.iter().find(|line| line.split(' ').next() == Some(text));
    known.map_or_else(|| text.strip_prefix('-').unwrap_or(text).to_owned(), |line| (*line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Act, Rule};

    fn request<'a>(command: &'a str, key: Option<&'a Bytes>, client: &'a Bytes) -> RedisRequest<'a> {
        RedisRequest { command, key, client }
    }

    #[test]
    fn a_matcher_narrows_by_command_key_and_client() {
        let (key, name) = (Bytes::from("lock:7"), Bytes::from("worker-2"));
        let matcher = RedisMatch::command("SET").key("lock:*").client("worker-?");
        assert!(matcher.matches(&request("set", Some(&key), &name)));
        assert!(!matcher.matches(&request("get", Some(&key), &name)));
        assert!(!matcher.matches(&request("set", Some(&Bytes::from("cache:7")), &name)));
        assert!(!matcher.matches(&request("set", None, &name)));
        assert!(!matcher.matches(&request("set", Some(&key), &Bytes::new())));
        assert!(RedisMatch::command("client").matches(&request("client|id", None, &name)));
        assert!(RedisMatch::default().matches(&request("ping", None, &name)));
    }

    #[test]
    fn every_name_of_a_command_can_match() {
        let names: Vec<&str> = command_names().collect();
        assert!(
            ["set", "client", "client|id", "unknown"].iter().all(|name| names.contains(name)),
            "{names:?}"
        );
        for name in names {
            assert!(RedisMatch::command(name).matches(&request(name, None, &Bytes::new())), "{name}");
        }
    }

    #[test]
    fn a_rule_reads_from_toml_and_refuses_unknown_fields() {
        let text = "act = \"drop-after\"\nnth = 2\n[match]\ncommand = \"set\"\nkey = \"lock:*\"\n";
        let rule: Rule<RedisMatch> = toml::from_str(text).expect("a rule");
        assert_eq!(rule, Rule::new(RedisMatch::command("set").key("lock:*"), Act::DropAfter).from_nth(2));
        assert!(toml::from_str::<Rule<RedisMatch>>("act = \"silence\"\n[match]\ntopic = \"x\"\n").is_err());
    }

    #[test]
    fn an_error_is_named_by_its_first_word_or_given_whole() {
        assert_eq!(error_line("LOADING"), "LOADING Redis is loading the dataset in memory");
        assert_eq!(error_line("-ERR on fire"), "ERR on fire");
    }
}
