//! Glob patterns as `KEYS`, `SCAN MATCH` and `CONFIG GET` read them (`stringmatchlen`).
//!
//! `*`, `?`, `[a-c]`, `[^a]`, and `\` before a character to be taken literally. A bracket that is not closed
//! ends at the end of the pattern. Time is bounded by pattern × text: a `*` backtracks once, not recursively.

/// Whether `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_with(pattern, text, false)
}

/// Whether `text` matches `pattern`, upper and lower case of ASCII letters being one.
#[must_use]
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_with(pattern, text, true)
}

/// Stars with something after them that a match may pass; Redis gives up on more.
const MOST_STARS: usize = 1000;

fn matches_with(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star does not match: after the star, one byte further.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if t < text.len() && pattern.get(p) == Some(&b'*') {
            while pattern.get(p + 1) == Some(&b'*') {
                p += 1;
            }
            p += 1;
            stars += 1;
            if p < pattern.len() && stars > MOST_STARS {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        if t == text.len() {
            p += pattern[p..].iter().take_while(|byte| **byte == b'*').count();
        }
        if t == text.len() {
            // Only stars may be left, and they were skipped above.
            return p == pattern.len();
        }
        let step = if p < pattern.len() { match_one(&pattern[p..], text[t], nocase) } else { None };
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((after_star, from))) => {
                retry = Some((after_star, from + 1));
                (p, t) = (after_star, from + 1);
            }
            (None, None) => return false,
        }
    }
}

/// Matches `byte` with the first element of a non-empty pattern; the length of that element if it matches.
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    let fold = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
    let same = |b: u8| fold(b) == fold(byte);
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', set @ ..] => match_set(set, byte, fold).map(|length| length + 1),
        [b'\\', literal, ..] => same(*literal).then_some(2),
        [literal, ..] => same(*literal).then_some(1),
        [] => None,
    }
}

fn match_set(set: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> Option<usize> {
    let negated = set.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &set[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                found |= *literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                let (low, high) = if from <= to { (*from, *to) } else { (*to, *from) };
                found |= (fold(low)..=fold(high)).contains(&fold(byte));
                at += 3;
            }
            [literal, ..] => {
                found |= fold(*literal) == fold(byte);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_the_real_server() {
        let yes = [("*", ""), ("h?llo", "hello"), ("h*llo", "heeeello"), ("h[ae]llo", "hallo")];
        let more =
            [("h[^e]llo", "hallo"), ("h[a-c]llo", "hbllo"), ("a\\*b", "a*b"), ("[abc", "b"), ("**a*", "xa")];
        for (pattern, text) in yes.into_iter().chain(more) {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in
            [("h?llo", "hllo"), ("h[^e]llo", "hello"), ("a\\*b", "axb"), ("", "a"), ("a", "")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert!(matches_ignoring_case(b"MAX*", b"maxmemory"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"a*".repeat(60);
        assert!(!matches(&[&pattern[..], b"x"].concat(), &[b'a'; 3000]));
    }
}
