//! The preimage of an id: what makes an event this event and no other.
//!
//! It holds scheme, type, contract version, source, subject, occurrence and data. Times, trace, correlation,
//! the producing host, the attempt, codec, compression and signature are kept out: they differ between two
//! tellings of the same event.

use serde_json::Value;
use unicode_normalization::is_nfc;

use super::{Digest, EventId, IdPolicy, IdentityError, NAMESPACE, Occurrence, SCHEME};
use crate::canonical::{self, MAX_DEPTH};

/// What an id is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Preimage<'a> {
    /// The event's type, `order.placed`.
    pub event_type: &'a str,
    /// The version of the contract the data obeys, from 1.
    pub contract_version: u32,
    /// Who tells of it: a URI reference, `squall://shop`.
    pub source: &'a str,
    /// What it is about, in the source's terms.
    pub subject: Option<&'a str>,
    /// Which occurrence it is.
    pub occurrence: &'a Occurrence,
    /// The business data.
    pub data: &'a Value,
}

impl Preimage<'_> {
    /// The id and its digest; `policy` names the sensitive fields of the data.
    ///
    /// # Errors
    /// [`IdentityError`] if a member is unfit for a stable id.
    pub fn identify(&self, policy: &IdPolicy) -> Result<(EventId, Digest), IdentityError> {
        let digest = Digest::of_name(&NAMESPACE, &self.to_canonical(policy)?);
        Ok((EventId::from_digest(&digest), digest))
    }

    /// The preimage's canonical bytes: what other languages must reproduce.
    ///
    /// # Errors
    /// As [`identify`](Self::identify).
    pub fn to_canonical(&self, policy: &IdPolicy) -> Result<Vec<u8>, IdentityError> {
        check_text("type", self.event_type)?;
        check_text("source", self.source)?;
        if let Some(subject) = self.subject {
            check_text("subject", subject)?;
        }
        if self.contract_version == 0 {
            return Err(member("contract version", "0 is no version; the first is 1".to_owned()));
        }
        // Members are written in canonical order, which spares a copy of the data.
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(format!(r#"{{"contract":{},"data":"#, self.contract_version).as_bytes());
        let withheld = policy.withhold(self.data)?;
        let data = withheld.as_ref().map_or(self.data, |withheld| &withheld.data);
        canonical::write_within(&mut out, data, MAX_DEPTH - 1)?;
        out.extend_from_slice(br#","occurrence":"#);
        write_occurrence(&mut out, self.occurrence)?;
        out.extend_from_slice(br#","scheme":"#);
        canonical::write_string(&mut out, SCHEME);
        if let Some(withheld) = &withheld {
            out.extend_from_slice(br#","sensitive":"#);
            canonical::write(&mut out, &withheld.record)?;
        }
        out.extend_from_slice(br#","source":"#);
        canonical::write_string(&mut out, self.source);
        out.extend_from_slice(br#","subject":"#);
        match self.subject {
            Some(subject) => canonical::write_string(&mut out, subject),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","type":"#);
        canonical::write_string(&mut out, self.event_type);
        out.push(b'}');
        Ok(out)
    }
}

fn write_occurrence(out: &mut Vec<u8>, occurrence: &Occurrence) -> Result<(), IdentityError> {
    match occurrence {
        Occurrence::Business(key) => {
            check_text("occurrence", key)?;
            out.extend_from_slice(br#"{"business":"#);
            canonical::write_string(out, key);
        }
        Occurrence::Caused { causation, handler, ordinal } => {
            check_text("occurrence's handler", handler)?;
            out.extend_from_slice(format!(r#"{{"causation":"{causation}","handler":"#).as_bytes());
            canonical::write_string(out, handler);
            out.extend_from_slice(format!(r#","ordinal":{ordinal}"#).as_bytes());
        }
    }
    out.push(b'}');
    Ok(())
}

/// Refuses what two systems could spell differently. Normalising it here would only hide the difference.
fn check_text(name: &'static str, text: &str) -> Result<(), IdentityError> {
    let problem = if text.is_empty() {
        "is empty; an id needs it".to_owned()
    } else if text.chars().any(char::is_control) {
        format!("{text:?} has a control character; remove it")
    } else if !is_nfc(text) {
        format!("{text:?} is not in Unicode normal form C; normalise it where it enters the system")
    } else {
        return Ok(());
    };
    Err(member(name, problem))
}

fn member(member: &'static str, problem: String) -> IdentityError {
    IdentityError::Member { member, problem }
}
