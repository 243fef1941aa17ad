//! Options that stand for a broker's setting: one value under two names.
//!
//! A user may give either the field or Kafka's name; [`KafkaOptions::settle`] brings both to the same value before a
//! cluster starts. Kafka's name wins.

use std::time::Duration;

use super::options::KafkaOptions;

impl KafkaOptions {
    /// Brings the settings with a field of their own and those of the same meaning in
    /// [`broker_configs`](Self::broker_configs) to the same values. Wrong settings are left out.
    pub(crate) fn settle(&mut self) {
        for (name, value) in std::mem::take(&mut self.broker_configs) {
            if let Err(error) = self.set_broker_config(&name, &value) {
                tracing::warn!(%error, "a broker's setting is left out");
            }
        }
        let defaults = Self::advertised(self.advertised.clone());
        for field in FIELDS {
            if let Some(value) = self.broker_configs.get(field.name) {
                let number = value.parse().unwrap_or_else(|_| i64::from(value == "true"));
                (field.set)(self, number.saturating_mul(field.unit));
            } else if field.deviates || (field.get)(self) != (field.get)(&defaults) {
                let number = (field.get)(self) / field.unit;
                let value = if field.is_switch { (number != 0).to_string() } else { number.to_string() };
                self.broker_configs.insert(field.name.to_owned(), value);
            }
        }
    }
}

struct Field {
    name: &'static str,
    /// Whether our default is another than Kafka's, so that it has to be told.
    deviates: bool,
    is_switch: bool,
    /// What one of the setting is in the field: milliseconds of a time, else 1.
    unit: i64,
    get: fn(&KafkaOptions) -> i64,
    set: fn(&mut KafkaOptions, i64),
}

macro_rules! fields {
    ($($name:literal: $field:ident $(, deviates = $deviates:literal)? $(, unit = $unit:literal)?;)*) => {
        const FIELDS: &[Field] = &[$({
            let field = Field {
                name: $name,
                deviates: false,
                is_switch: matches!($name.as_bytes(), [.., b'.', b'e', b'n', b'a', b'b', b'l', b'e']),
                unit: 1,
                get: |options| options.$field.number(),
                set: |options, number| options.$field = Number::of(number),
            };
            $(let field = Field { deviates: $deviates, ..field };)?
            $(let field = Field { unit: $unit, ..field };)?
            field
        },)*];
    };
}

fields! {
    "auto.create.topics.enable": auto_create_topics, deviates = true;
    "auto.leader.rebalance.enable": auto_leader_rebalance;
    "broker.session.timeout.ms": failure_detection;
    "default.replication.factor": default_replication_factor, deviates = true;
    "group.consumer.assignment.interval.ms": group_consumer_assignment_interval;
    "group.consumer.heartbeat.interval.ms": group_consumer_heartbeat_interval;
    "group.consumer.max.size": group_consumer_max_size, deviates = true;
    "group.consumer.regex.refresh.interval.ms": group_consumer_regex_refresh_interval;
    "group.consumer.session.timeout.ms": group_consumer_session_timeout;
    "group.initial.rebalance.delay.ms": group_initial_rebalance_delay, deviates = true;
    "group.max.session.timeout.ms": group_max_session_timeout;
    "group.max.size": group_max_size, deviates = true;
    "group.min.session.timeout.ms": group_min_session_timeout;
    "log.cleaner.backoff.ms": log_cleaner_backoff;
    "log.initial.task.delay.ms": log_initial_task_delay;
    "log.retention.check.interval.ms": log_retention_check_interval;
    "max.incremental.fetch.session.cache.slots": fetch_session_slots;
    "message.max.bytes": max_message_bytes;
    "num.partitions": default_partitions;
    "offset.metadata.max.bytes": offset_metadata_max_bytes;
    "offsets.retention.check.interval.ms": offsets_retention_check_interval;
    "offsets.retention.minutes": offsets_retention, unit = 60_000;
    "offsets.topic.num.partitions": offsets_topic_partitions;
    "producer.id.expiration.ms": producer_id_expiration;
    "replica.lag.time.max.ms": replica_lag_max;
    "transaction.max.timeout.ms": transaction_max_timeout;
    "transaction.state.log.num.partitions": transactions_topic_partitions;
    "transactional.id.expiration.ms": transactional_id_expiration;
}

/// Values of fields as numbers; what does not fit becomes the nearest that does.
trait Number {
    fn number(&self) -> i64;
    fn of(number: i64) -> Self;
}

impl Number for bool {
    fn number(&self) -> i64 {
        i64::from(*self)
    }

    fn of(number: i64) -> Self {
        number != 0
    }
}

/// Milliseconds.
impl Number for Duration {
    fn number(&self) -> i64 {
        i64::try_from(self.as_millis()).unwrap_or(i64::MAX)
    }

    fn of(number: i64) -> Self {
        Self::from_millis(u64::try_from(number).unwrap_or(0))
    }
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {$(
        impl Number for $kind {
            fn number(&self) -> i64 {
                i64::try_from(*self).unwrap_or(i64::MAX)
            }

            fn of(number: i64) -> Self {
                Self::try_from(number).unwrap_or(if number < 0 { Self::MIN } else { Self::MAX })
            }
        }
    )*};
}

whole_numbers! { i16 i32 usize }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::config;

    #[test]
    fn every_field_stands_for_a_setting_of_brokers_and_takes_what_it_told() {
        for field in FIELDS {
            assert!(config::broker_setting(field.name).is_some(), "{}", field.name);
            let mut options = KafkaOptions::default();
            let told = (field.get)(&options);
            (field.set)(&mut options, told);
            assert_eq!((field.get)(&options), told, "{}", field.name);
        }
        assert!(FIELDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn kafkas_name_and_the_field_come_to_the_same_value() {
        let mut options = KafkaOptions::default();
        options.set_broker_config("offsets.retention.minutes", "2").expect("a setting");
        options.group_max_size = 7;
        options.settle();
        assert_eq!(options.offsets_retention, Duration::from_secs(120));
        assert_eq!(options.broker_configs.get("group.max.size").map(String::as_str), Some("7"));
    }
}
