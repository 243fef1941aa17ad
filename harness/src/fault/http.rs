//! Faults of a service others call over HTTP. Types only: the world injects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::{self, Probability};
use super::{Hosts, Needs, World};

/// A fault of an HTTP service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum HttpFault {
    /// Requests to these hosts are answered wrongly, late or not at all.
    Rule {
        /// The called hosts.
        host: Hosts,
        /// What happens to a request.
        act: HttpAct,
        /// Happens to a request with this probability; always if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        probability: Option<Probability>,
        /// Happens at most this often.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HttpAct {
    /// It is answered with this status and not handled.
    Status(u16),
    /// It is handled after this long.
    Delay(#[serde(with = "unit::duration")] Duration),
    /// The connection is closed and the request not handled.
    DropBefore,
    /// The request is handled, then the connection closed without an answer.
    DropAfter,
}

impl HttpFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Rule { .. } => "http.rule",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Rule { .. } => Needs::Either,
        }
    }

    pub(super) fn worlds(&self) -> &'static [World] {
        &[World::Sim, World::Local]
    }

    pub(super) fn hosts_mut(&mut self) -> Vec<(&'static str, &mut Hosts)> {
        match self {
            Self::Rule { host, .. } => vec![("host", host)],
        }
    }
}
