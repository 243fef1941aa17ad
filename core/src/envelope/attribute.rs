//! The rules of CloudEvents 1.0 for attribute names and values (§3.1, "Attribute naming", "Type system").

use serde::{Deserialize, Serialize};

use super::{EnvelopeError, EventEnvelope};

/// The value of an extension attribute. Binary values, URIs and timestamps are texts in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExtensionValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A signed 32-bit integer.
    Integer(i32),
    /// A text without control characters.
    Text(String),
}

impl From<bool> for ExtensionValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for ExtensionValue {
    fn from(value: i32) -> Self {
        Self::Integer(value)
    }
}

impl From<String> for ExtensionValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for ExtensionValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Attributes this crate gives a meaning; they cannot be set as extensions.
pub(super) const KNOWN: [&str; 21] = [
    "causationid",
    "contractversion",
    "correlationid",
    "data",
    "data_base64",
    "dataclassification",
    "datacontenttype",
    "dataref",
    "dataschema",
    "id",
    "iddigest",
    "idscheme",
    "occurrence",
    "partitionkey",
    "sequence",
    "source",
    "specversion",
    "subject",
    "time",
    "traceparent",
    "type",
];

/// Characters a name may have; CloudEvents recommends the bound, and some transports enforce it.
const NAME_CHARS_MAX: usize = 20;
/// Characters of a wrong value that an error quotes.
const QUOTED_CHARS_MAX: usize = 80;
/// Extensions an event may have.
const EXTENSIONS_MAX: usize = 64;

/// Checks every attribute that the type system does not.
pub(super) fn check(event: &EventEnvelope) -> Result<(), EnvelopeError> {
    check_text("type", &event.event_type)?;
    check_uri("source", &event.source, false)?;
    check_version(event.contract_version)?;
    check_text("occurrence", &event.occurrence.to_string())?;
    let texts = [
        ("subject", &event.subject),
        ("partitionkey", &event.partition_key),
        ("correlationid", &event.correlation_id),
        ("sequence", &event.sequence),
    ];
    for (name, text) in texts {
        text.as_deref().map_or(Ok(()), |text| check_text(name, text))?;
    }
    event.data_schema.as_deref().map_or(Ok(()), |uri| check_uri("dataschema", uri, true))?;
    event.data_ref.as_deref().map_or(Ok(()), |uri| check_uri("dataref", uri, false))?;
    event.trace_parent.as_deref().map_or(Ok(()), check_trace_parent)?;
    if let Some(time_ms) = event.time_ms {
        check_time(time_ms)?;
    }
    check_extensions(event)
}

/// An error that quotes what was found, but never at length.
pub(super) fn invalid(
    attribute: impl Into<String>,
    expected: impl Into<String>,
    found: impl std::fmt::Display,
) -> EnvelopeError {
    let mut found = found.to_string();
    if let Some((cut, _)) = found.char_indices().nth(QUOTED_CHARS_MAX) {
        found.truncate(cut);
        found.push('…');
    }
    EnvelopeError::Invalid { attribute: attribute.into(), expected: expected.into(), found }
}

fn check_extensions(event: &EventEnvelope) -> Result<(), EnvelopeError> {
    if event.extensions.len() > EXTENSIONS_MAX {
        let expected = format!("at most {EXTENSIONS_MAX} extensions");
        return Err(invalid("extensions", expected, event.extensions.len()));
    }
    for (name, value) in &event.extensions {
        let is_name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_name_char) {
            let expected = format!("a name of 1 to {NAME_CHARS_MAX} lower-case letters and digits");
            return Err(invalid(name, expected, format_args!("{name:?}")));
        }
        if KNOWN.contains(&name.as_str()) {
            return Err(invalid(
                name,
                "an extension; this attribute has its own setter",
                format_args!("{name:?}"),
            ));
        }
        if let ExtensionValue::Text(text) = value
            && text.chars().any(is_forbidden)
        {
            return Err(invalid(name, "a text without control characters", format_args!("{text:?}")));
        }
    }
    Ok(())
}

fn check_text(name: &str, text: &str) -> Result<(), EnvelopeError> {
    if text.is_empty() || text.chars().any(is_forbidden) {
        return Err(invalid(
            name,
            "a text, not empty and without control characters",
            format_args!("{text:?}"),
        ));
    }
    Ok(())
}

/// The characters of RFC 3986, and for an absolute URI a scheme. Resolving it is the reader's business.
fn check_uri(name: &str, text: &str, absolute: bool) -> Result<(), EnvelopeError> {
    let is_uri_char = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme_char = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let has_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_scheme_char);
    if text.is_empty() || !text.chars().all(is_uri_char) || (absolute && !has_scheme) {
        let expected = if absolute { "an absolute URI" } else { "a URI reference" };
        return Err(invalid(name, expected, format_args!("{text:?}")));
    }
    Ok(())
}

fn check_version(version: u32) -> Result<(), EnvelopeError> {
    if version == 0 || i32::try_from(version).is_err() {
        return Err(invalid("contractversion", "an integer from 1 to 2147483647", version));
    }
    Ok(())
}

/// W3C Trace Context §3.2: `version-traceid-parentid-flags` in lower-case hexadecimal, ids not all zero.
fn check_trace_parent(text: &str) -> Result<(), EnvelopeError> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let well_formed = parts.len() >= 4
        && [2, 32, 16, 2].iter().zip(&parts).all(|(length, part)| part.len() == *length && is_hex(part))
        && parts[0] != "ff"
        && (parts[0] != "00" || parts.len() == 4)
        && !is_zero(parts[1])
        && !is_zero(parts[2]);
    if well_formed {
        Ok(())
    } else {
        Err(invalid("traceparent", "a W3C trace context", format_args!("{text:?}")))
    }
}

fn check_time(time_ms: i64) -> Result<(), EnvelopeError> {
    let years = super::timestamp::RANGE_MS;
    if years.contains(&time_ms) {
        return Ok(());
    }
    Err(invalid("time", "Unix milliseconds of a year from 0000 to 9999", time_ms))
}

/// CloudEvents strings exclude control characters and noncharacters.
fn is_forbidden(c: char) -> bool {
    let code = u32::from(c);
    c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}
