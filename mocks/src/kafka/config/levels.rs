//! Where the value of a broker's setting comes from: set on this broker, on all brokers, at the start, or
//! Kafka's default.
//!
//! A setting may have synonyms (`log.retention.ms`, `.minutes`, `.hours`): the first that is set on the nearest
//! level is in force.

use super::{Configs, Kind, Values, broker_setting};

/// Where a value comes from, numbered as DescribeConfigs numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic = 1,
    Broker = 2,
    AllBrokers = 3,
    Start = 4,
    Default = 5,
    ClientMetrics = 7,
    Group = 8,
}

/// What is set for one broker, nearest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels<'a> {
    pub own: Option<&'a Values>,
    pub all: Option<&'a Values>,
    pub start: &'a Values,
}

impl<'a> Levels<'a> {
    /// Of the broker `node`.
    pub fn of(configs: &'a Configs, start: &'a Values, node: i32) -> Self {
        // A cluster whose brokers were never configured, as most are, is asked without making keys.
        if configs.is_empty() {
            return Self { own: None, all: None, start };
        }
        let set = |name: String| configs.get(&(Kind::Broker, name));
        Self { own: set(node.to_string()), all: set(String::new()), start }
    }

    /// The value of the first of `synonyms` that is set, and what stands beside it.
    pub fn set<T: Copy>(&self, synonyms: &[(&str, T)]) -> Option<(&'a str, T)> {
        let in_level = |values: &'a Values| {
            synonyms.iter().find_map(|(name, beside)| Some((values.get(*name)?.as_str(), *beside)))
        };
        self.own.and_then(in_level).or_else(|| self.all.and_then(in_level)).or_else(|| in_level(self.start))
    }

    /// The value in force; none where Kafka's default is null, or there is no such setting.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.set(&[(name, ())]).map(|(value, ())| value).or_else(|| broker_setting(name)?.default)
    }

    /// The value in force, as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.value(name)?.parse().ok()
    }

    /// Every value of the setting and its synonyms, nearest first, as DescribeConfigs tells them: it begins
    /// with the setting itself.
    pub fn synonyms<'b>(&self, name: &'b str) -> Vec<(&'b str, &'b str, Source)>
    where
        'a: 'b,
    {
        let names = synonyms_of(name);
        let levels =
            [(self.own, Source::Broker), (self.all, Source::AllBrokers), (Some(self.start), Source::Start)];
        let mut told = Vec::new();
        for (values, source) in levels {
            let of =
                |synonym: &&'b str| values?.get(*synonym).map(|value| (*synonym, value.as_str(), source));
            told.extend(names.iter().filter_map(of));
        }
        let default =
            |synonym: &&'b str| Some((*synonym, broker_setting(synonym)?.default?, Source::Default));
        told.extend(names.iter().filter_map(default));
        let start = told.iter().position(|(synonym, ..)| *synonym == name).unwrap_or(told.len());
        told.split_off(start)
    }
}

/// A broker's setting and those that mean the same in other units, the strongest first.
fn synonyms_of(name: &str) -> Vec<&str> {
    const SYNONYMS: [&[&str]; 4] = [
        &["log.roll.ms", "log.roll.hours"],
        &["log.roll.jitter.ms", "log.roll.jitter.hours"],
        &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
        &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    ];
    // The last is the default of the one before, and has no synonyms of its own.
    let known =
        SYNONYMS.iter().find(|names| names.contains(&name) && name != "log.flush.scheduler.interval.ms");
    match known {
        Some(names) => names.to_vec(),
        None => vec![name],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_nearest_level_is_in_force_and_all_are_told() {
        let start = values(&[("log.retention.hours", "1"), ("message.max.bytes", "7")]);
        let all = values(&[("log.retention.ms", "5")]);
        let configs = Configs::from([((Kind::Broker, String::new()), all)]);
        let levels = Levels::of(&configs, &start, 1);
        assert_eq!(levels.value("message.max.bytes"), Some("7"));
        assert_eq!(levels.value("log.retention.ms"), Some("5"));
        let expected = [
            ("log.retention.ms", "5", Source::AllBrokers),
            ("log.retention.hours", "1", Source::Start),
            ("log.retention.hours", "168", Source::Default),
        ];
        assert_eq!(levels.synonyms("log.retention.ms"), expected);
        assert_eq!(levels.value("no.such"), None);
    }

    #[test]
    fn a_setting_that_is_nowhere_set_is_told_without_its_synonyms() {
        let (start, configs) = (Values::new(), Configs::new());
        assert_eq!(Levels::of(&configs, &start, 1).synonyms("log.retention.ms"), []);
    }
}
