//! A store of keys in memory, for tests: expires on tokio's clock, can be down, can forget.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Keys, KeysError};

/// A store of keys in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryKeys {
    state: Arc<Mutex<State>>,
    latency: Duration,
}

#[derive(Debug, Default)]
struct State {
    values: BTreeMap<String, (String, Instant)>,
    down: bool,
}

impl MemoryKeys {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every operation take this long, half before and half after it takes effect.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// While down, every operation fails.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Forgets everything, as a failover to an empty replica would.
    pub fn forget(&self) {
        self.lock().values.clear();
    }

    async fn operate<T>(
        &self,
        operation: impl FnOnce(&mut BTreeMap<String, (String, Instant)>, Instant) -> T,
    ) -> Result<T, KeysError> {
        self.wait().await;
        let answer = {
            let mut state = self.lock();
            if state.down {
                return Err(KeysError::Unreachable("as the test asked".to_owned()));
            }
            let now = Instant::now();
            state.values.retain(|_, (_, expires)| now < *expires);
            operation(&mut state.values, now)
        };
        self.wait().await;
        Ok(answer)
    }

    async fn wait(&self) {
        if self.latency.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.latency / 2).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Keys for MemoryKeys {
    async fn get(&self, key: &str) -> Result<Option<String>, KeysError> {
        self.operate(|values, _| values.get(key).map(|(value, _)| value.clone())).await
    }

    async fn set(&self, key: &str, value: &str, ttl: Duration) -> Result<(), KeysError> {
        self.operate(|values, now| {
            values.insert(key.to_owned(), (value.to_owned(), now + ttl));
        })
        .await
    }

    async fn set_if_absent(
        &self,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<Option<String>, KeysError> {
        self.operate(|values, now| match values.get(key) {
            Some((there, _)) => Some(there.clone()),
            None => {
                values.insert(key.to_owned(), (value.to_owned(), now + ttl));
                None
            }
        })
        .await
    }

    async fn replace_if(
        &self,
        key: &str,
        expected: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, KeysError> {
        self.operate(|values, now| match values.get_mut(key) {
            Some(there) if there.0 == expected => {
                *there = (value.to_owned(), now + ttl);
                true
            }
            _ => false,
        })
        .await
    }

    async fn extend_if(&self, key: &str, expected: &str, ttl: Duration) -> Result<bool, KeysError> {
        self.replace_if(key, expected, expected, ttl).await
    }

    async fn increment(&self, key: &str, ttl: Duration) -> Result<u64, KeysError> {
        let counted = self
            .operate(|values, now| {
                let there = values.entry(key.to_owned()).or_insert_with(|| ("0".to_owned(), now + ttl));
                let count = there.0.parse::<u64>().ok().and_then(|count| count.checked_add(1));
                if let Some(count) = count {
                    there.0 = count.to_string();
                }
                count
            })
            .await?;
        counted.ok_or_else(|| KeysError::Refused("value is not an integer or out of range".to_owned()))
    }

    async fn delete_if(&self, key: &str, expected: &str) -> Result<bool, KeysError> {
        self.operate(|values, _| {
            let ours = values.get(key).is_some_and(|(there, _)| there == expected);
            if ours {
                values.remove(key);
            }
            ours
        })
        .await
    }
}
