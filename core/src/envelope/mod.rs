//! The envelope every event travels in: CloudEvents 1.0 attributes and extensions, and ours for the identity.
//!
//! Invariant: an [`EventEnvelope`] is well formed. Its attributes obey CloudEvents, its id is the beginning
//! of its digest, and it is no larger than [`MAX_BYTES`]. Whether the digest is that of the content is what
//! [`EventEnvelope::verify`] answers; decoding does not, because it would need the contract's sensitive
//! fields. Only structured JSON is written and read here; binary mode and other codecs are an adapter's.

mod attribute;
mod builder;
mod json;
mod timestamp;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event_id::{Class, Digest, EventId, IdPolicy, IdentityError, Occurrence, Preimage};

pub use attribute::ExtensionValue;
pub use builder::EnvelopeBuilder;
pub use timestamp::{format_rfc3339, parse_rfc3339};

/// Bytes an encoded envelope may have. Larger payloads belong in storage, with a `dataref` to them.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The media type of an encoded envelope.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// An event with everything needed to route, order, deduplicate and trace it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventEnvelope {
    id: EventId,
    digest: Digest,
    event_type: String,
    contract_version: u32,
    source: String,
    subject: Option<String>,
    occurrence: Occurrence,
    data: Value,
    time_ms: Option<i64>,
    data_schema: Option<String>,
    partition_key: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<EventId>,
    sequence: Option<String>,
    trace_parent: Option<String>,
    data_ref: Option<String>,
    data_class: Option<Class>,
    extensions: BTreeMap<String, ExtensionValue>,
}

/// What is wrong with an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The bytes are not a JSON object.
    #[error("expected an event as a JSON object: {problem}")]
    NotJson {
        /// What was found.
        problem: String,
    },
    /// More bytes than an envelope may have.
    #[error("the event has {found} bytes, at most {limit} are allowed; store the payload and send a dataref")]
    TooLarge {
        /// Its size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// An attribute that must be there is not.
    #[error("attribute {attribute} is missing; expected {expected}")]
    Missing {
        /// The attribute's name on the wire.
        attribute: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// An attribute has a value it must not have.
    #[error("attribute {attribute}: expected {expected}, found {found}")]
    Invalid {
        /// The attribute's name on the wire.
        attribute: String,
        /// What belongs there.
        expected: String,
        /// What is there, shortened.
        found: String,
    },
    /// The event has no stable id.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The content is not the one the id was made from.
    #[error(
        "event {id} has the digest {carried}, its content has {computed}: it was altered, or its contract \
             withholds sensitive fields and was not given to verify_with"
    )]
    Altered {
        /// The event's id.
        id: EventId,
        /// The digest it carries.
        carried: Digest,
        /// The digest of its content.
        computed: Digest,
    },
}

impl EventEnvelope {
    /// Starts an event of a type, under a version of its contract, told by a source (a URI reference).
    pub fn builder(
        event_type: impl Into<String>,
        contract_version: u32,
        source: impl Into<String>,
    ) -> EnvelopeBuilder {
        EnvelopeBuilder::new(event_type.into(), contract_version, source.into())
    }

    /// The deterministic id (`id`).
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The digest that the id is the beginning of (`iddigest`).
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The type (`type`), `order.placed`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The version of the contract the data obeys (`contractversion`).
    #[must_use]
    pub fn contract_version(&self) -> u32 {
        self.contract_version
    }

    /// Who told of it (`source`).
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it is about (`subject`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Which occurrence it is (`occurrence`).
    #[must_use]
    pub fn occurrence(&self) -> &Occurrence {
        &self.occurrence
    }

    /// The business data (`data`).
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// When it happened, in Unix milliseconds (`time`).
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        self.time_ms
    }

    /// The URI of the data's schema (`dataschema`).
    #[must_use]
    pub fn data_schema(&self) -> Option<&str> {
        self.data_schema.as_deref()
    }

    /// Events with equal keys keep their order (`partitionkey`).
    #[must_use]
    pub fn partition_key(&self) -> Option<&str> {
        self.partition_key.as_deref()
    }

    /// What groups the events of one business transaction (`correlationid`).
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The event that caused this one (`causationid`).
    #[must_use]
    pub fn causation_id(&self) -> Option<EventId> {
        self.causation_id
    }

    /// The place among its source's events; compared as text (`sequence`).
    #[must_use]
    pub fn sequence(&self) -> Option<&str> {
        self.sequence.as_deref()
    }

    /// The W3C trace context it was produced in (`traceparent`).
    #[must_use]
    pub fn trace_parent(&self) -> Option<&str> {
        self.trace_parent.as_deref()
    }

    /// Where a payload too large for the envelope is stored (`dataref`).
    #[must_use]
    pub fn data_ref(&self) -> Option<&str> {
        self.data_ref.as_deref()
    }

    /// How sensitive the data is (`dataclassification`).
    #[must_use]
    pub fn data_class(&self) -> Option<Class> {
        self.data_class
    }

    /// Every other attribute, by name.
    #[must_use]
    pub fn extensions(&self) -> &BTreeMap<String, ExtensionValue> {
        &self.extensions
    }

    /// Recomputes the id from the content.
    ///
    /// # Errors
    /// [`EnvelopeError::Altered`] if the digests differ. An event whose contract declares sensitive fields
    /// needs [`verify_with`](Self::verify_with).
    pub fn verify(&self) -> Result<(), EnvelopeError> {
        self.verify_with(&IdPolicy::default())
    }

    /// Recomputes the id from the content, under the contract's declaration of sensitive fields.
    ///
    /// # Errors
    /// [`EnvelopeError::Altered`] if the digests differ.
    pub fn verify_with(&self, policy: &IdPolicy) -> Result<(), EnvelopeError> {
        let (_, computed) = self.preimage().identify(policy)?;
        if computed == self.digest {
            return Ok(());
        }
        Err(EnvelopeError::Altered { id: self.id, carried: self.digest, computed })
    }

    fn preimage(&self) -> Preimage<'_> {
        Preimage {
            event_type: &self.event_type,
            contract_version: self.contract_version,
            source: &self.source,
            subject: self.subject.as_deref(),
            occurrence: &self.occurrence,
            data: &self.data,
        }
    }
}
