//! Produce requests with acks=all that wait for their replicas.
//!
//! As Kafka's `DelayedProduce`: a partition is acknowledged when the high watermark has passed its records, with
//! NOT_ENOUGH_REPLICAS_AFTER_APPEND if fewer are in sync by then than the topic asks for; it fails at once when
//! its leader changes, and with REQUEST_TIMED_OUT when the request's time is over. The records stay in the log.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ProduceResponse;
use uuid::Uuid;

use super::produce::{hint, outcome};
use crate::kafka::cluster::{Call, Cluster, Faults, Ticket, Timer};
use crate::kafka::wire::frame::Frame;

/// A produce request that was appended, and what is still missing.
#[derive(Debug)]
pub(crate) struct ParkedProduce {
    ticket: Ticket,
    answer: ProduceResponse,
    waits: Vec<Wait>,
    /// When the request's time is over.
    deadline: Duration,
    faults: Faults,
}

/// A partition's records that not every replica in sync has yet.
#[derive(Debug)]
pub(super) struct Wait {
    /// The topic and the partition of the answer.
    at: (usize, usize),
    key: (Uuid, i32),
    /// The high watermark waited for.
    until: i64,
}

impl Wait {
    pub fn new(at: (usize, usize), key: (Uuid, i32), until: i64) -> Self {
        Self { at, key, until }
    }
}

impl ParkedProduce {
    pub(super) fn new(call: &Call<'_>, answer: ProduceResponse, waits: Vec<Wait>) -> Self {
        Self { ticket: call.ticket, answer, waits, deadline: Duration::MAX, faults: call.faults.clone() }
    }

    /// Ends the waits that `ended` is about, with its error.
    fn end(&mut self, mut ended: impl FnMut(&Wait) -> Option<i16>) {
        let responses = &mut self.answer.responses;
        self.waits.retain(|wait| {
            let Some(code) = ended(wait) else { return true };
            let topic = responses.get_mut(wait.at.0);
            if let Some(partition) = topic.and_then(|topic| topic.partition_responses.get_mut(wait.at.1)) {
                partition.error_code = code;
            }
            false
        });
    }

    /// The answer, with the errors that rules put in after the work is done.
    fn into_answer(mut self, cluster: &Cluster) -> ProduceResponse {
        hint(cluster, self.ticket, &mut self.answer);
        if self.faults.after.is_some() {
            let image = cluster.image_of(self.ticket.node);
            for topic in &mut self.answer.responses {
                let by_id = image.ids.get(&topic.topic_id).map(String::as_str);
                let name = by_id.unwrap_or(&topic.name).to_owned();
                for partition in topic.partition_responses.iter_mut().filter(|found| found.error_code == 0) {
                    if let Some(code) = self.faults.after(&name, Some(partition.index)) {
                        partition.error_code = code;
                        (partition.base_offset, partition.log_start_offset) = (-1, -1);
                    }
                }
            }
        }
        self.answer
    }
}

impl Cluster {
    /// Answers the request if every replica in sync has its records, else parks it.
    pub(super) fn await_replicas(
        &mut self,
        mut parked: ParkedProduce,
        most: Duration,
    ) -> Option<ProduceResponse> {
        parked.end(|wait| {
            let log = self.logs.get(&wait.key);
            let reached = log.is_none_or(|log| log.high_watermark() >= wait.until);
            reached.then(|| self.acknowledged(wait))
        });
        if !parked.waits.is_empty() && (most.is_zero() || self.parked() >= self.options.max_parked) {
            parked.end(|_| Some(ResponseError::RequestTimedOut.code()));
        }
        if parked.waits.is_empty() {
            return Some(parked.into_answer(self));
        }
        parked.deadline = self.now.saturating_add(most);
        self.park_produce(parked);
        None
    }

    /// The high watermark of a partition moved to `to`.
    pub fn acknowledge(&mut self, key: (Uuid, i32), to: i64) {
        while let Some(conn) = self.next_acknowledged(key, to) {
            self.end_waits(conn, |cluster, wait| {
                (wait.key == key && wait.until <= to).then(|| cluster.acknowledged(wait))
            });
        }
    }

    /// The leader of a partition is another one, or the partition is gone.
    pub fn fail_produces(&mut self, key: (Uuid, i32), error: ResponseError) {
        for (_, conn) in self.acks.remove(&key).unwrap_or_default() {
            self.end_waits(conn, |_, wait| (wait.key == key).then(|| error.code()));
        }
    }

    /// The time of a produce request is over.
    pub fn expire_produce(&mut self, conn: u64) {
        self.end_waits(conn, |_, _| Some(ResponseError::RequestTimedOut.code()));
    }

    /// Takes a produce request out of everything it waits for.
    pub fn forget_produce(&mut self, conn: u64) -> Option<ParkedProduce> {
        let parked = self.produces.remove(&conn)?;
        self.timers.cancel(&Timer::Produce(conn));
        for wait in &parked.waits {
            self.stop_waiting(wait, conn);
        }
        Some(parked)
    }

    fn park_produce(&mut self, parked: ParkedProduce) {
        let conn = parked.ticket.conn;
        for wait in &parked.waits {
            self.acks.entry(wait.key).or_default().insert((wait.until, conn));
        }
        self.timers.set(Timer::Produce(conn), parked.deadline);
        self.produces.insert(conn, parked);
    }

    fn next_acknowledged(&mut self, key: (Uuid, i32), to: i64) -> Option<u64> {
        let first = self.acks.get_mut(&key)?;
        let (_, conn) = first.first().filter(|(until, _)| *until <= to).copied()?;
        first.pop_first();
        Some(conn)
    }

    /// The code for a partition whose records all replicas in sync have.
    fn acknowledged(&self, wait: &Wait) -> i16 {
        match self.truth.find(wait.key) {
            Some((_, topic, partition)) if partition.isr.len() < self.min_isr(topic, partition) => {
                ResponseError::NotEnoughReplicasAfterAppend.code()
            }
            _ => 0,
        }
    }

    fn end_waits(&mut self, conn: u64, ended: impl Fn(&Self, &Wait) -> Option<i16>) {
        let Some(mut parked) = self.forget_produce(conn) else { return };
        parked.end(|wait| ended(self, wait));
        if !parked.waits.is_empty() {
            self.park_produce(parked);
            return;
        }
        let ticket = parked.ticket;
        let answer = parked.into_answer(self);
        self.sight_request(ticket, outcome(&answer));
        self.finish(ticket, Frame::encode(ticket.api, ticket.version, ticket.correlation, &answer));
    }

    fn stop_waiting(&mut self, wait: &Wait, conn: u64) {
        if let Some(waiting) = self.acks.get_mut(&wait.key) {
            waiting.remove(&(wait.until, conn));
            if waiting.is_empty() {
                self.acks.remove(&wait.key);
            }
        }
    }
}
