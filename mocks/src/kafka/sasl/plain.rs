//! PLAIN (RFC 4616): who to act as, a name and a password, with zeros between them.

/// Told by every mechanism to who wants to act as another.
pub(super) const OTHER_USER: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

/// The user of a token that is right; else what Kafka tells the client.
pub(super) fn check(token: &[u8], is_right: impl FnOnce(&str, &str) -> bool) -> Result<String, String> {
    let text = String::from_utf8_lossy(token);
    // Kafka counts no further.
    let parts: Vec<&str> = text.split('\0').take(4).collect();
    let [acts_as, user, password] = parts[..] else {
        return Err(format!("Invalid SASL/PLAIN response: expected 3 tokens, got {}", parts.len()));
    };
    let failed = |why: &str| Err(format!("Authentication failed: {why}"));
    if user.is_empty() {
        return failed("username not specified");
    }
    if password.is_empty() {
        return failed("password not specified");
    }
    if !is_right(user, password) {
        return failed("Invalid username or password");
    }
    if !acts_as.is_empty() && acts_as != user {
        return Err(OTHER_USER.to_owned());
    }
    Ok(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_kafkas() {
        let ask = |token: &[u8]| check(token, |user, password| (user, password) == ("alice", "secret"));
        assert_eq!(ask(b"\0alice\0secret"), Ok("alice".to_owned()));
        assert_eq!(ask(b"alice\0alice\0secret"), Ok("alice".to_owned()));
        for (token, text) in [
            (&b"bob\0alice\0secret"[..], OTHER_USER),
            (b"\0alice\0nope", "Authentication failed: Invalid username or password"),
            (b"\0\xff\xfe\0x", "Authentication failed: Invalid username or password"),
            (b"\0\0secret", "Authentication failed: username not specified"),
            (b"\0alice\0", "Authentication failed: password not specified"),
            (b"", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
            (b"alice\0secret", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
            (b"\0a\0b\0c\0d\0e", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
        ] {
            assert_eq!(ask(token), Err(text.to_owned()));
        }
    }
}
