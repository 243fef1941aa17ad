//! What a service is handed: everything it may know of the world.
//!
//! A service is `async fn run(env: Env)`. The same function runs in production and in every world of the
//! harness, because nothing but the environment differs. Clones share everything.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::entropy::Entropy;
#[cfg(feature = "http")]
use crate::http::Http;
use crate::keys::Keys;
#[cfg(feature = "redis")]
use crate::redis::Redis;
use crate::start::Health;
use crate::store::EventStore;

/// The environment of a service.
#[derive(Clone)]
#[non_exhaustive]
pub struct Env {
    /// The service's instance, unique among its siblings: `worker-2`.
    pub name: String,
    /// The partitioned log.
    pub bus: Arc<dyn Bus>,
    /// The event store.
    pub store: Arc<dyn EventStore>,
    /// The shared store of keys that expire, if there is one.
    pub keys: Option<Arc<dyn Keys>>,
    /// The same as [`Env::keys`], for commands that port does not have.
    #[cfg(feature = "redis")]
    pub redis: Option<Redis>,
    /// The HTTP client, if the service may make calls.
    #[cfg(feature = "http")]
    pub http: Option<Http>,
    /// The source of randomness.
    pub entropy: Entropy,
    /// The wall clock, for timestamps. Timers are tokio's.
    pub clock: Clock,
    /// How far the service's consumers have come.
    pub health: Health,
    /// Cancelled when the service is to stop gracefully.
    pub stop: CancellationToken,
    /// Wakes the outbox relay after a commit of this process.
    pub(crate) outbox: Arc<Notify>,
    config: Arc<serde_json::Value>,
}

/// What goes wrong with an environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// The configuration does not fit.
    #[error("configuration of {service}, field {field}: {reason}")]
    Config {
        /// The service's instance.
        service: String,
        /// The path of the field, `.` for the whole.
        field: String,
        /// What was expected and found.
        reason: String,
    },
    /// The service needs something this environment does not have.
    #[error("{service} needs {what}, which its environment does not have; hand it in with {with}")]
    Missing {
        /// The service's instance.
        service: String,
        /// What is missing.
        what: &'static str,
        /// The function that hands it in.
        with: &'static str,
    },
}

impl Env {
    /// An environment without Redis, HTTP client and configuration.
    pub fn new(
        name: impl Into<String>,
        bus: Arc<dyn Bus>,
        store: Arc<dyn EventStore>,
        entropy: Entropy,
        clock: Clock,
    ) -> Self {
        Self {
            name: name.into(),
            bus,
            store,
            keys: None,
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "http")]
            http: None,
            entropy,
            clock,
            health: Health::default(),
            stop: CancellationToken::new(),
            outbox: Arc::new(Notify::new()),
            config: Arc::new(serde_json::Value::Object(serde_json::Map::new())),
        }
    }

    /// Hands in Redis.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn with_redis(self, redis: Redis) -> Self {
        Self { keys: Some(Arc::new(redis.clone())), redis: Some(redis), ..self }
    }

    /// Hands in another store of keys than Redis.
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn Keys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Hands in an HTTP client.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_http(self, http: Http) -> Self {
        Self { http: Some(http), ..self }
    }

    /// Hands in the token that stops the service.
    #[must_use]
    pub fn with_stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Hands in the configuration.
    #[must_use]
    pub fn with_config(self, config: serde_json::Value) -> Self {
        Self { config: Arc::new(config), ..self }
    }

    /// The configuration, read as `T`.
    ///
    /// # Errors
    /// [`EnvError::Config`], naming the field that does not fit.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, EnvError> {
        serde_path_to_error::deserialize(&*self.config).map_err(|error| EnvError::Config {
            service: self.name.clone(),
            field: error.path().to_string(),
            reason: error.inner().to_string(),
        })
    }

    /// The HTTP client.
    ///
    /// # Errors
    /// [`EnvError::Missing`], if none was handed in.
    #[cfg(feature = "http")]
    pub fn http(&self) -> Result<&Http, EnvError> {
        let missing = || self.missing("an HTTP client", "Env::with_http");
        self.http.as_ref().ok_or_else(missing)
    }

    /// The store of keys.
    ///
    /// # Errors
    /// [`EnvError::Missing`], if none was handed in.
    pub fn keys(&self) -> Result<&Arc<dyn Keys>, EnvError> {
        let missing = || self.missing("Redis", "Env::with_redis or Env::with_keys");
        self.keys.as_ref().ok_or_else(missing)
    }

    /// Redis, for what [`Env::keys`] cannot say.
    ///
    /// # Errors
    /// [`EnvError::Missing`], if none was handed in.
    #[cfg(feature = "redis")]
    pub fn redis(&self) -> Result<&Redis, EnvError> {
        let missing = || self.missing("Redis", "Env::with_redis");
        self.redis.as_ref().ok_or_else(missing)
    }

    /// Something was committed to the outbox: its relay need not wait for its next look.
    #[cfg(feature = "redis")]
    pub(crate) fn committed(&self) {
        self.outbox.notify_one();
    }

    fn missing(&self, what: &'static str, with: &'static str) -> EnvError {
        EnvError::Missing { service: self.name.clone(), what, with }
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::bus::memory::MemoryBus;
    use crate::store::MemoryStore;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "only read")]
        bank: Bank,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bank {
        #[expect(dead_code, reason = "only read")]
        port: u16,
    }

    fn env() -> Env {
        let clock = Clock::default();
        let bus = Arc::new(MemoryBus::new(clock.clone()));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        Env::new("worker-1", bus, store, Entropy::from_seed(0), clock)
    }

    #[tokio::test]
    async fn a_configuration_error_names_the_field() {
        let wrong = |config| env().with_config(config).config::<Config>().expect_err("wrong").to_string();
        assert!(wrong(json!({ "bank": { "port": "http" } })).contains("field bank.port"));
        assert!(wrong(json!({ "bank": {} })).contains("missing field `port`"));
        assert!(wrong(json!({ "bank": { "port": 1 }, "bnak": 1 })).contains("bnak"));
        assert!(env().with_config(json!({ "bank": { "port": 80 } })).config::<Config>().is_ok());
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_how_to_hand_it_in() {
        let error = env().keys().err().expect("no keys").to_string();
        assert!(error.contains("worker-1") && error.contains("Env::with_redis"), "{error}");
    }
}
