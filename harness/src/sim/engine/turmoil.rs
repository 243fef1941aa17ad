//! The engine on turmoil: one paused runtime per host, all of them stepped by a fixed tick.
//!
//! Only hosts and time are turmoil's. Its network is not used: links that survive an outage, latency per
//! direction, slicing, throttling and resets are ours (`sim::net`), so that a second engine has them too.
//! turmoil steps every host in every tick, idle or not: virtual time costs ticks times hosts.

use std::time::{Duration, UNIX_EPOCH};

use turmoil::{Builder, Sim};

use super::{Engine, Software};
use crate::sim::{EPOCH_MS, HostId, runtime_started, step_started};

/// Virtual time after which turmoil itself would give up; far beyond any plan.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Runs hosts with turmoil.
pub struct TurmoilEngine {
    sim: Sim<'static>,
    names: Vec<String>,
}

impl TurmoilEngine {
    /// An engine without hosts. `tick` is rounded up to whole milliseconds: with others turmoil's clock and
    /// tokio's drift apart.
    #[must_use]
    pub fn new(seed: u64, tick: Duration) -> Self {
        let tick =
            Duration::from_millis(u64::try_from(tick.as_nanos().div_ceil(1_000_000)).unwrap_or(1).max(1));
        let epoch = Duration::from_millis(u64::try_from(EPOCH_MS).unwrap_or(0));
        let sim = Builder::new()
            .tick_duration(tick)
            .simulation_duration(FOREVER)
            .epoch(UNIX_EPOCH + epoch)
            .rng_seed(seed)
            .build();
        step_started(Duration::ZERO);
        Self { sim, names: Vec::new() }
    }
}

impl Engine for TurmoilEngine {
    fn add_host(&mut self, name: &str, software: Software) -> HostId {
        let host = HostId(u16::try_from(self.names.len()).unwrap_or(u16::MAX));
        self.names.push(name.to_owned());
        self.sim.host(name, move || {
            let software = software.clone();
            async move {
                runtime_started(host);
                software().await;
                Ok(())
            }
        });
        host
    }

    fn step(&mut self) {
        step_started(self.sim.elapsed());
        if let Err(error) = self.sim.step() {
            // Software answers nothing and FOREVER is not reached, so this is a bug of ours.
            panic!("the simulation could not step: {error}");
        }
        step_started(self.sim.elapsed());
    }

    fn crash(&mut self, host: HostId) {
        self.sim.crash(self.names[usize::from(host.0)].as_str());
    }

    fn restart(&mut self, host: HostId) {
        self.sim.bounce(self.names[usize::from(host.0)].as_str());
    }

    fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }
}

pub(super) fn now_in_host() -> Option<Duration> {
    turmoil::sim_elapsed()
}
