//! `CONFIG`: parameters by name, checked as the real server checks them.

use std::collections::BTreeMap;

use super::notify::{self, Class};
use super::number::strict_i64;
use super::output_limit::{self, OutputLimits};
use super::parameters::{Kind, PARAMETERS};
use crate::redis::glob;

/// The parameter that says which events are told.
const EVENTS: &str = "notify-keyspace-events";

/// The values of all parameters.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, (String, Kind)>,
    /// Copies of what is read on every command.
    pub(crate) hash_listpack: (usize, usize),
    pub(crate) zset_listpack: (usize, usize),
    pub(crate) set_integers: usize,
    pub(crate) bulk_bytes: usize,
    pub(crate) password: String,
    /// Classes of keyspace events that are told.
    pub(crate) events: Class,
    /// Keys remembered for clients that cache; 0 for any number.
    pub(crate) tracked_keys: usize,
    pub(super) output_limits: OutputLimits,
}

impl Config {
    pub(crate) fn new() -> Self {
        let values = PARAMETERS.iter().map(|(name, value, kind)| (*name, ((*value).to_owned(), *kind)));
        let mut config = Self {
            values: values.collect(),
            hash_listpack: (0, 0),
            zset_listpack: (0, 0),
            set_integers: 0,
            bulk_bytes: 0,
            password: String::new(),
            events: 0,
            tracked_keys: 0,
            output_limits: OutputLimits::default(),
        };
        config.refresh();
        config
    }

    /// The parameter of this name and the one it stands for.
    fn lookup(&self, name: &str) -> Option<(&'static str, &(String, Kind))> {
        let (name, entry) = self.values.get_key_value(name)?;
        match entry.1 {
            Kind::Alias(target) => self.lookup(target),
            _ => Some((name, entry)),
        }
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.lookup(name).map(|(_, (value, _))| value.as_str())
    }

    /// Names and values of the parameters that match a pattern.
    pub(crate) fn matching(&self, pattern: &[u8]) -> Vec<(&'static str, String)> {
        let names = self.values.keys().filter(|name| glob::matches_ignoring_case(pattern, name.as_bytes()));
        names.map(|name| (*name, self.get(name).unwrap_or_default().to_owned())).collect()
    }

    /// Sets parameters, all or none.
    ///
    /// # Errors
    /// The error line of the real server.
    pub(crate) fn set(&mut self, pairs: &[(String, String)]) -> Result<(), String> {
        let mut accepted: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in pairs {
            let lower = name.to_ascii_lowercase();
            let Some((target, (_, kind))) = self.lookup(&lower) else {
                return Err(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"));
            };
            let failed =
                |why: &str| format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
            if accepted.iter().any(|(earlier, _)| *earlier == target) {
                return Err(failed("duplicate parameter"));
            }
            accepted.push((target, check(*kind, value).map_err(|why| failed(&why))?));
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

    /// Sets a parameter without a check, as options at the start of a server do.
    pub(crate) fn force(&mut self, name: &str, value: String) {
        if name == EVENTS {
            self.events = notify::parse(&value).unwrap_or(0);
        }
        if let Some(entry) = self.values.get_mut(name) {
            entry.0 = value;
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
        self.password = self.get("requirepass").unwrap_or_default().to_owned();
        self.tracked_keys = tracked_keys;
        self.output_limits = output_limits;
        self.hash_listpack = hash_listpack;
        self.zset_listpack = zset_listpack;
        self.set_integers = set_integers;
        self.bulk_bytes = bulk_bytes;
    }
}

/// The value as it will be reported, or why it is refused.
fn check(kind: Kind, value: &str) -> Result<String, String> {
    let is_one_of = |choices: &str| choices.split(", ").any(|choice| choice.eq_ignore_ascii_case(value));
    match kind {
        Kind::Bool if is_one_of("yes, no") => Ok(value.to_ascii_lowercase()),
        Kind::Bool => Err("argument must be 'yes' or 'no'".to_owned()),
        Kind::Int(low, high) => match strict_i64(value.as_bytes()) {
            Some(number) if (low..=high).contains(&number) => Ok(number.to_string()),
            Some(_) => Err(format!("argument must be between {low} and {high} inclusive")),
            None => Err("argument couldn't be parsed into an integer".to_owned()),
        },
        Kind::Memory => {
            let bytes = memory(value).ok_or("argument must be a memory value")?;
            Ok(bytes.to_string())
        }
        Kind::OneOf(choices) if is_one_of(choices) => Ok(value.to_ascii_lowercase()),
        Kind::OneOf(choices) => Err(format!("argument(s) must be one of the following: {choices}")),
        Kind::Events => {
            let classes = notify::parse(value);
            let classes = classes.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
            Ok(notify::letters(classes))
        }
        Kind::Text => Ok(value.to_owned()),
        Kind::Immutable | Kind::Alias(_) => Err("can't set immutable config".to_owned()),
    }
}

/// A number of bytes: `100`, `100b`, `1k` (1000), `1kb` (1024), and so on to `gb`.
fn memory(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
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

    #[test]
    fn memory_takes_units() {
        assert_eq!(
            (memory("1kb"), memory("1k"), memory("2gb"), memory("x")),
            (Some(1024), Some(1000), Some(2 << 30), None)
        );
    }
}
