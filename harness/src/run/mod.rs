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
use crate::expect::Judged;
use crate::plan::{Outcome, Plan};
use crate::scenario::{Case, Vocabulary};
use crate::seed::Seed;
use crate::service::Services;
use crate::trace::diff::first_divergence;
use crate::trace::{Keep, Trace, TraceOptions};
use crate::verdict::{Class, Verdict, Violation};
use crate::world::Run;

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
}

impl Default for RunnerOptions {
    fn default() -> Self {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        Self { jobs, verify_determinism: false, mutant: None }
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
    /// All expectations together.
    pub verdict: Verdict,
    /// Each expectation, judged.
    pub expectations: Vec<Judged>,
    /// The trace's hash and what was kept of it.
    pub trace: Trace,
    /// Virtual time.
    pub elapsed: Duration,
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
            .points(point::ALL.iter().map(|point| point.name));
        for checker in self.registry.iter() {
            let named = |required: bool| -> Vec<&str> {
                let these = checker.parameters().iter().filter(|it| it.required == required);
                these.map(|it| it.name).collect()
            };
            vocabulary = vocabulary.checker(checker.name(), &named(true), &named(false));
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
        if !self.options.verify_determinism {
            let run = supervise::supervise(&plan, &self.services, trace)?;
            return Ok(self.judged(&plan, run));
        }
        let prefixes = || TraceOptions { prefixes: PREFIXES_MAX, ..trace() };
        let first = supervise::supervise(&plan, &self.services, &prefixes)?;
        let second = supervise::supervise(&plan, &self.services, &prefixes)?;
        let Some(divergence) = first_divergence(&first.trace, &second.trace) else {
            return Ok(self.judged(&plan, first));
        };
        // Once more each, to see what happened there.
        let keep = divergence.window().unwrap_or(Keep::Nothing);
        let window = || TraceOptions { keep: keep.clone(), prefixes: PREFIXES_MAX, ..TraceOptions::default() };
        let left = supervise::supervise(&plan, &self.services, &window)?;
        let right = supervise::supervise(&plan, &self.services, &window)?;
        let shown = first_divergence(&left.trace, &right.trace).unwrap_or(divergence);
        let mut judged = self.judged(&plan, first);
        judged.verdict = Verdict::Failed(Violation {
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

    fn judged(&self, plan: &Arc<Plan>, run: Run) -> JudgedRun {
        let (verdict, expectations) = judge::judge(plan, &run, &self.registry);
        let violation = verdict.violation();
        let outcome = Outcome {
            verdict: verdict.word().to_owned(),
            checker: violation.map(|violation| violation.checker.clone()),
            at: violation.map(|violation| violation.at),
            trace: run.trace.hash.to_string(),
        };
        let plan = Arc::new(Plan { outcome: Some(outcome), ..Plan::clone(plan) });
        JudgedRun { plan, verdict, expectations, trace: run.trace, elapsed: run.elapsed }
    }
}
