//! Which Redis a server behaves as. 7.0 is what everything is compared with; later versions add what is listed
//! here and in the table of their commands.

/// A version of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 7.0.15, in every detail.
    #[default]
    V7_0,
    /// 7.0.15, reported as 7.2.6, with the commands of 7.2 that are listed in `SUPPORT.md`.
    V7_2,
    /// 7.2 with the deadlines of hash fields of 7.4.
    V7_4,
}

impl Version {
    /// The number clients are told.
    #[must_use]
    pub fn number(self) -> &'static str {
        match self {
            Self::V7_0 => super::VERSION,
            Self::V7_2 => "7.2.6",
            Self::V7_4 => "7.4.1",
        }
    }

    /// Whether a command that came with `since` exists.
    pub(super) fn has(self, since: &str) -> bool {
        let newest = match self {
            Self::V7_0 => (7, 0),
            Self::V7_2 => (7, 2),
            Self::V7_4 => (7, 4),
        };
        let mut parts = since.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) <= newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_exists_from_its_version_on() {
        assert!(Version::V7_0.has("7.0.0") && Version::V7_0.has("6.2.0"));
        assert!(!Version::V7_0.has("7.2.0") && !Version::V7_2.has("7.4.0"));
        assert!(Version::V7_4.has("7.4.0"));
    }
}
