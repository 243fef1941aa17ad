//! Clients that wait: who is served, in which order, when waits end.

use super::*;

/// A server whose clients run commands by hand.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) at: Moment,
}

impl Bench {
    pub(super) fn new() -> Self {
        let at = Moment { unix_us: 1_000_000_000, elapsed_us: 0 };
        // A replica would take away what is to be replicated, which tests look at.
        let setup = Setup { horizon: Horizon::NONE, ..Setup::for_tests() };
        Self { engine: Engine::new(setup, at), at }
    }

    pub(super) fn client(&mut self) -> ClientId {
        self.engine.connect("test:1".to_owned(), self.at)
    }

    /// Runs a command and answers what everyone got for it.
    pub(super) fn run(&mut self, id: ClientId, line: &str) -> Vec<(ClientId, Reply)> {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let reply = self.engine.exec(id, args, self.at).reply;
        let own = reply.filter(|reply| *reply != Reply::None).map(|reply| (id, reply));
        own.into_iter().chain(self.delivered()).collect()
    }

    pub(super) fn delivered(&mut self) -> Vec<(ClientId, Reply)> {
        self.engine.take_deliveries().into_iter().map(|delivery| (delivery.to, delivery.reply)).collect()
    }
}

fn pair(key: &'static str, element: &'static str) -> Reply {
    Reply::bulks([key, element])
}

#[test]
fn clients_of_one_key_are_served_in_the_order_in_which_they_came() {
    let mut bench = Bench::new();
    let (first, second, writer) = (bench.client(), bench.client(), bench.client());
    assert_eq!(bench.run(first, "BLPOP q 0"), []);
    assert_eq!(bench.run(second, "BLPOP q 0"), []);
    assert_eq!(bench.run(writer, "RPUSH q a"), [(writer, Reply::Int(1)), (first, pair("q", "a"))]);
    assert!(!bench.engine.is_waiting(first) && bench.engine.is_waiting(second));
    assert_eq!(bench.run(writer, "RPUSH q b c"), [(writer, Reply::Int(2)), (second, pair("q", "b"))]);
    assert_eq!(bench.run(writer, "LLEN q"), [(writer, Reply::Int(1))]);
}

#[test]
fn a_client_waits_until_a_transaction_is_over_and_sees_what_it_left() {
    let mut bench = Bench::new();
    let (waiter, writer) = (bench.client(), bench.client());
    bench.run(waiter, "BLPOP q 0");
    for line in ["MULTI", "LPUSH q a", "DEL q", "EXEC"] {
        bench.run(writer, line);
    }
    assert!(bench.engine.is_waiting(waiter));
}

#[test]
fn a_value_of_another_type_does_not_end_a_wait() {
    let mut bench = Bench::new();
    let (waiter, writer) = (bench.client(), bench.client());
    bench.run(waiter, "BLPOP q 0");
    bench.run(writer, "ZADD q 1 a");
    assert!(bench.engine.is_waiting(waiter));
}

#[test]
fn moving_an_element_serves_whoever_waits_for_its_target() {
    let mut bench = Bench::new();
    let (mover, popper, writer) = (bench.client(), bench.client(), bench.client());
    bench.run(mover, "BLMOVE a b LEFT RIGHT 0");
    bench.run(popper, "BRPOP b 0");
    let got = bench.run(writer, "LPUSH a x");
    assert_eq!(got, [(writer, Reply::Int(1)), (mover, Reply::bulk("x")), (popper, pair("b", "x"))]);
}

#[test]
fn a_wait_ends_a_millisecond_after_its_deadline_and_not_before() {
    let mut bench = Bench::new();
    let waiter = bench.client();
    bench.run(waiter, "BZPOPMIN z 0.1");
    bench.at.unix_us += 100_000;
    bench.engine.run_due(bench.at);
    assert!(bench.engine.is_waiting(waiter));
    let due = bench.engine.next_due_ms();
    assert_eq!(due, Some(bench.at.unix_ms() + 1));
    bench.at.unix_us += 1000;
    bench.engine.run_due(bench.at);
    assert_eq!(bench.delivered(), [(waiter, Reply::NullArray)]);
    assert_eq!(bench.engine.next_due_ms(), None);
}

#[test]
fn a_client_that_leaves_waits_no_longer() {
    let mut bench = Bench::new();
    let (waiter, writer) = (bench.client(), bench.client());
    bench.run(waiter, "BLPOP q 5");
    bench.engine.disconnect(waiter);
    bench.run(writer, "RPUSH q a");
    assert_eq!(bench.run(writer, "LLEN q"), [(writer, Reply::Int(1))]);
    assert_eq!(bench.engine.next_due_ms(), None);
}

#[test]
fn a_command_that_makes_nothing_ready_says_nothing_of_the_next() {
    let mut bench = Bench::new();
    let (waiting, writer) = (bench.client(), bench.client());
    for line in ["SET t v", "EXPIRE t 1000", "PERSIST t"] {
        bench.run(writer, line);
    }
    assert_eq!(bench.run(waiting, "BLPOP q 0"), []);
    let served = bench.run(writer, "RPUSH q x");
    assert!(served.contains(&(waiting, pair("q", "x"))), "{served:?}");
}
