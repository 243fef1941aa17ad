//! Other servers, as `MIGRATE` reaches them. The engine opens no connection: whoever starts it hands in how that is
//! done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Sends other servers requests.
pub trait Peers: Send + Sync {
    /// Sends a server bytes and reads the lines it answers, in all `lines` of them, without their ends. Each step
    /// may take up to `patience`; the caller stands still meanwhile, as the real server does.
    ///
    /// # Errors
    /// How far it came.
    fn exchange(&self, address: (&str, &str), request: &[u8], lines: usize, patience: Duration) -> Exchanged;
}

/// Lines that were read, all or as many as [`Unreached`] says.
pub type Exchanged = Result<Vec<String>, Unreached>;

/// How far a request to another server came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// There is no such host, or it did not answer in time.
    Connecting,
    /// The connection was refused, or broke while the request was sent.
    Writing,
    /// The connection broke, or nothing came in time, after these lines.
    Reading(Vec<String>),
}

/// How a server reaches others, if it can.
#[derive(Clone, Default)]
pub(crate) struct Reach(pub(crate) Option<Arc<dyn Peers>>);

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reach").field(&self.0.is_some()).finish()
    }
}
