//! The progress bar: on standard error, only if that is a terminal and nobody said `CI`.

use std::fmt;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar over all seeds of all scenarios.
pub(super) fn bar(total: u64) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
    let target = if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let template = "{bar:24.cyan} {pos}/{len} seeds  {rate:>6}  {eta:>4} left  {msg:.dim}";
    // The template is a constant; a mistake in it would show as the default style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
            // The bar can do without a rate it could not write.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate).progress_chars("━╸ "));
    }
    bar
}
