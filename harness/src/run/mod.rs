//! Runs plans: one, or many on several threads, and judges each.
//!
//! This is the library's front door as well as the program's: [`Runner`] takes cases and seeds, or a plan, and
//! gives back judged runs. Order of results is the order of seeds, whatever finishes first. Nothing here prints.

mod judge;
mod pool;
mod supervise;

use std::sync::Arc;
use std::time::Duration;

use squall_core::point;

use crate::checker::Registry;
use crate::expect::{Judged, judge_all};
use crate::plan::{Outcome, Plan};
use crate::scenario::schema::Claim;
use crate::scenario::{Case, Vocabulary};
use crate::seed::Seed;
use crate::service::Services;
use crate::system;
use crate::trace::diff::first_divergence;
use crate::trace::{Keep, Trace, TraceOptions};
use crate::verdict::{Class, Verdict, Violation};
use crate::world::Run;
use crate::world::sim::{counted, known_mutant};

pub use crate::world::sim::WorldError;

/// How plans are run.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// Simulations at a time, each on a thread of its own.
    pub jobs: usize,
    /// Run every plan twice and fail it if the two differ.
    pub verify_determinism: bool,
    /// A planted bug to switch on.
    pub mutant: Option<String>,
    /// A simulation that takes no step for this long, by the machine's clock, has a service that never yields.
    pub stall: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Self { jobs, verify_determinism: false, mutant: None, stall: Duration::from_secs(10) }
    }
}

/// Events whose prefix hashes are kept when determinism is verified: 64 MiB at most.
const PREFIXES_MAX: usize = 8 * 1024 * 1024;

/// Runs and judges.
#[derive(Clone)]
pub struct Runner {
    options: RunnerOptions,
    services: Services,
    registry: Arc<Registry>,
}

/// A run, judged.
#[derive(Clone, Debug)]
pub struct JudgedRun {
    /// What was run, with its outcome written in.
    pub plan: Arc<Plan>,
    /// Each expectation, judged; none if the run was cut short.
    pub expectations: Vec<Judged>,
    /// A crash, or a lack of determinism, which no expectation speaks of.
    pub broken: Option<Violation>,
    /// The trace's hash and what was kept of it.
    pub trace: Trace,
    /// Virtual time.
    pub elapsed: Duration,
}

impl JudgedRun {
    /// The verdict on this run alone. What must happen `sometimes` is judged over all seeds together, and left
    /// out here.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let broken = self.broken.iter().cloned().map(Verdict::Failed);
        let judged = self.expectations.iter().filter(|it| !matches!(it.claim, Claim::Sometimes { .. }));
        Verdict::all(broken.chain(judged.map(|it| it.verdict.clone())))
    }
}

impl JudgedRun {
    /// Everything that was broken.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.broken.iter().chain(self.expectations.iter().filter_map(|it| it.verdict.violation()))
    }
}

impl Runner {
    /// A runner for `services`, with the built-in checkers.
    #[must_use]
    pub fn new(options: RunnerOptions, services: Services) -> Self {
        Self { options, services, registry: Arc::new(Registry::standard()) }
    }

    /// Adds a user's checkers.
    #[must_use]
    pub fn with_checkers(self, registry: Registry) -> Self {
        Self { registry: Arc::new(registry), ..self }
    }

    /// The names scenarios may use with this runner.
    #[must_use]
    pub fn vocabulary(&self) -> Vocabulary {
        let kinds = self.services.kinds();
        let mut vocabulary = Vocabulary::new()
            .service_kinds(kinds.iter().map(String::as_str))
            .points(point::ALL.iter().chain(system::POINTS).map(|point| point.name))
            .metrics(counted());
        for checker in self.registry.iter() {
            let optional: Vec<&str> = checker.parameters().iter().map(|it| it.name).collect();
            vocabulary = vocabulary.checker(checker.name(), &[], &optional);
        }
        vocabulary
    }

    /// Draws and runs the plan of one seed.
    ///
    /// # Errors
    /// [`WorldError`], if the plan cannot be run at all.
    pub fn run_one(&self, case: &Case, seed: Seed) -> Result<JudgedRun, WorldError> {
        self.run_plan(self.plan(case, seed), &TraceOptions::default)
    }

    /// The plan of one seed.
    #[must_use]
    pub fn plan(&self, case: &Case, seed: Seed) -> Plan {
        Plan { mutant: self.options.mutant.clone(), ..Plan::draw(case, seed) }
    }

    /// Runs a plan. `trace` says what to keep of the trace; it is asked once for each attempt.
    ///
    /// # Errors
    /// [`WorldError`], if the plan cannot be run at all.
    pub fn run_plan(&self, plan: Plan, trace: &dyn Fn() -> TraceOptions) -> Result<JudgedRun, WorldError> {
        let plan = Arc::new(plan);
        let supervise = |trace: &dyn Fn() -> TraceOptions| {
            supervise::supervise(&plan, &self.services, trace, self.options.stall)
        };
        if !self.options.verify_determinism {
            return Ok(self.judged(&plan, supervise(trace)?));
        }
        let prefixes = || TraceOptions { prefixes: PREFIXES_MAX, ..trace() };
        let first = supervise(&prefixes)?;
        let second = supervise(&prefixes)?;
        let Some(divergence) = first_divergence(&first.trace, &second.trace) else {
            return Ok(self.judged(&plan, first));
        };
        // Once more each, to see what happened there.
        let keep = divergence.window().unwrap_or(Keep::Nothing);
        let window =
            || TraceOptions { keep: keep.clone(), prefixes: PREFIXES_MAX, ..TraceOptions::default() };
        let left = supervise(&window)?;
        let right = supervise(&window)?;
        let shown = first_divergence(&left.trace, &right.trace).unwrap_or(divergence);
        let mut judged = self.judged(&plan, first);
        judged.broken = Some(Violation {
            checker: "deterministic".to_owned(),
            class: Class::Nondeterminism,
            at: Duration::ZERO,
            summary: "the same plan, run twice, had two traces".to_owned(),
            evidence: shown.to_string().lines().map(str::to_owned).collect(),
        });
        Ok(judged)
    }

    /// Runs the plans of `seeds` on several threads. `each` gets the results in the order of the seeds, and
    /// answers whether to go on.
    ///
    /// # Errors
    /// The first [`WorldError`].
    pub fn run_seeds(
        &self,
        case: &Case,
        seeds: &[Seed],
        mut each: impl FnMut(Seed, JudgedRun) -> bool,
    ) -> Result<(), WorldError> {
        let one = |index: usize| self.run_one(case, seeds[index]);
        pool::in_order(self.options.jobs, seeds.len(), &one, |index, judged| Ok(each(seeds[index], judged?)))
    }

    /// Says whether the mutant asked for exists, before anything runs.
    ///
    /// # Errors
    /// [`WorldError::UnknownMutant`].
    pub fn check_mutant(&self) -> Result<(), WorldError> {
        self.options.mutant.as_deref().map_or(Ok(()), |name| known_mutant(name).map(|_| ()))
    }

    fn judged(&self, plan: &Arc<Plan>, run: Run) -> JudgedRun {
        let broken = judge::crash(&run);
        let expectations = match &broken {
            Some(_) => Vec::new(),
            None => judge_all(&plan.expectations, &run.history, &self.registry),
        };
        let (trace, elapsed) = (run.trace, run.elapsed);
        let mut judged = JudgedRun { plan: Arc::clone(plan), expectations, broken, trace, elapsed };
        let verdict = judged.verdict();
        let violation = verdict.violation();
        let outcome = Outcome {
            verdict: verdict.word().to_owned(),
            checker: violation.map(|violation| violation.checker.clone()),
            at: violation.map(|violation| violation.at),
            trace: judged.trace.hash.to_string(),
        };
        judged.plan = Arc::new(Plan { outcome: Some(outcome), ..Plan::clone(plan) });
        judged
    }
}
