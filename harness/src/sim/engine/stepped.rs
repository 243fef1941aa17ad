//! The engine that steps: one paused runtime per host, all of them moved on by a fixed tick.
//!
//! A host's tasks run in its runtime and nowhere else, so a host that is not stepped stands still as a whole,
//! whatever its tasks are and whoever spawned them. When it runs on, its clock is put forward by what it missed,
//! and its timers fire late. Every host is stepped in every tick, idle or not: virtual time costs ticks times
//! hosts. It knows no network and no faults.

use std::cell::Cell;
use std::time::Duration;

use rand::RngExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, advance, sleep};

use super::{Engine, Software, watch};
use crate::seed::Seed;
use crate::sim::{HostId, runtime_started, step_started};

thread_local! {
    /// The step's start in virtual time, and what the running host's clock says then.
    static TURN: Cell<Option<(Duration, Instant)>> = const { Cell::new(None) };
}

/// Steps hosts.
pub struct SteppedEngine {
    tick: Duration,
    elapsed: Duration,
    seed: Seed,
    hosts: Vec<Host>,
}

struct Host {
    name: String,
    software: Software,
    /// Starts so far.
    lives: u64,
    /// Absent while the host is down.
    process: Option<Process>,
}

/// One life of a host.
struct Process {
    runtime: Runtime,
    local: LocalSet,
    /// Taken when it has ended.
    main: Option<JoinHandle<()>>,
    paused: bool,
    /// Virtual time the process was not stepped for, since it last ran.
    missed: Duration,
}

impl SteppedEngine {
    /// An engine without hosts. `seed` decides tokio's own choices. `tick` is rounded up to whole milliseconds,
    /// which is what tokio's timers can tell apart.
    #[must_use]
    pub fn new(seed: u64, tick: Duration) -> Self {
        let tick =
            Duration::from_millis(u64::try_from(tick.as_nanos().div_ceil(1_000_000)).unwrap_or(1).max(1));
        step_started(Duration::ZERO);
        Self { tick, elapsed: Duration::ZERO, seed: Seed(seed), hosts: Vec::new() }
    }

    fn host(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[usize::from(host.0)]
    }

    fn process(&mut self, host: HostId) -> Option<&mut Process> {
        self.host(host).process.as_mut()
    }
}

impl Engine for SteppedEngine {
    fn add_host(&mut self, name: &str, software: Software) -> HostId {
        let host = HostId(u16::try_from(self.hosts.len()).unwrap_or(u16::MAX));
        self.hosts.push(Host { name: name.to_owned(), software, lives: 0, process: None });
        self.restart(host);
        host
    }

    fn step(&mut self) {
        step_started(self.elapsed);
        for host in &mut self.hosts {
            let Some(process) = &mut host.process else { continue };
            if process.paused {
                process.missed += self.tick;
                continue;
            }
            let _turn = watch::turn(&host.name);
            process.run(self.elapsed, self.tick);
        }
        self.elapsed += self.tick;
        step_started(self.elapsed);
    }

    fn crash(&mut self, host: HostId) {
        // Dropping the runtime drops its tasks.
        self.host(host).process = None;
    }

    fn restart(&mut self, host: HostId) {
        self.crash(host);
        let seed = self.seed;
        let entry = self.host(host);
        entry.lives += 1;
        let process = Process::start(host, &entry.software, seed.stream("runtime", &entry.name, entry.lives));
        entry.process = Some(process);
    }

    fn pause(&mut self, host: HostId) {
        if let Some(process) = self.process(host) {
            process.paused = true;
        }
    }

    fn resume(&mut self, host: HostId) {
        if let Some(process) = self.process(host) {
            process.paused = false;
        }
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

impl Process {
    fn start(host: HostId, software: &Software, choices: rand_chacha::ChaCha8Rng) -> Self {
        let runtime = runtime(choices);
        let local = local_set();
        let software = software.clone();
        // Rounds the runtime's clock to a whole millisecond, as its timers count.
        runtime.block_on(async { sleep(Duration::from_millis(1)).await });
        let main = local.spawn_local(async move {
            runtime_started(host);
            software().await;
        });
        Self { runtime, local, main: Some(main), paused: false, missed: Duration::ZERO }
    }

    /// Runs the process from `start` for one tick.
    fn run(&mut self, start: Duration, tick: Duration) {
        let missed = std::mem::take(&mut self.missed);
        let clock = {
            let _inside = self.runtime.enter();
            Instant::now() + missed
        };
        TURN.set(Some((start, clock)));
        let _ended = Ended;
        self.runtime.block_on(self.local.run_until(async {
            if !missed.is_zero() {
                // Before anything else is polled: to the process the pause took no time at all until it looks.
                advance(missed).await;
            }
            sleep(tick).await;
        }));
        let ended = self.main.take_if(|main| main.is_finished());
        let Some(ended) = ended.map(|main| self.runtime.block_on(main)) else { return };
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Ends a host's turn, also when it panics.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        TURN.set(None);
    }
}

fn runtime(#[cfg_attr(not(tokio_unstable), expect(unused))] mut choices: rand_chacha::ChaCha8Rng) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    {
        let seed: [u8; 32] = choices.random();
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed));
        // A panic that nobody awaits must not be lost.
        builder.unhandled_panic(tokio::runtime::UnhandledPanic::ShutdownRuntime);
    }
    // A runtime without I/O asks nothing of the machine that could be refused.
    builder.build().unwrap_or_else(|error| panic!("tokio has no runtime for a host: {error}"))
}

fn local_set() -> LocalSet {
    #[cfg(tokio_unstable)]
    {
        let mut local = LocalSet::new();
        local.unhandled_panic(tokio::runtime::UnhandledPanic::ShutdownRuntime);
        local
    }
    #[cfg(not(tokio_unstable))]
    LocalSet::new()
}

pub(super) fn now_in_host() -> Option<Duration> {
    let (start, clock) = TURN.get()?;
    Some(start + Instant::now().saturating_duration_since(clock))
}
