//! The handle through which a run writes its trace.
//!
//! Clones write to one trace, from whichever runtime or thread. Recording hashes the event and, only if asked
//! for, keeps it, keeps its prefix hash or writes its line. Every kind of keeping has a limit; reaching it
//! sets a marker and never stops the hashing.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::event::{TraceEvent, canonical};
use super::{Trace, TraceHash};
use crate::verdict::nanos;

/// Which events a trace keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// None: the trace is only hashed.
    #[default]
    Nothing,
    /// The first n events.
    First(u64),
    /// The events with these sequence numbers: to look closely where two traces are known to part.
    Window(Range<u64>),
}

/// What a trace keeps beyond its hash.
#[derive(Default)]
pub struct TraceOptions {
    /// Events kept in memory.
    pub keep: Keep,
    /// How many prefix hashes are kept, eight bytes each; with them two traces can be compared without
    /// keeping events.
    pub prefixes: usize,
    /// Where events are written as JSON lines.
    pub lines: Option<Box<dyn Write + Send>>,
    /// Most lines written; 0 is no limit. A last line then says `{"truncated":true}`.
    pub lines_max: u64,
}

impl fmt::Debug for TraceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceOptions")
            .field("keep", &self.keep)
            .field("prefixes", &self.prefixes)
            .field("lines", &self.lines.is_some())
            .field("lines_max", &self.lines_max)
            .finish()
    }
}

/// Writes a trace. Clones are cheap and share it.
#[derive(Clone)]
pub struct Tracer {
    now: Arc<dyn Fn() -> Duration + Send + Sync>,
    state: Arc<Mutex<State>>,
}

struct State {
    options: TraceOptions,
    sha: Sha256,
    prefix: u64,
    events: u64,
    prefixes: Vec<u64>,
    kept: Vec<TraceEvent>,
    truncated: bool,
    write_error: Option<String>,
    /// Reused from event to event.
    text: String,
    bytes: Vec<u8>,
}

impl Tracer {
    /// A tracer of an empty trace; `now` tells the virtual time since the start of the run.
    pub fn new(options: TraceOptions, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), state: Arc::new(Mutex::new(State::new(options))) }
    }

    /// Appends an event that happens now: `tracer.record("kafka-1", "fetch", format_args!("orders/{n}"))`.
    pub fn record(&self, host: &str, kind: &str, text: fmt::Arguments<'_>) {
        let t_ns = nanos::of((self.now)());
        // Formatted outside the lock: what is formatted may itself be traced.
        let mut buffer = std::mem::take(&mut self.lock().text);
        buffer.clear();
        // Writing to a String cannot fail, and a value that fails to format is traced as far as it got.
        let _ = buffer.write_fmt(text);
        let mut state = self.lock();
        state.append(t_ns, host, kind, &buffer);
        state.text = buffer;
    }

    /// Ends the trace: flushes the lines and says what was kept. The tracer and its clones start over,
    /// keeping nothing.
    #[must_use]
    pub fn finish(&self) -> Trace {
        let state = std::mem::replace(&mut *self.lock(), State::new(TraceOptions::default()));
        state.finish()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("events", &self.lock().events).finish_non_exhaustive()
    }
}

impl State {
    fn new(options: TraceOptions) -> Self {
        Self {
            options,
            sha: Sha256::new(),
            prefix: FNV_OFFSET,
            events: 0,
            prefixes: Vec::new(),
            kept: Vec::new(),
            truncated: false,
            write_error: None,
            text: String::new(),
            bytes: Vec::new(),
        }
    }

    fn append(&mut self, t_ns: u64, host: &str, kind: &str, text: &str) {
        let seq = self.events;
        self.events += 1;
        self.bytes.clear();
        canonical(&mut self.bytes, t_ns, host, kind, text);
        self.sha.update(&self.bytes);
        if self.options.prefixes > 0 {
            self.prefix = fnv1a(self.prefix, &self.bytes);
            if self.prefixes.len() < self.options.prefixes {
                self.prefixes.push(self.prefix);
            } else {
                self.truncated = true;
            }
        }
        let keep = match &self.options.keep {
            Keep::Nothing => false,
            Keep::First(limit) => {
                self.truncated |= seq >= *limit;
                seq < *limit
            }
            Keep::Window(window) => window.contains(&seq),
        };
        if !keep && self.options.lines.is_none() {
            return;
        }
        let (host, kind, text) = (host.to_owned(), kind.to_owned(), text.to_owned());
        let event = TraceEvent { seq, t_ns, host, kind, text };
        self.write(&event);
        if keep {
            self.kept.push(event);
        }
    }

    fn write(&mut self, event: &TraceEvent) {
        let Some(out) = &mut self.options.lines else { return };
        let full = self.options.lines_max > 0 && event.seq >= self.options.lines_max;
        let written = match full {
            true => out.write_all(b"{\"truncated\":true}\n"),
            false => serde_json::to_writer(&mut *out, event)
                .map_err(std::io::Error::from)
                .and_then(|()| out.write_all(b"\n")),
        };
        self.truncated |= full;
        self.write_error = self.write_error.take().or(written.err().map(|error| error.to_string()));
        if full || self.write_error.is_some() {
            self.close_lines();
        }
    }

    fn close_lines(&mut self) {
        let flushed = self.options.lines.take().map_or(Ok(()), |mut out| out.flush());
        self.write_error = self.write_error.take().or(flushed.err().map(|error| error.to_string()));
    }

    fn finish(mut self) -> Trace {
        self.close_lines();
        Trace {
            hash: TraceHash(self.sha.finalize().into()),
            events: self.events,
            prefixes: self.prefixes,
            kept: self.kept,
            truncated: self.truncated,
            write_error: self.write_error,
        }
    }
}

/// What FNV-1a begins with.
pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits, continued: cheap, and enough to find a place. That traces are equal, the SHA-256 says.
pub(crate) fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(hash, step)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// A writer whose bytes can be looked at, and which fails after so many.
    #[derive(Clone)]
    struct Shared(Arc<Mutex<Vec<u8>>>, usize);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().expect("no panic while locked");
            if written.len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(options: TraceOptions) -> Trace {
        let tracer = Tracer::new(options, || Duration::from_millis(7));
        let other = tracer.clone();
        for n in 0..5 {
            tracer.record("kafka-1", "fetch", format_args!("orders/{n}"));
            other.record("worker-1", "handle", format_args!("\"{n}\""));
        }
        tracer.finish()
    }

    #[test]
    fn a_tracer_goes_wherever_it_is_needed() {
        fn anywhere<T: Clone + Send + Sync + 'static>() {}
        anywhere::<Tracer>();
    }

    #[test]
    fn what_is_kept_does_not_change_the_hash() {
        let bare = run(TraceOptions::default());
        assert!(bare.kept.is_empty() && bare.prefixes.is_empty() && !bare.truncated);
        let lines = Shared(Arc::default(), usize::MAX);
        let written = lines.0.clone();
        let full = run(TraceOptions {
            keep: Keep::First(100),
            prefixes: 100,
            lines: Some(Box::new(lines)),
            lines_max: 0,
        });
        assert_eq!((full.hash, full.events), (bare.hash, 10));
        assert_eq!((full.kept.len(), full.prefixes.len(), full.truncated), (10, 10, false));
        let text = String::from_utf8(written.lock().expect("lines").clone()).expect("UTF-8");
        let read: Vec<TraceEvent> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        assert_eq!(read, full.kept);
    }

    #[test]
    fn limits_cut_what_is_kept_and_say_so() {
        let lines = Shared(Arc::default(), usize::MAX);
        let written = lines.0.clone();
        let cut = run(TraceOptions {
            keep: Keep::First(3),
            prefixes: 4,
            lines: Some(Box::new(lines)),
            lines_max: 2,
        });
        assert_eq!((cut.kept.len(), cut.prefixes.len(), cut.truncated), (3, 4, true));
        assert_eq!(cut.hash, run(TraceOptions::default()).hash);
        let text = String::from_utf8(written.lock().expect("lines").clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 3);
        assert!(text.ends_with("{\"truncated\":true}\n"));
    }

    #[test]
    fn a_window_keeps_only_its_events() {
        let trace = run(TraceOptions { keep: Keep::Window(4..6), ..TraceOptions::default() });
        assert_eq!(trace.kept.iter().map(|event| event.seq).collect::<Vec<_>>(), [4, 5]);
        assert!(!trace.truncated);
    }

    #[test]
    fn a_failing_writer_is_reported_and_the_hash_goes_on() {
        let full_disk = Shared(Arc::default(), 200);
        let trace = run(TraceOptions { lines: Some(Box::new(full_disk)), ..TraceOptions::default() });
        assert!(trace.write_error.is_some());
        assert_eq!(trace.hash, run(TraceOptions::default()).hash);
    }

    #[test]
    fn order_time_and_every_text_matter() {
        let hash = |events: &[(&str, &str, &str)]| {
            let tracer = Tracer::new(TraceOptions::default(), || Duration::ZERO);
            events.iter().for_each(|(host, kind, text)| tracer.record(host, kind, format_args!("{text}")));
            tracer.finish().hash
        };
        let (a, b) = (("h", "k", "1"), ("h", "k", "2"));
        let hashes = [hash(&[a, b]), hash(&[b, a]), hash(&[a]), hash(&[("hk", "", "1")]), hash(&[])];
        for (i, left) in hashes.iter().enumerate() {
            assert!(hashes.iter().skip(i + 1).all(|right| right != left));
        }
        let later = Tracer::new(TraceOptions::default(), || Duration::from_nanos(1));
        later.record("h", "k", format_args!("1"));
        assert_ne!(later.finish().hash, hash(&[a]));
    }

    #[test]
    fn what_is_formatted_may_itself_be_traced() {
        struct Tracing(Tracer);
        impl fmt::Display for Tracing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.record("h", "inner", format_args!("first"));
                f.write_str("second")
            }
        }
        let tracer =
            Tracer::new(TraceOptions { keep: Keep::First(9), ..TraceOptions::default() }, || Duration::ZERO);
        tracer.record("h", "outer", format_args!("{}", Tracing(tracer.clone())));
        let kinds: Vec<_> = tracer.finish().kept.into_iter().map(|event| (event.kind, event.text)).collect();
        let expected = [("inner", "first"), ("outer", "second")].map(|(k, t)| (k.to_owned(), t.to_owned()));
        assert_eq!(kinds, expected);
    }
}
