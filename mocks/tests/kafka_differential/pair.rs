//! A trial's conversation with both clusters: every request goes to both, answers are compared as they come.
//!
//! The request may differ between the sides where it holds what a server gave out (a member's id, a topic's id):
//! it is then made from the answers with [`Both::map`]. Differences are collected, so that one run shows all.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Request;
use squall_mocks::Clock;
use uuid::Uuid;

use crate::build;
use crate::same::{Names, difference};
use crate::servers::Servers;
use crate::wire::{Connection, is_closed};

/// Looks at a server before it is given up; each is a round trip.
const LOOKS: usize = 100_000;
/// Names of groups that are tried for a coordinator.
const GROUPS: usize = 40;
/// Longest request that is printed in full.
const SHOWN: usize = 600;
static TRIALS: AtomicUsize = AtomicUsize::new(0);

/// The same of both sides.
#[derive(Clone, Debug)]
pub struct Both<T> {
    pub real: T,
    pub mock: T,
}

impl<T> Both<T> {
    pub fn same(value: T) -> Self
    where
        T: Clone,
    {
        Self { real: value.clone(), mock: value }
    }

    pub fn map<U>(&self, make: impl Fn(&T) -> U) -> Both<U> {
        Both { real: make(&self.real), mock: make(&self.mock) }
    }
}

/// A request to both sides, or one for each.
pub trait Ask {
    type Request: Request + Debug;
    fn each(self) -> Both<Self::Request>;
}

impl<R: Request + Debug + Clone> Ask for R {
    type Request = R;
    fn each(self) -> Both<R> {
        Both::same(self)
    }
}

impl<R: Request + Debug> Ask for Both<R> {
    type Request = R;
    fn each(self) -> Self {
        self
    }
}

type Response<A> = <<A as Ask>::Request as Request>::Response;

/// One side of a conversation.
struct Side {
    addresses: Vec<String>,
    connections: BTreeMap<(i32, String), Connection>,
    names: Names,
}

/// A conversation with both.
pub struct Pair {
    sides: Both<Side>,
    prefix: String,
    /// Which brokers are spoken to, and on which of the connections to them.
    node: Both<i32>,
    connection: String,
    differences: Vec<String>,
}

impl Pair {
    /// Runs a sequence and says what differed.
    pub fn run(
        servers: &Servers,
        sequence: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut pair = Self::new(servers)?;
        let ended = sequence(&mut pair);
        if let Err(why) = ended {
            pair.differences.push(why);
        }
        if pair.differences.is_empty() { Ok(()) } else { Err(format!("\n{}", pair.differences.join("\n"))) }
    }

    pub fn new(servers: &Servers) -> Result<Self, String> {
        let prefix = format!("s{}x", TRIALS.fetch_add(1, Ordering::Relaxed));
        let started_ms = Clock::system().unix_ms();
        let side = |addresses: &Vec<String>| Side {
            addresses: addresses.clone(),
            connections: BTreeMap::new(),
            names: Names::new(addresses, &prefix, "", started_ms),
        };
        let sides = servers.addresses.map(side);
        let (node, connection) = (Both::same(1), String::new());
        let mut pair = Self { sides, prefix, node, connection, differences: Vec::new() };
        let metadata = pair.fetch(9, MetadataRequest::default().with_topics(Some(Vec::new())))?;
        let id = |answer: &MetadataResponse| answer.cluster_id.clone().unwrap_or_default();
        for (side, id) in
            [(&mut pair.sides.real, id(&metadata.real)), (&mut pair.sides.mock, id(&metadata.mock))]
        {
            side.names = Names::new(&side.addresses, &pair.prefix, &id, started_ms);
        }
        Ok(pair)
    }

    /// A topic's or group's name that no other trial uses. Answers are compared without what was added.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Speaks to these brokers from now on.
    pub fn go(&mut self, node: Both<i32>) {
        self.node = node;
    }

    /// Speaks on another connection from now on, which is opened if need be.
    pub fn on(&mut self, connection: &str) {
        connection.clone_into(&mut self.connection);
    }

    /// Sends a request and compares the answers, which must come.
    pub fn ask<A: Ask>(&mut self, version: i16, ask: A) -> Result<Both<Response<A>>, String>
    where
        Response<A>: Debug,
    {
        self.ask_but(version, ask, |_| {})
    }

    /// Sends a request and compares the answers but for what `blur` takes away: orders, choices.
    pub fn ask_but<A: Ask>(
        &mut self,
        version: i16,
        ask: A,
        blur: impl Fn(&mut Response<A>),
    ) -> Result<Both<Response<A>>, String>
    where
        Response<A>: Debug,
    {
        let request = self.send(version, ask)?;
        self.receive_but::<A::Request>(version, &request, blur)
    }

    /// Sends a request upon which the broker is to close the connection.
    pub fn ask_closes<A: Ask>(&mut self, version: i16, ask: A) -> Result<(), String>
    where
        Response<A>: Debug,
    {
        let request = self.send(version, ask)?;
        let answers = self.try_receive::<A::Request>(version)?;
        let texts = Both {
            real: answers.real.as_ref().map(|answer| self.sides.real.names.plain(answer)),
            mock: answers.mock.as_ref().map(|answer| self.sides.mock.names.plain(answer)),
        };
        if let Both { real: None, mock: None } = &texts {
            return Ok(());
        }
        let told = |text: Option<String>| text.unwrap_or_else(|| "closes the connection".to_owned());
        let (real, mock) = (told(texts.real), told(texts.mock));
        self.differences.push(format!("{request}: both should close\n    real {real}\n    mock {mock}"));
        Ok(())
    }

    /// Sends any bytes as a frame and compares the frames that come back, if any.
    pub fn ask_frame(&mut self, body: &[u8]) -> Result<(), String> {
        self.ask_frames(&Both::same(body.to_vec()), None)
    }

    /// The same with a frame for each; a topic's id in the answers may differ.
    pub fn ask_frames(&mut self, bodies: &Both<Vec<u8>>, ids: Option<&Both<Uuid>>) -> Result<(), String> {
        let mut one = |real: bool| {
            let body = if real { &bodies.real } else { &bodies.mock };
            let (connection, key) = self.connection_of(real)?;
            let sent = connection.send_frame(body).and_then(|()| connection.receive_frame());
            match sent {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_closed(&error) => {
                    self.side(real).connections.remove(&key);
                    Ok(None)
                }
                Err(error) => Err(format!("{body:?} to {}: {error}", if real { "real" } else { "mock" })),
            }
        };
        // The mock's answer as it would be with the real one's id.
        let translated = |frame: Bytes| {
            let mut frame = Vec::from(frame);
            let id = ids.map(|ids| (ids.mock.into_bytes(), ids.real.into_bytes()));
            for at in 0..frame.len().saturating_sub(15) {
                match (id, &mut frame[at..at + 16]) {
                    (Some((mock, real)), place) if *place == mock => place.copy_from_slice(&real),
                    _ => {}
                }
            }
            Bytes::from(frame)
        };
        let (real, mock) = (one(true)?, one(false)?.map(translated));
        if real != mock {
            let body = &bodies.mock;
            self.differences.push(format!("frame {body:?}\n    real {real:?}\n    mock {mock:?}"));
        }
        Ok(())
    }

    /// Sends a request and does not wait; returns how it is shown.
    pub fn send<A: Ask>(&mut self, version: i16, ask: A) -> Result<String, String> {
        let request = ask.each();
        let key = A::Request::KEY;
        let api = ApiKey::try_from(key).map_or_else(|()| key.to_string(), |key| format!("{key:?}"));
        for (real, request) in [(true, &request.real), (false, &request.mock)] {
            let (connection, _) = self.connection_of(real)?;
            connection.send(version, request).map_err(|error| format!("{api} v{version}: {error}"))?;
        }
        // Both count the ids that a request names.
        self.sides.mock.names.plain(&request.mock);
        let mut shown = self.sides.real.names.plain(&request.real);
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
        }
        Ok(format!("{api} v{version} {shown}"))
    }

    /// Waits for the answers to what was sent last on this connection, and compares them.
    pub fn receive<R: Request>(&mut self, version: i16, request: &str) -> Result<Both<R::Response>, String>
    where
        R::Response: Debug,
    {
        self.receive_but::<R>(version, request, |_| {})
    }

    fn receive_but<R: Request>(
        &mut self,
        version: i16,
        request: &str,
        blur: impl Fn(&mut R::Response),
    ) -> Result<Both<R::Response>, String>
    where
        R::Response: Debug,
    {
        let answers = self.try_receive::<R>(version)?;
        let (Some(mut real), Some(mut mock)) = (answers.real, answers.mock) else {
            return Err(format!("{request}: a broker closed the connection instead of answering"));
        };
        blur(&mut real);
        blur(&mut mock);
        self.compare(request, &Both { real: &real, mock: &mock });
        Ok(Both { real, mock })
    }

    /// Compares anything that has a text.
    pub fn compare(&mut self, what: &str, both: &Both<impl Debug>) {
        let real = self.sides.real.names.plain(&both.real);
        let mock = self.sides.mock.names.plain(&both.mock);
        if real != mock {
            self.differences.push(format!("{what}\n{}", difference(&real, &mock)));
        }
    }

    /// Asks both and compares nothing.
    pub fn fetch<A: Ask>(&mut self, version: i16, ask: A) -> Result<Both<Response<A>>, String>
    where
        Response<A>: Debug,
    {
        let request = self.send(version, ask)?;
        let answers = self.try_receive::<A::Request>(version)?;
        match (answers.real, answers.mock) {
            (Some(real), Some(mock)) => Ok(Both { real, mock }),
            _ => Err(format!("{request}: a broker closed the connection instead of answering")),
        }
    }

    /// Asks both again and again, comparing nothing, until both answer as wanted.
    pub fn until<A: Ask + Clone>(
        &mut self,
        version: i16,
        ask: &A,
        wanted: impl Fn(&Response<A>) -> bool,
    ) -> Result<Both<Response<A>>, String>
    where
        Response<A>: Debug,
    {
        let mut last = None;
        for _ in 0..LOOKS {
            let answers = self.fetch(version, ask.clone())?;
            if wanted(&answers.real) && wanted(&answers.mock) {
                return Ok(answers);
            }
            last = Some(answers);
        }
        Err(format!("both do not come to what is awaited: {last:?}"))
    }

    /// Creates a topic and waits until the brokers know it. Returns its full name.
    pub fn topic(&mut self, name: &str, partitions: i32) -> Result<String, String> {
        self.topic_with(build::topic(&self.name(name), partitions, -1))
    }

    /// As [`topic`](Self::topic), with anything set.
    pub fn topic_with(&mut self, topic: create_topics_request::CreatableTopic) -> Result<String, String> {
        let name = topic.name.to_string();
        let created = self.fetch(7, build::create(vec![topic]))?;
        let refused = |answer: &CreateTopicsResponse| answer.topics.iter().any(|topic| topic.error_code != 0);
        if refused(&created.real) || refused(&created.mock) {
            return Err(format!("the topic is refused: {created:?}"));
        }
        let (node, nodes) = (self.node.clone(), self.sides.real.addresses.len());
        for each in 1..=i32::try_from(nodes).unwrap_or(0) {
            self.go(Both::same(each));
            let known = self.until(12, &build::metadata(&[&name]), |answer| {
                answer.topics.iter().all(|topic| topic.error_code == 0)
            })?;
            // A broker tells of a leader before it knows that it is one.
            let leaders = known.map(|answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                let leaders = partitions.map(|one| (one.partition_index, one.leader_id.0));
                leaders
                    .filter(|(_, leader)| *leader == each)
                    .map(|(number, _)| (number, -1))
                    .collect::<Vec<_>>()
            });
            self.until(1, &leaders.map(|led| build::list_offsets(&name, led)), |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.map(|one| one.error_code).all(|code| code == 0)
            })?;
        }
        self.go(node);
        Ok(name)
    }

    /// Deletes a topic and waits until the broker has forgotten it.
    pub fn delete(&mut self, name: &str) -> Result<(), String> {
        let names = vec![TopicName(build::text(name))];
        let request = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(10_000);
        self.ask(5, request)?;
        let gone = |answer: &MetadataResponse| answer.topics.iter().all(|topic| topic.error_code != 0);
        self.until(12, &build::metadata(&[name]), gone).map(|_| ())
    }

    /// A topic's id.
    pub fn id_of(&mut self, topic: &str) -> Result<Both<Uuid>, String> {
        let answers = self.fetch(12, build::metadata(&[topic]))?;
        Ok(answers.map(|answer| answer.topics.first().map_or(Uuid::nil(), |topic| topic.topic_id)))
    }

    /// Who coordinates a group, once anybody does.
    pub fn coordinator(&mut self, group: &str) -> Result<Both<i32>, String> {
        let answers = self.until(3, &build::find(0, group), |answer| answer.error_code == 0)?;
        let coordinator = answers.map(|answer| answer.node_id.0);
        // It may not know yet, or not have loaded its groups.
        let before = std::mem::replace(&mut self.node, coordinator.clone());
        self.until(0, &build::describe_groups(&[group]), |answer| {
            answer.groups.iter().all(|group| group.error_code == 0)
        })?;
        self.node = before;
        Ok(coordinator)
    }

    /// Waits until every group has a coordinator, and every broker has producer ids to give out.
    pub fn await_coordinators(&mut self) -> Result<(), String> {
        // As many names as fall into all partitions of the offsets topic, of which there are five.
        (0..GROUPS).try_for_each(|number| self.coordinator(&format!("await{number}")).map(|_| ()))?;
        for node in 1..=i32::try_from(self.sides.real.addresses.len()).unwrap_or(0) {
            self.go(Both::same(node));
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            self.until(1, &request, |answer| answer.error_code == 0)?;
        }
        Ok(())
    }

    /// Waits for the answers to what was sent last; none from a side that closes the connection.
    fn try_receive<R: Request>(&mut self, version: i16) -> Result<Both<Option<R::Response>>, String> {
        let mut one = |real: bool| {
            let (connection, key) = self.connection_of(real)?;
            match connection.receive::<R>(version) {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if is_closed(&error) => {
                    self.side(real).connections.remove(&key);
                    Ok(None)
                }
                Err(error) => {
                    let side = if real { "real" } else { "mock" };
                    let earlier = self.differences.join("\n");
                    Err(format!("{side} API {} v{version}: {error}\n{earlier}", R::KEY))
                }
            }
        };
        Ok(Both { real: one(true)?, mock: one(false)? })
    }

    fn side(&mut self, real: bool) -> &mut Side {
        if real { &mut self.sides.real } else { &mut self.sides.mock }
    }

    fn connection_of(&mut self, real: bool) -> Result<(&mut Connection, (i32, String)), String> {
        let node = if real { self.node.real } else { self.node.mock };
        let key = (node, self.connection.clone());
        let side = self.side(real);
        if !side.connections.contains_key(&key) {
            let at = usize::try_from(node - 1).map_err(|_| format!("no node {node}"))?;
            let address = side.addresses.get(at).ok_or_else(|| format!("no node {node}"))?;
            let opened = Connection::open(address).map_err(|error| format!("cannot connect: {error}"))?;
            side.connections.insert(key.clone(), opened);
        }
        let connection = side.connections.get_mut(&key).ok_or("no connection")?;
        Ok((connection, key))
    }
}
