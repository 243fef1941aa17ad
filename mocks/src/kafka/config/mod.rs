//! Configuration: every setting of topics, brokers, groups and metrics subscriptions, what was set, and what
//! is in force.
//!
//! Tables are Kafka 4.3's, complete: names, kinds, defaults, limits. What was set by request is part of the
//! metadata image ([`Configs`]; a topic's settings are in the topic), so it reaches a broker after its lag;
//! what was set at the start is in the options. A value in force is found by [`topic::effective`] and
//! [`Levels`](levels::Levels). Documentation texts of settings are not held: they are prose of another project.

pub(crate) mod alter;
pub(crate) mod broker;
pub(crate) mod group;
pub(crate) mod levels;
pub(crate) mod security;
pub(crate) mod setting;
pub(crate) mod topic;

use std::collections::BTreeMap;

/// Values by the names of settings.
pub(crate) type Values = BTreeMap<String, String>;

/// What settings belong to, numbered as the protocol numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl Kind {
    /// The kind with this number on the wire.
    pub fn of(number: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| *kind as i8 == number)
    }
}

/// What was set by request on brokers, groups and subscriptions. Settings of all brokers have the name "".
pub(crate) type Configs = BTreeMap<(Kind, String), Values>;

/// The setting of brokers named `name`.
pub(crate) fn broker_setting(name: &str) -> Option<&'static setting::Setting> {
    setting::find(&broker::BROKER, name).or_else(|| setting::find(&security::SECURITY, name))
}

/// Every setting of brokers; first those of `broker.rs`, then those of security.
pub(crate) fn broker_settings() -> impl Iterator<Item = &'static setting::Setting> {
    broker::BROKER.iter().chain(&security::SECURITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use setting::Setting;

    #[test]
    fn every_default_is_a_value_of_its_setting_and_names_are_in_order() {
        let tables: [&[Setting]; 5] =
            [&topic::SETTINGS, &broker::BROKER, &security::SECURITY, &group::GROUP, &group::CLIENT_METRICS];
        for table in tables {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
            for setting in table {
                let Some(default) = setting.default else { continue };
                assert_eq!(setting.parse(default).as_deref(), Ok(default), "{}", setting.name);
            }
        }
    }

    #[test]
    fn what_topics_and_groups_inherit_exists_on_brokers() {
        for (name, inherited) in topic::INHERITED {
            assert!(setting::find(&topic::SETTINGS, name).is_some(), "{name}");
            for (synonym, _) in *inherited {
                assert!(broker_setting(synonym).is_some(), "{synonym}");
            }
        }
        for synonym in group::GROUP.iter().filter_map(|setting| group::synonym(setting.name)) {
            assert!(broker_setting(&synonym).is_some(), "{synonym}");
        }
    }
}
