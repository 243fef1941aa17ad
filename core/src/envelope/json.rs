//! The envelope as structured CloudEvents JSON: encoding cannot fail, decoding names the attribute at fault.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::attribute::{self, ExtensionValue, KNOWN, invalid};
use super::timestamp::{format_rfc3339, parse_rfc3339};
use super::{EnvelopeError, EventEnvelope, MAX_BYTES};
use crate::canonical::{self, Strict};
use crate::event_id::{Class, EventId, SCHEME};

const SPEC_VERSION: &str = "1.0";
const DATA_CONTENT_TYPE: &str = "application/json";

impl EventEnvelope {
    /// The envelope as a JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        let mut put = |name: &str, text: String| out.insert(name.to_owned(), Value::String(text));
        put("specversion", SPEC_VERSION.to_owned());
        put("id", self.id.to_string());
        put("iddigest", self.digest.to_string());
        put("idscheme", SCHEME.to_owned());
        put("type", self.event_type.clone());
        put("source", self.source.clone());
        put("occurrence", self.occurrence.to_string());
        put("datacontenttype", DATA_CONTENT_TYPE.to_owned());
        let optional = [
            ("subject", self.subject.clone()),
            ("time", self.time_ms.map(format_rfc3339)),
            ("dataschema", self.data_schema.clone()),
            ("partitionkey", self.partition_key.clone()),
            ("correlationid", self.correlation_id.clone()),
            ("causationid", self.causation_id.map(String::from)),
            ("sequence", self.sequence.clone()),
            ("traceparent", self.trace_parent.clone()),
            ("dataref", self.data_ref.clone()),
            ("dataclassification", self.data_class.map(|class| class.as_str().to_owned())),
        ];
        for (name, text) in optional {
            text.map(|text| put(name, text));
        }
        out.insert("contractversion".to_owned(), self.contract_version.into());
        for (name, value) in &self.extensions {
            let value = match value {
                ExtensionValue::Boolean(value) => Value::from(*value),
                ExtensionValue::Integer(value) => Value::from(*value),
                ExtensionValue::Text(value) => Value::from(value.as_str()),
            };
            out.insert(name.clone(), value);
        }
        out.insert("data".to_owned(), self.data.clone());
        Value::Object(out)
    }

    /// The envelope as JSON text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }

    /// Reads an envelope of at most [`MAX_BYTES`] from JSON text.
    ///
    /// # Errors
    /// [`EnvelopeError`], which names the attribute at fault.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_BYTES {
            return Err(EnvelopeError::TooLarge { found: bytes.len(), limit: MAX_BYTES });
        }
        let value =
            canonical::parse(bytes).map_err(|error| EnvelopeError::NotJson { problem: error.to_string() })?;
        Self::from_value(value)
    }

    /// Reads an envelope from a JSON object that was read strictly.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_value(value: Value) -> Result<Self, EnvelopeError> {
        let Value::Object(members) = value else {
            return Err(EnvelopeError::NotJson { problem: format!("found {}", kind(&value)) });
        };
        let mut members = Members(members);
        members.constant("specversion", SPEC_VERSION)?;
        members.constant("idscheme", SCHEME)?;
        members.json_content()?;
        let event = Self {
            id: members.required("id", "a UUID of version 8")?,
            digest: members.required("iddigest", "64 lower-case hexadecimal digits")?,
            event_type: members.required("type", "the event's type")?,
            contract_version: members.version()?,
            source: members.required("source", "a URI reference")?,
            subject: members.text("subject")?,
            occurrence: members
                .required("occurrence", "business:<key> or caused:<event id>:<ordinal>:<handler>")?,
            time_ms: members.time()?,
            data_schema: members.text("dataschema")?,
            partition_key: members.text("partitionkey")?,
            correlation_id: members.text("correlationid")?,
            causation_id: members.parsed("causationid", "an event id")?,
            sequence: members.text("sequence")?,
            trace_parent: members.text("traceparent")?,
            data_ref: members.text("dataref")?,
            data_class: members.class()?,
            data: members.0.remove("data").unwrap_or(Value::Null),
            extensions: members.extensions()?,
        };
        attribute::check(&event)?;
        let of_digest = EventId::from_digest(&event.digest);
        if of_digest != event.id {
            return Err(invalid("id", format!("{of_digest}, as iddigest says"), event.id));
        }
        Ok(event)
    }
}

impl Serialize for EventEnvelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EventEnvelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Strict(value) = Strict::deserialize(deserializer)?;
        Self::from_value(value).map_err(D::Error::custom)
    }
}

/// The members not yet read.
struct Members(Map<String, Value>);

impl Members {
    fn text(&mut self, name: &str) -> Result<Option<String>, EnvelopeError> {
        match self.0.remove(name) {
            // CloudEvents JSON §2.2: an absent attribute may be written as null.
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(name, "a text", kind(&other))),
        }
    }

    fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, EnvelopeError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid(name, expected, format_args!("{text:?}")))
    }

    fn required<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, EnvelopeError> {
        self.parsed(name, expected)?.ok_or(EnvelopeError::Missing { attribute: name, expected })
    }

    fn constant(&mut self, name: &'static str, expected: &'static str) -> Result<(), EnvelopeError> {
        let found: String = self.required(name, expected)?;
        if found == expected { Ok(()) } else { Err(invalid(name, expected, format_args!("{found:?}"))) }
    }

    fn json_content(&mut self) -> Result<(), EnvelopeError> {
        if self.0.contains_key("data_base64") {
            return Err(invalid("data_base64", "JSON in data", "binary data"));
        }
        let Some(content_type) = self.text("datacontenttype")? else { return Ok(()) };
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == DATA_CONTENT_TYPE || essence.ends_with("+json") {
            return Ok(());
        }
        Err(invalid("datacontenttype", DATA_CONTENT_TYPE, format_args!("{content_type:?}")))
    }

    fn version(&mut self) -> Result<u32, EnvelopeError> {
        let expected = "an integer from 1 to 2147483647";
        let missing = EnvelopeError::Missing { attribute: "contractversion", expected };
        let found = self.0.remove("contractversion").ok_or(missing)?;
        let version = found.as_u64().and_then(|version| u32::try_from(version).ok());
        version.ok_or_else(|| invalid("contractversion", expected, &found))
    }

    fn time(&mut self) -> Result<Option<i64>, EnvelopeError> {
        let Some(text) = self.text("time")? else { return Ok(None) };
        let expected = "an RFC 3339 timestamp like 2026-01-01T00:00:00.000Z";
        parse_rfc3339(&text).map(Some).ok_or_else(|| invalid("time", expected, format_args!("{text:?}")))
    }

    fn class(&mut self) -> Result<Option<Class>, EnvelopeError> {
        let Some(text) = self.text("dataclassification")? else { return Ok(None) };
        let expected = "public, internal, confidential or restricted";
        let class = Class::from_word(&text);
        class.map(Some).ok_or_else(|| invalid("dataclassification", expected, format_args!("{text:?}")))
    }

    fn extensions(&mut self) -> Result<std::collections::BTreeMap<String, ExtensionValue>, EnvelopeError> {
        let mut extensions = std::collections::BTreeMap::new();
        for (name, value) in std::mem::take(&mut self.0) {
            debug_assert!(!KNOWN.contains(&name.as_str()), "{name} was read before");
            if value.is_null() {
                continue;
            }
            let expected = "a boolean, a 32-bit integer or a text";
            let found = kind(&value);
            let value = serde_json::from_value(value).map_err(|_| invalid(&name, expected, found))?;
            extensions.insert(name, value);
        }
        Ok(extensions)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
