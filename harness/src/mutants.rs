//! The catalogue of planted bugs: in which scenario each must be noticed, and by which checker.
//!
//! The bugs themselves are in the code they corrupt. A mutant that survives says that a promise is not tested.

use squall_core::mutant::{self, Mutant};

/// Where a planted bug must die.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// The mutant's name.
    pub name: &'static str,
    /// The scenario that exposes it.
    pub scenario: &'static str,
    /// The checkers whose promise it breaks; one of them must be the one that notices.
    pub checkers: &'static [&'static str],
}

/// Every planted bug.
pub const CATALOGUE: &[Planted] = &[
    planted("commit-before-processing", "crash-between-effect-and-commit", &["no-acked-loss"]),
    planted("dedup-after-effect", "crash-between-effect-and-commit", &["idempotent"]),
    planted("dedup-not-cleared", "payment-outage", &["idempotent"]),
    planted("dedup-ttl-too-short", "redelivery-after-an-outage", &["idempotent"]),
    planted("dedup-by-offset", "lost-produce-ack", &["idempotent"]),
    planted("dedup-get-then-set", "redis-is-the-authority", &["idempotent"]),
    planted("publish-before-append", "crash-between-effect-and-commit", &["no-phantom"]),
    planted("retry-under-new-id", "lost-produce-ack", &["idempotent"]),
    planted("poison-retried-forever", "poison", &["dlq-complete"]),
    planted("deadline-by-own-clock", "redis-clock-jumps", &["rate-limited"]),
    planted("lock-without-fence", "paused-lock-holder", &["mutual-exclusion"]),
    planted("fence-from-redis", "failover-loses-a-lock", &["mutual-exclusion"]),
    planted("counter-expires-apart", "limiter-loses-an-answer", &["recovered"]),
    planted("zombie-not-fenced", "zombie-producer", &["one-result"]),
    planted("gap-skipped", "retention-before-reading", &["no-acked-loss"]),
    planted("new-leader-trusted", "unclean-election", &["no-acked-loss"]),
    planted("start-unchecked", "consumer-before-topic", &["service-runs"]),
    planted("stream-entry-is-new", "stream-loses-an-ack", &["idempotent"]),
];

const fn planted(name: &'static str, scenario: &'static str, checkers: &'static [&'static str]) -> Planted {
    Planted { name, scenario, checkers }
}

impl Planted {
    /// What the bug is.
    ///
    /// # Panics
    /// If the catalogue names a mutant that no crate has; a test sees to it that it does not.
    #[must_use]
    pub fn mutant(&self) -> &'static Mutant {
        let found = mutant::ALL.iter().find(|mutant| mutant.name == self.name);
        found.expect("the catalogue and the crates name the same mutants")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_every_mutant_once() {
        let mut planted: Vec<_> = CATALOGUE.iter().map(|planted| planted.name).collect();
        let mut known: Vec<_> = mutant::ALL.iter().map(|mutant| mutant.name).collect();
        planted.sort_unstable();
        known.sort_unstable();
        assert_eq!(planted, known);
    }
}
