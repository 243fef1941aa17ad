//! A connection while a program has the engine: what it answers by itself, and what it leaves for later.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Duration;

use super::busy::Answer;
use super::resp::{Limits, Parser, Reply};
use super::server::RedisServer;
use crate::net::BoxStream;

/// How often a connection looks whether the engine is free again.
pub(super) const POLL: Duration = Duration::from_millis(5);
/// Bytes read ahead of a command that waits.
const READ_AHEAD: usize = 1024 * 1024;
/// Commands answered that are left to be carried out.
const MOST_LATE: usize = 10_000;

/// A command left for later.
pub(super) enum Late {
    /// Answered; to be carried out.
    Run(Vec<Bytes>),
    /// Refused with this line; to be counted, and to spoil a transaction.
    Refuse(Vec<Bytes>, String),
    /// Neither answered nor carried out yet. Always the last one.
    Answer(Vec<Bytes>),
}

/// What a connection knows of its client, and owes to the engine.
#[derive(Default)]
pub(super) struct Meanwhile {
    /// What the client may send; `None` before its first command.
    pub(super) limits: Option<Limits>,
    pub(super) in_transaction: bool,
    pub(super) protocol: u8,
    late: Vec<Late>,
}

impl Meanwhile {
    pub(super) fn is_empty(&self) -> bool {
        self.late.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.late)
    }

    /// Answers the next command; false if there is none, or it waits.
    pub(super) fn step(
        &mut self,
        server: &RedisServer,
        parser: &mut Parser,
        input: &mut BytesMut,
        output: &mut BytesMut,
    ) -> bool {
        let is_full = self.late.len() >= MOST_LATE || matches!(self.late.last(), Some(Late::Answer(_)));
        if is_full || input.is_empty() {
            return false;
        }
        let busy = &server.shared.busy;
        let limits = self.limits.unwrap_or_else(|| busy.limits());
        let Ok(Some(args)) = parser.next(input, limits) else {
            // An error is found again, and answered, once the engine is free.
            return false;
        };
        match busy.answer(&args, limits, self.in_transaction) {
            Answer::Reply(reply) => reply.write(self.protocol, output),
            Answer::Later(reply) => {
                reply.write(self.protocol, output);
                if reply == Reply::OK {
                    self.in_transaction = match &args[0] {
                        name if name.eq_ignore_ascii_case(b"multi") => true,
                        name if name.eq_ignore_ascii_case(b"discard") => false,
                        _ => self.in_transaction,
                    };
                }
                self.late.push(Late::Run(args));
            }
            Answer::Refuse(line) => {
                let ends =
                    self.in_transaction && args.first().is_some_and(|it| it.eq_ignore_ascii_case(b"exec"));
                let shown = if ends {
                    self.in_transaction = false;
                    format!("EXECABORT Transaction discarded because of: {}", line.trim_start_matches("ERR "))
                } else {
                    line.clone()
                };
                Reply::Error(shown).write(self.protocol, output);
                self.late.push(Late::Refuse(args, line));
            }
            Answer::Wait => {
                self.late.push(Late::Answer(args));
                return false;
            }
        }
        true
    }
}

/// What a connection has when it becomes known to the engine.
pub(super) struct Begun {
    pub(super) input: BytesMut,
    pub(super) parser: Parser,
    pub(super) meanwhile: Meanwhile,
}

impl Begun {
    pub(super) fn new() -> Self {
        let meanwhile = Meanwhile { protocol: 2, ..Meanwhile::default() };
        Self { input: BytesMut::new(), parser: Parser::new(), meanwhile }
    }
}

/// Serves a connection that comes while a program has the engine, so that nobody can know it yet. False if it
/// ended.
pub(super) async fn serve_unknown(server: &RedisServer, stream: &mut BoxStream, begun: &mut Begun) -> bool {
    let mut output = BytesMut::new();
    while server.shared.busy.is_busy() {
        while begun.meanwhile.step(server, &mut begun.parser, &mut begun.input, &mut output) {}
        if stream.write_all_buf(&mut output).await.is_err() {
            return false;
        }
        tokio::select! {
            biased;
            read = stream.read_buf(&mut begun.input), if begun.input.len() < READ_AHEAD => {
                if !matches!(read, Ok(1..)) {
                    return false;
                }
            }
            () = tokio::time::sleep(POLL) => {}
        }
    }
    true
}
