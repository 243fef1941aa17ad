//! "Did you mean …?": the known name nearest to one that is not known.

/// What to tell someone who wrote `found` where one of `known` was expected.
pub(crate) fn hint<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(found, &known) {
        return Some(format!("did you mean `{near}`?"));
    }
    (!known.is_empty()).then(|| format!("known are {}", list(&known)))
}

/// Whether `found` is probably a misspelt `name`.
pub(crate) fn is_near(found: &str, name: &str) -> bool {
    nearest(found, &[name]).is_some()
}

/// Most names listed in a hint.
const LISTED_MAX: usize = 24;

/// Names one after the other: `a`, `b`, `c`.
pub(crate) fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > LISTED_MAX { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Longest name that is compared, which bounds the work.
const COMPARED_MAX: usize = 64;

fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.chars().count() > COMPARED_MAX {
        return None;
    }
    let found = found.to_lowercase();
    // A third of the letters may be wrong, but never all of a short name's.
    let tolerated = (found.chars().count() / 3).max(1);
    let distances = known.iter().map(|name| (distance(&found, &name.to_lowercase()), *name));
    distances.filter(|(far, _)| *far <= tolerated).min().map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let known = ["partition", "latency", "reset"];
        assert_eq!(hint("partion", known).as_deref(), Some("did you mean `partition`?"));
        assert_eq!(hint("Latnecy", known).as_deref(), Some("did you mean `latency`?"));
        assert_eq!(hint("frobnicate", known).as_deref(), Some("known are `partition`, `latency`, `reset`"));
        assert_eq!(hint("x", []), None);
    }

    #[test]
    fn swapped_neighbours_count_once() {
        assert_eq!(distance("nmae", "name"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
