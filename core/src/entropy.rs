//! The one source of randomness of a service: streams named by their purpose.
//!
//! Every stream is a function of the seed and its name, so taking one more stream changes no draw of another.
//! Tokens are unique within one `Entropy` and its clones. Nothing here is fit for cryptographic keys: a
//! simulation hands in a small seed on purpose.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::SysRng;
use rand::{RngExt, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Hands out seeded streams and unique tokens. Clones share the tokens' stream.
#[derive(Clone)]
pub struct Entropy {
    seed: [u8; 32],
    tokens: Arc<Mutex<ChaCha8Rng>>,
}

/// The operating system had no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("expected 32 random bytes from the operating system, found an error: {0}")]
pub struct EntropyError(String);

impl Entropy {
    /// Everything drawn follows from `seed`. A restarted service needs another seed than the one it replaces,
    /// or it would hand out the same tokens.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self::from_bytes(bytes)
    }

    /// Draws the seed from the operating system: what production uses.
    ///
    /// # Errors
    /// [`EntropyError`], if the operating system refuses.
    pub fn from_os() -> Result<Self, EntropyError> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| EntropyError(error.to_string()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// A stream of its own for `purpose`; the same purpose gives the same stream again.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> ChaCha8Rng {
        stream(&self.seed, purpose)
    }

    /// 128 random bits in hexadecimal, never handed out twice.
    #[must_use]
    pub fn token(&self) -> String {
        let bits: u128 = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).random();
        format!("{bits:032x}")
    }

    fn from_bytes(seed: [u8; 32]) -> Self {
        Self { seed, tokens: Arc::new(Mutex::new(stream(&seed, "token"))) }
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}

fn stream(seed: &[u8; 32], purpose: &str) -> ChaCha8Rng {
    let digest = Sha256::new().chain_update(seed).chain_update(purpose).finalize();
    ChaCha8Rng::from_seed(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_purpose_alone() {
        let draw = |entropy: &Entropy, purpose: &str| entropy.stream(purpose).random::<u64>();
        let (one, again, other) = (Entropy::from_seed(1), Entropy::from_seed(1), Entropy::from_seed(2));
        let _ = again.token();
        assert_eq!(draw(&one, "jitter"), draw(&again, "jitter"));
        assert_ne!(draw(&one, "jitter"), draw(&one, "shuffle"));
        assert_ne!(draw(&one, "jitter"), draw(&other, "jitter"));
    }

    #[test]
    fn clones_never_hand_out_the_same_token() {
        let entropy = Entropy::from_seed(3);
        let clone = entropy.clone();
        let tokens = [entropy.token(), clone.token(), entropy.token()];
        assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
    }

    #[test]
    fn the_operating_system_gives_a_fresh_seed_each_time() {
        let (one, other) = (Entropy::from_os().expect("entropy"), Entropy::from_os().expect("entropy"));
        assert_ne!(one.token(), other.token());
    }
}
