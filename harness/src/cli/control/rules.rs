//! The routes about fault rules, which every mock has.
//!
//! A rule comes as JSON, alone or in an array, or as TOML under `[[rule]]`. What no mock could act on is refused
//! here; what one mock has not is its own check's.

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use squall_mocks::rule::{Matcher, Rule, Rules};

use super::{Question, Refusal};

/// Most rules at a time.
const RULES: usize = 10_000;

/// Rules of a TOML file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile<M> {
    rule: Vec<Rule<M>>,
}

/// Whether a mock can act on a rule.
pub(super) type Check<'a, M> = &'a dyn Fn(&Rule<M>) -> Result<(), Refusal>;

/// Answers what concerns all rules.
pub(super) fn all<M>(rules: &Rules<M>, question: &Question<'_>, check: Check<'_, M>) -> Result<Value, Refusal>
where
    M: Matcher + Clone + Serialize + DeserializeOwned,
{
    question.only(&[])?;
    match *question.method {
        Method::GET => to_json(&rules.list()),
        Method::POST => {
            let added = read(question)?;
            let before = rules.list().len();
            if before + added.len() > RULES {
                return Err(Refusal::invalid(format!("expected at most {RULES} rules at a time")));
            }
            added.iter().try_for_each(|rule| check(rule).and_then(|()| check_numbers(rule)))?;
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

/// Answers what concerns one rule.
pub(super) fn one<M>(rules: &Rules<M>, question: &Question<'_>, name: &str) -> Result<Value, Refusal>
where
    M: Matcher + Clone + Serialize,
{
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

fn to_json(value: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value)
        .map_err(|error| Refusal::invalid(format!("cannot be written as JSON: {error}")))
}

fn read<M: DeserializeOwned>(question: &Question<'_>) -> Result<Vec<Rule<M>>, Refusal> {
    if question.is_toml {
        let text = std::str::from_utf8(question.body)
            .map_err(|error| Refusal::invalid(format!("expected UTF-8, found {error}")))?;
        let file: RuleFile<M> =
            toml::from_str(text).map_err(|error| Refusal::invalid(format!("the body: {error}")))?;
        return Ok(file.rule);
    }
    match question.body.trim_ascii_start().first() {
        Some(b'[') => question.json(),
        _ => Ok(vec![question.json()?]),
    }
}

fn check_numbers<M>(rule: &Rule<M>) -> Result<(), Refusal> {
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
