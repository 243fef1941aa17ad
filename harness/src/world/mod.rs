//! Where a plan runs. Today: the simulation.
//!
//! A world takes a plan and gives back what observers saw and what happened; it judges nothing.

pub mod sim;

use std::time::Duration;

use crate::history::History;
use crate::trace::Trace;

/// What a world gives back.
#[derive(Debug)]
pub struct Run {
    /// What observers outside the system recorded.
    pub history: History,
    /// Everything that happened.
    pub trace: Trace,
    /// Virtual time the run took.
    pub elapsed: Duration,
    /// How it ended.
    pub end: End,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It settled, or its time to settle was over.
    Settled,
    /// A service ended by itself.
    Exited {
        /// Its host.
        host: String,
        /// What it said.
        reason: String,
    },
    /// A service panicked.
    Panicked {
        /// Its host, if it is known.
        host: Option<String>,
        /// The panic's text and place.
        text: String,
    },
    /// A service never yielded.
    Stalled {
        /// The host that was running, if it is known.
        host: Option<String>,
        /// How long it was waited for, by the machine's clock.
        bound: Duration,
    },
}

impl Run {
    /// A run of which nothing is left but how it ended.
    #[must_use]
    pub fn cut_short(end: End) -> Self {
        let trace =
            crate::trace::Tracer::new(crate::trace::TraceOptions::default(), || Duration::ZERO).finish();
        Self { history: History::default(), trace, elapsed: Duration::ZERO, end }
    }
}
