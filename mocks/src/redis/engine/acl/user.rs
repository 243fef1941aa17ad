//! A user: whether it may log in, with which passwords, and its selectors.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::rule_error::RuleError;
use super::selector::Selector;
use crate::redis::engine::call::is;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::redis::engine) struct User {
    pub(super) enabled: bool,
    /// Any password will do.
    pub(super) no_password: bool,
    /// Whether `sanitize-payload` was chosen, or skipping it; neither by default.
    pub(super) sanitize: Option<bool>,
    /// SHA-256 of passwords, in hexadecimal.
    pub(super) passwords: Vec<String>,
    /// What the rules outside of parentheses say.
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
}

impl User {
    /// A user who may do nothing.
    pub(super) fn new(all_channels: bool) -> Self {
        Self {
            enabled: false,
            no_password: false,
            sanitize: None,
            passwords: Vec::new(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// The user that connections start as: it may do everything and needs no password.
    pub(super) fn default_user() -> Self {
        let mut root = Selector::new(true);
        root.all_keys = true;
        root.allow_all(true);
        Self { enabled: true, no_password: true, root, ..Self::new(true) }
    }

    /// All selectors, the root first.
    pub(super) fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Whether a password lets someone in as this user.
    pub(super) fn accepts(&self, password: &[u8]) -> bool {
        self.enabled && (self.no_password || self.passwords.contains(&hash(password)))
    }

    /// Whether the rules allow everything, so that nothing has to be checked.
    pub(super) fn may_everything(&self) -> bool {
        self.root.allows_everything()
    }

    /// Applies one rule. `channels` says whether new selectors may use all channels.
    pub(super) fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        match rule {
            [] => {}
            word if is(word, "on") => self.enabled = true,
            word if is(word, "off") => self.enabled = false,
            word if is(word, "skip-sanitize-payload") => self.sanitize = Some(false),
            word if is(word, "sanitize-payload") => self.sanitize = Some(true),
            word if is(word, "nopass") => {
                self.no_password = true;
                self.passwords.clear();
            }
            word if is(word, "resetpass") => {
                self.no_password = false;
                self.passwords.clear();
            }
            word if is(word, "clearselectors") => self.selectors.clear(),
            word if is(word, "reset") => {
                *self = Self { sanitize: Some(true), ..Self::new(all_channels) };
            }
            [b'>', password @ ..] => self.add_password(hash(password)),
            [b'#', given @ ..] => self.add_password(checked_hash(given)?),
            [b'<', password @ ..] => self.remove_password(&hash(password))?,
            [b'!', given @ ..] => self.remove_password(&checked_hash(given)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::new(all_channels);
                let rules = rules.split(u8::is_ascii_whitespace).filter(|rule| !rule.is_empty());
                rules.into_iter().try_for_each(|rule| selector.apply(rule))?;
                self.selectors.push(selector);
            }
            rule => self.root.apply(rule)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: String) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.no_password = false;
    }

    fn remove_password(&mut self, hash: &str) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == hash).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Makes a password the only one; an empty one lets everyone in.
    pub(super) fn set_only_password(&mut self, password: &[u8]) {
        self.passwords.clear();
        self.no_password = password.is_empty();
        if !password.is_empty() {
            self.add_password(hash(password));
        }
    }

    /// The words for whether and how the user may log in.
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let flags = [
            (self.enabled, "on"),
            (!self.enabled, "off"),
            (self.no_password, "nopass"),
            (self.sanitize == Some(false), "skip-sanitize-payload"),
            (self.sanitize == Some(true), "sanitize-payload"),
        ];
        flags.into_iter().filter_map(|(on, word)| on.then_some(word)).collect()
    }

    /// All rules, as `ACL LIST` shows them.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut words: Vec<Vec<u8>> = self.flags().into_iter().map(|flag| flag.as_bytes().to_vec()).collect();
        words.extend(self.passwords.iter().map(|hash| format!("#{hash}").into_bytes()));
        words.push(self.root.describe());
        words.extend(self.selectors.iter().map(|one| [b"(", &one.describe()[..], b")"].concat()));
        words.join(&b' ')
    }
}

fn hash(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checked_hash(given: &[u8]) -> Result<String, RuleError> {
    let is_hash = given.len() == 64 && given.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(given).ok().filter(|_| is_hash);
    text.map(str::to_owned).ok_or(RuleError::NotAHash)
}

/// Puts together rules in parentheses that came as several arguments.
///
/// # Errors
/// The argument that opened a parenthesis which nothing closes.
pub(super) fn merge_parentheses(words: &[Bytes]) -> Result<Vec<Vec<u8>>, Bytes> {
    let mut merged: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(Bytes, Vec<u8>)> = None;
    for word in words {
        if word.starts_with(b"(") && !word.ends_with(b")") {
            open = Some((word.clone(), word.to_vec()));
        } else if let Some((start, mut text)) = open.take() {
            text.push(b' ');
            text.extend_from_slice(word);
            if word.ends_with(b")") {
                merged.push(text);
            } else {
                open = Some((start, text));
            }
        } else {
            merged.push(word.to_vec());
        }
    }
    match open {
        Some((start, _)) => Err(start),
        None => Ok(merged),
    }
}
