//! Settings: their kinds, the values they take, and Kafka's words for a value they do not take.
//!
//! [`Setting::parse`] gives a value back as a broker tells it (trimmed, lists without blanks and repetitions),
//! so a value that was accepted is told the same by every API. Classes are not looked for: any name is taken.

use std::fmt::Write as _;

use super::Values;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// Kafka's default, of sizes and times in the setting's own unit; none where Kafka has null.
    pub default: Option<&'static str>,
    pub rule: Rule,
    pub update: Update,
}

/// Kinds of settings, numbered as DescribeConfigs numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// Which values of the kind are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// -1 or 1 to 9.
    GzipLevel,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these words.
    Among(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    Replicas,
    /// `latest`, `earliest` or `by_duration:` and a duration of ISO 8601.
    Reset,
}

/// Who may change a setting of a broker while it runs. Settings of topics and groups are always `Cluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// Nobody.
    Fixed,
    /// Of one broker only.
    PerBroker,
    /// Of one broker, or of all at once.
    Cluster,
    /// As `Cluster`, but it is not told unless it is set, and cannot be set at the start.
    OnceSet,
    /// Nobody, and it is not told unless it is set: meant for Kafka's own tests.
    Internal,
}

pub(crate) const fn setting(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    rule: Rule,
    update: Update,
) -> Setting {
    Setting { name, kind, default, rule, update }
}

/// The setting named `name` of a table that is in the order of names.
pub(crate) fn find<'a>(table: &'a [Setting], name: &str) -> Option<&'a Setting> {
    table.binary_search_by(|setting| setting.name.cmp(name)).ok().and_then(|at| table.get(at))
}

/// Every value as it is to be kept; or the first that is wrong, in Kafka's words.
pub(crate) fn parse_all(table: &[Setting], values: &Values, what: &str) -> Result<Values, String> {
    if let Some(name) = values.keys().find(|name| find(table, name).is_none()) {
        return Err(format!("Unknown {what} name: {name}"));
    }
    let set = |setting: &Setting| Some((setting.name.to_owned(), setting.parse(values.get(setting.name)?)));
    table.iter().filter_map(set).map(|(name, value)| Ok((name, value?))).collect()
}

impl Setting {
    /// The value as a broker tells it again; or why it is none, in Kafka's words.
    pub fn parse(&self, value: &str) -> Result<String, String> {
        let trimmed = value.trim_matches(|c| c <= ' ');
        let wrong =
            |found: &str, why: &str| format!("Invalid value {found} for configuration {}: {why}", self.name);
        let number = |kind: &str| wrong(value, &format!("Not a number of type {kind}"));
        match self.kind {
            Kind::Boolean => match trimmed.to_ascii_lowercase() {
                word if word == "true" || word == "false" => Ok(word),
                _ => Err(wrong(value, "Expected value to be either true or false")),
            },
            Kind::Short => self.in_range(i64::from(trimmed.parse::<i16>().map_err(|_| number("SHORT"))?)),
            Kind::Int => self.in_range(i64::from(trimmed.parse::<i32>().map_err(|_| number("INT"))?)),
            Kind::Long => self.in_range(trimmed.parse::<i64>().map_err(|_| number("LONG"))?),
            Kind::Double => {
                let parsed = trimmed.parse::<f64>().map_err(|_| number("DOUBLE"))?;
                let shown = java_double(parsed);
                self.check_range(parsed, &shown).map(|()| shown)
            }
            Kind::List => self.list(trimmed, wrong),
            Kind::Text => match self.rule {
                Rule::OneOf(words) if !words.contains(&trimmed) => {
                    Err(wrong(trimmed, &format!("String must be one of: {}", words.join(", "))))
                }
                Rule::OneOfAnyCase(words) if !words.contains(&trimmed.to_ascii_uppercase().as_str()) => {
                    let words = words.join(", ");
                    Err(wrong(trimmed, &format!("String must be one of (case insensitive): {words}")))
                }
                Rule::Reset if !is_reset(trimmed) => Err(wrong(
                    trimmed,
                    &format!(
                        "Invalid value `{trimmed}` for configuration {}. The value must be either 'earliest', \
                         'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
                        self.name
                    ),
                )),
                _ => Ok(trimmed.to_owned()),
            },
            Kind::Class | Kind::Password => Ok(trimmed.to_owned()),
        }
    }

    fn in_range(&self, number: i64) -> Result<String, String> {
        let shown = number.to_string();
        // Kafka compares as floating point, too.
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits are far below 2^53 or at the ends of the range"
        )]
        self.check_range(number as f64, &shown).map(|()| shown)
    }

    fn check_range(&self, number: f64, shown: &str) -> Result<(), String> {
        #[expect(clippy::cast_precision_loss, reason = "the limits in the tables are small")]
        let (least, most) = match self.rule {
            Rule::AtLeast(least) => (least as f64, f64::INFINITY),
            Rule::Between(least, most) => (least as f64, most as f64),
            Rule::GzipLevel if number == -1.0 => return Ok(()),
            Rule::GzipLevel => (1.0, 9.0),
            _ => return Ok(()),
        };
        let why = match self.rule {
            Rule::GzipLevel => "Value must be between 1 and 9 or equal to -1".to_owned(),
            _ if number < least => format!("Value must be at least {least}"),
            _ => format!("Value must be no more than {most}"),
        };
        let good = !(number < least || number > most);
        if good {
            Ok(())
        } else {
            Err(format!("Invalid value {shown} for configuration {}: {why}", self.name))
        }
    }

    fn list(&self, trimmed: &str, wrong: impl Fn(&str, &str) -> String) -> Result<String, String> {
        if trimmed.is_empty() {
            return Ok(String::new());
        }
        let mut elements: Vec<&str> = trimmed.split(',').map(str::trim).collect();
        if let Rule::Replicas = self.rule {
            if elements.iter().all(|element| is_replica(element)) || elements.concat() == "*" {
                return Ok(elements.join(","));
            }
            let form = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
            let why = format!(
                "{} must be the literal '*' or a list of replicas in the following format: {form}",
                self.name
            );
            return Err(wrong(&format!("[{}]", elements.join(", ")), &why));
        }
        let mut seen = std::collections::BTreeSet::new();
        elements.retain(|element| seen.insert(*element));
        for element in &elements {
            match self.rule {
                _ if element.is_empty() => {
                    return Err(format!("Configuration '{}' values must not be empty.", self.name));
                }
                Rule::Among(words) if !words.contains(element) => {
                    return Err(wrong(element, &format!("String must be one of: {}", words.join(", "))));
                }
                _ => {}
            }
        }
        Ok(elements.join(","))
    }
}

/// `partition:broker`, or nothing.
fn is_replica(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.is_empty()
        || text.split_once(':').is_some_and(|(partition, broker)| digits(partition) && digits(broker))
}

fn is_reset(text: &str) -> bool {
    let duration = |text: &str| {
        let rest = text.strip_prefix('P').unwrap_or_default();
        let allowed = |c: char| c.is_ascii_digit() || "DTHMS.".contains(c);
        rest.ends_with(['D', 'H', 'M', 'S'])
            && rest.chars().all(allowed)
            && rest.contains(|c: char| c.is_ascii_digit())
    };
    matches!(text, "latest" | "earliest") || text.strip_prefix("by_duration:").is_some_and(duration)
}

/// `Double.toString` of Java.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-3..1e7).contains(&size) {
        let mut text = String::new();
        // Never fails on a string.
        let _ = write!(text, "{value:?}");
        return text.replace("inf", "Infinity");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, rule: Rule, value: &str) -> Result<String, String> {
        setting("x", kind, None, rule, Update::Cluster).parse(value)
    }

    #[test]
    fn values_are_told_as_java_writes_them() {
        for (kind, value, told) in [
            (Kind::Boolean, " TRUE ", "true"),
            (Kind::Int, " +5", "5"),
            (Kind::Double, "1e7", "1.0E7"),
            (Kind::Double, "1", "1.0"),
            (Kind::Double, "1.7976931348623157E308", "1.7976931348623157E308"),
            (Kind::Double, "0.0001", "1.0E-4"),
            (Kind::List, " a , b,a", "a,b"),
            (Kind::Text, " a ", "a"),
        ] {
            assert_eq!(parse(kind, Rule::Any, value).as_deref(), Ok(told));
        }
    }

    #[test]
    fn what_is_no_value_is_refused_in_kafkas_words() {
        let wrong = |value: &str, why: &str| Err(format!("Invalid value {value} for configuration x: {why}"));
        for (kind, rule, value, why) in [
            (Kind::Boolean, Rule::Any, "yes", "Expected value to be either true or false"),
            (Kind::Int, Rule::Any, "1d", "Not a number of type INT"),
            (Kind::Long, Rule::AtLeast(-1), "-2", "Value must be at least -1"),
            (Kind::Double, Rule::Between(0, 1), "1.5", "Value must be no more than 1"),
            (Kind::Int, Rule::GzipLevel, "0", "Value must be between 1 and 9 or equal to -1"),
            (Kind::Text, Rule::OneOf(&["a", "b"]), "c", "String must be one of: a, b"),
            (Kind::List, Rule::Among(&["a", "b"]), "c", "String must be one of: a, b"),
        ] {
            assert_eq!(parse(kind, rule, value), wrong(value, why));
        }
        let empty = Err("Configuration 'x' values must not be empty.".to_owned());
        assert_eq!(parse(Kind::List, Rule::Any, "a,,b"), empty);
    }

    #[test]
    fn throttled_replicas_are_pairs_or_a_star() {
        for good in ["*", "0:1,1:2", ""] {
            assert_eq!(parse(Kind::List, Rule::Replicas, good).as_deref(), Ok(good));
        }
        let found = parse(Kind::List, Rule::Replicas, "0:1,a").expect_err("no pair");
        assert!(
            found.starts_with("Invalid value [0:1, a] for configuration x: x must be the literal"),
            "{found}"
        );
    }
}
