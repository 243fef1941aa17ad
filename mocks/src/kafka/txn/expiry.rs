//! What ends by itself: transactions that take too long, ids and producers nobody uses.
//!
//! Kafka looks at all of them at fixed intervals. Here a timer is set only for the first look that may find
//! something, so a cluster without transactions has nothing to wake up for.

use std::time::Duration;

use super::TransactionState;
use crate::kafka::cluster::{Cluster, Timer};

/// Between two looks at open transactions (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const ABORT_EVERY: Duration = Duration::from_secs(10);
/// Between two looks at ids (`transaction.remove.expired.transaction.cleanup.interval.ms`).
const EXPIRE_IDS_EVERY: Duration = Duration::from_secs(3600);
/// Between two looks at producers (`producer.id.expiration.check.interval.ms`).
const EXPIRE_PRODUCERS_EVERY: Duration = Duration::from_secs(600);

/// A deadline of the transactions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TxnTimer {
    /// Open transactions are looked at.
    Abort,
    /// Transactional ids are looked at.
    ExpireIds,
    /// Producers of all partitions are looked at.
    ExpireProducers,
    /// The markers of this id are written.
    Markers(String),
}

impl Cluster {
    pub fn expire_transactions(&mut self, timer: TxnTimer) {
        match timer {
            TxnTimer::Abort => self.abort_timed_out(),
            TxnTimer::ExpireIds => self.expire_ids(),
            TxnTimer::ExpireProducers => self.expire_producers(),
            TxnTimer::Markers(id) => self.write_markers(&id),
        }
    }

    /// Aborts what took longer than its producer allowed, and fences the producer.
    fn abort_timed_out(&mut self) {
        let (now_ms, server) = (self.now_ms, self.transaction_version());
        let late = |deadline: i64| deadline < now_ms;
        let ids: Vec<String> = self
            .ongoing()
            .filter(|(_, known)| late(known.started_ms.saturating_add(i64::from(known.timeout_ms))))
            .map(|(id, _)| id.to_owned())
            .collect();
        for id in ids {
            let Some((node, _)) = self.true_coordinator_of(&id) else { continue };
            if self.transactions_writable(&id).is_err() {
                continue;
            }
            let transactions = &mut self.transactions;
            if let Some(known) = transactions.known.get_mut(&id) {
                known.fence(server, now_ms, || transactions.ids.next(node));
            }
            self.event(|| format!("transaction of {id} timed out"));
            self.begin_markers(&id);
        }
        let left: Vec<(i64, i32)> =
            self.ongoing().map(|(_, known)| (known.started_ms, known.timeout_ms)).collect();
        for (started_ms, timeout_ms) in left {
            self.plan_abort(started_ms, timeout_ms);
        }
    }

    /// A transaction that began at `started_ms` is looked at when its time is over.
    pub(super) fn plan_abort(&mut self, started_ms: i64, timeout_ms: i32) {
        // Only what took longer than its time is aborted.
        let at_ms = started_ms.saturating_add(i64::from(timeout_ms)).saturating_add(1);
        self.plan(TxnTimer::Abort, Some(at_ms), ABORT_EVERY);
    }

    fn expire_ids(&mut self) {
        let keep = millis(self.options.transactional_id_expiration);
        let now_ms = self.now_ms;
        let unused = |updated: i64| updated <= now_ms.saturating_sub(keep);
        let expired: Vec<String> = self
            .transactions
            .known
            .iter()
            .filter(|(_, known)| may_expire(known.state) && unused(known.updated_ms))
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.transactions.known.remove(&id);
            self.event(|| format!("transactional id {id} expired"));
        }
        let idle = self.transactions.known.values().filter(|known| may_expire(known.state));
        if let Some(updated_ms) = idle.map(|known| known.updated_ms).min() {
            self.plan_id_expiry(updated_ms);
        }
    }

    /// A transactional id that is idle since `updated_ms` is looked at when it may be forgotten.
    pub(super) fn plan_id_expiry(&mut self, updated_ms: i64) {
        let keep = millis(self.options.transactional_id_expiration);
        self.plan(TxnTimer::ExpireIds, Some(updated_ms.saturating_add(keep)), EXPIRE_IDS_EVERY);
    }

    fn expire_producers(&mut self) {
        let (now_ms, keep) = (self.now_ms, millis(self.options.producer_id_expiration));
        let mut first: Option<i64> = None;
        for log in self.logs.values_mut() {
            log.producers.expire(now_ms, keep);
            first = log.producers.next_expiry(keep).into_iter().chain(first).min();
        }
        self.plan(TxnTimer::ExpireProducers, first, EXPIRE_PRODUCERS_EVERY);
    }

    /// A producer that wrote at `last_ms` is looked at when it may be forgotten.
    pub fn plan_producer_expiry(&mut self, last_ms: i64) {
        let keep = millis(self.options.producer_id_expiration);
        self.plan(TxnTimer::ExpireProducers, Some(last_ms.saturating_add(keep)), EXPIRE_PRODUCERS_EVERY);
    }

    /// Sees to it that there is a look at the first of its intervals that is at or behind `at_ms`, and in the
    /// future.
    fn plan(&mut self, timer: TxnTimer, at_ms: Option<i64>, every: Duration) {
        let Some(at_ms) = at_ms else { return };
        let wait = u64::try_from(at_ms.saturating_sub(self.now_ms)).unwrap_or(0);
        let soonest = self.now.saturating_add(Duration::from_nanos(1));
        let at = self.now.saturating_add(Duration::from_millis(wait)).max(soonest);
        // Times are clients' words: what lies tens of thousands of years ahead never comes.
        let Ok(looks) = u32::try_from(at.as_nanos().div_ceil(every.as_nanos())) else { return };
        let at = every.saturating_mul(looks);
        let key = Timer::Transactions(timer);
        if self.timers.at(&key).is_none_or(|set| at < set) {
            self.timers.set(key, at);
        }
    }
}

fn may_expire(state: TransactionState) -> bool {
    matches!(
        state,
        TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
