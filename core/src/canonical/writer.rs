//! Writes JSON values canonically (RFC 8785 §3.2). Reading is next door, in `strict`.

use serde_json::{Map, Number, Value};

use super::{CanonicalError, MAX_DEPTH, is_safe_integer, is_stable_double};

/// The canonical bytes of `value`: UTF-8, no whitespace, members sorted by UTF-16 code units.
///
/// # Errors
/// [`CanonicalError`], with a pointer to what has no canonical form.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value)?;
    Ok(out)
}

/// Appends the canonical bytes of `value` to `out`, which after an error holds a part of them.
///
/// # Errors
/// As [`to_vec`].
pub fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), CanonicalError> {
    write_within(out, value, MAX_DEPTH)
}

/// Appends a number as ECMAScript writes it (RFC 8785 §3.2.2.3): the shortest digits that read back equal.
///
/// # Errors
/// [`CanonicalError::NotFinite`] for infinities and NaN.
pub fn write_number(out: &mut Vec<u8>, number: f64) -> Result<(), CanonicalError> {
    if !number.is_finite() {
        return Err(CanonicalError::NotFinite { at: String::new(), found: number.to_string() });
    }
    out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
    Ok(())
}

/// Appends a string with its quotes, escaping only what must be (RFC 8785 §3.2.2.2).
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 0x0f)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends a value that may have `levels` levels, because it stands inside others.
pub(crate) fn write_within(out: &mut Vec<u8>, value: &Value, levels: usize) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_json_number(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            let levels = levels.checked_sub(1).ok_or_else(too_deep)?;
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_within(out, item, levels).map_err(|error| error.inside(index))?;
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(out, members, levels.checked_sub(1).ok_or_else(too_deep)?)?,
    }
    Ok(())
}

fn write_object(
    out: &mut Vec<u8>,
    members: &Map<String, Value>,
    levels: usize,
) -> Result<(), CanonicalError> {
    let mut sorted: Vec<_> = members.iter().collect();
    // UTF-16 order differs from UTF-8 order where surrogate pairs meet U+E000..U+FFFF (RFC 8785 §3.2.3).
    sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push(b'{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_within(out, value, levels).map_err(|error| error.inside(name))?;
    }
    out.push(b'}');
    Ok(())
}

fn write_json_number(out: &mut Vec<u8>, number: &Number) -> Result<(), CanonicalError> {
    let unsafe_integer = || CanonicalError::UnsafeInteger { at: String::new(), found: number.to_string() };
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    if let Some(integer) = integer {
        if !is_safe_integer(integer) {
            return Err(unsafe_integer());
        }
        out.extend_from_slice(integer.to_string().as_bytes());
        return Ok(());
    }
    let double = number.as_f64().unwrap_or(f64::NAN);
    if double.is_finite() && !is_stable_double(double) {
        return Err(unsafe_integer());
    }
    write_number(out, double)
}

fn too_deep() -> CanonicalError {
    CanonicalError::TooDeep { at: String::new() }
}
