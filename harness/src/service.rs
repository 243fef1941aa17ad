//! The kinds of services a scenario can name: the built-in ones, and a user's own.
//!
//! A service is `async fn run(env: Env)`, the same function that runs in production. Servers of the harness
//! (brokers, Redis, sinks) are not services: a world builds them itself from their kind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use squall_core::env::Env;

use crate::scenario::schema::{KAFKA_KIND, REDIS_KIND, SINK_KIND};
use crate::system::{ledger, mailer, orders, parcels, prices};

/// A service: called once per start of its host.
pub type ServiceFn = Arc<dyn Fn(Env) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Services by kind.
#[derive(Clone)]
pub struct Services {
    by_kind: BTreeMap<String, ServiceFn>,
}

impl Services {
    /// The reference systems.
    #[must_use]
    pub fn builtin() -> Self {
        Self { by_kind: BTreeMap::new() }
            .with(ledger::KIND, ledger::run)
            .with(mailer::KIND, mailer::run)
            .with(orders::KIND, orders::run)
            .with(parcels::KIND, parcels::run)
            .with(prices::CLERK, prices::clerk)
            .with(prices::LABELLER, prices::labeller)
    }

    /// Adds a service, replacing one of the same kind.
    #[must_use]
    pub fn with<F, Fut>(mut self, kind: &str, run: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let service: ServiceFn = Arc::new(move |env| Box::pin(run(env)));
        self.by_kind.insert(kind.to_owned(), service);
        self
    }

    /// The service of a kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&ServiceFn> {
        self.by_kind.get(kind)
    }

    /// Every kind a topology may name, servers of the harness included.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let servers = [KAFKA_KIND, REDIS_KIND, SINK_KIND].into_iter().map(str::to_owned);
        servers.chain(self.by_kind.keys().cloned()).collect()
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::builtin()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_kind.keys()).finish()
    }
}
