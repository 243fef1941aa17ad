//! Rules for the scenario as a whole: its name, its worlds, its times and its seeds.

use std::time::Duration;

use super::{Check, SEEDS_MAX, join};

/// Longest `duration` and `settle`.
const RUN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest step of simulated time.
const TICK_MAX: Duration = Duration::from_secs(1);

pub(super) fn check(check: &mut Check<'_>) {
    names(check);
    times(check);
    seeds(check);
}

fn names(check: &mut Check<'_>) {
    if check.scenario.name.trim().is_empty() && check.is_sound(&join(&[], ["name"])) {
        let hint = "name = \"orders-survive-worker-crash\"; it is not inherited";
        check.mistake(&join(&[], ["name"]), "the scenario has no name", hint);
    }
    let path = join(&[], ["worlds"]);
    let mut seen = std::collections::BTreeSet::new();
    for (row, world) in check.rows(&path, &check.scenario.worlds) {
        if !seen.insert(*world) {
            check.mistake(&row, format!("`{}` is listed twice", world.name()), "remove one");
        }
    }
    if check.scenario.worlds.is_empty() && check.is_sound(&path) {
        check.mistake(&path, "the scenario runs in no world", "worlds = [\"sim\"]");
    }
}

fn times(check: &mut Check<'_>) {
    let run = &check.scenario.run;
    let path = |key| join(&[], ["run", key]);
    if run.duration.is_zero() {
        check.mistake(&path("duration"), "a run of no duration proves nothing", "duration = \"30s\"");
    }
    for (key, time) in [("duration", run.duration), ("settle", run.settle)] {
        if time > RUN_MAX {
            check.mistake(&path(key), format!("`{key}` is longer than 7 days"), "30s to 10m is usual");
        }
    }
    let whole = run.tick.as_micros().is_multiple_of(1000);
    if !whole || run.tick.is_zero() || run.tick > TICK_MAX {
        check.mistake(&path("tick"), "a tick is 1ms to 1s, in whole milliseconds", "tick = \"10ms\"");
    }
}

fn seeds(check: &mut Check<'_>) {
    let path = join(&[], ["run", "seeds"]);
    let count = check.scenario.run.seeds.len();
    if count == 0 && check.is_sound(&path) {
        check.mistake(&path, "no seed means no run", "seeds = 200, or a list of seeds");
    } else if count > SEEDS_MAX {
        check.mistake(
            &path,
            format!("{count} seeds are more than {SEEDS_MAX}"),
            "explore for a time instead",
        );
    }
}
