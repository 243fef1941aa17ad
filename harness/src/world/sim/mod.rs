//! The world `sim`: every host simulated, on virtual time, decided by the plan alone.
//!
//! [`run`] builds the hosts, drives them through load, healing and settling, and gives back what was seen. It
//! must be called on a fresh thread, see [`crate::sim::Context`]. It judges nothing.

mod hosts;
mod injector;
mod load;
mod observer;
mod panics;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use squall_core::mutant;
use squall_core::point::{self, Passage};

use self::hosts::Cast;
use self::injector::{Errand, Fate, HARNESS, Injector};
use self::observer::Observer;
use super::{End, Run};
use crate::history::{Phase, Record, Recorder};
use crate::plan::Plan;
use crate::service::Services;
use crate::sim::engine::{Engine, SteppedEngine};
use crate::sim::net::Net;
use crate::sim::{Context, HostId, Probe, current_host, now};
use crate::sink;
use crate::system;
use crate::trace::{TraceOptions, Tracer};

/// What a world cannot do with a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The plan names a kind nobody has registered.
    #[error(
        "host {host}: expected one of the kinds {known}, found {kind:?}; register it with `Services::with`"
    )]
    UnknownKind {
        /// The host.
        host: String,
        /// Its kind.
        kind: String,
        /// The known ones.
        known: String,
    },
    /// The configuration of a server of the harness does not fit.
    #[error("{service}: {reason}")]
    Config {
        /// The service.
        service: String,
        /// What was expected and found.
        reason: String,
    },
    /// The plan's mutant does not exist.
    #[error("expected one of the mutants `squall mutants --list` shows, found {0:?}")]
    UnknownMutant(String),
    /// The machine gave no thread to run on.
    #[error("cannot start a thread for the simulation: {0}")]
    Thread(String),
}

/// Every name this world counts, besides the faults of a plan: points and sightings.
pub(crate) fn counted() -> impl Iterator<Item = &'static str> {
    let points = point::ALL.iter().chain(system::POINTS).map(|point| point.name);
    points.chain(sink::SIGHTINGS).chain(SIGHTINGS)
}

/// What this world counts besides the points that services pass and the faults of the plan.
const SIGHTINGS: [&str; 1] = ["duplicate-published"];

/// Runs `plan`. `progress` is raised by one at every step, for whoever watches that the run moves.
///
/// # Errors
/// [`WorldError`], before anything has run.
pub fn run(
    plan: &Plan,
    services: &Services,
    trace: TraceOptions,
    progress: &AtomicU64,
) -> Result<Run, WorldError> {
    let mutant = plan.mutant.as_deref().map(known_mutant).transpose()?;
    let _context = Context::enter(plan.seed.0);
    mutant::enable(mutant);
    let tracer = Tracer::new(trace, now);
    let recorder = Recorder::new(now);
    recorder.count_from_zero(counted());
    let outcome = Simulation::new(plan, services, &tracer, &recorder)?.drive(progress);
    mutant::enable(None);
    let (end, elapsed) = outcome;
    Ok(Run { history: recorder.finish(), trace: tracer.finish(), elapsed, end })
}

/// The mutant's name, if there is one of that name.
pub(crate) fn known_mutant(name: &str) -> Result<&'static str, WorldError> {
    let found = mutant::ALL.iter().find(|mutant| mutant.name == name);
    found.map(|mutant| mutant.name).ok_or_else(|| WorldError::UnknownMutant(name.to_owned()))
}

/// Why a service is no longer running, told by its host's software.
pub(crate) type Exits = Rc<RefCell<Vec<(HostId, Result<(), String>)>>>;

/// The first thing a mock was asked for that it does not serve: the mock's host, and what was expected and found.
pub(crate) type Refusals = Arc<Mutex<Option<(String, String)>>>;

struct Simulation<'a> {
    plan: &'a Plan,
    engine: SteppedEngine,
    net: Net,
    names: Vec<String>,
    injector: Rc<RefCell<Injector>>,
    observer: Rc<RefCell<Observer>>,
    exits: Exits,
    refusals: Refusals,
    load: load::Load,
    tracer: Tracer,
    recorder: Recorder,
}

impl<'a> Simulation<'a> {
    fn new(
        plan: &'a Plan,
        services: &Services,
        tracer: &Tracer,
        recorder: &Recorder,
    ) -> Result<Self, WorldError> {
        let mut engine = SteppedEngine::new(plan.seed.0, plan.tick);
        let Cast { net, names, targets, observer, software, load, exits, refusals } =
            Cast::new(plan, services, &probe(plan, tracer), recorder)?;
        for (name, software) in names.iter().zip(software) {
            engine.add_host(name, software);
        }
        let injector = Rc::new(RefCell::new(Injector::new(targets, &plan.faults, recorder.clone())));
        let (tracer, recorder) = (tracer.clone(), recorder.clone());
        Ok(Self { plan, engine, net, names, injector, observer, exits, refusals, load, tracer, recorder })
    }

    /// Load, heal, settle.
    fn drive(mut self, progress: &AtomicU64) -> (End, Duration) {
        let _hook = self.install_points();
        let end = self.phases(progress);
        let elapsed = self.engine.elapsed();
        // Dropping hosts runs their destructors, which may panic as well.
        let Self { engine, .. } = self;
        let dropped = panics::catching(|| drop(engine));
        let end = match (end, dropped) {
            (Err(end), _) => end,
            (Ok(()), Ok(())) => End::Settled,
            (Ok(()), Err(panic)) => End::Panicked { host: None, text: panic.text },
        };
        (end, elapsed)
    }

    fn phases(&mut self, progress: &AtomicU64) -> Result<(), End> {
        while self.engine.elapsed() < self.plan.duration {
            self.injector.borrow_mut().advance();
            self.step(progress)?;
        }
        self.phase(Phase::LoadEnd);
        self.injector.borrow_mut().heal();
        self.phase(Phase::Healed);
        let end = self.plan.duration + self.plan.settle;
        while self.engine.elapsed() < end && !(self.load.is_done() && self.observer.borrow().is_quiet()) {
            self.step(progress)?;
        }
        self.phase(Phase::SettleEnd);
        Ok(())
    }

    fn phase(&self, phase: Phase) {
        self.tracer.record(HARNESS, "phase", format_args!("{phase:?}"));
        self.recorder.record(HARNESS, Record::Phase(phase));
    }

    fn step(&mut self, progress: &AtomicU64) -> Result<(), End> {
        progress.fetch_add(1, Ordering::Relaxed);
        self.run_errands();
        if let Err(panic) = panics::catching(|| self.engine.step()) {
            return Err(End::Panicked { host: panic.host.map(|host| self.name(host)), text: panic.text });
        }
        self.net.expire();
        self.run_errands();
        self.observer.borrow_mut().read();
        if let Some((host, found)) = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let reason = format!("a client asked it for what it does not serve: {found}");
            return Err(End::Exited { host, reason });
        }
        let exited = self.exits.borrow_mut().pop();
        let Some((host, ended)) = exited else { return Ok(()) };
        let unasked = || "it returned, although nobody had asked it to stop".to_owned();
        let reason = ended.err().unwrap_or_else(unasked);
        Err(End::Exited { host: self.name(host), reason })
    }

    fn name(&self, host: HostId) -> String {
        self.names[usize::from(host.0)].clone()
    }

    fn run_errands(&mut self) {
        for errand in self.injector.borrow_mut().take_errands() {
            match errand {
                Errand::Crash(host) => self.engine.crash(host),
                Errand::Restart(host) => self.engine.restart(host),
                Errand::Pause(host) => self.engine.pause(host),
                Errand::Resume(host) => self.engine.resume(host),
            }
        }
    }

    /// Points are counted, traced, and may be where a fault strikes.
    fn install_points(&self) -> point::Installed {
        let injector = Rc::clone(&self.injector);
        let (net, recorder, tracer) = (self.net.clone(), self.recorder.clone(), self.tracer.clone());
        let names = self.names.clone();
        // Longer than what is left of the step, and over by the time a paused host runs on.
        let beyond_this_step = self.plan.tick + Duration::from_millis(1);
        point::install(move |point| {
            let Some(host) = current_host() else { return Passage::Go };
            if !net.is_running(host) {
                return Passage::Stop;
            }
            recorder.saw(point);
            tracer.record(&names[usize::from(host.0)], "point", format_args!("{point}"));
            match injector.borrow_mut().passed(point, host) {
                Fate::Untouched => Passage::Go,
                Fate::Killed => Passage::Stop,
                Fate::Paused => Passage::Delay(beyond_this_step),
            }
        })
    }
}

/// Writes what the network sees into the trace.
fn probe(plan: &Plan, tracer: &Tracer) -> Probe {
    let names: Vec<String> = plan.hosts().map(|(name, _)| name.to_owned()).collect();
    let tracer = tracer.clone();
    Arc::new(move |host, kind, text| {
        let name = host.and_then(|host| names.get(usize::from(host.0)));
        tracer.record(name.map_or(HARNESS, String::as_str), kind, text);
    })
}
