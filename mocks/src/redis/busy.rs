//! A script or function that runs for long, and what clients are told meanwhile.
//!
//! The program has the engine, so nothing here asks the engine: what is needed to answer `BUSY`, `SCRIPT KILL`
//! and what else is allowed then is noted when the program begins. Commands that change the state of their
//! client (`MULTI`, …) are answered and carried out afterwards.
//!
//! On a multi-threaded runtime in real time, the program's thread hands its other tasks to another thread once
//! it is busy. On a runtime of one thread nobody could be answered, and in virtual time none passes while a
//! program runs: there a program has its budget of instructions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::engine::cmd::function::stats_reply;
use super::engine::table::flags::{ALLOW_BUSY, NO_AUTH};
use super::engine::table::{self, Spec};
use super::engine::{ClientId, CmdError, Running, Verdict, Watcher};
use super::resp::{Limits, Reply};
use crate::Clock;

/// Watches the programs of one server.
pub(super) struct Busy {
    clock: Clock,
    run: Mutex<Option<Run>>,
    /// A program has been running for longer than the threshold.
    busy: AtomicBool,
    stop: AtomicBool,
    wrote: AtomicBool,
    /// Clients that left meanwhile.
    gone: Mutex<Vec<ClientId>>,
}

struct Run {
    running: Running,
    began: Duration,
}

/// What to do with a command that comes while the server is busy.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Nothing but this reply.
    Reply(Reply),
    /// This error, counted afterwards.
    Refuse(String),
    /// This reply; the command is carried out afterwards.
    Later(Reply),
    /// It waits until the server is free.
    Wait,
}

/// Longest wait for another thread to take over the tasks of the program's.
const HANDOVER: Duration = Duration::from_millis(50);
const SCRIPT_BUSY: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const FUNCTION_BUSY: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

impl Busy {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            run: Mutex::default(),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            gone: Mutex::default(),
        }
    }

    /// Whether a program has the engine and others are answered here.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// What clients may send whose own limits are not known.
    pub(super) fn limits(&self) -> Limits {
        let run = lock(&self.run);
        run.as_ref().map_or(Limits { bulk_bytes: 0, authenticated: false }, |run| run.running.limits)
    }

    /// Notes that a client left, for whoever has the engine next.
    pub(super) fn leave(&self, id: ClientId) {
        lock(&self.gone).push(id);
    }

    /// Clients that left while the server was busy.
    pub(super) fn take_gone(&self) -> Vec<ClientId> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Answers a command. `protocol` is the client's, `limits` say whether it has authenticated.
    pub(super) fn answer(&self, args: &[Bytes], limits: Limits, in_transaction: bool) -> Answer {
        let run = lock(&self.run);
        let Some(run) = run.as_ref() else { return Answer::Wait };
        let spec = match table::resolve(args) {
            Ok(spec) if spec.takes(args.len()) => spec,
            Ok(spec) => return Answer::Refuse(CmdError::wrong_arity(spec.name).to_string()),
            Err(error) => return Answer::Refuse(error.to_string()),
        };
        if !limits.authenticated && !spec.has(NO_AUTH) {
            return Answer::Refuse(CmdError::NO_AUTH.to_string());
        }
        let busy_line = if run.running.is_function { FUNCTION_BUSY } else { SCRIPT_BUSY };
        let needs_save =
            spec.name == "shutdown" && !args.iter().any(|word| word.eq_ignore_ascii_case(b"nosave"));
        if !spec.has(ALLOW_BUSY) || needs_save {
            return Answer::Refuse(busy_line.to_owned());
        }
        self.answer_allowed(spec, run, in_transaction)
    }

    fn answer_allowed(&self, spec: &'static Spec, run: &Run, in_transaction: bool) -> Answer {
        let refuse = |line: &str| Answer::Refuse(line.to_owned());
        match spec.name {
            "multi" | "watch" if in_transaction => Answer::Wait,
            "discard" if !in_transaction => Answer::Wait,
            "multi" | "watch" | "discard" => Answer::Later(Reply::OK),
            "unwatch" if !in_transaction => Answer::Later(Reply::OK),
            "auth" | "hello" | "reset" | "quit" => Answer::Wait,
            _ if in_transaction => Answer::Later(Reply::Status("QUEUED".into())),
            "script|kill" | "function|kill" if self.wrote.load(Ordering::Acquire) => refuse(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can \
                 either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE \
                 command.",
            ),
            "script|kill" if run.running.is_function => refuse(FUNCTION_BUSY),
            "function|kill" | "function|stats" if !run.running.is_function => refuse(SCRIPT_BUSY),
            "script|kill" | "function|kill" => {
                self.stop.store(true, Ordering::Release);
                Answer::Reply(Reply::OK)
            }
            "function|stats" => Answer::Reply(self.stats(run)),
            "shutdown" => {
                // The program ends first, whatever it has written.
                self.stop.store(true, Ordering::Release);
                Answer::Wait
            }
            _ => Answer::Wait,
        }
    }

    fn stats(&self, run: &Run) -> Reply {
        let elapsed = self.clock.elapsed().saturating_sub(run.began);
        let running = Reply::Map(vec![
            (Reply::bulk("name"), Reply::bulk(run.running.name.clone())),
            (Reply::bulk("command"), Reply::bulks(run.running.command.iter().cloned())),
            (Reply::bulk("duration_ms"), Reply::Int(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))),
        ]);
        stats_reply(running, run.running.counts)
    }
}

impl Watcher for Busy {
    fn begin(&self, describe: &mut dyn FnMut() -> Running) -> bool {
        let threaded =
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if threaded {
            self.stop.store(false, Ordering::Release);
            self.wrote.store(false, Ordering::Release);
            *lock(&self.run) = Some(Run { running: describe(), began: self.clock.elapsed() });
        }
        threaded
    }

    fn look(&self) -> Verdict {
        if self.stop.load(Ordering::Acquire) {
            return Verdict::Stop;
        }
        let limits = lock(&self.run).as_ref().map(|run| (run.began, run.running.threshold_ms));
        let Some((began, threshold_ms)) = limits else { return Verdict::Count };
        let elapsed = self.clock.elapsed().saturating_sub(began);
        if elapsed.is_zero() {
            // A clock that stands still, so the threshold would never be passed.
            return Verdict::Count;
        }
        if elapsed >= Duration::from_millis(threshold_ms) && !self.busy.swap(true, Ordering::AcqRel) {
            hand_over();
        }
        Verdict::GoOn
    }

    fn wrote(&self) {
        self.wrote.store(true, Ordering::Release);
    }

    fn end(&self) {
        *lock(&self.run) = None;
        self.busy.store(false, Ordering::Release);
    }

    fn unix_us(&self) -> i64 {
        self.clock.unix_us()
    }
}

/// Has another thread of the runtime take over this one's tasks. Waits until one of them ran, since a thread
/// that goes on at once takes its tasks back.
fn hand_over() {
    let (ran, has_run) = mpsc::channel();
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        // Nobody listens if it took too long.
        let _ = ran.send(());
    });
    // Whether it ran or not, the program goes on.
    let _ = tokio::task::block_in_place(|| has_run.recv_timeout(HANDOVER));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bulk_bytes: 1024, authenticated: true };

    fn busy_with(is_function: bool) -> Busy {
        let busy = Busy::new(Clock::from_source(0, || Duration::ZERO));
        let running = Running {
            is_function,
            name: "f".to_owned(),
            command: vec![Bytes::from_static(b"fcall")],
            counts: (1, 2),
            threshold_ms: 1,
            limits: LIMITS,
        };
        *lock(&busy.run) = Some(Run { running, began: Duration::ZERO });
        busy.busy.store(true, Ordering::Release);
        busy
    }

    fn ask(busy: &Busy, line: &str, in_transaction: bool) -> Answer {
        let args: Vec<Bytes> = line.split(' ').map(|word| Bytes::from(word.to_owned())).collect();
        busy.answer(&args, LIMITS, in_transaction)
    }

    #[test]
    fn each_kind_of_program_is_killed_by_its_own_command() {
        let (script, function) = (busy_with(false), busy_with(true));
        assert_eq!(ask(&script, "function kill", false), Answer::Refuse(SCRIPT_BUSY.to_owned()));
        assert_eq!(ask(&function, "script kill", false), Answer::Refuse(FUNCTION_BUSY.to_owned()));
        assert_eq!(ask(&script, "function stats", false), Answer::Refuse(SCRIPT_BUSY.to_owned()));
        assert!(matches!(ask(&function, "function stats", false), Answer::Reply(Reply::Map(_))));
        for (busy, command) in [(script, "script kill"), (function, "function kill")] {
            assert_eq!(busy.look(), Verdict::Count, "the clock stands still");
            assert_eq!(ask(&busy, command, false), Answer::Reply(Reply::OK));
            assert_eq!(busy.look(), Verdict::Stop);
        }
    }

    #[test]
    fn what_has_written_is_not_killed() {
        let busy = busy_with(false);
        busy.wrote();
        let Answer::Refuse(line) = ask(&busy, "script kill", false) else { panic!("it was killed") };
        assert!(line.starts_with("UNKILLABLE Sorry the script already executed write commands"));
        assert_eq!(busy.look(), Verdict::Count);
    }

    #[test]
    fn errors_that_need_no_engine_come_before_busy() {
        let busy = busy_with(false);
        assert_eq!(ask(&busy, "get k", false), Answer::Refuse(SCRIPT_BUSY.to_owned()));
        assert!(matches!(ask(&busy, "get", false), Answer::Refuse(line) if line.contains("wrong number")));
        assert!(
            matches!(ask(&busy, "nosuch", false), Answer::Refuse(line) if line.contains("unknown command"))
        );
        let stranger = Limits { authenticated: false, ..LIMITS };
        let ping = [Bytes::from_static(b"ping")];
        assert_eq!(busy.answer(&ping, stranger, false), Answer::Refuse(CmdError::NO_AUTH.to_string()));
    }

    #[test]
    fn a_transaction_may_begin_and_end_but_not_run() {
        let busy = busy_with(false);
        assert_eq!(ask(&busy, "multi", false), Answer::Later(Reply::OK));
        assert_eq!(ask(&busy, "exec", true), Answer::Refuse(SCRIPT_BUSY.to_owned()));
        assert_eq!(ask(&busy, "script kill", true), Answer::Later(Reply::Status("QUEUED".into())));
        assert_eq!(ask(&busy, "discard", true), Answer::Later(Reply::OK));
        assert_eq!(ask(&busy, "auth x", false), Answer::Wait);
    }
}
