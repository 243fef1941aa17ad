//! The routes of a Redis server's control port. Each is a call of [`RedisServer`]'s own handle.
//!
//! A rule that can never act (a command that does not exist, a probability above 1) is refused here, since
//! whoever wrote it cannot see that it does nothing.

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use squall_mocks::redis::{Keep, Lose, RedisMatch, RedisServer, command_names};
use squall_mocks::rule::{Rule, duration_text};

use super::{Control, Forwards, Jump, Question, Refusal, rules, values};

/// Records and keys of one answer, unless asked otherwise, and at most.
const PAGE: (usize, usize) = (1000, 10_000);

const ROUTES: [&str; 18] = [
    "GET /health",
    "POST /advance {\"ms\": 1000}",
    "POST /jump {\"ms\": -1000}",
    "GET /rules",
    "POST /rules {\"match\": {\"command\": \"set\"}, \"act\": \"drop-after\"}",
    "DELETE /rules",
    "DELETE /rules/{name}",
    "POST /evict {\"pattern\": \"*\"}",
    "POST /flush",
    "POST /restart {\"keep\": \"nothing\" | \"everything\" | {\"all-but\": \"1s\"}}",
    "POST /failover {\"lose\": \"nothing\" | \"lag\" | {\"last\": \"100ms\"} | {\"last-writes\": 1}}",
    "POST /down, POST /up",
    "POST /stall {\"ms\": 100}",
    "POST /readonly {\"on\": true}",
    "POST /disconnect",
    "GET /snapshot?db=0&pattern=*&limit=1000",
    "GET /requests?since=0&limit=1000",
    "GET /stats",
];

/// The control of a Redis server.
pub(super) struct RedisControl {
    server: RedisServer,
}

impl RedisControl {
    /// Controls `server`, and has it keep its last `records` requests.
    pub(super) fn new(server: RedisServer, records: usize) -> Self {
        server.log_requests(records);
        Self { server }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evict {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restart {
    keep: Kept,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Nothing,
    Everything,
    AllBut(Span),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failover {
    lose: Lost,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Lost {
    Nothing,
    Lag,
    Last(Span),
    LastWrites(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

/// A duration as text with a unit.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        duration_text::parse(&text).map(Self)
    }
}

#[async_trait]
impl Control for RedisControl {
    async fn answer(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        match question.path {
            "rules" => rules::all(self.server.rules(), question, &check_rule),
            path if path.starts_with("rules/") => {
                rules::one(self.server.rules(), question, &path["rules/".len()..])
            }
            "" | "health" | "snapshot" | "requests" | "stats" if question.method != Method::GET => {
                Err(Refusal::method(question, "GET"))
            }
            "" => Ok(json!({ "server": "redis", "version": "7.0.15", "routes": ROUTES })),
            "health" => Ok(json!({ "ok": true, "unix-ms": self.server.clock().unix_ms() })),
            "snapshot" => self.snapshot(question),
            "requests" => self.requests(question),
            "stats" => Ok(self.stats()),
            "advance" | "jump" | "evict" | "flush" | "restart" | "failover" | "down" | "up" | "stall"
            | "readonly" | "disconnect"
                if question.method != Method::POST =>
            {
                Err(Refusal::method(question, "POST"))
            }
            _ => self.change(question),
        }
    }
}

impl RedisControl {
    /// What changes the server, by POST.
    fn change(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        let server = &self.server;
        question.only(&[])?;
        if matches!(question.path, "flush" | "down" | "up" | "disconnect") {
            question.no_body()?;
        }
        match question.path {
            "advance" => {
                server.advance(Duration::from_millis(question.json::<Forwards>()?.ms));
                return Ok(json!({ "unix-ms": server.clock().unix_ms() }));
            }
            "jump" => {
                server.jump(question.json::<Jump>()?.ms);
                return Ok(json!({ "unix-ms": server.clock().unix_ms() }));
            }
            "evict" => {
                let keys = server.evict(&question.json::<Evict>()?.pattern);
                return Ok(json!({ "keys": keys }));
            }
            "flush" => return Ok(json!({ "keys": server.flush_all() })),
            "restart" => {
                let keep = match question.json::<Restart>()?.keep {
                    Kept::Nothing => Keep::Nothing,
                    Kept::Everything => Keep::AllBut(Duration::ZERO),
                    Kept::AllBut(Span(age)) => Keep::AllBut(age),
                };
                return Ok(json!({ "lost-writes": server.restart(keep) }));
            }
            "failover" => {
                let lose = match question.json::<Failover>()?.lose {
                    Lost::Nothing => Lose::Nothing,
                    Lost::Lag => Lose::Lag,
                    Lost::Last(Span(age)) => Lose::Last(age),
                    Lost::LastWrites(writes) => Lose::LastWrites(writes),
                };
                return Ok(json!({ "lost-writes": server.failover(lose) }));
            }
            "down" => server.down(),
            "up" => server.up(),
            "stall" => server.stall(Duration::from_millis(question.json::<Forwards>()?.ms)),
            "readonly" => server.set_readonly(question.json::<Switch>()?.on),
            "disconnect" => server.disconnect_all(),
            path => {
                return Err(Refusal::not_found(format!("expected one of the paths of GET /, found /{path}")));
            }
        }
        Ok(json!({ "ok": true }))
    }

    fn snapshot(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&["db", "pattern", "limit"])?;
        let limit = question.number("limit", PAGE.0)?.min(PAGE.1);
        let only_db = match question.query.contains_key("db") {
            true => Some(question.number("db", 0_usize)?),
            false => None,
        };
        let pattern = question.query.get("pattern").map_or("*", String::as_str);
        Ok(values::snapshot(&self.server, only_db, pattern, limit))
    }

    fn requests(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&["since", "limit"])?;
        let since = question.number("since", 0_u64)?;
        let limit = question.number("limit", PAGE.0)?.min(PAGE.1);
        let Some(log) = self.server.requests() else { return Ok(json!({ "last": 0, "records": [] })) };
        let records = to_json(&log.since(since, limit))?;
        Ok(json!({ "last": log.last(), "records": records }))
    }

    fn stats(&self) -> Value {
        let stats = self.server.stats();
        json!({
            "commands": stats.commands,
            "connections": stats.connections,
            "errors": stats.errors,
            "evicted": stats.evicted,
            "evicted-clients": stats.evicted_clients,
            "expired": stats.expired,
            "hits": stats.hits,
            "misses": stats.misses,
            "rejected-connections": stats.rejected_connections,
        })
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value)
        .map_err(|error| Refusal::invalid(format!("cannot be written as JSON: {error}")))
}

fn check_rule(rule: &Rule<RedisMatch>) -> Result<(), Refusal> {
    if let Some(command) = &rule.matcher.command
        && !command_names().any(|name| name.eq_ignore_ascii_case(command))
    {
        let text =
            format!("match.command: expected a command like \"set\" or \"client|kill\", found {command:?}");
        return Err(Refusal::invalid(text));
    }
    if rule.act.is_of_kafka_only() {
        return Err(Refusal::invalid("act: expected one that Redis has, found one of Kafka only"));
    }
    Ok(())
}
