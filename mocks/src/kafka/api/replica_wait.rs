//! DeleteRecords and WriteTxnMarkers requests that wait for replicas.
//!
//! A marker is written once the high watermark has passed it, as records with acks=all are. Records are deleted once
//! every live replica, in sync or not, has the new start (Kafka's `DelayedDeleteRecords`); as in Kafka the death of one
//! that has not is noticed only when another one moves. A partition's wait ends with an error when this node leads it no
//! more, and with REQUEST_TIMED_OUT when the request's time is over; what was done stays done. These requests are rare,
//! so whenever something changes all of them are looked at.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{DeleteRecordsResponse, WriteTxnMarkersResponse};
use uuid::Uuid;

use super::{delete_records, write_txn_markers};
use crate::kafka::cluster::{Call, Cluster, Faults, Ticket, Timer};
use crate::kafka::log::Log;
use crate::kafka::wire::frame::Frame;

/// A request that has done its work, and what is still missing.
#[derive(Debug)]
pub(crate) struct ParkedChange {
    ticket: Ticket,
    answer: Changed,
    waits: Vec<Wait>,
    faults: Faults,
}

/// The answer as it stands.
#[derive(Debug)]
pub(super) enum Changed {
    Deleted(DeleteRecordsResponse),
    Marked(WriteTxnMarkersResponse),
}

/// A partition of the request, and the offset its replicas must come to.
#[derive(Debug)]
pub(super) struct Wait {
    /// The marker, the topic and the partition of the answer; the marker is 0 where there are none.
    pub at: (usize, usize, usize),
    pub topic: String,
    pub number: i32,
    pub until: i64,
}

/// What ends a partition's wait: an error code, and the low watermark if it is told.
struct End {
    code: i16,
    low: Option<i64>,
}

impl ParkedChange {
    fn end(&mut self, ended: impl Fn(&Wait) -> Option<End>) {
        let (answer, faults) = (&mut self.answer, &self.faults);
        self.waits.retain(|wait| {
            let Some(mut end) = ended(wait) else { return true };
            if let Some(code) = faults.after(&wait.topic, Some(wait.number)).filter(|_| end.code == 0) {
                end = End { code, low: Some(-1) };
            }
            answer.end(wait.at, &end);
            false
        });
    }
}

impl Changed {
    fn end(&mut self, (marker, topic, partition): (usize, usize, usize), end: &End) {
        match self {
            Self::Deleted(answer) => {
                let topic = answer.topics.get_mut(topic);
                if let Some(told) = topic.and_then(|topic| topic.partitions.get_mut(partition)) {
                    told.error_code = end.code;
                    told.low_watermark = end.low.unwrap_or(told.low_watermark);
                }
            }
            Self::Marked(answer) => {
                let topic = answer.markers.get_mut(marker).and_then(|marker| marker.topics.get_mut(topic));
                if let Some(told) = topic.and_then(|topic| topic.partitions.get_mut(partition)) {
                    told.error_code = end.code;
                }
            }
        }
    }
}

impl Cluster {
    /// Answers the request once its replicas are where they must be, and after `most` at the latest.
    pub(super) fn await_change(
        &mut self,
        call: &Call<'_>,
        answer: Changed,
        waits: Vec<Wait>,
        most: Duration,
    ) {
        let mut parked = ParkedChange { ticket: call.ticket, answer, waits, faults: call.faults.clone() };
        self.look_at(&mut parked, true);
        if most.is_zero() || self.parked() >= self.options.max_parked {
            parked.end(late);
        }
        if parked.waits.is_empty() {
            return self.finish_change(parked);
        }
        self.timers.set(Timer::Change(call.ticket.conn), self.now.saturating_add(most));
        self.changes.insert(call.ticket.conn, parked);
    }

    /// Replicas moved, or else leaders, replicas in sync or topics changed.
    pub fn check_changes(&mut self, moved: bool) {
        if self.changes.is_empty() {
            return;
        }
        let mut parked = std::mem::take(&mut self.changes);
        for change in parked.values_mut() {
            self.look_at(change, moved);
        }
        for (conn, change) in parked {
            if change.waits.is_empty() {
                self.timers.cancel(&Timer::Change(conn));
                self.finish_change(change);
            } else {
                self.changes.insert(conn, change);
            }
        }
    }

    /// The time of a request is over.
    pub fn expire_change(&mut self, conn: u64) {
        if let Some(mut parked) = self.changes.remove(&conn) {
            parked.end(late);
            self.finish_change(parked);
        }
    }

    /// The connection that asked is gone.
    pub fn forget_change(&mut self, conn: u64) {
        if self.changes.remove(&conn).is_some() {
            self.timers.cancel(&Timer::Change(conn));
        }
    }

    fn finish_change(&mut self, parked: ParkedChange) {
        let ticket = parked.ticket;
        let (api, version, correlation) = (ticket.api, ticket.version, ticket.correlation);
        let (outcome, frame) = match &parked.answer {
            Changed::Deleted(answer) => {
                (delete_records::outcome(answer), Frame::encode(api, version, correlation, answer))
            }
            Changed::Marked(answer) => {
                (write_txn_markers::outcome(answer), Frame::encode(api, version, correlation, answer))
            }
        };
        self.sight_request(ticket, outcome);
        self.finish(ticket, frame);
    }

    fn look_at(&self, parked: &mut ParkedChange, moved: bool) {
        let node = parked.ticket.node;
        let deletes = matches!(parked.answer, Changed::Deleted(_));
        parked.end(|wait| {
            let id = match self.led_by(node, &wait.topic, wait.number) {
                Ok((id, _)) => id,
                Err(error) => return Some(End { code: error.code(), low: Some(-1) }),
            };
            if deletes {
                let low = self.low_watermark(id, wait.number);
                return (moved && low >= wait.until).then_some(End { code: 0, low: Some(low) });
            }
            let reached = self.log_of(&wait.topic, wait.number).map(Log::high_watermark) >= Some(wait.until);
            let too_few = !self.enough_in_sync(&wait.topic, wait.number);
            let code = if too_few { ResponseError::NotEnoughReplicasAfterAppend.code() } else { 0 };
            reached.then_some(End { code, low: None })
        });
    }

    /// The first offset that a live replica of a partition has.
    pub(super) fn low_watermark(&self, id: Uuid, number: i32) -> i64 {
        let start = self.logs.get(&(id, number)).map_or(-1, Log::start);
        let Some((_, _, partition)) = self.truth.find((id, number)) else { return start };
        let others = partition.replicas.iter().filter(|node| Some(**node) != partition.leader);
        let live = others.filter(|node| !self.truth.fenced.contains(node));
        let replicas = self.replicas.get(&(id, number));
        let starts = live.filter_map(|node| replicas.map(|replicas| replicas.start_of(*node)));
        starts.chain([start]).min().unwrap_or(start)
    }
}

/// The time is over. The low watermark is told as it was at first.
fn late(_: &Wait) -> Option<End> {
    Some(End { code: ResponseError::RequestTimedOut.code(), low: None })
}
