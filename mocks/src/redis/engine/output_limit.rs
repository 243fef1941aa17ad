//! `client-output-buffer-limit`: how much a client may leave unread before its connection is closed.
//!
//! The limits are of classes of clients. The engine says which are a client's; the shell, which holds what is
//! unread, closes the connection.

use std::time::Duration;

use super::Engine;
use super::client::{Class, ClientId};

/// How much one client may leave unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes above which the connection is closed at once; 0 for any number.
    pub hard_bytes: usize,
    /// Bytes above which it is closed if it stays above for long; 0 for any number.
    pub soft_bytes: usize,
    /// How long that is.
    pub soft_time: Duration,
}

/// The limits of all classes: normal clients, replicas, subscribers.
pub(super) type OutputLimits = [OutputLimit; 3];

/// Reads the value of the parameter, as it is reported: class, hard limit, soft limit and seconds, three times.
pub(super) fn parse(text: &str) -> OutputLimits {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let mut limits = OutputLimits::default();
    for group in words.chunks_exact(4) {
        let number = |at: usize| group.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
        let seconds = u64::try_from(number(3)).unwrap_or(u64::MAX);
        let limit = OutputLimit {
            hard_bytes: number(1),
            soft_bytes: number(2),
            soft_time: Duration::from_secs(seconds),
        };
        let class = group.first().and_then(|name| Class::named(name.as_bytes()));
        if let Some(class) = class {
            limits[place(class)] = limit;
        }
    }
    limits
}

fn place(class: Class) -> usize {
    match class {
        Class::Normal | Class::Primary => 0,
        Class::Replica => 1,
        Class::PubSub => 2,
    }
}

impl Engine {
    /// How much a client may leave unread.
    #[must_use]
    pub fn output_limit(&self, id: ClientId) -> OutputLimit {
        let class = self.clients.get(&id).map_or(Class::Normal, |client| client.class());
        self.config.output_limits[place(class)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_limit() {
        let limits = parse("normal 0 0 0 slave 268435456 67108864 60 pubsub 100 50 5");
        assert_eq!(limits[place(Class::Normal)], OutputLimit::default());
        let pubsub = OutputLimit { hard_bytes: 100, soft_bytes: 50, soft_time: Duration::from_secs(5) };
        assert_eq!(limits[place(Class::PubSub)], pubsub);
    }
}
