//! One direction of a connection: bytes under way, and how it ends.
//!
//! A pipe is passive. It is told the time and the link's condition, and answers what its reader may have now;
//! waiting and waking are the stream's and the network's.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::sim::HostId;

/// Bytes a pipe holds before its writer waits: a socket's send and receive buffer together.
const CAPACITY: usize = 256 * 1024;

pub(super) struct Pipe {
    pub(super) from: HostId,
    pub(super) to: HostId,
    queue: VecDeque<(Duration, Bytes)>,
    queued: usize,
    carried: u64,
    /// When the last byte written so far arrives: bytes never overtake each other.
    last_arrival: Duration,
    /// When a throttled link is free again.
    free_at: Duration,
    /// When the reader learns that the writer has closed.
    fin: Option<Duration>,
    /// The reader has closed; a writer learns it by a reset.
    pub(super) reader_gone: bool,
    pub(super) reset: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// What a reader gets.
pub(super) enum Read {
    Bytes(Bytes),
    End,
    Reset,
    /// Nothing before this time, unless something happens.
    WaitUntil(Option<Duration>),
}

impl Pipe {
    pub(super) fn new(from: HostId, to: HostId) -> Self {
        Self {
            from,
            to,
            queue: VecDeque::new(),
            queued: 0,
            carried: 0,
            last_arrival: Duration::ZERO,
            free_at: Duration::ZERO,
            fin: None,
            reader_gone: false,
            reset: false,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.queued)
    }

    pub(super) fn carried(&self) -> u64 {
        self.carried
    }

    pub(super) fn is_waiting_for_acknowledgement(&self) -> bool {
        self.queued > 0 || self.fin.is_some()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.fin.is_some()
    }

    /// Puts bytes under way; they arrive `latency` from now, later if the link is throttled.
    pub(super) fn write(&mut self, bytes: Bytes, now: Duration, latency: Duration, bandwidth: Option<u64>) {
        let mut leaves = now;
        if let Some(rate) = bandwidth {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let takes = Duration::from_nanos(length.saturating_mul(1_000_000_000) / rate);
            leaves = self.free_at.max(now) + takes;
            self.free_at = leaves;
        }
        self.last_arrival = self.last_arrival.max(leaves + latency);
        self.queued += bytes.len();
        self.carried += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.queue.push_back((self.last_arrival, bytes));
    }

    pub(super) fn finish(&mut self, now: Duration, latency: Duration) {
        let at = self.last_arrival.max(now + latency);
        self.fin.get_or_insert(at);
    }

    /// What arrives now. `down` says that nothing does.
    pub(super) fn read(&mut self, most: usize, now: Duration, down: bool) -> Read {
        if self.reset {
            return Read::Reset;
        }
        if down {
            return Read::WaitUntil(None);
        }
        match self.queue.front_mut() {
            Some((at, _)) if *at > now => Read::WaitUntil(Some(*at)),
            Some((_, bytes)) => {
                let taken = bytes.split_to(most.min(bytes.len()));
                if !bytes.has_remaining() {
                    self.queue.pop_front();
                }
                self.queued -= taken.len();
                Read::Bytes(taken)
            }
            None => match self.fin {
                Some(at) if at > now => Read::WaitUntil(Some(at)),
                Some(_) => Read::End,
                None => Read::WaitUntil(None),
            },
        }
    }

    /// The link is back at `now`: what waited is retransmitted and arrives `latency` later.
    pub(super) fn retransmit(&mut self, now: Duration, latency: Duration) {
        let earliest = now + latency;
        for (at, _) in &mut self.queue {
            *at = (*at).max(earliest);
        }
        self.fin = self.fin.map(|at| at.max(earliest));
        self.last_arrival = self.last_arrival.max(earliest);
    }

    pub(super) fn set_reset(&mut self) {
        self.reset = true;
        self.queue.clear();
        self.queued = 0;
    }
}
