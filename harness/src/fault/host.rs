//! Names of hosts, and patterns over them.
//!
//! A service of one replica is a host of the service's name; with more, hosts are numbered from 1:
//! `worker-1`. A single host also answers to `worker-1`, so that a scenario stays right while its matrix
//! varies the number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One or more hosts: names or patterns (`*` any run of characters, `?` one) in a scenario, names in a plan.
///
/// Written as a text, or as a list of texts. Never empty when read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These names or patterns.
    pub fn new<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names or patterns, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether `host` is named, in a plan.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        self.0.iter().any(|name| name == host)
    }
}

impl Serialize for Hosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Hosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HostsVisitor)
    }
}

struct HostsVisitor;

impl<'de> de::Visitor<'de> for HostsVisitor {
    type Value = Hosts;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a host like \"worker-1\", a pattern like \"worker-*\", or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hosts, E> {
        Ok(Hosts(vec![text.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Hosts, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element::<String>()? {
            names.push(name);
        }
        if names.is_empty() {
            return Err(de::Error::custom("expected at least one host, found an empty list"));
        }
        Ok(Hosts(names))
    }
}

/// The host names of a service of `replicas`; `numbered` services have `-1` even when alone.
#[must_use]
pub fn host_names(service: &str, replicas: u32, numbered: bool) -> Vec<String> {
    if replicas == 1 && !numbered {
        return vec![service.to_owned()];
    }
    (1..=replicas).map(|n| format!("{service}-{n}")).collect()
}

/// Whether `selector`, a name or a pattern, selects `host`.
#[must_use]
pub fn selects(selector: &str, host: &str) -> bool {
    let numbered = host.rsplit_once('-').is_some_and(|(_, n)| n.bytes().all(|byte| byte.is_ascii_digit()));
    // A single host answers to its numbered name as well.
    matches(selector, host) || (!numbered && matches(selector, &format!("{host}-1")))
}

/// Glob matching that goes back only to the last `*`: linear in practice, never exponential.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_host_answers_to_its_numbered_name() {
        assert_eq!(host_names("worker", 1, false), ["worker"]);
        assert_eq!(host_names("kafka", 1, true), ["kafka-1"]);
        assert_eq!(host_names("worker", 2, false), ["worker-1", "worker-2"]);
        for selector in ["worker", "worker-1", "worker-*", "worker-?", "w*", "*", "*-1", "work?r"] {
            assert!(selects(selector, "worker"), "{selector}");
        }
        for selector in ["worker-2", "worker-", "", "orker*", "worker?"] {
            assert!(!selects(selector, "worker"), "{selector}");
        }
        assert!(!selects("*-1", "worker-2"));
    }

    #[test]
    fn patterns_go_back_to_the_last_star() {
        assert!(matches("a*b*c", "aXbYbZc"));
        assert!(!matches("a*b*c", "aXbYbZ"));
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
        assert!(matches(&"*a".repeat(40), &"a".repeat(40)));
    }
}
