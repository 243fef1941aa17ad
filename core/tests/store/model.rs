//! The store in memory against a model: random operations, and after each one the same answer and the same
//! content. The model is one list searched from the start, so it shares no index and no rule of thumb with
//! the store.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::json;
use squall_core::clock::Clock;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::store::{
    Append, Appended, ClaimRequest, Committed, EventStore, ExpectedVersion, Finish, Finished, InboxKey,
    InboxRow, InboxState, MemoryStore, NewOutboxRow, ParkedKey, Position, StoreError, StreamName,
    Transaction,
};

const STREAMS: u8 = 3;
const HANDLERS: u8 = 2;
const EVENTS: u8 = 6;

/// An event by its number; a forged one has the same id and another digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    n: u8,
    forged: bool,
}

#[derive(Clone, Debug)]
struct Add {
    stream: u8,
    expected: ExpectedVersion,
    events: Vec<Told>,
}

#[derive(Clone, Debug)]
enum Operation {
    Append(Add),
    Claim { handler: u8, event: Told, effect: u8 },
    Commit { adds: Vec<Add>, finish: Option<(u8, u8, Finished)>, outbox: Vec<u8>, park: Option<u8> },
    Overwrite { handler: u8, n: u8, state: InboxState },
    Sent(Vec<u64>),
    Unpark(u8),
}

/// What an operation answers, as far as it is promised.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Nothing,
    Places(Vec<Appended>, Vec<u64>),
    Row(InboxRow),
    Finished(InboxRow),
    Conflict(u64),
    PartialDuplicate,
    Collision,
    Invalid,
    NotClaimed,
}

#[derive(Clone, Debug)]
struct Model {
    log: Vec<(u8, Told)>,
    inbox: BTreeMap<(u8, u8), (InboxRow, bool)>,
    outbox: Vec<(u64, u8)>,
    last_seq: u64,
    parked: BTreeSet<u8>,
    answer: Answer,
}

impl Model {
    fn add(&mut self, add: &Add) -> Result<Appended, Answer> {
        let numbers: BTreeSet<u8> = add.events.iter().map(|told| told.n).collect();
        if add.events.is_empty() || numbers.len() < add.events.len() {
            return Err(Answer::Invalid);
        }
        let known: Vec<Told> =
            self.log.iter().map(|(_, told)| *told).filter(|told| numbers.contains(&told.n)).collect();
        if known.iter().any(|told| !add.events.contains(told)) {
            return Err(Answer::Collision);
        }
        let length = add.events.len();
        if known.is_empty() {
            let actual = self.stream(add.stream).len() as u64;
            let allowed = match add.expected {
                ExpectedVersion::Any => true,
                ExpectedVersion::NoStream => actual == 0,
                ExpectedVersion::Exists => actual != 0,
                ExpectedVersion::Exact(version) => actual == version,
            };
            if !allowed {
                return Err(Answer::Conflict(actual));
            }
            self.log.extend(add.events.iter().map(|told| (add.stream, *told)));
        }
        // Whether just written or long ago: where in the stream does the run stand?
        let stream = self.stream(add.stream);
        let run = |start: &usize| {
            stream.iter().skip(*start).take(length).map(|(_, told)| *told).collect::<Vec<_>>() == add.events
        };
        let start = (0..stream.len()).find(run).ok_or(Answer::PartialDuplicate)?;
        let (first, last) = (start, start + length - 1);
        Ok(Appended {
            first_version: first as u64 + 1,
            last_version: last as u64 + 1,
            first_position: Position(stream[first].0),
            last_position: Position(stream[last].0),
            duplicate: !known.is_empty(),
        })
    }

    /// Positions and events of a stream.
    fn stream(&self, stream: u8) -> Vec<(u64, Told)> {
        let numbered = (1..).zip(&self.log);
        numbered
            .filter(|(_, (owner, _))| *owner == stream)
            .map(|(position, (_, told))| (position, *told))
            .collect()
    }

    fn claim(&mut self, handler: u8, event: Told, effect: u8) -> Answer {
        let fresh = InboxRow {
            state: InboxState::Claimed,
            effect_key: effect.to_string(),
            attempts: 0,
            digest: Some(tell(event).digest()),
        };
        let (row, forged) = self.inbox.entry((handler, event.n)).or_insert((fresh, event.forged));
        if *forged != event.forged {
            return Answer::Collision;
        }
        row.attempts += u32::from(row.state == InboxState::Claimed);
        Answer::Row(row.clone())
    }

    fn commit(
        &mut self,
        adds: &[Add],
        finish: Option<(u8, u8, Finished)>,
        outbox: &[u8],
        park: Option<u8>,
    ) -> Result<Answer, Answer> {
        if let Some((handler, n, state)) = finish {
            let (row, _) = self.inbox.get_mut(&(handler, n)).ok_or(Answer::NotClaimed)?;
            if row.state != InboxState::Claimed {
                return Ok(Answer::Finished(row.clone()));
            }
            row.state = state.into();
        }
        let places = adds.iter().map(|add| self.add(add)).collect::<Result<_, _>>()?;
        let first = self.last_seq + 1;
        self.outbox.extend((first..).zip(outbox.iter().copied()));
        self.last_seq += outbox.len() as u64;
        self.parked.extend(park);
        Ok(Answer::Places(places, (first..=self.last_seq).collect()))
    }
}

struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Model;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model {
            log: Vec::new(),
            inbox: BTreeMap::new(),
            outbox: Vec::new(),
            last_seq: 0,
            parked: BTreeSet::new(),
            answer: Answer::Nothing,
        })
        .boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Operation> {
        let finish = (0..HANDLERS, 0..EVENTS, finished());
        let work = (
            prop::collection::vec(add(), 0..3),
            prop::option::of(finish),
            prop::collection::vec(any::<u8>(), 0..3),
            prop::option::weighted(0.3, 0..HANDLERS),
        );
        prop_oneof![
            4 => add().prop_map(Operation::Append),
            4 => (0..HANDLERS, told(), any::<u8>())
                .prop_map(|(handler, event, effect)| Operation::Claim { handler, event, effect }),
            4 => work.prop_map(|(adds, finish, outbox, park)| Operation::Commit { adds, finish, outbox, park }),
            1 => (0..HANDLERS, 0..EVENTS, state())
                .prop_map(|(handler, n, state)| Operation::Overwrite { handler, n, state }),
            1 => prop::collection::vec(0..8_u64, 0..4).prop_map(Operation::Sent),
            1 => (0..HANDLERS).prop_map(Operation::Unpark),
        ]
        .boxed()
    }

    fn apply(mut model: Model, operation: &Operation) -> Model {
        let before = model.clone();
        model.answer = match operation {
            Operation::Append(add) => model
                .add(add)
                .map_or_else(|refused| refused, |appended| Answer::Places(vec![appended], Vec::new())),
            Operation::Claim { handler, event, effect } => model.claim(*handler, *event, *effect),
            Operation::Commit { adds, finish, outbox, park } => {
                match model.commit(adds, *finish, outbox, *park) {
                    Ok(answer) => answer,
                    Err(refused) => {
                        model = before;
                        refused
                    }
                }
            }
            Operation::Overwrite { handler, n, state } => {
                model.inbox.insert((*handler, *n), (overwritten(*n, *state), false));
                Answer::Nothing
            }
            Operation::Sent(seqs) => {
                model.outbox.retain(|(seq, _)| !seqs.contains(seq));
                Answer::Nothing
            }
            Operation::Unpark(handler) => {
                model.parked.remove(handler);
                Answer::Nothing
            }
        };
        model
    }
}

struct Memory;

impl StateMachineTest for Memory {
    type SystemUnderTest = MemoryStore;
    type Reference = Reference;

    fn init_test(_: &Model) -> MemoryStore {
        MemoryStore::new(Clock::from_source(0, || std::time::Duration::ZERO))
    }

    fn apply(store: MemoryStore, model: &Model, operation: Operation) -> MemoryStore {
        let answer = now(perform(&store, operation));
        assert_eq!(answer, model.answer);
        now(compare(&store, model));
        store
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_store_in_memory_behaves_as_its_model(sequential 1..40 => Memory);
}

async fn perform(store: &MemoryStore, operation: Operation) -> Answer {
    let answer = match operation {
        Operation::Append(add) => {
            let appended = store.append(append(&add)).await;
            appended.map(|appended| Answer::Places(vec![appended], Vec::new()))
        }
        Operation::Claim { handler, event, effect } => {
            let request = ClaimRequest { digest: Some(tell(event).digest()), effect_key: effect.to_string() };
            store.claim(&inbox_key(handler, event.n), request).await.map(Answer::Row)
        }
        Operation::Commit { adds, finish, outbox, park } => {
            let transaction = Transaction {
                appends: adds.iter().map(append).collect(),
                finish: finish.map(|(handler, n, state)| Finish { key: inbox_key(handler, n), state }),
                outbox: outbox.into_iter().map(outbox_row).collect(),
                park: park.map(|handler| ParkedKey { handler: handler.to_string(), key: "key".into() }),
            };
            store.commit(transaction).await.map(|committed| match committed {
                Committed::Applied { appended, outbox } => Answer::Places(appended, outbox),
                Committed::AlreadyFinished(row) => Answer::Finished(row),
            })
        }
        Operation::Overwrite { handler, n, state } => {
            let written = store.put_inbox(&inbox_key(handler, n), overwritten(n, state)).await;
            written.map(|()| Answer::Nothing)
        }
        Operation::Sent(seqs) => store.outbox_sent(&seqs).await.map(|()| Answer::Nothing),
        Operation::Unpark(handler) => {
            store.unpark(&handler.to_string(), b"key").await.map(|()| Answer::Nothing)
        }
    };
    answer.unwrap_or_else(|error| match error {
        StoreError::Conflict { actual, .. } => Answer::Conflict(actual),
        StoreError::PartialDuplicate { .. } => Answer::PartialDuplicate,
        StoreError::Identity(_) => Answer::Collision,
        StoreError::InvalidAppend { .. } => Answer::Invalid,
        StoreError::NotClaimed { .. } => Answer::NotClaimed,
        other => panic!("no operation of the model answers {other}"),
    })
}

async fn compare(store: &MemoryStore, model: &Model) {
    let all = store.read_all(Position::START, usize::MAX).await.expect("events");
    let expected: Vec<_> =
        (1..).zip(&model.log).map(|(at, (stream, told))| (at, *stream, tell(*told))).collect();
    let found: Vec<_> = all
        .iter()
        .map(|stored| {
            (stored.position.0, stored.stream.as_str().parse().expect("a number"), stored.event.clone())
        })
        .collect();
    assert_eq!(found, expected);
    for stream in 0..STREAMS {
        let stored = store.read(&stream_name(stream), 1, usize::MAX).await.expect("events");
        let found: Vec<_> = stored.iter().map(|stored| (stored.version, stored.position.0)).collect();
        let expected: Vec<_> =
            (1..).zip(model.stream(stream).into_iter().map(|(position, _)| position)).collect();
        assert_eq!(found, expected, "stream {stream}");
    }
    for handler in 0..HANDLERS {
        let parked = store.parked(&handler.to_string(), b"key").await;
        assert_eq!(parked, Ok(model.parked.contains(&handler)));
        for n in 0..EVENTS {
            let row = store.inbox(&inbox_key(handler, n)).await;
            assert_eq!(row, Ok(model.inbox.get(&(handler, n)).map(|(row, _)| row.clone())));
        }
    }
    let pending = store.outbox_pending(usize::MAX).await.expect("outbox rows");
    let found: Vec<_> = pending.into_iter().map(|pending| (pending.seq, pending.row)).collect();
    let expected: Vec<_> = model.outbox.iter().map(|(seq, n)| (*seq, outbox_row(*n))).collect();
    assert_eq!(found, expected);
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory without latency never waits")
}

fn told() -> impl Strategy<Value = Told> {
    (0..EVENTS, prop::bool::weighted(0.05)).prop_map(|(n, forged)| Told { n, forged })
}

fn add() -> impl Strategy<Value = Add> {
    let expected = prop_oneof![
        3 => Just(ExpectedVersion::Any),
        1 => Just(ExpectedVersion::NoStream),
        1 => Just(ExpectedVersion::Exists),
        1 => (0..4_u64).prop_map(ExpectedVersion::Exact),
    ];
    // Runs of numbers that follow each other make repetitions likely, single ones make partial ones likely.
    let run = (0..EVENTS, 1..3_u8).prop_map(|(from, length)| {
        (from..(from + length).min(EVENTS)).map(|n| Told { n, forged: false }).collect()
    });
    let events = prop_oneof![3 => run, 1 => prop::collection::vec(told(), 0..4)];
    (0..STREAMS, expected, events).prop_map(|(stream, expected, events)| Add { stream, expected, events })
}

fn finished() -> impl Strategy<Value = Finished> {
    prop::sample::select(vec![Finished::Done, Finished::Dead])
}

fn state() -> impl Strategy<Value = InboxState> {
    prop::sample::select(vec![InboxState::Claimed, InboxState::Done, InboxState::Dead])
}

fn tell(told: Told) -> EventEnvelope {
    let event = EventEnvelope::builder("told", 1, "squall://model")
        .occurrence(Occurrence::Business(told.n.to_string()))
        .build()
        .expect("an event");
    if !told.forged {
        return event;
    }
    let mut value = event.to_value();
    let digest = event.digest().to_string();
    let other_end = if digest.ends_with('0') { '1' } else { '0' };
    value["iddigest"] = json!(format!("{}{other_end}", &digest[..63]));
    EventEnvelope::from_value(value).expect("a well-formed forgery")
}

fn stream_name(stream: u8) -> StreamName {
    StreamName::new(stream.to_string()).expect("a name")
}

fn append(add: &Add) -> Append {
    let events = add.events.iter().map(|told| tell(*told)).collect();
    Append { stream: stream_name(add.stream), expected: add.expected, events }
}

fn inbox_key(handler: u8, n: u8) -> InboxKey {
    InboxKey::event(handler.to_string(), tell(Told { n, forged: false }).id())
}

fn overwritten(n: u8, state: InboxState) -> InboxRow {
    let digest = Some(tell(Told { n, forged: false }).digest());
    InboxRow { state, effect_key: "by hand".to_owned(), attempts: 3, digest }
}

fn outbox_row(n: u8) -> NewOutboxRow {
    NewOutboxRow { topic: "t".into(), key: None, headers: Vec::new(), value: vec![n].into(), event: None }
}
