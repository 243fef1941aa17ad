//! Folds the results of seeds into the result of a case.
//!
//! Memory is flat: counts, the first few failures, and one reason per expectation. Everything is decided by a
//! seed's index, so results may be added in any order and the outcome is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ExpectationResult, Failure, ScenarioResult, SeedResult};
use crate::expect::Judged;
use crate::history::Count;
use crate::scenario::schema::Claim;
use crate::verdict::Verdict;

/// Failures kept per case.
pub const FAILURES_MAX: usize = 5;

/// The results of a case's seeds so far.
#[derive(Clone, Debug)]
pub struct Aggregate {
    name: String,
    case: String,
    file: String,
    seeds_run: u64,
    seeds_failed: u64,
    virtual_time: Duration,
    expectations: Vec<Tally>,
    /// By index of the seed.
    failures: BTreeMap<u64, Failure>,
}

#[derive(Clone, Debug)]
struct Tally {
    result: ExpectationResult,
    /// The lowest index so far.
    first: u64,
    /// The verdict of the first seed with a verdict as grave as any, and that seed's index.
    gravest: (u64, Verdict),
}

impl Aggregate {
    /// No results yet.
    #[must_use]
    pub fn new(name: &str, case: &str, file: &str) -> Self {
        Self {
            name: name.to_owned(),
            case: case.to_owned(),
            file: file.to_owned(),
            seeds_run: 0,
            seeds_failed: 0,
            virtual_time: Duration::ZERO,
            expectations: Vec::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Adds the result of one seed.
    pub fn add(&mut self, seed: SeedResult) {
        self.seeds_run += 1;
        self.virtual_time = self.virtual_time.saturating_add(seed.virtual_time);
        for (position, judged) in seed.judged.iter().enumerate() {
            match self.expectations.get_mut(position) {
                Some(tally) => tally.add(seed.index, judged),
                None => self.expectations.push(Tally::new(seed.index, judged)),
            }
        }
        let Some(failure) = failure(seed) else { return };
        self.seeds_failed += 1;
        self.failures.insert(failure.index, failure);
        if self.failures.len() > FAILURES_MAX {
            self.failures.pop_last();
        }
    }

    /// Seeds that violated something so far; what `--fail-fast` asks.
    #[must_use]
    pub fn seeds_failed(&self) -> u64 {
        self.seeds_failed
    }

    /// The result over all seeds, which took `wall_time`.
    #[must_use]
    pub fn finish(self, wall_time: Duration) -> ScenarioResult {
        let (seeds, failures) = (self.seeds_run, self.failures.into_values().collect::<Vec<_>>());
        let tallies = self.expectations.into_iter();
        let expectations: Vec<_> = tallies.map(|tally| tally.finish(seeds)).collect();
        let first = failures.first().map(|failure| Verdict::Failed(failure.violation.clone()));
        let all = Verdict::all(expectations.iter().map(|expectation| expectation.verdict.clone()));
        let verdict = match first {
            Some(failed) => failed,
            None if seeds > 0 && expectations.is_empty() => {
                Verdict::Inconclusive("the scenario expects nothing".into())
            }
            None => all,
        };
        ScenarioResult {
            name: self.name,
            case: self.case,
            file: self.file,
            verdict,
            seeds_run: seeds,
            seeds_failed: self.seeds_failed,
            virtual_time: self.virtual_time,
            wall_time,
            expectations,
            failures,
        }
    }
}

/// The failure of a seed that violated something. The violation is the one its verdict rests on.
fn failure(seed: SeedResult) -> Option<Failure> {
    let Verdict::Failed(violation) = seed.verdict() else { return None };
    let judged = seed.judged.iter().filter_map(|judged| judged.verdict.violation());
    let violations = seed.broken.iter().chain(judged);
    let also = violations.skip(1).map(|violation| violation.checker.clone()).collect();
    Some(Failure {
        index: seed.index,
        seed: seed.seed,
        violation,
        also,
        plan_path: seed.plan_path,
        trace_hash: seed.trace_hash,
        replay_command: seed.replay_command,
    })
}

impl Tally {
    fn new(index: u64, judged: &Judged) -> Self {
        let result = ExpectationResult {
            claim: judged.claim,
            subject: judged.subject.clone(),
            seeds_passed: 0,
            seeds_failed: 0,
            seeds_inconclusive: 0,
            count: 0,
            seen: judged.seen.clone(),
            verdict: Verdict::NotRun,
        };
        let mut tally = Self { result, first: index, gravest: (index, judged.verdict.clone()) };
        tally.add(index, judged);
        tally
    }

    fn add(&mut self, index: u64, judged: &Judged) {
        let result = &mut self.result;
        result.count = result.count.saturating_add(judged.count);
        match &judged.verdict {
            // Below what is asked of all seeds together, but seen.
            _ if matches!(judged.claim, Claim::Sometimes { .. }) => {
                result.seeds_passed += u64::from(judged.count > 0)
            }
            Verdict::Passed => result.seeds_passed += 1,
            Verdict::Failed(_) => result.seeds_failed += 1,
            Verdict::Inconclusive(_) | Verdict::Skipped(_) | Verdict::NotRun => {
                result.seeds_inconclusive += 1
            }
        }
        if index < self.first {
            self.first = index;
            result.seen.clone_from(&judged.seen);
        }
        let (first, gravest) = &self.gravest;
        // Of two equally grave the one of the lower index stays, whichever was added first.
        let (one, other) = (gravest.clone(), judged.verdict.clone());
        let (low, high) = if index < *first { (other, one) } else { (one, other) };
        let low_wins = low.clone().and(high.clone()) == low;
        let winner = if low_wins { (index.min(*first), low) } else { (index.max(*first), high) };
        self.gravest = winner;
    }

    fn finish(mut self, seeds: u64) -> ExpectationResult {
        let result = &self.result;
        let verdict = match (result.claim, self.gravest.1) {
            // What one seed missed another may have seen: only the sum counts.
            (Claim::Sometimes { at_least }, Verdict::Inconclusive(_)) if result.count < at_least => {
                let (times, seeds) = (Count(result.count, "time"), Count(seeds, "seed"));
                let seen = format!("{} was seen {times} in {seeds}", result.subject);
                Verdict::Inconclusive(format!("{seen}, expected at least {at_least}"))
            }
            (Claim::Sometimes { .. }, Verdict::Inconclusive(_)) => Verdict::Passed,
            (_, Verdict::Inconclusive(reason)) => {
                Verdict::Inconclusive(format!("{}: {reason}", result.subject))
            }
            (_, gravest) => gravest,
        };
        self.result.verdict = verdict;
        self.result
    }
}
