//! One connection: bytes in, commands through the rules and the engine, bytes out.
//!
//! All commands that have arrived are run before anything is written, and written at once; the engine is
//! locked once for all of them. Reading goes on while a reply waits to be written, so a client that sends a
//! long pipeline before it reads does not get stuck. Fault rules are carried out here, around the engine: the
//! engine knows no faults.
//!
//! A connection that is idle holds no buffer: bytes are read onto the stack first.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::conn_busy::{Begun, Late, Meanwhile, POLL};
use super::engine::admit::describe;
use super::engine::{Buffers, ClientId, Delivery, Effects, Engine, Moment, OutputLimit};
use super::requests::{Recorded, Request, clipped, readable};
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
/// Bytes taken by one read.
const READ_BYTES: usize = 16 * 1024;
/// Room for output that is kept when all was written.
const KEPT_BYTES: usize = 64 * 1024;
/// What traces and the request log call the reply of a command that was not answered.
const NO_REPLY: &str = "no reply";

struct Conn<'a> {
    server: &'a RedisServer,
    id: ClientId,
    parser: Parser,
    input: BytesMut,
    output: BytesMut,
    /// What to tell the observer when the engine is free again: the observer may ask the server something.
    told: Vec<What>,
    /// The rule that acts on the command under way.
    rule: Option<String>,
    /// A rule's delay; nothing else runs before it is over.
    held: Option<Held>,
    /// A command to be tried again when the server is not paused any more.
    postponed: Option<Vec<Bytes>>,
    /// When the connection is closed, if as much as now is still unread then.
    over_until: Option<Instant>,
    /// What may stay unread, as the engine said last.
    limit: OutputLimit,
    /// Close when the output is written.
    closing: bool,
    /// Close now.
    broken: bool,
    /// Commands may be left in the input.
    more: bool,
    /// The engine wants to know what the connection holds, also when that becomes less.
    is_counted: bool,
    /// A command waits for its answer, and nothing else may run.
    waiting: bool,
    /// What happened while a program had the engine.
    meanwhile: Meanwhile,
}

struct Held {
    until: Instant,
    then: Then,
}

enum Then {
    /// A command, and the rule that delayed it.
    Run(Vec<Bytes>, Option<String>),
    Send(Bytes),
}

/// Runs a connection until either side ends it.
pub(super) async fn run(
    server: &RedisServer,
    id: ClientId,
    link: &Link,
    mut stream: BoxStream,
    begun: Begun,
) {
    let mut conn = Conn {
        server,
        id,
        parser: begun.parser,
        input: begun.input,
        output: BytesMut::new(),
        told: Vec::new(),
        rule: None,
        held: None,
        postponed: None,
        over_until: None,
        limit: OutputLimit::default(),
        closing: false,
        broken: false,
        more: false,
        is_counted: false,
        waiting: false,
        meanwhile: begun.meanwhile,
    };
    loop {
        conn.closing |= link.collect(&mut conn.output);
        let wake = conn.advance();
        if conn.broken || conn.closing && conn.output.is_empty() {
            return;
        }
        if conn.more && wake.is_none() {
            tokio::task::yield_now().await;
        }
        let has_enough = (wake.is_some() || conn.waiting) && conn.input.len() >= READ_AHEAD;
        let reads = !conn.closing && !has_enough;
        let writes_before = !conn.output.is_empty();
        let timer = wake.into_iter().chain(conn.over_until).min();
        let mut timer = timer.map(|at| Box::pin(sleep_until(at)));
        let next = poll_fn(|cx| {
            if let Poll::Ready(alive) = link.poll(cx) {
                return Poll::Ready(alive);
            }
            if let Poll::Ready(alive) = conn.poll_stream(cx, &mut stream, reads) {
                return Poll::Ready(alive);
            }
            // Room for more output may be what the next command waits for.
            let written =
                writes_before && conn.output.is_empty() && (conn.closing || conn.more || conn.is_counted);
            let over = timer.as_mut().is_some_and(|timer| Sleep::poll(timer.as_mut(), cx).is_ready());
            if written || over || conn.more { Poll::Ready(true) } else { Poll::Pending }
        });
        if !next.await {
            return;
        }
    }
}

impl Conn<'_> {
    /// Writes what is to be written and reads what has come; whether the stream is still open.
    fn poll_stream(&mut self, cx: &mut Context<'_>, stream: &mut BoxStream, reads: bool) -> Poll<bool> {
        while !self.output.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(written @ 1..)) => self.output.advance(written),
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => break,
            }
        }
        if self.output.is_empty() && self.output.capacity() > KEPT_BYTES {
            self.output = BytesMut::new();
        }
        if self.closing && self.output.is_empty() {
            return Poll::Ready(true);
        }
        if !reads {
            return Poll::Pending;
        }
        let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut room);
        let outcome = ready!(Pin::new(stream).poll_read(cx, &mut read));
        self.input.extend_from_slice(read.filled());
        Poll::Ready(outcome.is_ok() && !read.filled().is_empty())
    }

    /// Runs what can be run; when to go on if something has to be waited for.
    fn advance(&mut self) -> Option<Instant> {
        self.more = false;
        if self.broken || self.closing {
            return None;
        }
        let server = self.server;
        let now = server.now();
        let Some(mut engine) = server.engine_soon() else { return self.advance_without_engine() };
        self.catch_up(&mut engine, now);
        let wake = self.run_commands(&mut engine, now);
        self.limit = engine.output_limit(self.id);
        self.is_counted = engine.counts_buffers();
        if self.is_counted {
            let query = self.input.len() + self.parser.held_bytes();
            engine.note_buffers(self.id, Buffers { query, output: self.output.len() }, now);
            self.broken |= !engine.is_connected(self.id) && !self.closing;
        }
        server.after_change(engine);
        for what in std::mem::take(&mut self.told) {
            server.tell(what);
        }
        self.check_sizes();
        wake.or(self.held.as_ref().map(|held| held.until))
    }

    fn run_commands(&mut self, engine: &mut Engine, now: Moment) -> Option<Instant> {
        if let Some(held) = self.held.take() {
            if Instant::now() < held.until {
                let until = held.until;
                self.held = Some(held);
                return Some(until);
            }
            match held.then {
                Then::Run(args, rule) => {
                    self.rule = rule;
                    self.execute(engine, args, now);
                    self.rule = None;
                }
                Then::Send(bytes) => self.output.extend_from_slice(&bytes),
            }
        }
        if engine.may_send(self.id).is_some()
            && let Some(args) = self.postponed.take()
        {
            self.execute(engine, args, now);
        }
        for ran in 0.. {
            if let Some(left) = self.server.stalled_for(self.id) {
                // At least a millisecond, so that a clock other than tokio's cannot make this spin.
                return Some(Instant::now() + left.max(Duration::from_millis(1)));
            }
            if ran == BATCH {
                self.more = true;
                break;
            }
            if !self.step(engine, now) {
                break;
            }
        }
        None
    }

    /// Runs the next command; false if there is none, or something has to be waited for.
    fn step(&mut self, engine: &mut Engine, now: Moment) -> bool {
        let Some(limits) = engine.may_send(self.id) else {
            self.waiting = true;
            return false;
        };
        self.waiting = false;
        self.meanwhile.limits = Some(limits);
        match self.parser.next(&mut self.input, limits) {
            Ok(Some(args)) => {
                self.decide(engine, args, now);
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

    /// Answers what can be answered while a program has the engine; when to look again.
    fn advance_without_engine(&mut self) -> Option<Instant> {
        if !self.server.shared.busy.is_busy() {
            // Taken, but not by a program that is known to run for long.
            return Some(Instant::now() + Duration::from_millis(1));
        }
        while self.meanwhile.step(self.server, &mut self.parser, &mut self.input, &mut self.output) {}
        self.check_sizes();
        let waits = self.held.is_some() || !self.meanwhile.is_empty() || !self.input.is_empty();
        waits.then(|| Instant::now() + POLL)
    }

    /// Carries out what was answered while a program had the engine.
    fn catch_up(&mut self, engine: &mut Engine, now: Moment) {
        for id in self.server.shared.busy.take_gone() {
            engine.disconnect(id);
        }
        for command in self.meanwhile.take() {
            match command {
                Late::Run(args) => {
                    engine.exec(self.id, args, now);
                }
                Late::Refuse(args, line) => {
                    engine.inject(self.id, &args, line);
                }
                Late::Answer(args) => self.decide(engine, args, now),
            }
        }
    }

    /// Asks the rules about a command and does what they say.
    fn decide(&mut self, engine: &mut Engine, args: Vec<Bytes>, now: Moment) {
        let Some((name, act)) = self.matching_rule(engine, &args) else {
            return self.execute(engine, args, now);
        };
        if self.server.is_observed() {
            self.told.push(What::Rule { name: name.clone(), request: request_text(&args) });
            self.rule = Some(name);
        }
        let start = self.output.len();
        match act {
            Act::Error(text) => {
                let effects = engine.inject(self.id, &args, error_line(&text));
                self.finish(engine, self.server.is_observed().then_some(&args), &effects);
            }
            Act::ErrorAfter(text) => {
                self.apply(engine, args, now);
                self.output.truncate(start);
                Reply::Error(error_line(&text)).write(2, &mut self.output);
            }
            Act::Delay(by) => {
                let then = Then::Run(args, self.rule.take());
                self.held = Some(Held { until: Instant::now() + by, then });
            }
            Act::DelayAfter(by) => {
                self.apply(engine, args, now);
                self.hold_back(start, by);
            }
            Act::DropBefore => {
                self.log(engine, &args, NO_REPLY);
                self.closing = true;
            }
            Act::DropAfter => {
                self.apply(engine, args, now);
                self.output.truncate(start);
                self.closing = true;
            }
            Act::Silence => self.log(engine, &args, NO_REPLY),
            // Redis has nothing of the kind.
            Act::CorruptCrc | Act::Throttle(_) | Act::StaleMetadata => {
                self.apply(engine, args, now);
            }
            Act::Truncate(bytes) => {
                self.apply(engine, args, now);
                self.output.truncate(start.saturating_add(bytes));
                self.closing = true;
            }
        }
        self.rule = None;
    }

    /// Writes a request into the request log, if there is one.
    fn log(&self, engine: &Engine, args: &[Bytes], reply: &str) {
        let Some(log) = self.server.requests() else { return };
        let request = Request {
            client: self.id,
            client_name: readable(&engine.client_name(self.id)),
            arguments: clipped(describe(args).command, args),
            reply: reply.to_owned(),
            rule: self.rule.clone(),
        };
        log.push(self.server.now(), Recorded::Request(request));
    }

    fn matching_rule(&self, engine: &Engine, args: &[Bytes]) -> Option<(String, Act)> {
        if self.server.shared.rules.is_empty() {
            return None;
        }
        let client = engine.client_name(self.id);
        let described = describe(args);
        let request = RedisRequest { command: described.command, key: described.key, client: &client };
        self.server.shared.rules.decide(&request)
    }

    /// Runs a command and queues its reply. A command that stalls the server answers when that is over.
    fn execute(&mut self, engine: &mut Engine, args: Vec<Bytes>, now: Moment) {
        let start = self.output.len();
        if let Some(stall) = self.apply(engine, args, now) {
            self.hold_back(start, stall);
        }
    }

    /// Runs a command and writes its reply; how long it stalls the server.
    fn apply(&mut self, engine: &mut Engine, args: Vec<Bytes>, now: Moment) -> Option<Duration> {
        let shown = self.server.is_observed().then(|| args.clone());
        let mut effects = engine.exec(self.id, args, now);
        self.meanwhile.in_transaction = effects.in_transaction;
        self.meanwhile.protocol = effects.protocol;
        self.finish(engine, shown.as_deref(), &effects);
        self.postponed = effects.postponed.take();
        effects.stall
    }

    /// Writes a reply, and does what a command led to beside it. `shown` is the command to be told.
    fn finish(&mut self, engine: &mut Engine, shown: Option<&[Bytes]>, effects: &Effects) {
        if let Some(args) = shown {
            let kind = effects.reply.as_ref().map_or(NO_REPLY, Reply::kind).escape_debug().to_string();
            self.log(engine, args, &kind);
            self.told.push(What::Request(format!("{} -> {kind}", request_text(args))));
        }
        let own = self.deliver(engine);
        let write = |output: &mut BytesMut, after: bool| {
            for delivery in own.iter().filter(|delivery| delivery.after == after) {
                delivery.reply.write(delivery.protocol, output);
            }
        };
        write(&mut self.output, false);
        if let Some(reply) = &effects.reply {
            reply.write(effects.protocol, &mut self.output);
        }
        write(&mut self.output, true);
        self.closing |= effects.close;
        for id in &effects.kill {
            self.server.kill(*id);
        }
        if let Some(stall) = effects.stall {
            self.server.stall_for(self.id, stall);
        }
    }

    /// Sends others what the engine has for them; what it has for this connection.
    fn deliver(&self, engine: &mut Engine) -> Vec<Delivery> {
        if !engine.has_deliveries() {
            return Vec::new();
        }
        let mut all = engine.take_deliveries();
        let own = all.extract_if(.., |delivery| delivery.to == self.id).collect();
        all.iter().for_each(|delivery| self.server.deliver(delivery));
        own
    }

    /// Takes back what was written from `start` on, to be sent later.
    fn hold_back(&mut self, start: usize, by: Duration) {
        let reply = self.output.split_off(start).freeze();
        self.held = Some(Held { until: Instant::now() + by, then: Then::Send(reply) });
    }

    /// Breaks the connection if too much came in or stays unread.
    fn check_sizes(&mut self) {
        let limit = self.limit;
        if self.input.is_empty() && self.input.capacity() > KEPT_BYTES {
            self.input = BytesMut::new();
        }
        let limits = self.server.shared.limits;
        let waits_for_more = self.held.is_none() && !self.more && !self.waiting;
        let query = self.input.len() + self.parser.held_bytes();
        self.broken |=
            waits_for_more && query > limits.query_bytes || self.output.len() > limits.output_bytes;
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
