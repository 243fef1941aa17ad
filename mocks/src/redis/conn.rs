//! One connection: bytes in, commands through the rules and the engine, bytes out.
//!
//! All commands that have arrived are run before anything is written, and written at once. Reading goes on
//! while a reply waits to be written, so a client that sends a long pipeline before it reads does not get
//! stuck. Fault rules are carried out here, around the engine: the engine knows no faults.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, Instant, sleep_until};

use super::engine::admit::describe;
use super::engine::{ClientId, Delivery, Effects};
use super::resp::{Parser, Reply};
use super::rules::{RedisRequest, error_line};
use super::server::{Link, RedisServer};
use crate::net::BoxStream;
use crate::observe::What;
use crate::rule::Act;

/// Commands run before other connections get their turn.
const BATCH: usize = 1024;
/// Bytes read ahead of a command that waits.
const READ_AHEAD: usize = 1024 * 1024;
/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;

struct Conn<'a> {
    server: &'a RedisServer,
    id: ClientId,
    parser: Parser,
    input: BytesMut,
    output: BytesMut,
    /// A rule's delay; nothing else runs before it is over.
    held: Option<Held>,
    /// A command to be tried again when the server is not paused any more.
    postponed: Option<Vec<Bytes>>,
    /// When the connection is closed, if as much as now is still unread then.
    over_until: Option<Instant>,
    /// Close when the output is written.
    closing: bool,
    /// Close now.
    broken: bool,
    /// Commands may be left in the input.
    more: bool,
    /// A command waits for its answer, and nothing else may run.
    waiting: bool,
}

struct Held {
    until: Instant,
    then: Then,
}

enum Then {
    Run(Vec<Bytes>),
    Send(Bytes),
}

/// Runs a connection until either side ends it.
pub(super) async fn run(server: &RedisServer, id: ClientId, link: &Link, stream: BoxStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut conn = Conn {
        server,
        id,
        parser: Parser::new(),
        input: BytesMut::new(),
        output: BytesMut::new(),
        held: None,
        postponed: None,
        over_until: None,
        closing: false,
        broken: false,
        more: false,
        waiting: false,
    };
    loop {
        link.collect(&mut conn.output);
        let wake = conn.advance();
        if conn.broken || conn.closing && conn.output.is_empty() {
            return;
        }
        let waits = wake.is_some();
        let has_enough = (waits || conn.waiting) && conn.input.len() >= READ_AHEAD;
        let reads = !conn.closing && !has_enough;
        if reads {
            conn.input.reserve(READ_BYTES);
        }
        tokio::select! {
            biased;
            () = link.kill.notified() => return,
            () = link.wake.notified() => {}
            written = writer.write_buf(&mut conn.output), if !conn.output.is_empty() => {
                if !matches!(written, Ok(1..)) {
                    return;
                }
            }
            read = reader.read_buf(&mut conn.input), if reads => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if waits => {}
            () = sleep_until(conn.over_until.unwrap_or_else(Instant::now)), if conn.over_until.is_some() => {}
            () = tokio::task::yield_now(), if conn.more && !waits => {}
        }
    }
}

impl Conn<'_> {
    /// Runs what can be run; when to go on if something has to be waited for.
    fn advance(&mut self) -> Option<Instant> {
        self.more = false;
        if self.broken || self.closing {
            return None;
        }
        if let Some(held) = self.held.take() {
            if Instant::now() < held.until {
                let until = held.until;
                self.held = Some(held);
                return Some(until);
            }
            match held.then {
                Then::Run(args) => self.execute(args),
                Then::Send(bytes) => self.output.extend_from_slice(&bytes),
            }
        }
        if !self.server.engine().is_waiting(self.id)
            && let Some(args) = self.postponed.take()
        {
            self.execute(args);
        }
        let mut wake = None;
        for ran in 0.. {
            if let Some(left) = self.server.stalled_for() {
                // At least a millisecond, so that a clock other than tokio's cannot make this spin.
                wake = Some(Instant::now() + left.max(Duration::from_millis(1)));
                break;
            }
            if ran == BATCH {
                self.more = true;
                break;
            }
            if !self.step() {
                break;
            }
        }
        self.server.after_change();
        self.check_sizes();
        wake.or(self.held.as_ref().map(|held| held.until))
    }

    /// Runs the next command; false if there is none, or something has to be waited for.
    fn step(&mut self) -> bool {
        if self.input.is_empty() {
            return false;
        }
        let limits = {
            let engine = self.server.engine();
            self.waiting = engine.is_waiting(self.id);
            if self.waiting {
                return false;
            }
            engine.limits(self.id)
        };
        match self.parser.next(&mut self.input, limits) {
            Ok(Some(args)) => {
                self.decide(args);
                !self.closing && !self.broken && self.held.is_none()
            }
            Ok(None) => false,
            Err(error) => {
                Reply::Error(error.to_string()).write(2, &mut self.output);
                self.closing = true;
                false
            }
        }
    }

    /// Asks the rules about a command and does what they say.
    fn decide(&mut self, args: Vec<Bytes>) {
        let Some((name, act)) = self.matching_rule(&args) else { return self.execute(args) };
        if self.server.is_observed() {
            self.server.tell(What::Rule { name, request: request_text(&args) });
        }
        let start = self.output.len();
        match act {
            Act::Error(text) => {
                let effects = self.server.engine().inject(self.id, &args, error_line(&text));
                self.finish(self.server.is_observed().then_some(&args), &effects);
            }
            Act::ErrorAfter(text) => {
                self.apply(args);
                self.output.truncate(start);
                Reply::Error(error_line(&text)).write(2, &mut self.output);
            }
            Act::Delay(by) => self.held = Some(Held { until: Instant::now() + by, then: Then::Run(args) }),
            Act::DelayAfter(by) => {
                self.apply(args);
                self.hold_back(start, by);
            }
            Act::DropBefore => self.closing = true,
            Act::DropAfter => {
                self.apply(args);
                self.output.truncate(start);
                self.closing = true;
            }
            Act::Silence => {}
            Act::Truncate(bytes) => {
                self.apply(args);
                self.output.truncate(start.saturating_add(bytes));
                self.closing = true;
            }
        }
    }

    fn matching_rule(&self, args: &[Bytes]) -> Option<(String, Act)> {
        if self.server.shared.rules.is_empty() {
            return None;
        }
        let client = self.server.engine().client_name(self.id);
        let described = describe(args);
        let request = RedisRequest { command: described.command, key: described.key, client: &client };
        self.server.shared.rules.decide(&request)
    }

    /// Runs a command and queues its reply. A command that stalls the server answers when that is over.
    fn execute(&mut self, args: Vec<Bytes>) {
        let start = self.output.len();
        if let Some(stall) = self.apply(args) {
            self.hold_back(start, stall);
        }
    }

    /// Runs a command and writes its reply; how long it stalls the server.
    fn apply(&mut self, args: Vec<Bytes>) -> Option<Duration> {
        let shown = self.server.is_observed().then(|| args.clone());
        let now = self.server.now();
        let (effects, deliveries) = {
            let mut engine = self.server.engine();
            (engine.exec(self.id, args, now), engine.take_deliveries())
        };
        let (own, others): (Vec<Delivery>, Vec<Delivery>) =
            deliveries.into_iter().partition(|delivery| delivery.to == self.id);
        for delivery in others {
            self.server.deliver(&delivery);
        }
        let write = |output: &mut BytesMut, after: bool| {
            for delivery in own.iter().filter(|delivery| delivery.after == after) {
                delivery.reply.write(delivery.protocol, output);
            }
        };
        write(&mut self.output, false);
        self.finish(shown.as_deref(), &effects);
        write(&mut self.output, true);
        self.postponed = effects.postponed;
        effects.stall
    }

    /// Writes a reply, and does what a command led to beside it. `shown` is the command to be told.
    fn finish(&mut self, shown: Option<&[Bytes]>, effects: &Effects) {
        if let Some(args) = shown {
            let kind = effects.reply.as_ref().map_or("no reply", Reply::kind).escape_debug();
            self.server.tell(What::Request(format!("{} -> {kind}", request_text(args))));
        }
        if let Some(reply) = &effects.reply {
            reply.write(effects.protocol, &mut self.output);
        }
        self.closing |= effects.close;
        for id in &effects.kill {
            self.server.kill(*id);
        }
        if let Some(stall) = effects.stall {
            self.server.stall_for(stall);
        }
    }

    /// Takes back what was written from `start` on, to be sent later.
    fn hold_back(&mut self, start: usize, by: Duration) {
        let reply = self.output.split_off(start).freeze();
        self.held = Some(Held { until: Instant::now() + by, then: Then::Send(reply) });
    }

    /// Breaks the connection if too much came in or stays unread.
    fn check_sizes(&mut self) {
        let limits = self.server.shared.limits;
        let waits_for_more = self.held.is_none() && !self.more && !self.waiting;
        let query = self.input.len() + self.parser.held_bytes();
        self.broken |=
            waits_for_more && query > limits.query_bytes || self.output.len() > limits.output_bytes;
        let limit = self.server.engine().output_limit(self.id);
        let is_over = |bytes: usize| bytes > 0 && self.output.len() > bytes;
        self.broken |= is_over(limit.hard_bytes);
        if !is_over(limit.soft_bytes) {
            self.over_until = None;
            return;
        }
        let now = Instant::now();
        let until = *self.over_until.get_or_insert(now + limit.soft_time);
        self.broken |= now >= until;
    }
}

/// Command and first key, the same in every run of the same plan.
fn request_text(args: &[Bytes]) -> String {
    let described = describe(args);
    match described.key {
        Some(key) => format!("{} {}", described.command, key.escape_ascii()),
        None => described.command.to_owned(),
    }
}
