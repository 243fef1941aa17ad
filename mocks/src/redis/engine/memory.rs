//! How much memory the server would use, for `maxmemory`.
//!
//! An estimate: the weight of the data, and what an empty server of the real kind takes. It is summed up only
//! while a limit is set.

use super::Engine;

/// Bytes that a real server without data uses, roughly.
const EMPTY_BYTES: usize = 1_000_000;
/// Bytes that a key takes beside itself and its value.
const KEY_BYTES: usize = 64;

impl Engine {
    /// Whether commands that need memory are refused: the limit is passed and nothing may be evicted.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        let config = |name| self.config.get(name).unwrap_or_default();
        let limit = config("maxmemory").parse().unwrap_or(0_usize);
        limit != 0 && config("maxmemory-policy") == "noeviction" && self.memory_bytes() > limit
    }

    fn memory_bytes(&self) -> usize {
        let keys = (0..self.store.databases()).flat_map(|db| self.store.db(db).iter());
        EMPTY_BYTES + keys.map(|(key, entry)| KEY_BYTES + key.len() + entry.value.weight()).sum::<usize>()
    }
}
