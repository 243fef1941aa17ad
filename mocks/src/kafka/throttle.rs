//! Holding clients to their byte rates.
//!
//! As in Kafka a producer's request is applied, answered at once, and the client told to wait; a consumer above
//! its rate gets an empty answer instead of its records. Either way its connection is not read from until the
//! wait is over. Every broker measures by itself.

use kafka_protocol::messages::{ApiKey, FetchResponse};

use super::cluster::{Call, Cluster, Ticket};
use super::quota::{Meter, Rate, Sharers, Windows, limit};
use super::wire::frame::Frame;

/// The user of connections that did not say who they are.
const ANONYMOUS: &str = "ANONYMOUS";

/// A user and a client id.
type Client = (String, String);

/// Most meters kept, and after how many milliseconds without a request one is not needed any more.
const MAX_METERS: usize = 10_000;
const STILL: i64 = 3_600_000;

/// Rates under measurement, and connections that have to wait.
#[derive(Debug, Default)]
pub(crate) struct Throttling {
    meters: std::collections::BTreeMap<(i32, Rate, Sharers), Meter>,
    /// Consumers whose answer is under way, by connection.
    fetching: std::collections::BTreeMap<u64, Client>,
    /// Milliseconds to wait, by connection, until the shell asks.
    waits: std::collections::BTreeMap<u64, i32>,
}

impl Throttling {
    /// A connection is gone.
    pub fn forget(&mut self, conn: u64) {
        self.fetching.remove(&conn);
        self.waits.remove(&conn);
    }
}

impl Cluster {
    /// Counts a request against its client's quota; `max_bytes` is what a fetch may answer at most.
    pub fn meter_request(&mut self, call: &Call<'_>, size: usize, max_bytes: Option<&mut i32>) {
        if self.quotas_of(call.node).is_empty() {
            return;
        }
        let user = self.sasl.user_of(call.ticket.conn).unwrap_or(ANONYMOUS).to_owned();
        let client = (user, call.client_id.to_owned());
        match call.ticket.api.key {
            ApiKey::Produce => {
                let wait = self.charge(call.node, Rate::Produce, &client, size);
                self.hold(call.ticket.conn, wait);
            }
            ApiKey::Fetch => {
                // More than fits into all windows would never be let through.
                let windows = self.windows(call.node);
                let image = self.image_of(call.node);
                let found = limit(&image.quotas, Rate::Fetch, &client.0, &client.1);
                if let (Some(max), Some((limit, _))) = (max_bytes, found) {
                    #[expect(clippy::cast_precision_loss, reason = "a few samples of some seconds")]
                    let seconds = ((windows.samples as i64 - 1) * windows.size_ms) as f64 / 1000.0;
                    #[expect(clippy::cast_possible_truncation, reason = "a conversion to i32 saturates")]
                    let window = (limit * seconds) as i32;
                    *max = (*max).min(window);
                }
                self.throttling.fetching.insert(call.ticket.conn, client);
            }
            _ => {}
        }
    }

    /// Counts an answer against its client's quota; gives what is to be sent instead.
    pub fn meter_answer(&mut self, ticket: Ticket, frame: Frame) -> Frame {
        let Some(client) = self.throttling.fetching.remove(&ticket.conn) else { return frame };
        let size = bytes::Buf::remaining(&frame);
        if size == 0 {
            return frame;
        }
        let wait = self.charge(ticket.node, Rate::Fetch, &client, size);
        if wait == 0 {
            return frame;
        }
        self.charge_back(ticket.node, &client, size);
        self.hold(ticket.conn, wait);
        let body = frame.body(ticket.api, ticket.version);
        // Behind the throttle time and the error, since version 7.
        let session = body.get(6..10).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes);
        let empty = FetchResponse::default();
        let empty = if ticket.version >= 7 { empty.with_session_id(session) } else { empty };
        Frame::encode(ticket.api, ticket.version, ticket.correlation, &empty).unwrap_or(frame)
    }

    /// For how many milliseconds a connection has to wait now; asked once.
    pub fn take_wait(&mut self, conn: u64) -> i32 {
        self.throttling.waits.remove(&conn).unwrap_or(0)
    }

    fn hold(&mut self, conn: u64, wait: i64) {
        if wait > 0 {
            self.throttling.waits.insert(conn, i32::try_from(wait).unwrap_or(i32::MAX));
        }
    }

    fn charge(&mut self, node: i32, rate: Rate, client: &Client, size: usize) -> i64 {
        let image = self.image_of(node);
        let Some((limit, sharers)) = limit(&image.quotas, rate, &client.0, &client.1) else { return 0 };
        let (windows, now) = (self.windows(node), self.now_ms);
        let key = (node, rate, sharers);
        let meters = &mut self.throttling.meters;
        if meters.len() >= MAX_METERS && !meters.contains_key(&key) {
            meters.retain(|_, meter| now.saturating_sub(meter.last()) < STILL);
            // Clients that invent names cost others their measured past, never memory.
            while meters.len() >= MAX_METERS {
                meters.pop_first();
            }
        }
        let meter = meters.entry(key).or_default();
        #[expect(clippy::cast_precision_loss, reason = "requests are below 2^53 bytes")]
        meter.record(windows, size as f64, now);
        meter.throttle(windows, limit, now)
    }

    /// Takes back what was not sent.
    fn charge_back(&mut self, node: i32, client: &Client, size: usize) {
        let image = self.image_of(node);
        let Some((_, sharers)) = limit(&image.quotas, Rate::Fetch, &client.0, &client.1) else { return };
        let (windows, now) = (self.windows(node), self.now_ms);
        if let Some(meter) = self.throttling.meters.get_mut(&(node, Rate::Fetch, sharers)) {
            #[expect(clippy::cast_precision_loss, reason = "answers are below 2^53 bytes")]
            meter.record(windows, -(size as f64), now);
        }
    }

    fn quotas_of(&self, node: i32) -> &super::quota::Quotas {
        &self.nodes.get(&node).map_or(&self.truth, |node| &node.applied).quotas
    }

    fn windows(&self, node: i32) -> Windows {
        let levels = self.levels_of(node);
        let number = |name, default| levels.number(name).unwrap_or(default).clamp(1, 3600);
        Windows {
            samples: usize::try_from(number("quota.window.num", 11)).unwrap_or(11),
            size_ms: number("quota.window.size.seconds", 1) * 1000,
        }
    }
}
