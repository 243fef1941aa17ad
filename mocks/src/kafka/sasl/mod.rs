//! Authentication by SASL: PLAIN and SCRAM, as a broker's SASL listener does it.
//!
//! A connection of a cluster with [`SaslOptions`] may ask for the API versions once, then names a mechanism
//! (SaslHandshake), then sends its tokens, in SaslAuthenticate requests or, after a handshake of version 0, as
//! frames of their own. Only then is it served. Whoever breaks the order is refused and its connection closed.
//! Who logged in decides which quotas count, and nothing further: there are no access rules. Passwords of SCRAM are
//! those of the cluster's image, which begins with those of the options and which administrators change.

mod plain;
pub(crate) mod scram;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;
use rand_chacha::ChaCha8Rng;

use super::cluster::Cluster;
use super::scram::{SHA_256, SHA_512, ScramCredentials};
use scram::Credential;

/// A client authenticates again at most this often.
const REAUTHENTICATION_MIN: Duration = Duration::from_secs(1);

/// A way to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaslMechanism {
    /// A name and a password as they are.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// Every mechanism there is.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// The number administrators name it by, if they set passwords for it.
    fn scram_number(self) -> Option<i8> {
        match self {
            Self::Plain => None,
            Self::ScramSha256 => Some(SHA_256),
            Self::ScramSha512 => Some(SHA_512),
        }
    }
}

/// Who may connect, and how.
#[derive(Clone, Debug)]
pub struct SaslOptions {
    /// Mechanisms offered, in this order (`sasl.enabled.mechanisms`).
    pub mechanisms: Vec<SaslMechanism>,
    /// Passwords by user, for every mechanism. Those of SCRAM can be changed later, as administrators do.
    pub users: BTreeMap<String, String>,
    /// How long an authentication is good for (`connections.max.reauth.ms`); for ever if none.
    pub max_reauth: Option<Duration>,
}

impl SaslOptions {
    /// Every mechanism, for these users and their passwords.
    pub fn users<N: Into<String>, P: Into<String>>(users: impl IntoIterator<Item = (N, P)>) -> Self {
        let users = users.into_iter().map(|(name, password)| (name.into(), password.into())).collect();
        Self { mechanisms: SaslMechanism::ALL.to_vec(), users, max_reauth: None }
    }

    /// The passwords as SCRAM keeps them.
    pub(crate) fn scram_credentials(&self, random: &mut ChaCha8Rng) -> ScramCredentials {
        let mut set = ScramCredentials::new();
        for mechanism in &self.mechanisms {
            let Some(number) = mechanism.scram_number() else { continue };
            for (user, password) in &self.users {
                let salt = scram::text(random).into();
                set.insert((user.clone(), number), scram::salt_password(*mechanism, password, salt));
            }
        }
        set
    }
}

/// What a connection may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Served,
    /// It is told that the request is out of order, and closed.
    OutOfOrder,
    Closed,
}

/// Why a token is refused: what the client is told, if it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The connection does not authenticate now.
    OutOfOrder,
    Failed(String),
}

/// Every connection's authentication.
pub(crate) struct Sessions {
    options: Option<SaslOptions>,
    by_conn: BTreeMap<u64, Session>,
}

enum Session {
    Exchange(Exchange),
    Done(Login),
    /// The versions were told; only a handshake may follow.
    Versions,
    /// The connection is to be closed.
    Over,
}

struct Exchange {
    mechanism: SaslMechanism,
    /// Whether tokens are frames, not requests.
    raw: bool,
    scram: Option<scram::Server>,
    /// The login that this one is to renew.
    before: Option<Login>,
}

#[derive(Clone)]
struct Login {
    mechanism: SaslMechanism,
    user: String,
    /// When it was renewed last.
    renewed: Option<Duration>,
    until: Option<Duration>,
}

impl Sessions {
    pub fn new(options: Option<SaslOptions>) -> Self {
        Self { options, by_conn: BTreeMap::new() }
    }

    pub fn is_on(&self) -> bool {
        self.options.is_some()
    }

    pub fn forget(&mut self, conn: u64) {
        self.by_conn.remove(&conn);
    }

    /// Who has logged in.
    pub fn user_of(&self, conn: u64) -> Option<&str> {
        match self.by_conn.get(&conn)? {
            Session::Done(login) => Some(&login.user),
            Session::Exchange(exchange) => exchange.before.as_ref().map(|login| login.user.as_str()),
            Session::Versions | Session::Over => None,
        }
    }

    /// Whether the connection's next frame is a token and no request.
    pub fn expects_token(&self, conn: u64) -> bool {
        matches!(self.by_conn.get(&conn), Some(Session::Exchange(exchange)) if exchange.raw)
    }

    /// Whether the connection is to be closed after what it is answered.
    pub fn is_over(&self, conn: u64) -> bool {
        matches!(self.by_conn.get(&conn), Some(Session::Over))
    }

    /// What becomes of a request; `served` says whether its version is.
    pub fn admit(&mut self, conn: u64, key: ApiKey, served: bool, now: Duration) -> Admission {
        if self.options.is_none() {
            return Admission::Served;
        }
        match (self.by_conn.get(&conn), key) {
            (None | Some(Session::Versions), ApiKey::SaslHandshake) => Admission::Served,
            (None, ApiKey::ApiVersions) => {
                if served {
                    self.by_conn.insert(conn, Session::Versions);
                }
                Admission::Served
            }
            (Some(Session::Exchange(_)), ApiKey::SaslAuthenticate) => Admission::Served,
            (Some(Session::Exchange(_)), ApiKey::ApiVersions | ApiKey::SaslHandshake) => {
                Admission::OutOfOrder
            }
            (Some(Session::Done(_)), ApiKey::SaslHandshake) => Admission::Served,
            (Some(Session::Done(login)), _) if login.until.is_none_or(|until| now < until) => {
                Admission::Served
            }
            _ => Admission::Closed,
        }
    }

    /// A client names its mechanism. The answer's error and the mechanisms there are.
    pub fn handshake(
        &mut self,
        conn: u64,
        name: &str,
        version: i16,
        now: Duration,
    ) -> (Result<(), ResponseError>, Vec<SaslMechanism>) {
        let Some(options) = &self.options else { return (Err(ResponseError::IllegalSaslState), Vec::new()) };
        let before = match self.by_conn.get(&conn) {
            Some(Session::Done(login)) => {
                let too_soon = login.renewed.is_some_and(|at| now.saturating_sub(at) < REAUTHENTICATION_MIN);
                if options.max_reauth.is_none() || too_soon {
                    return (Err(ResponseError::IllegalSaslState), Vec::new());
                }
                Some(Login { renewed: Some(now), ..login.clone() })
            }
            _ => None,
        };
        let offered = options.mechanisms.clone();
        let Some(mechanism) = offered.iter().copied().find(|it| it.name() == name) else {
            self.by_conn.insert(conn, Session::Over);
            return (Err(ResponseError::UnsupportedSaslMechanism), offered);
        };
        let same = before.as_ref().is_none_or(|login| login.mechanism == mechanism);
        let exchange = Exchange { mechanism, raw: version == 0, scram: None, before };
        // Another mechanism than before is not refused in words.
        let session = if same { Session::Exchange(exchange) } else { Session::Over };
        self.by_conn.insert(conn, session);
        (Ok(()), offered)
    }

    /// A token of a client: the one to answer, and how long the session is good for, if it begins. `set` is what
    /// is known of SCRAM's passwords.
    pub fn token(
        &mut self,
        conn: u64,
        token: &[u8],
        set: &ScramCredentials,
        random: &mut ChaCha8Rng,
        now: Duration,
    ) -> Result<(Vec<u8>, Duration), Refused> {
        if !matches!(self.by_conn.get(&conn), Some(Session::Exchange(_))) {
            return Err(Refused::OutOfOrder);
        }
        let Some(Session::Exchange(exchange)) = self.by_conn.insert(conn, Session::Over) else {
            return Err(Refused::OutOfOrder);
        };
        let mechanism = exchange.mechanism;
        let words = if exchange.before.is_some() { "re-authentication" } else { "authentication" };
        let vague = || {
            let name = mechanism.name();
            let text = format!("Authentication failed during {words} due to invalid credentials");
            Refused::Failed(format!("{text} with SASL mechanism {name}"))
        };
        let (user, answer) = match (mechanism, exchange.scram) {
            (SaslMechanism::Plain, _) => (self.plain(token)?, Vec::new()),
            (_, None) => {
                let begun = begin_scram(mechanism, token, set, random);
                let (scram, answer) = begun.map_err(|error| error.unwrap_or_else(vague))?;
                let exchange = Exchange { scram: Some(scram), ..exchange };
                self.by_conn.insert(conn, Session::Exchange(exchange));
                return Ok((answer, Duration::ZERO));
            }
            (_, Some(scram)) => scram.finish(token).ok_or_else(vague)?,
        };
        if let Some(before) = exchange.before.as_ref().filter(|before| before.user != user) {
            let text = format!("Cannot change principals during re-authentication from User.{}", before.user);
            return Err(Refused::Failed(format!("{text}: User.{user}")));
        }
        let lifetime = self.options.as_ref().and_then(|options| options.max_reauth);
        let renewed = exchange.before.and_then(|before| before.renewed);
        let until = lifetime.map(|lifetime| now.saturating_add(lifetime));
        self.by_conn.insert(conn, Session::Done(Login { mechanism, user, renewed, until }));
        Ok((answer, lifetime.unwrap_or_default()))
    }

    fn plain(&self, token: &[u8]) -> Result<String, Refused> {
        let password = |user: &str| self.options.as_ref()?.users.get(user);
        plain::check(token, |user, given| password(user).is_some_and(|password| password == given))
            .map_err(Refused::Failed)
    }
}

impl Cluster {
    /// A connection to `node` sends a token; see [`Sessions::token`].
    pub fn sasl_token(&mut self, node: i32, conn: u64, token: &[u8]) -> Result<(Vec<u8>, Duration), Refused> {
        let set = Arc::clone(&self.image_of(node).scram);
        self.sasl.token(conn, token, &set, &mut self.random, self.now)
    }
}

/// The first message of SCRAM. An error without words is told as vaguely as Kafka does.
fn begin_scram(
    mechanism: SaslMechanism,
    token: &[u8],
    set: &ScramCredentials,
    random: &mut ChaCha8Rng,
) -> Result<(scram::Server, Vec<u8>), Option<Refused>> {
    let first = scram::First::read(token).ok_or(None)?;
    let number = mechanism.scram_number().ok_or(None)?;
    let set = set.get(&(first.user.clone(), number)).ok_or(None)?;
    if first.acts_as.as_ref().is_some_and(|other| *other != first.user) {
        return Err(Some(Refused::Failed(plain::OTHER_USER.to_owned())));
    }
    Ok(first.answer(Credential::of(mechanism, set), &scram::text(random)))
}

#[cfg(test)]
mod tests;
