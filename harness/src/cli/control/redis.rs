//! The routes of a Redis server's control port. Each is a call of [`RedisServer`]'s own handle.
//!
//! A rule that can never act (a command that does not exist, a probability above 1) is refused here, since
//! whoever wrote it cannot see that it does nothing.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use squall_mocks::redis::{Keep, Lose, RedisMatch, RedisServer, command_names};
use squall_mocks::rule::{Rule, duration_text};

use super::{Control, Question, Refusal, values};

/// Most rules at a time.
const RULES: usize = 10_000;
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
struct Forwards {
    ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jump {
    ms: i64,
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

/// Rules of a TOML file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<Rule<RedisMatch>>,
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

impl Control for RedisControl {
    fn answer(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        match question.path {
            "rules" => self.rules(question),
            path if path.starts_with("rules/") => self.rule(question, &path["rules/".len()..]),
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

    fn rules(&self, question: &Question<'_>) -> Result<Value, Refusal> {
        question.only(&[])?;
        let rules = self.server.rules();
        match *question.method {
            Method::GET => to_json(&rules.list()),
            Method::POST => {
                let added = read_rules(question)?;
                if rules.list().len() + added.len() > RULES {
                    return Err(Refusal::invalid(format!("expected at most {RULES} rules at a time")));
                }
                added.iter().try_for_each(check_rule)?;
                let before = rules.list().len();
                for rule in added {
                    rules.add(rule);
                }
                let names: Vec<String> = rules.list().into_iter().skip(before).map(|it| it.name).collect();
                Ok(json!({ "names": names }))
            }
            Method::DELETE => {
                question.no_body()?;
                let removed = rules.list().len();
                rules.clear();
                Ok(json!({ "removed": removed }))
            }
            _ => Err(Refusal::method(question, "GET, POST, DELETE")),
        }
    }

    fn rule(&self, question: &Question<'_>, name: &str) -> Result<Value, Refusal> {
        let rules = self.server.rules();
        let unknown = || {
            let names: Vec<String> = rules.list().into_iter().take(20).map(|it| it.name).collect();
            let names = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            Refusal::not_found(format!("expected the name of a rule ({names}), found {name:?}"))
        };
        question.only(&[])?;
        match *question.method {
            Method::GET => {
                let found = rules.list().into_iter().find(|it| it.name == name).ok_or_else(unknown)?;
                to_json(&found)
            }
            Method::DELETE => match rules.remove_named(name) {
                0 => Err(unknown()),
                removed => Ok(json!({ "removed": removed })),
            },
            _ => Err(Refusal::method(question, "GET, DELETE")),
        }
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

/// One rule or several, as JSON; several as TOML, each under `[[rule]]`.
fn read_rules(question: &Question<'_>) -> Result<Vec<Rule<RedisMatch>>, Refusal> {
    if question.is_toml {
        let text = std::str::from_utf8(question.body)
            .map_err(|error| Refusal::invalid(format!("expected UTF-8, found {error}")))?;
        let file: RuleFile =
            toml::from_str(text).map_err(|error| Refusal::invalid(format!("the body: {error}")))?;
        return Ok(file.rule);
    }
    match question.body.trim_ascii_start().first() {
        Some(b'[') => question.json(),
        _ => Ok(vec![question.json()?]),
    }
}

fn check_rule(rule: &Rule<RedisMatch>) -> Result<(), Refusal> {
    if let Some(command) = &rule.matcher.command
        && !command_names().any(|name| name.eq_ignore_ascii_case(command))
    {
        let text =
            format!("match.command: expected a command like \"set\" or \"client|kill\", found {command:?}");
        return Err(Refusal::invalid(text));
    }
    if let Some(probability) = rule.probability.filter(|it| !(0.0..=1.0).contains(it)) {
        return Err(Refusal::invalid(format!("probability: expected 0 to 1, found {probability}")));
    }
    for (field, value) in [("nth", rule.nth), ("count", rule.count)] {
        if value == Some(0) {
            return Err(Refusal::invalid(format!("{field}: expected 1 or more, found 0")));
        }
    }
    Ok(())
}
