//! What every engine promises, seen from inside the hosts.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Engine, Software, SteppedEngine};
use crate::sim::{Context, HostId, current_host, now};

const TICK: Duration = Duration::from_millis(10);

type Log = Rc<RefCell<Vec<(u16, u128)>>>;

/// Writes down host and time, now and every 20 ms, from a task of its own.
fn clockwork(log: &Log) -> Software {
    let log = Rc::clone(log);
    Rc::new(move || {
        let log = Rc::clone(&log);
        Box::pin(async move {
            let ticking = tokio::task::spawn_local(async move {
                loop {
                    log.borrow_mut().push((current_host().expect("inside a host").0, now().as_millis()));
                    sleep(Duration::from_millis(20)).await;
                }
            });
            ticking.await.expect("it does not end");
        })
    })
}

fn run(engine: &mut SteppedEngine, steps: usize) {
    (0..steps).for_each(|_| engine.step());
}

fn of(log: &Log, host: HostId) -> Vec<u128> {
    log.borrow().iter().filter(|(of, _)| *of == host.0).map(|(_, at)| *at).collect()
}

#[test]
fn every_host_sees_the_same_time_whenever_it_was_started() {
    let _context = Context::enter(1);
    let log = Log::default();
    let mut engine = SteppedEngine::new(1, TICK);
    let a = engine.add_host("a", clockwork(&log));
    run(&mut engine, 3);
    let b = engine.add_host("b", clockwork(&log));
    run(&mut engine, 3);
    engine.restart(a);
    run(&mut engine, 3);
    assert_eq!(of(&log, a), [0, 20, 40, 60, 80]);
    assert_eq!(of(&log, b), [30, 50, 70]);
    assert_eq!(engine.elapsed(), Duration::from_millis(90));
}

#[test]
fn a_paused_host_does_nothing_and_then_finds_that_time_has_passed() {
    let _context = Context::enter(1);
    let log = Log::default();
    let mut engine = SteppedEngine::new(1, TICK);
    let (a, b) = (engine.add_host("a", clockwork(&log)), engine.add_host("b", clockwork(&log)));
    run(&mut engine, 3);
    engine.pause(a);
    run(&mut engine, 7);
    assert_eq!(of(&log, a), [0, 20]);
    engine.resume(a);
    run(&mut engine, 3);
    // The timer that was due at 40 ms fires late, and the next is counted from there.
    assert_eq!(of(&log, a), [0, 20, 100, 120]);
    assert_eq!(of(&log, b), [0, 20, 40, 60, 80, 100, 120]);
}

#[test]
fn all_timers_that_were_due_in_a_pause_fire_at_its_end() {
    let _context = Context::enter(1);
    let log = Log::default();
    let mut engine = SteppedEngine::new(1, TICK);
    let inner = Rc::clone(&log);
    let software: Software = Rc::new(move || {
        let log = Rc::clone(&inner);
        Box::pin(async move {
            let start = Instant::now();
            let timers = [15, 25, 35].map(|at| {
                let log = Rc::clone(&log);
                async move {
                    sleep_until(start + Duration::from_millis(at)).await;
                    log.borrow_mut().push((0, now().as_millis()));
                }
            });
            futures::future::join_all(timers).await;
        })
    });
    let host = engine.add_host("a", software);
    run(&mut engine, 1);
    engine.pause(host);
    run(&mut engine, 5);
    engine.resume(host);
    run(&mut engine, 1);
    assert_eq!(of(&log, host), [60, 60, 60]);
}

#[test]
fn a_pause_dies_with_its_process() {
    let _context = Context::enter(1);
    let log = Log::default();
    let mut engine = SteppedEngine::new(1, TICK);
    let host = engine.add_host("a", clockwork(&log));
    run(&mut engine, 1);
    engine.pause(host);
    engine.crash(host);
    engine.pause(host);
    run(&mut engine, 2);
    engine.restart(host);
    run(&mut engine, 1);
    assert_eq!(of(&log, host), [0, 30]);
}
