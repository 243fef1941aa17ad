//! Which Redis a server behaves as. 7.0 is what everything is compared with; later versions add what is listed
//! here and in the table of their commands.

use bytes::Bytes;

use super::error::CmdError;
use super::hash_fields::FieldDeadlines;
use super::table::{self, Spec};
use super::{Engine, VERSION};

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
            Self::V7_0 => VERSION,
            Self::V7_2 => "7.2.6",
            Self::V7_4 => "7.4.1",
        }
    }

    /// The version of the format of payloads.
    pub(super) fn rdb(self) -> u16 {
        match self {
            Self::V7_0 => 10,
            Self::V7_2 => 11,
            Self::V7_4 => 12,
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

impl Engine {
    /// Has the server behave as a version of Redis.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
        self.fields = FieldDeadlines::new(version >= Version::V7_4);
        self.choose_notes();
        if let Some(replica) = &mut self.replica {
            replica.set_version(version);
        }
    }

    /// The command a command line names, of those that the version has.
    ///
    /// # Errors
    /// If it has none of that name.
    pub(crate) fn resolve(&self, args: &[Bytes]) -> Result<&'static Spec, CmdError> {
        let later = || table::resolve_later(args).filter(|spec| self.version.has(spec.since));
        table::resolve(args).or_else(|unknown| later().ok_or(unknown))
    }

    /// The top-level commands of the version, the later ones last.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &'static Spec> {
        let later = table::later().filter(|spec| self.version.has(spec.since) && !spec.name.contains('|'));
        table::all().iter().copied().chain(later)
    }

    /// A command of the version by name, or a subcommand by `container|name`.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&'static Spec> {
        let is_named = |spec: &&Spec| spec.name.as_bytes().eq_ignore_ascii_case(name);
        table::named(name)
            .or_else(|| table::later().filter(|spec| self.version.has(spec.since)).find(is_named))
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
