//! The summary on a terminal: one block per case, 80 columns wide.
//!
//! What a person copies (the plan's path, the replay command) is never cut or wrapped; everything else is.

use std::fmt::Write as _;
use std::time::Duration;

use super::{ExpectationResult, Failure, ScenarioResult, Totals};
use crate::history::{At, Count, Grouped, Plain};
use crate::scenario::schema::Claim;
use crate::verdict::Verdict;

/// Columns of a terminal.
const WIDTH: usize = 80;
/// What stands before each line of a block but the first.
const INDENT: &str = "      ";
/// Records shown of a violation.
const EVIDENCE_LINES: usize = 10;

/// Whether the summary is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Never.
    #[default]
    Off,
    /// With ANSI escapes.
    On,
}

impl Colour {
    /// What the environment asks for: `NO_COLOR` wins, then `CLICOLOR_FORCE`, then whether the output is a
    /// terminal. `variable` looks up an environment variable.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> Self {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let forced = variable("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        match !set("NO_COLOR") && (forced || is_terminal) {
            true => Self::On,
            false => Self::Off,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The blocks of all cases, and the totals.
#[must_use]
pub fn render(results: &[ScenarioResult], colour: Colour) -> String {
    let mut text = String::new();
    for result in results {
        text.push_str(&block(result, colour));
        text.push('\n');
    }
    text.push_str(&totals(results));
    text
}

/// The block of one case.
#[must_use]
pub fn block(result: &ScenarioResult, colour: Colour) -> String {
    let (label, code) = label(&result.verdict);
    let title = fit(&Plain(&result.title()).to_string(), WIDTH.saturating_sub(label.len() + 2));
    let mut lines = vec![format!("{}  {title}", colour.paint(code, label))];
    if result.seeds_run > 0 {
        lines.push(fit(&format!("{INDENT}{}", work(result)), WIDTH));
    }
    let widest = result.expectations.iter().map(|e| e.subject.chars().count()).max().unwrap_or(0).min(32);
    for expectation in &result.expectations {
        let subject = fit(&Plain(&expectation.subject).to_string(), widest);
        let outcome = outcome(expectation, result.seeds_run);
        let line = format!("{INDENT}{:<10}  {subject:<widest$}  {outcome}", expectation.claim.name());
        lines.push(fit(&line, WIDTH));
    }
    if let Verdict::Inconclusive(reason) | Verdict::Skipped(reason) = &result.verdict {
        lines.extend(wrap(&Plain(reason).to_string(), INDENT));
    }
    if let Some((first, others)) = result.failures.split_first() {
        lines.extend(failure(first, colour));
        lines.extend(further(others, result.seeds_failed));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn label(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("PASS", "32"),
        Verdict::Failed(_) => ("FAIL", "1;31"),
        Verdict::Inconclusive(_) => ("INCONCLUSIVE", "33"),
        Verdict::Skipped(_) => ("SKIP", "36"),
        Verdict::NotRun => ("NOT RUN", "36"),
    }
}

fn work(result: &ScenarioResult) -> String {
    let mut text = Count(result.seeds_run, "seed").to_string();
    if result.seeds_failed > 0 {
        let _ = write!(text, ", {} failed", Grouped(result.seeds_failed));
    }
    let (simulated, wall) = (span(result.virtual_time), span(result.wall_time));
    let _ = write!(text, ", {simulated} simulated in {wall}");
    let seconds = result.wall_time.as_secs_f64();
    if seconds > 0.0 {
        // Precision is lost beyond 2^53 seeds only.
        let _ = write!(text, ", {:.1} seeds/s", result.seeds_run as f64 / seconds);
    }
    text
}

fn outcome(expectation: &ExpectationResult, seeds: u64) -> String {
    let of = |n| format!("{} of {}", Grouped(n), Count(seeds, "seed"));
    if let Claim::Sometimes { at_least } = expectation.claim {
        let seen = format!("{} in {}", Count(expectation.count, "time"), of(expectation.seeds_passed));
        return match expectation.count < at_least {
            true => format!("{seen}, expected {}", Grouped(at_least)),
            false => seen,
        };
    }
    let failed =
        (expectation.seeds_failed > 0).then(|| format!("failed in {}", of(expectation.seeds_failed)));
    let unknown = (expectation.seeds_inconclusive > 0)
        .then(|| format!("inconclusive in {}", of(expectation.seeds_inconclusive)));
    let notes: Vec<String> = failed.into_iter().chain(unknown).collect();
    match (notes.is_empty(), seeds) {
        // What one seed saw says nothing about the others.
        (true, 1) => format!("passed: {}", Plain(&expectation.seen)),
        (true, _) => "passed".to_owned(),
        (false, _) => notes.join(", "),
    }
}

fn failure(failure: &Failure, colour: Colour) -> Vec<String> {
    let violation = &failure.violation;
    let head = format!("{} ({})", Plain(&violation.checker), violation.class);
    let head = colour.paint("1", &fit(&head, WIDTH - 40));
    let mut lines = vec![
        String::new(),
        format!("{INDENT}{head} broken at {} with seed {}", At(violation.at), failure.seed),
    ];
    let indent = format!("{INDENT}  ");
    lines.extend(wrap(&Plain(&violation.summary).to_string(), &indent));
    let shown = violation.evidence.iter().take(EVIDENCE_LINES);
    lines.extend(shown.map(|line| fit(&format!("{indent}| {}", Plain(line)), WIDTH)));
    let hidden = violation.evidence.len().saturating_sub(EVIDENCE_LINES);
    if hidden > 0 {
        lines.push(format!("{indent}| ({hidden} more lines in the JSON report)"));
    }
    if !failure.also.is_empty() {
        lines.extend(wrap(&format!("also broken: {}", Plain(&failure.also.join(", "))), &indent));
    }
    let copied = [("plan", &failure.plan_path), ("replay", &failure.replay_command)];
    for (name, text) in copied {
        lines.extend(text.iter().map(|text| format!("{indent}{name:<7} {}", Plain(text))));
    }
    lines
}

fn further(others: &[Failure], failed: u64) -> Vec<String> {
    if others.is_empty() {
        return Vec::new();
    }
    let named = |failure: &Failure| format!("{} ({})", failure.seed, Plain(&failure.violation.checker));
    let mut seeds: Vec<String> = others.iter().map(named).collect();
    let unnamed = failed.saturating_sub(1 + others.len() as u64);
    if unnamed > 0 {
        seeds.push(format!("{} more", Grouped(unnamed)));
    }
    wrap(&format!("also failed: seeds {}", seeds.join(", ")), INDENT)
}

/// The line of totals.
#[must_use]
pub fn totals(results: &[ScenarioResult]) -> String {
    let totals = Totals::of(results);
    let counts = [
        (totals.passed, "passed"),
        (totals.failed, "failed"),
        (totals.inconclusive, "inconclusive"),
        (totals.skipped, "skipped"),
        (totals.not_run, "not run"),
    ];
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = counted.map(|(count, word)| format!("{} {word}", Grouped(*count))).collect();
    if parts.is_empty() {
        parts.push("nothing was run".to_owned());
    }
    format!("{}; {}\n", parts.join(", "), Count(totals.seeds, "seed"))
}

/// Cuts a line to `width` columns.
fn fit(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.trim_end().to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Breaks a text between words; a word longer than a line is cut.
fn wrap(text: &str, indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= WIDTH;
        match lines.last_mut().filter(fits) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(fit(&format!("{indent}{word}"), WIDTH)),
        }
    }
    lines
}

/// `12.4s`, `3m 20s`, `6h 40m`, `2d 4h`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
