//! Builds an envelope from business data: checks every attribute and computes the id, once.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::attribute::{self, ExtensionValue};
use super::{EnvelopeError, EventEnvelope, MAX_BYTES};
use crate::canonical;
use crate::event_id::{Digest, EventId, IdPolicy, IdentityError, Occurrence};

/// An event in the making; see [`EventEnvelope::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct EnvelopeBuilder {
    event: EventEnvelope,
    occurrence: Option<Occurrence>,
    policy: IdPolicy,
}

impl EnvelopeBuilder {
    pub(super) fn new(event_type: String, contract_version: u32, source: String) -> Self {
        // Placeholders: `build` replaces them, or fails.
        let digest = Digest::of_name(&uuid::Uuid::nil(), b"");
        let event = EventEnvelope {
            id: EventId::from_digest(&digest),
            digest,
            event_type,
            contract_version,
            source,
            subject: None,
            occurrence: Occurrence::Business(String::new()),
            data: Value::Null,
            time_ms: None,
            data_schema: None,
            partition_key: None,
            correlation_id: None,
            causation_id: None,
            sequence: None,
            trace_parent: None,
            data_ref: None,
            data_class: None,
            extensions: BTreeMap::new(),
        };
        Self { event, occurrence: None, policy: IdPolicy::default() }
    }

    /// What the event is about, in the source's terms. Part of the identity.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.event.subject = Some(subject.into());
        self
    }

    /// Which occurrence it is. Mandatory, and part of the identity.
    pub fn occurrence(mut self, occurrence: Occurrence) -> Self {
        self.occurrence = Some(occurrence);
        self
    }

    /// The business data. Part of the identity, but for what the [`policy`](Self::policy) withholds.
    pub fn data(mut self, data: Value) -> Self {
        self.event.data = data;
        self
    }

    /// The business data from a typed value, in which nothing may be left to a codec's taste.
    ///
    /// # Errors
    /// [`EnvelopeError::Identity`] if a field has no canonical form, a single-precision number for instance.
    pub fn data_of<T: Serialize + ?Sized>(self, typed: &T) -> Result<Self, EnvelopeError> {
        Ok(self.data(canonical::value_of(typed).map_err(IdentityError::from)?))
    }

    /// Which fields of the data are sensitive; also sets the event's `dataclassification`.
    pub fn policy(mut self, policy: IdPolicy) -> Self {
        self.event.data_class = policy.class();
        self.policy = policy;
        self
    }

    /// Events with equal keys keep their order.
    pub fn partition_key(mut self, key: impl Into<String>) -> Self {
        self.event.partition_key = Some(key.into());
        self
    }

    /// When it happened, in Unix milliseconds.
    pub fn time_ms(mut self, time_ms: i64) -> Self {
        self.event.time_ms = Some(time_ms);
        self
    }

    /// The URI of the data's schema.
    pub fn data_schema(mut self, uri: impl Into<String>) -> Self {
        self.event.data_schema = Some(uri.into());
        self
    }

    /// What groups the events of one business transaction.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.event.correlation_id = Some(id.into());
        self
    }

    /// Names the event that caused this one, and continues its correlation and, unless set, its trace.
    pub fn caused_by(mut self, parent: &EventEnvelope) -> Self {
        self.event.causation_id = Some(parent.id());
        let correlation = parent.correlation_id().map_or_else(|| parent.id().to_string(), str::to_owned);
        self.event.correlation_id = Some(correlation);
        if self.event.trace_parent.is_none() {
            self.event.trace_parent = parent.trace_parent().map(str::to_owned);
        }
        self
    }

    /// The place among its source's events; later ones must be greater as text.
    pub fn sequence(mut self, sequence: impl Into<String>) -> Self {
        self.event.sequence = Some(sequence.into());
        self
    }

    /// The W3C trace context it is produced in.
    pub fn trace_parent(mut self, trace_parent: impl Into<String>) -> Self {
        self.event.trace_parent = Some(trace_parent.into());
        self
    }

    /// Where a payload too large for the envelope is stored.
    pub fn data_ref(mut self, uri: impl Into<String>) -> Self {
        self.event.data_ref = Some(uri.into());
        self
    }

    /// Adds an extension attribute that this type has no method for.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<ExtensionValue>) -> Self {
        self.event.extensions.insert(name.into(), value.into());
        self
    }

    /// Checks everything and computes the id.
    ///
    /// # Errors
    /// [`EnvelopeError`], which names the attribute.
    pub fn build(self) -> Result<EventEnvelope, EnvelopeError> {
        let mut event = self.event;
        event.occurrence = self.occurrence.ok_or(EnvelopeError::Missing {
            attribute: "occurrence",
            expected: "a business key, or the event and handler that caused it; content alone is no identity",
        })?;
        attribute::check(&event)?;
        (event.id, event.digest) = event.preimage().identify(&self.policy)?;
        let found = event.to_bytes().len();
        if found > MAX_BYTES {
            return Err(EnvelopeError::TooLarge { found, limit: MAX_BYTES });
        }
        Ok(event)
    }
}
