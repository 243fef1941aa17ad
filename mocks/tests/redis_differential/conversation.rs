//! Several connections to each server, taking turns: who waits, who is told what, and in which order.
//!
//! A line names a connection, which is opened when it is first named:
//! - `@name command …` sends a command and reads one reply;
//! - `@name! command …` sends a command that is to wait, and goes on when the server has it waiting;
//! - `@name~ command …` only sends;
//! - `@name?` reads one reply or push, which must come within two seconds;
//! - `@name.` reads what has come, until the answer to a `PING`;
//! - `@name-` closes the connection.
//!
//! `{name}` in a command is the number that the server gave the connection of that name, `{name@}` its address.
//! Numbers and addresses of connections, and times, are taken out of replies before these are compared.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::wire::{Connection, Resp, Servers, latin1, words};

/// The connections of one sequence, to both servers.
pub struct Conversation {
    sides: [Side; 2],
}

/// The connections to one server.
pub struct Side {
    address: SocketAddr,
    version: u8,
    connections: BTreeMap<String, Named>,
    /// The numbers of those that were closed.
    closed: BTreeMap<String, i64>,
    /// Looks at the others from outside.
    control: Option<Connection>,
}

struct Named {
    connection: Connection,
    id: i64,
    address: String,
}

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks at a client, of some tens of microseconds each, before giving up on its waiting.
const LOOKS: usize = 20_000;

impl Conversation {
    pub fn new(servers: &Servers, version: u8) -> Self {
        Self { sides: servers.addresses().map(|address| Side::new(address, version)) }
    }

    /// Does what a line says on both servers; what the real one and the mock answered.
    pub fn speak(&mut self, line: &str) -> Result<(Resp, Resp), String> {
        let [real, mock] = &mut self.sides;
        let real = real.speak(line).map_err(|why| format!("real: {why}"))?;
        let mock = mock.speak(line).map_err(|why| format!("mock: {why} (real: {real:?})"))?;
        Ok((real, mock))
    }
}

impl Side {
    pub fn new(address: SocketAddr, version: u8) -> Self {
        let (connections, closed) = (BTreeMap::new(), BTreeMap::new());
        Self { address, version, connections, closed, control: None }
    }

    /// Does what a line says; what the server answered.
    pub fn speak(&mut self, line: &str) -> Result<Resp, String> {
        let (name, text) = line[1..].split_once(' ').unwrap_or((&line[1..], ""));
        let verb = name.chars().next_back().filter(|last| !last.is_alphanumeric());
        let name = verb.map_or(name, |verb| name.trim_end_matches(verb));
        let command = words(&self.fill_in(text));
        self.open(name)?;
        let failed = |error: std::io::Error| error.to_string();
        let named = self.connections.get_mut(name).ok_or("no such connection")?;
        let reply = match verb {
            None => named.connection.ask(&command).map_err(failed)?,
            Some('?') => {
                if !named.connection.has_mail(PATIENCE).map_err(failed)? {
                    return Err("nothing came".to_owned());
                }
                named.connection.read().map_err(failed)?
            }
            Some('.') => named.read_all().map_err(failed)?,
            Some(verb) => {
                if verb == '-' {
                    let id = named.id;
                    self.connections.remove(name);
                    self.closed.insert(name.to_owned(), id);
                    return self.wait_until(id, |line| line.is_empty());
                }
                named.connection.send(&command).map_err(failed)?;
                if verb == '!' {
                    let id = named.id;
                    return self.wait_until(id, |line| {
                        line.split(' ').any(|field| field.starts_with("flags=") && field.contains('b'))
                    });
                }
                Resp::Other(String::new())
            }
        };
        let is_id = matches!(text, "client id" | "client getredir");
        Ok(self.without_names(reply, is_id))
    }

    fn open(&mut self, name: &str) -> Result<(), String> {
        if self.connections.contains_key(name) {
            return Ok(());
        }
        let failed = |error: std::io::Error| error.to_string();
        let mut connection = Connection::open(self.address).map_err(failed)?;
        if self.version == 3 {
            connection.ask(&words("hello 3")).map_err(failed)?;
        }
        let Resp::Int(id) = connection.ask(&words("client id")).map_err(failed)? else {
            return Err("no id".to_owned());
        };
        let Resp::Bulk(info) = connection.ask(&words("client info")).map_err(failed)? else {
            return Err("no description".to_owned());
        };
        let address = field(&info, "addr=").to_owned();
        self.connections.insert(name.to_owned(), Named { connection, id, address });
        Ok(())
    }

    /// Waits until the line of `CLIENT LIST` for a connection is as wanted.
    fn wait_until(&mut self, id: i64, is_wanted: impl Fn(&str) -> bool) -> Result<Resp, String> {
        let failed = |error: std::io::Error| error.to_string();
        if self.control.is_none() {
            self.control = Some(Connection::open(self.address).map_err(failed)?);
        }
        let control = self.control.as_mut().ok_or("no control connection")?;
        for _ in 0..LOOKS {
            let list = control.ask(&words(&format!("client list id {id}"))).map_err(failed)?;
            if matches!(&list, Resp::Bulk(text) if is_wanted(text.strip_prefix("txt:").unwrap_or(text))) {
                return Ok(Resp::Other(String::new()));
            }
        }
        Err(format!("the server does not let client {id} wait, or go"))
    }

    fn fill_in(&self, text: &str) -> String {
        self.connections.iter().fold(text.to_owned(), |text, (name, named)| {
            text.replace(&format!("{{{name}}}"), &named.id.to_string())
                .replace(&format!("{{{name}@}}"), &named.address)
        })
    }

    /// A reply without what differs from server to server. `is_id` says that a number is that of a connection.
    fn without_names(&self, reply: Resp, is_id: bool) -> Resp {
        match reply {
            Resp::List(mark, items) => {
                let mut before = String::new();
                let items = items.into_iter().map(|item| {
                    let names_one = ["id", "redirect", "tracking-redir-broken"].contains(&before.as_str());
                    before = if let Resp::Bulk(text) = &item { text.clone() } else { String::new() };
                    self.without_names(item, names_one)
                });
                Resp::List(mark, items.collect())
            }
            Resp::Simple(text) => Resp::Simple(without_time(&text)),
            Resp::Bulk(text) if text.contains("laddr=") => Resp::Bulk(text.lines().map(described).collect()),
            Resp::Int(id) if is_id => {
                let open = self.connections.iter().map(|(name, named)| (name, named.id));
                let mut ids = open.chain(self.closed.iter().map(|(name, id)| (name, *id)));
                let found = ids.find(|(_, known)| *known == id);
                found.map_or(reply, |(name, _)| Resp::Other(format!("the id of {name}")))
            }
            other => other,
        }
    }
}

impl Named {
    fn read_all(&mut self) -> std::io::Result<Resp> {
        self.connection.send(&words("ping end-of-mail"))?;
        let mut all = Vec::new();
        loop {
            let one = self.connection.read()?;
            let text = match &one {
                Resp::List(_, items) => items.last(),
                other => Some(other),
            };
            if matches!(text, Some(Resp::Bulk(text)) if text == "end-of-mail") {
                return Ok(Resp::List('*', all));
            }
            all.push(one);
        }
    }
}

/// The value after a name in a line of `CLIENT LIST`.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(' ').find_map(|field| field.strip_prefix(name)).unwrap_or_default()
}

/// What a line of `CLIENT LIST` says that does not differ from server to server.
fn described(line: &str) -> String {
    let names = ["name=", "flags=", "db=", "sub=", "psub=", "ssub=", "multi=", "cmd=", "user=", "resp="];
    let fields = names.map(|name| format!("{name}{}", field(line, name)));
    format!("{}\n", fields.join(" "))
}

/// A line of `MONITOR` without time and address.
fn without_time(text: &str) -> String {
    let Some((time, rest)) = text.split_once(" [") else { return text.to_owned() };
    if !time.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        return text.to_owned();
    }
    let (client, command) = rest.split_once("] ").unwrap_or((rest, ""));
    let (db, who) = client.split_once(' ').unwrap_or((client, ""));
    let who = if who == "lua" { who } else { "client" };
    format!("[{db} {who}] {}", latin1(command.as_bytes()))
}
