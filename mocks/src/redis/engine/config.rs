//! `CONFIG`: parameters by name, checked as the real server checks them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::config_value::check;
use super::files::Home;
use super::notify::{self, Class};
use super::output_limit::{self, OutputLimits};
use super::parameters::{FIXED, HIDDEN, Kind, MULTI, PARAMETERS, PROTECTED};
use super::peers::Reach;
use super::tuning::Tuning;
use crate::redis::glob;

/// The parameter that says which events are told.
const EVENTS: &str = "notify-keyspace-events";

/// A parameter's value, and what it may be.
#[derive(Clone, Debug)]
struct Value {
    text: String,
    kind: Kind,
    marks: u8,
}

/// The values of all parameters.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, Value>,
    /// Copies of what is read on every command.
    pub(crate) hash_listpack: (usize, usize),
    pub(crate) zset_listpack: (usize, usize),
    pub(crate) set_integers: usize,
    pub(crate) bulk_bytes: usize,
    pub(crate) tuning: Tuning,
    /// Classes of keyspace events that are told.
    pub(crate) events: Class,
    /// Keys remembered for clients that cache; 0 for any number.
    pub(crate) tracked_keys: usize,
    pub(super) output_limits: OutputLimits,
    /// The server's files, if it has any.
    pub(crate) home: Option<Home>,
    pub(crate) reach: Reach,
}

impl Config {
    pub(crate) fn new() -> Self {
        let mut values: BTreeMap<&'static str, Value> = BTreeMap::new();
        for (name, default, kind, marks) in PARAMETERS {
            values.insert(name, Value { text: (*default).to_owned(), kind: *kind, marks: *marks });
        }
        let mut config = Self {
            values,
            hash_listpack: (0, 0),
            zset_listpack: (0, 0),
            set_integers: 0,
            bulk_bytes: 0,
            tuning: Tuning::default(),
            events: 0,
            tracked_keys: 0,
            output_limits: OutputLimits::default(),
            home: None,
            reach: Reach::default(),
        };
        config.refresh();
        config
    }

    /// The parameter of this name and the one it stands for.
    fn lookup(&self, name: &str) -> Option<(&'static str, &Value)> {
        let (name, value) = self.values.get_key_value(name)?;
        match value.kind {
            Kind::Alias(target) => self.lookup(target),
            _ => Some((name, value)),
        }
    }

    /// The parameter that a name stands for.
    pub(super) fn target(&self, name: &str) -> Option<&'static str> {
        self.lookup(name).map(|(name, _)| name)
    }

    /// All parameters: name, default, value and kind.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static str, &'static str, &str, Kind)> {
        let rows = PARAMETERS.iter().filter(|(_, _, kind, _)| !matches!(kind, Kind::Alias(_)));
        rows.map(|(name, default, kind, _)| (*name, *default, self.get(name).unwrap_or_default(), *kind))
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.lookup(name).map(|(_, value)| value.text.as_str())
    }

    /// Names and values of the parameters that patterns match, each once. A pattern without wildcards is a
    /// name, and is answered as it was asked for.
    pub(crate) fn matching(&self, patterns: &[Bytes]) -> Vec<(String, String)> {
        let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
        let mut add = |asked: String, name: &str| {
            let value = self.get(name).unwrap_or_default().to_owned();
            found.entry(name.to_owned()).or_insert((asked, value));
        };
        for pattern in patterns {
            if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                let visible = self.values.iter().filter(|(_, value)| value.marks & HIDDEN == 0);
                let names = visible.map(|(name, _)| *name);
                for name in names.filter(|name| glob::matches_ignoring_case(pattern, name.as_bytes())) {
                    add(name.to_owned(), name);
                }
            } else {
                let asked = String::from_utf8_lossy(pattern).into_owned();
                let name = asked.to_ascii_lowercase();
                if self.values.contains_key(name.as_str()) {
                    add(asked, &name);
                }
            }
        }
        found.into_values().collect()
    }

    /// Sets parameters, all or none.
    ///
    /// # Errors
    /// The error line of the real server.
    pub(crate) fn set(&mut self, pairs: &[(String, String)]) -> Result<(), String> {
        let failed = |name: &str, why: &str| {
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
        };
        let mut targets: Vec<&'static str> = Vec::new();
        let mut refused = None;
        for (name, _) in pairs {
            let Some((target, value)) = self.lookup(&name.to_ascii_lowercase()) else {
                let unknown = format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
                return Err(refused.unwrap_or(unknown));
            };
            let is_protected =
                value.marks & PROTECTED != 0 && self.get("enable-protected-configs") == Some("no");
            let why = match () {
                () if value.marks & FIXED != 0 => Some("can't set immutable config"),
                () if is_protected => Some("can't set protected config"),
                () if targets.contains(&target) => Some("duplicate parameter"),
                () => None,
            };
            refused = refused.or_else(|| why.map(|why| failed(name, why)));
            targets.push(target);
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        let mut accepted: Vec<(&'static str, String)> = Vec::new();
        for (target, (_, text)) in targets.into_iter().zip(pairs) {
            let words: Vec<&str> = if self.is_multi(target) { text.split(' ').collect() } else { vec![text] };
            let checked = self.check(target, &words);
            if checked.is_err() && (target == EVENTS || accepted.iter().any(|(name, _)| *name == EVENTS)) {
                // The real server puts back what it reports, and so loses the classes that leaves out.
                self.events = self.get(EVENTS).and_then(notify::parse).unwrap_or(0);
            }
            accepted.push((target, checked.map_err(|why| failed(target, &why))?));
        }
        for (name, value) in accepted {
            self.force(name, value);
        }
        // What is reported leaves out classes that are on, so they are read from what was given.
        for (_, value) in pairs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(EVENTS)) {
            self.events = notify::parse(value).unwrap_or(0);
        }
        Ok(())
    }

    /// Sets a parameter as a line of a file does; `Ok(false)` if there is no such parameter.
    ///
    /// # Errors
    /// Why the real server would not start.
    pub(crate) fn load(&mut self, name: &str, words: &[String]) -> Result<bool, String> {
        let Some((target, _)) = self.lookup(name) else { return Ok(false) };
        let split: Vec<String>;
        let words = match words {
            [one] if self.is_multi(target) && !one.is_empty() => {
                split = one.split_ascii_whitespace().map(str::to_owned).collect();
                &split
            }
            [_] => words,
            _ if self.is_multi(target) => words,
            _ => return Err("wrong number of arguments".to_owned()),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let value = self.values.get(target);
        let value = value.map(|value| check(value.kind, &words, &value.text)).transpose()?;
        self.force(target, value.unwrap_or_default());
        Ok(true)
    }

    fn is_multi(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.marks & MULTI != 0)
    }

    /// The value of a running server's parameter as it will be reported, or why it is refused.
    fn check(&self, name: &str, words: &[&str]) -> Result<String, String> {
        let Some(Value { text: before, kind, .. }) = self.values.get(name) else { return Ok(String::new()) };
        let value = check(*kind, words, before)?;
        match name {
            // The engine does not listen, so it cannot move elsewhere.
            "port" if value != *before => Err("Unable to listen on this port. Check server logs.".to_owned()),
            "bind" if value != *before => Err("Failed to bind to specified addresses.".to_owned()),
            "appendonly" if value == "yes" => Err("Unable to turn on AOF. Check server logs.".to_owned()),
            "hz" => Ok(value.parse().map_or(10, |hz: i64| hz.clamp(1, 500)).to_string()),
            _ => Ok(value),
        }
    }

    /// Sets a parameter without a check, as options at the start of a server do.
    pub(crate) fn force(&mut self, name: &str, value: String) {
        if name == EVENTS {
            self.events = notify::parse(&value).unwrap_or(0);
        }
        if let Some(entry) = self.values.get_mut(name) {
            entry.text = value;
        }
        self.refresh();
    }

    fn refresh(&mut self) {
        let size = |name| self.get(name).and_then(|value| value.parse().ok()).unwrap_or(usize::MAX);
        let hash_listpack = (size("hash-max-listpack-entries"), size("hash-max-listpack-value"));
        let zset_listpack = (size("zset-max-listpack-entries"), size("zset-max-listpack-value"));
        let set_integers = size("set-max-intset-entries");
        let bulk_bytes = size("proto-max-bulk-len");
        let output_limits = output_limit::parse(self.get("client-output-buffer-limit").unwrap_or_default());
        let tracked_keys = size("tracking-table-max-keys");
        self.tracked_keys = tracked_keys;
        self.output_limits = output_limits;
        self.tuning = Tuning::read(self);
        self.hash_listpack = hash_listpack;
        self.zset_listpack = zset_listpack;
        self.set_integers = set_integers;
        self.bulk_bytes = bulk_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
        config.set(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn an_older_name_reaches_the_same_parameter() {
        let mut config = Config::new();
        set(&mut config, "hash-max-ziplist-entries", "3").expect("accepted");
        assert_eq!(config.get("hash-max-listpack-entries"), Some("3"));
        assert_eq!(config.hash_listpack.0, 3);
    }

    #[test]
    fn one_bad_value_leaves_all_parameters_as_they_were() {
        let mut config = Config::new();
        let pairs = [("hz", "50"), ("maxmemory", "much")].map(|(name, value)| (name.into(), value.into()));
        assert!(config.set(&pairs).is_err());
        assert_eq!(config.get("hz"), Some("10"));
    }
}
