//! Mutants: bugs planted on purpose, to measure whether the checkers would notice.
//!
//! A mutant is switched on for the current thread, at run time. Without the feature `mutants` every question
//! is answered `false` at compile time. The list here is what exists in this crate; which scenario and which
//! checker must kill a mutant is the harness's to say.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its number in the catalogue of planted bugs.
    pub number: u8,
    /// Its name on the command line.
    pub name: &'static str,
    /// The bug, in one sentence.
    pub about: &'static str,
}

/// The mutants of this crate.
pub const ALL: &[Mutant] = &[
    Mutant {
        number: 1,
        name: "commit-before-processing",
        about: "The processor commits an offset before the event is handled.",
    },
    Mutant {
        number: 2,
        name: "dedup-after-effect",
        about: "The claim on an event is written after its side effect instead of before.",
    },
    Mutant {
        number: 3,
        name: "dedup-not-cleared",
        about: "An event is marked done before it is handled, and stays so when the handler fails.",
    },
    Mutant {
        number: 4,
        name: "dedup-ttl-too-short",
        about: "Redis remembers a finished event for no longer than a lease, less than a redelivery takes.",
    },
    Mutant {
        number: 5,
        name: "dedup-by-offset",
        about: "Deduplication knows an event by its offset instead of its id.",
    },
    Mutant {
        number: 6,
        name: "dedup-get-then-set",
        about: "A claim is read and then written, instead of written only if absent.",
    },
    Mutant {
        number: 9,
        name: "publish-before-append",
        about: "A result is published before the transaction that records it.",
    },
    Mutant {
        number: 15,
        name: "retry-under-new-id",
        about: "An event whose publication went unanswered is published again under a new id.",
    },
    Mutant {
        number: 18,
        name: "zombie-not-fenced",
        about: "Every process has a transactional id of its own and commits offsets as nobody's member.",
    },
    Mutant {
        number: 20,
        name: "gap-skipped",
        about: "What the log deleted before it was read is passed over: the consumer reads on where the log begins.",
    },
    Mutant {
        number: 23,
        name: "poison-retried-forever",
        about: "An event that always fails is retried without end and never dead-lettered.",
    },
    Mutant {
        number: 31,
        name: "deadline-by-own-clock",
        about: "A limiter's counter expires at a moment of the worker's clock, on a server with another.",
    },
    Mutant {
        number: 36,
        name: "lock-without-fence",
        about: "Requests made under a lock carry no fence: nothing tells a stale holder from the next.",
    },
    Mutant {
        number: 37,
        name: "fence-from-redis",
        about: "Fences are counted in Redis, which forgets them together with the lock.",
    },
    Mutant {
        number: 38,
        name: "counter-expires-apart",
        about: "A limiter's counter is raised by one command and given its expiry by the next.",
    },
    Mutant {
        number: 40,
        name: "new-leader-trusted",
        about: "After an election the consumer reads on as if the new leader had every acknowledged record.",
    },
    Mutant {
        number: 41,
        name: "start-unchecked",
        about: "A consumer subscribes at once, without asking whether its topics are ready.",
    },
    Mutant {
        number: 39,
        name: "stream-entry-is-new",
        about: "An entry of a stream that comes again is taken for a new event.",
    },
];

#[cfg(feature = "mutants")]
thread_local! {
    static ENABLED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Whether the mutant `name` is switched on for this thread.
#[inline]
#[must_use]
pub fn enabled(name: &str) -> bool {
    #[cfg(feature = "mutants")]
    return ENABLED.get().is_some_and(|enabled| enabled == name);
    #[cfg(not(feature = "mutants"))]
    {
        let _ = name;
        false
    }
}

/// Switches one mutant on for this thread, or all off.
#[cfg(feature = "mutants")]
pub fn enable(name: Option<&'static str>) {
    ENABLED.set(name);
}
