//! What values a parameter takes, and how it reports them: one check for `CONFIG SET`, files and command lines.
//!
//! Error texts are the real server's. A value that is accepted is answered as it will be reported.

use super::notify;
use super::number::{float, strict_i64};
use super::parameters::Kind;

/// The words of a value as it will be reported, or why they are refused. `before` is the value until now.
pub(super) fn check(kind: Kind, words: &[&str], before: &str) -> Result<String, String> {
    let one = words.first().copied().unwrap_or_default();
    match kind {
        Kind::Bool => one_of("yes, no", one).ok_or_else(|| "argument must be 'yes' or 'no'".to_owned()),
        Kind::Int(low, high) => integer(one, low, high),
        Kind::Memory(low, high) => {
            let bytes = memory(one).ok_or("argument must be a memory value")?;
            within(bytes, low, high).map(|bytes| bytes.to_string())
        }
        Kind::MemoryOrPercent => memory_or_percent(one),
        Kind::Octal(high) => octal(one, high),
        Kind::OneOf(choices) => one_of(choices, one).ok_or_else(|| choices_error(choices)),
        Kind::Flags(choices) => flags(choices, words),
        Kind::Events => {
            let classes = notify::parse(one);
            classes
                .map(notify::letters)
                .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned())
        }
        Kind::Text => Ok(one.to_owned()),
        Kind::Words | Kind::ReplicaOf => Ok(words.join(" ")),
        Kind::FileName(name, _) if one.is_empty() && name != "dbfilename" => {
            Err(format!("{name} can't be empty"))
        }
        Kind::FileName(name, what) if one.contains(['/', '\\']) => {
            Err(format!("{name} can't be a path, just a {what}"))
        }
        Kind::FileName(..) => Ok(one.to_owned()),
        Kind::Save => save(words),
        Kind::OutputLimits => output_limits(words, before),
        Kind::OomScores => oom_scores(words),
        Kind::Percentiles => percentiles(words),
        Kind::Tls if one == before => Ok(one.to_owned()),
        Kind::Tls => Err("the mock speaks plain streams, TLS is not supported".to_owned()),
        Kind::Alias(_) => Err("can't set immutable config".to_owned()),
    }
}

fn one_of(choices: &str, word: &str) -> Option<String> {
    let found = choices.split(", ").find(|choice| choice.eq_ignore_ascii_case(word));
    found.map(str::to_owned)
}

fn choices_error(choices: &str) -> String {
    format!("argument(s) must be one of the following: {choices}")
}

fn flags(choices: &str, words: &[&str]) -> Result<String, String> {
    let is_given = |choice: &str| words.iter().any(|word| word.eq_ignore_ascii_case(choice));
    if words.is_empty() || words.iter().any(|word| one_of(choices, word).is_none()) {
        return Err(choices_error(choices));
    }
    if is_given("save") && is_given("nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
    }
    let (none, others) = choices.split_once(", ").unwrap_or((choices, ""));
    let given: Vec<&str> = others.split(", ").filter(|choice| is_given(choice)).collect();
    Ok(if given.is_empty() { none.to_owned() } else { given.join(" ") })
}

fn integer(word: &str, low: i64, high: i64) -> Result<String, String> {
    let number = strict_i64(word.as_bytes()).ok_or("argument couldn't be parsed into an integer")?;
    if (low..=high).contains(&number) { Ok(number.to_string()) } else { Err(out_of_bounds(low, high)) }
}

fn within(number: u64, low: u64, high: u64) -> Result<u64, String> {
    if (low..=high).contains(&number) { Ok(number) } else { Err(out_of_bounds(low, high)) }
}

fn out_of_bounds(low: impl std::fmt::Display, high: impl std::fmt::Display) -> String {
    format!("argument must be between {low} and {high} inclusive")
}

fn octal(word: &str, high: i64) -> Result<String, String> {
    let number =
        i64::from_str_radix(word, 8).map_err(|_| "argument couldn't be parsed as an octal number")?;
    if (0..=high).contains(&number) {
        Ok(format!("{number:o}"))
    } else {
        Err(format!("argument must be between 0 and {high:o} inclusive"))
    }
}

fn memory_or_percent(word: &str) -> Result<String, String> {
    if let Some(bytes) = memory(word) {
        return within(bytes, 0, i64::MAX.cast_unsigned()).map(|bytes| bytes.to_string());
    }
    let percent = word.strip_suffix('%').and_then(|number| strict_i64(number.as_bytes()));
    match percent.filter(|percent| *percent >= 0) {
        Some(percent @ 0..=100) => Ok(if percent == 0 { "0".to_owned() } else { format!("{percent}%") }),
        Some(_) => Err("percentage argument must be less or equal to 100".to_owned()),
        None => Err("argument must be a memory or percent value".to_owned()),
    }
}

/// A number of bytes: `100`, `100b`, `1k` (1000), `1kb` (1024), and so on to `gb`. As in C, no digits are 0
/// and what is too large wraps around.
pub(super) fn memory(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    let number = if digits.is_empty() { 0 } else { digits.parse::<u64>().unwrap_or(u64::MAX) };
    (digits.len() < 128).then(|| number.wrapping_mul(factor))
}

/// What C's `strtoll` reads of a whole word: spaces before the number, and a sign.
fn c_integer(word: &str) -> Option<i64> {
    if word.is_empty() { Some(0) } else { word.trim_start().parse().ok() }
}

fn save(words: &[&str]) -> Result<String, String> {
    if words == [""] {
        return Ok(String::new());
    }
    let is_fit = |pair: &[&str]| match pair {
        [seconds, changes] => {
            c_integer(seconds).is_some_and(|it| it >= 1) && c_integer(changes).is_some_and(|it| it >= 0)
        }
        _ => false,
    };
    if words.chunks(2).all(is_fit) {
        let numbers = words.iter().filter_map(|word| c_integer(word));
        Ok(numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" "))
    } else {
        Err("Invalid save parameters".to_owned())
    }
}

fn output_limits(words: &[&str], before: &str) -> Result<String, String> {
    const UNFIT: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut limits: Vec<String> = before.split(' ').map(str::to_owned).collect();
    for group in words.chunks_exact(4) {
        let class = match group[0].to_ascii_lowercase().as_str() {
            "normal" => 0,
            "slave" | "replica" => 1,
            "pubsub" => 2,
            _ => return Err("Invalid client class specified in buffer limit configuration.".to_owned()),
        };
        let (hard, soft) = (memory(group[1]).ok_or(UNFIT)?, memory(group[2]).ok_or(UNFIT)?);
        let seconds = c_integer(group[3]).filter(|seconds| *seconds >= 0).ok_or(UNFIT)?;
        let numbers = [hard.to_string(), soft.to_string(), seconds.to_string()];
        for (at, number) in numbers.into_iter().enumerate() {
            if let Some(limit) = limits.get_mut(class * 4 + 1 + at) {
                *limit = number;
            }
        }
    }
    Ok(limits.join(" "))
}

fn oom_scores(words: &[&str]) -> Result<String, String> {
    if words.len() != 3 {
        return Err("wrong number of arguments".to_owned());
    }
    let score = |word: &&str| c_integer(word).filter(|score| (-2000..=2000).contains(score));
    let scores: Option<Vec<String>> = words.iter().map(|word| Some(score(word)?.to_string())).collect();
    let scores = scores.ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    Ok(scores.join(" "))
}

fn percentiles(words: &[&str]) -> Result<String, String> {
    if words == [""] {
        return Ok(String::new());
    }
    let mut known = Vec::with_capacity(words.len());
    for word in words {
        let number = float(word.as_bytes()).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned()
            );
        }
        known.push(number.to_string());
    }
    Ok(known.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_takes_units() {
        assert_eq!(
            (memory("1kb"), memory("1k"), memory("2gb"), memory("x")),
            (Some(1024), Some(1000), Some(2 << 30), None)
        );
    }

    #[test]
    fn limits_of_one_class_leave_the_others() {
        let before = "normal 0 0 0 slave 1 2 3 pubsub 4 5 6";
        let after = output_limits(&["replica", "1kb", "7", "8"], before);
        assert_eq!(after.as_deref(), Ok("normal 0 0 0 slave 1024 7 8 pubsub 4 5 6"));
    }
}
