//! Redis over any transport: one multiplexed connection, redialled whenever it can no longer be trusted.
//!
//! A connection that timed out is dropped: after a partition it may stay silent for ever, and a late answer must
//! not be taken for the answer to a later question. While the server cannot be reached, callers fail fast
//! instead of queueing behind one another's dials. No command is ever sent twice: retrying is the caller's
//! decision, because only the caller knows whether the command may be repeated.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisError, Value};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::entropy::Entropy;
use crate::keys::{Keys, KeysError};
use crate::mutant;
use crate::net::Dial;

/// How a [`Redis`] handle behaves.
#[derive(Clone)]
pub struct RedisOptions {
    /// The server, `host:port`.
    pub address: String,
    /// How long one command may take, and how long connecting may take.
    pub response_timeout: Duration,
    /// The bound of the first pause between dials; it doubles up to `redial_cap`.
    pub redial_base: Duration,
    /// The longest pause between dials.
    pub redial_cap: Duration,
    /// The database's number.
    pub database: i64,
    /// The password, if the server asks for one.
    pub password: Option<String>,
}

impl RedisOptions {
    /// The server at `address`; one second for a command; dials 50 ms to 1 s apart.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            response_timeout: Duration::from_secs(1),
            redial_base: Duration::from_millis(50),
            redial_cap: Duration::from_secs(1),
            database: 0,
            password: None,
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of logs.
        f.debug_struct("RedisOptions").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A Redis server. Clones share the connection, which belongs to the runtime that first used it.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    dial: Arc<dyn Dial>,
    options: RedisOptions,
    backoff: Backoff,
    link: Mutex<Link>,
}

/// The connection, and when the next may be dialled.
#[derive(Default)]
struct Link {
    live: Option<Live>,
    /// Counts connections, so that a late failure of an old one does not drop its successor.
    generation: u64,
    failures: u32,
    not_before: Option<Instant>,
}

struct Live {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Redis {
    /// A handle; nothing is dialled until the first command. `entropy` spreads the dials.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, options: RedisOptions, entropy: &Entropy) -> Self {
        let backoff = Backoff::new(options.redial_base, options.redial_cap, entropy.stream("redis-redial"));
        Self { shared: Arc::new(Shared { dial, options, backoff, link: Mutex::default() }) }
    }

    /// Runs one command and reads its answer as `T`.
    ///
    /// # Errors
    /// [`KeysError`]; if [`KeysError::Unknown`], the command may have had its effect.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, KeysError> {
        let (mut connection, generation) = self.connection().await?;
        match connection.send_packed_command(command).await.and_then(Value::extract_error) {
            Ok(value) => {
                let found = format!("{value:?}");
                T::from_redis_value(value)
                    .map_err(|_| KeysError::Unexpected { expected: std::any::type_name::<T>(), found })
            }
            Err(error) => Err(self.failed(&error, generation).await),
        }
    }

    /// What mutant 31 of the limiter does instead of [`Keys::increment`].
    pub(crate) async fn increment_until(&self, key: &str, unix_ms: i64) -> Result<u64, KeysError> {
        let mut command = redis::cmd("EVAL");
        self.command(command.arg(INCREMENT_UNTIL).arg(1).arg(key).arg(unix_ms)).await
    }

    /// The live connection, or a new one.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), KeysError> {
        let mut link = self.shared.link.lock().await;
        if let Some(live) = &link.live {
            return Ok((live.connection.clone(), link.generation));
        }
        if link.not_before.is_some_and(|at| Instant::now() < at) {
            return Err(KeysError::Unreachable("dialled in vain a moment ago".to_owned()));
        }
        match self.dial().await {
            Ok(live) => {
                let connection = live.connection.clone();
                link.live = Some(live);
                link.generation += 1;
                link.failures = 0;
                link.not_before = None;
                Ok((connection, link.generation))
            }
            Err(reason) => {
                link.failures = link.failures.saturating_add(1);
                link.not_before = Some(Instant::now() + self.shared.backoff.delay(link.failures));
                Err(KeysError::Unreachable(reason))
            }
        }
    }

    async fn dial(&self) -> Result<Live, String> {
        let options = &self.shared.options;
        let mut info = RedisConnectionInfo::default().set_db(options.database).set_skip_set_lib_name();
        if let Some(password) = &options.password {
            info = info.set_password(password);
        }
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(options.response_timeout));
        let connect = async {
            let stream = self.shared.dial.dial(&options.address).await.map_err(|error| error.to_string())?;
            // The handshake needs its driver, so both are run here until the connection stands.
            let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
                .await
                .map_err(|error| error.to_string())?;
            Ok(Live { connection, driver: tokio::spawn(driver).abort_handle() })
        };
        let late = |_| format!("no connection to {} within {:?}", options.address, options.response_timeout);
        tokio::time::timeout(options.response_timeout, connect).await.map_err(late)?
    }

    /// Classifies a failure, and drops the connection it happened on if that can no longer be trusted.
    async fn failed(&self, error: &RedisError, generation: u64) -> KeysError {
        let code = error.code().unwrap_or_default();
        // A server in one of these states refuses now and may accept later, perhaps at another place.
        let passing =
            ["READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"].contains(&code);
        let answered = !code.is_empty();
        if !answered || code == "READONLY" {
            let mut link = self.shared.link.lock().await;
            if link.generation == generation {
                link.live = None;
            }
        }
        match (answered, passing) {
            (false, _) => KeysError::Unknown(error.to_string()),
            (true, true) => KeysError::Unreachable(error.to_string()),
            (true, false) => KeysError::Refused(error.to_string()),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// Compares the value and acts in one step, on the server.
const REPLACE_IF: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 else return 0 end";
const EXTEND_IF: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    return redis.call('PEXPIRE', KEYS[1], ARGV[2]) else return 0 end";
const INCREMENT: &str = "local count = redis.call('INCR', KEYS[1]) \
    local left = redis.call('PTTL', KEYS[1]) \
    if left < 0 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return count";
const INCREMENT_UNTIL: &str = "local count = redis.call('INCR', KEYS[1]) \
    if count == 1 then redis.call('PEXPIREAT', KEYS[1], ARGV[1]) end return count";
const DELETE_IF: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    return redis.call('DEL', KEYS[1]) else return 0 end";

#[async_trait]
impl Keys for Redis {
    async fn get(&self, key: &str) -> Result<Option<String>, KeysError> {
        self.command(redis::cmd("GET").arg(key)).await
    }

    async fn set(&self, key: &str, value: &str, ttl: Duration) -> Result<(), KeysError> {
        self.command(redis::cmd("SET").arg(key).arg(value).arg("PX").arg(millis(ttl))).await
    }

    async fn set_if_absent(
        &self,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<Option<String>, KeysError> {
        let mut command = redis::cmd("SET");
        self.command(command.arg(key).arg(value).arg("NX").arg("GET").arg("PX").arg(millis(ttl))).await
    }

    async fn replace_if(
        &self,
        key: &str,
        expected: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, KeysError> {
        let mut command = redis::cmd("EVAL");
        self.command(command.arg(REPLACE_IF).arg(1).arg(key).arg(expected).arg(value).arg(millis(ttl))).await
    }

    async fn extend_if(&self, key: &str, expected: &str, ttl: Duration) -> Result<bool, KeysError> {
        let mut command = redis::cmd("EVAL");
        self.command(command.arg(EXTEND_IF).arg(1).arg(key).arg(expected).arg(millis(ttl))).await
    }

    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, KeysError> {
        if mutant::enabled("counter-expires-apart") {
            // Mutant 38: if the answer to the first is lost, the second is never sent.
            let count = self.command(redis::cmd("INCR").arg(key)).await?;
            if count == 1 {
                self.command::<bool>(redis::cmd("PEXPIRE").arg(key).arg(millis(ttl))).await?;
            }
            return Ok(count);
        }
        let mut command = redis::cmd("EVAL");
        self.command(command.arg(INCREMENT).arg(1).arg(key).arg(millis(ttl))).await
    }

    async fn delete_if(&self, key: &str, expected: &str) -> Result<bool, KeysError> {
        let mut command = redis::cmd("EVAL");
        self.command(command.arg(DELETE_IF).arg(1).arg(key).arg(expected)).await
    }
}

/// Redis refuses a time to live of zero.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}
