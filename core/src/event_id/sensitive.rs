//! Sensitive fields: which parts of an event's data must not be recoverable from its id.
//!
//! A plain hash of a field with few possible values (a card number, an e-mail address) can be reversed by
//! trying them all. So fields of class [`Class::Confidential`] and above never enter the preimage as they
//! are: they are left out, or stand in it as HMAC-SHA-256 under a key of their own. What was withheld, and
//! how, is itself part of the preimage. Encryption of the data is not this module's business.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::IdentityError;
use crate::canonical;

/// How sensitive a field is, in the words of CloudEvents' data classification extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Anyone may see it.
    Public,
    /// Anyone inside the organisation may see it.
    Internal,
    /// Those who need it may see it.
    Confidential,
    /// Only named people and systems may see it.
    Restricted,
}

/// The secret that keyed fields are authenticated with. Never rotated: a new key would give old events new
/// ids. Use it for nothing else.
#[derive(Clone)]
pub struct IdKey {
    id: String,
    secret: Vec<u8>,
}

/// The sensitive fields of a contract's data, and the key for those that an identity cannot do without.
#[derive(Clone, Debug, Default)]
pub struct IdPolicy {
    fields: BTreeMap<String, Field>,
    key: Option<IdKey>,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    class: Class,
    keyed: bool,
}

/// Data without its sensitive fields, and what the preimage says of them.
pub(super) struct Withheld {
    pub(super) data: Value,
    pub(super) record: Value,
}

/// Bytes an id key must at least have: as many as its hash gives (RFC 2104 §3).
const MIN_SECRET_BYTES: usize = 32;

impl Class {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }

    /// The class of a word on the wire.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted];
        all.into_iter().find(|class| class.as_str() == word)
    }
}

impl IdKey {
    /// A key with the name by which preimages refer to it.
    ///
    /// # Errors
    /// [`IdentityError::Member`] if the name is empty or the secret shorter than 32 bytes.
    pub fn new(id: impl Into<String>, secret: impl Into<Vec<u8>>) -> Result<Self, IdentityError> {
        let (id, secret) = (id.into(), secret.into());
        let refuse = |problem| Err(IdentityError::Member { member: "id key", problem });
        if id.is_empty() {
            return refuse("has no name; preimages refer to it by name".to_owned());
        }
        if secret.len() < MIN_SECRET_BYTES {
            let found = secret.len();
            return refuse(format!("{id}: {found} bytes of secret, at least {MIN_SECRET_BYTES} are needed"));
        }
        Ok(Self { id, secret })
    }

    fn authenticate(&self, pointer: &str, value: &[u8]) -> String {
        // HMAC takes keys of any length, so there is no error to report.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { unreachable!() };
        // The pointer keeps equal values of different fields apart, its length keeps it apart from the value.
        mac.update(&(pointer.len() as u64).to_be_bytes());
        mac.update(pointer.as_bytes());
        mac.update(value);
        hex::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl IdPolicy {
    /// Declares the class of the field at `pointer` (RFC 6901; `*` stands for every element of an array).
    /// From [`Class::Confidential`] on, ids do not depend on the field.
    ///
    /// # Errors
    /// [`IdentityError::Sensitive`] if the pointer cannot name a member of an object, is declared twice, or lies
    /// inside or around another sensitive field.
    pub fn classify(self, pointer: &str, class: Class) -> Result<Self, IdentityError> {
        self.with(pointer, Field { class, keyed: false })
    }

    /// Declares a sensitive field that ids depend on nevertheless, through the policy's key.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn classify_keyed(self, pointer: &str, class: Class) -> Result<Self, IdentityError> {
        self.with(pointer, Field { class, keyed: true })
    }

    /// Sets the key for keyed fields.
    #[must_use]
    pub fn key(mut self, key: IdKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The highest class of any field, which is the class of the whole data; `None` if nothing is declared.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        self.fields.values().map(|field| field.class).max()
    }

    fn with(mut self, pointer: &str, field: Field) -> Result<Self, IdentityError> {
        let last = pointer.rsplit_once('/').map(|(_, last)| last);
        match last {
            None => Err(sensitive(pointer, "expected a JSON pointer like /card/number")),
            Some(_) if !pointer.starts_with('/') => {
                Err(sensitive(pointer, "expected a JSON pointer, which starts with a slash"))
            }
            // Taking an element out of an array would move its neighbours.
            Some("*") => Err(sensitive(pointer, "names elements of an array; classify the whole array")),
            Some(_) if self.fields.contains_key(pointer) => Err(sensitive(pointer, "is declared twice")),
            Some(_) if self.overlaps(pointer, field) => {
                Err(sensitive(pointer, "lies inside or around another sensitive field; declare one of them"))
            }
            Some(_) => {
                self.fields.insert(pointer.to_owned(), field);
                Ok(self)
            }
        }
    }

    /// Whether a field and one inside it would both be taken out: the inner one's declaration would be void.
    fn overlaps(&self, pointer: &str, field: Field) -> bool {
        let is_inside =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        let is_sensitive = |field: Field| field.class >= Class::Confidential;
        is_sensitive(field)
            && self.fields.iter().any(|(other, known)| {
                is_sensitive(*known) && (is_inside(pointer, other) || is_inside(other, pointer))
            })
    }

    /// Takes the sensitive fields out of a copy of `data`; `None` if the policy has none.
    pub(super) fn withhold(&self, data: &Value) -> Result<Option<Withheld>, IdentityError> {
        if self.class() < Some(Class::Confidential) {
            return Ok(None);
        }
        let mut record = Map::new();
        let mut data = data.clone();
        for (pointer, field) in self.fields.iter().filter(|(_, field)| field.class >= Class::Confidential) {
            let mut taken = Vec::new();
            let path: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
            take(&mut data, &path, String::new(), &mut taken)
                .map_err(|()| sensitive(pointer, "names an element of an array; classify the whole array"))?;
            if !field.keyed {
                record.insert(pointer.clone(), json!("excluded"));
                continue;
            }
            let key =
                self.key.as_ref().ok_or_else(|| sensitive(pointer, "is keyed, and there is no id key"))?;
            let mut macs = Map::new();
            for (place, value) in taken {
                macs.insert(place.clone(), json!(key.authenticate(&place, &canonical::to_vec(&value)?)));
            }
            record.insert(pointer.clone(), json!({ "key": key.id, "mac": macs }));
        }
        Ok(Some(Withheld { data, record: Value::Object(record) }))
    }
}

/// Takes what `path` names out of `data`, with the pointer of each place it was found at.
fn take(data: &mut Value, path: &[String], at: String, taken: &mut Vec<(String, Value)>) -> Result<(), ()> {
    let Some((segment, rest)) = path.split_first() else { return Ok(()) };
    let below = |segment: &str| format!("{at}/{}", escape(segment));
    match data {
        Value::Object(members) if rest.is_empty() => {
            if let Some(value) = members.remove(segment) {
                taken.push((below(segment), value));
            }
            Ok(())
        }
        Value::Object(members) => {
            members.get_mut(segment).map_or(Ok(()), |value| take(value, rest, below(segment), taken))
        }
        Value::Array(_) if rest.is_empty() => Err(()),
        Value::Array(items) if segment == "*" => {
            let mut items = items.iter_mut().enumerate();
            items.try_for_each(|(index, item)| take(item, rest, below(&index.to_string()), taken))
        }
        Value::Array(items) => {
            let item = segment.parse().ok().and_then(|index: usize| items.get_mut(index));
            item.map_or(Ok(()), |item| take(item, rest, below(segment), taken))
        }
        _ => Ok(()),
    }
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn sensitive(pointer: &str, problem: &str) -> IdentityError {
    IdentityError::Sensitive { pointer: pointer.to_owned(), problem: problem.to_owned() }
}
