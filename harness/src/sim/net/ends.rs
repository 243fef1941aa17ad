//! What a host's ends ask of the network: connect, accept, read, write, close.
//!
//! Every call names the incarnation it speaks for; one of an earlier life is answered by silence. The state and
//! what faults do to it are in the module above.

use std::io;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::link::Link;
use super::pipe::Read;
use super::stream::{SimDial, SimListener, SimStream};
use super::{Admission, Backlog, HostId, Incarnation, Net, Side, State, now, wake};
use crate::trace::{FNV_OFFSET, fnv1a};

/// How long a dial waits for an answer.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Net {
    pub(super) async fn connect(&self, owner: Incarnation, address: &str) -> io::Result<SimStream> {
        let (to, port) = self.resolve(address)?;
        match timeout(CONNECT_TIMEOUT, self.shake_hands(owner, to, port)).await {
            Ok(Ok(id)) => Ok(SimStream::new(self.clone(), id, Side::Dialer, owner)),
            Ok(Err(refused)) => Err(refused),
            Err(_) => {
                let text = format!("no answer from {address} within {CONNECT_TIMEOUT:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    /// SYN there, SYN-ACK back; each waits while its direction is down.
    async fn shake_hands(&self, owner: Incarnation, to: HostId, port: u16) -> io::Result<u64> {
        self.cross(owner, owner.host, to).await;
        let id = loop {
            // Registered before looking, so that a change in between is not missed.
            let changed = self.shared.changed.notified();
            let found = self.lock().admit(owner, to, port);
            match found {
                Admission::Refused => break None,
                Admission::Admitted(id, waker) => {
                    wake(waker);
                    break Some(id);
                }
                Admission::Full => changed.await,
            }
        };
        let name = |host: HostId| self.lock().hosts[usize::from(host.0)].name.clone();
        self.trace(Some(owner.host), "net.dial", format_args!("{}:{port} connection {id:?}", name(to)));
        let abandoned = AbandonedOnDrop { net: self, id };
        self.cross(owner, to, owner.host).await;
        std::mem::forget(abandoned);
        id.ok_or_else(|| {
            io::Error::new(io::ErrorKind::ConnectionRefused, format!("{}:{port} does not listen", name(to)))
        })
    }

    /// Waits as long as one segment takes from `from` to `to`, outages included.
    async fn cross(&self, owner: Incarnation, from: HostId, to: HostId) {
        loop {
            let changed = self.shared.changed.notified();
            let latency = {
                let mut state = self.lock();
                if !state.is_alive(owner) {
                    None
                } else {
                    let link = state.link(from, to);
                    Some((!link.is_down()).then(|| link.draw_latency()))
                }
            };
            match latency {
                None => std::future::pending().await,
                Some(None) => changed.await,
                Some(Some(latency)) => return sleep(latency).await,
            }
        }
    }

    fn resolve(&self, address: &str) -> io::Result<(HostId, u16)> {
        let unknown = || {
            let text =
                format!("expected the name of a host and a port, like kafka-1:9092, found {address:?}");
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        let (name, port) = address.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().map_err(|_| unknown())?;
        let index = self.lock().hosts.iter().position(|host| host.name == name).ok_or_else(unknown)?;
        Ok((HostId(u16::try_from(index).unwrap_or(u16::MAX)), port))
    }

    pub(super) fn poll_accept(
        &self,
        port: u16,
        owner: Incarnation,
        waker: &Waker,
    ) -> Poll<(SimStream, String)> {
        let mut state = self.lock();
        if !state.is_alive(owner) {
            return Poll::Pending;
        }
        let Some(backlog) = state.listeners.get_mut(&(owner.host, port)) else { return Poll::Pending };
        let Some((id, peer)) = backlog.waiting.pop_front() else {
            backlog.acceptor = Some(waker.clone());
            return Poll::Pending;
        };
        let peer = format!("{}:{id}", state.hosts[usize::from(peer.0)].name);
        drop(state);
        self.shared.changed.notify_waiters();
        Poll::Ready((SimStream::new(self.clone(), id, Side::Acceptor, owner), peer))
    }

    pub(super) fn read(&self, id: u64, side: Side, owner: Incarnation, most: usize, waker: &Waker) -> Read {
        let mut state = self.lock();
        if !state.is_alive(owner) {
            return Read::WaitUntil(None);
        }
        let State { connections, links, .. } = &mut *state;
        let Some(connection) = connections.get_mut(&id) else { return Read::Reset };
        let pipe = &mut connection.pipes[side.incoming()];
        let link = links.get(&(pipe.from, pipe.to));
        let most = link.and_then(Link::slice).map_or(most, |slice| most.min(slice));
        let answer = pipe.read(most, now(), link.is_some_and(Link::is_down));
        match &answer {
            Read::WaitUntil(_) => pipe.reader = Some(waker.clone()),
            Read::Bytes(_) => wake(pipe.writer.take()),
            Read::End | Read::Reset => {}
        }
        drop(state);
        if let Read::Bytes(bytes) = &answer {
            self.trace(Some(owner.host), "net.recv", format_args!("connection {id} {} bytes", bytes.len()));
        }
        answer
    }

    pub(super) fn write(
        &self,
        id: u64,
        side: Side,
        owner: Incarnation,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if !state.is_alive(owner) {
            return Poll::Pending;
        }
        let Some((from, to)) = state.connections.get(&id).map(|it| it.ends(side)) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let link = state.link(from, to);
        let (latency, bandwidth, cut) = (link.draw_latency(), link.bandwidth(), link.cut_after());
        let reachable = !link.is_down();
        let Some(connection) = state.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let pipe = &mut connection.pipes[side.outgoing()];
        if pipe.reset || (pipe.reader_gone && reachable) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if pipe.has_ended() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.room() == 0 {
            pipe.writer = Some(waker.clone());
            return Poll::Pending;
        }
        let taken = bytes.len().min(pipe.room());
        pipe.write(Bytes::copy_from_slice(&bytes[..taken]), now(), latency, bandwidth);
        let carried = pipe.carried();
        let mut wakers: Vec<Waker> = pipe.reader.take().into_iter().collect();
        if cut.is_some_and(|most| carried > most) {
            wakers.extend(state.reset(id));
        }
        drop(state);
        wake(wakers);
        // Makes a trace differ where contents do, without storing them.
        let digest = fnv1a(FNV_OFFSET, &bytes[..taken]);
        self.trace(Some(owner.host), "net.send", format_args!("connection {id} {taken} bytes {digest:016x}"));
        Poll::Ready(Ok(taken))
    }

    pub(super) fn shut_down(&self, id: u64, side: Side, owner: Incarnation) {
        let mut state = self.lock();
        if state.is_alive(owner) {
            let wakers = state.finish(id, side);
            drop(state);
            wake(wakers);
        }
    }

    pub(super) fn close(&self, id: u64, side: Side, owner: Incarnation) {
        let mut state = self.lock();
        if state.is_alive(owner) {
            let wakers = state.close_end(id, side);
            drop(state);
            wake(wakers);
        }
    }

    pub(super) fn unlisten(&self, port: u16, owner: Incarnation) {
        let mut state = self.lock();
        if !state.is_alive(owner) {
            return;
        }
        let backlog = state.listeners.remove(&(owner.host, port)).unwrap_or_default();
        let mut wakers = Vec::new();
        for (id, _) in backlog.waiting {
            wakers.extend(state.reset(id));
            wakers.extend(state.close_end(id, Side::Acceptor));
        }
        drop(state);
        wake(wakers);
    }
}

impl SimDial {
    /// Listens on `port` of this host.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if something listens there already.
    pub fn listen(&self, port: u16) -> io::Result<SimListener> {
        let mut state = self.net.lock();
        if state.listeners.contains_key(&(self.owner.host, port)) {
            let text = format!("port {port} is taken on this host");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        state.listeners.insert((self.owner.host, port), Backlog::default());
        drop(state);
        Ok(SimListener::new(self.net.clone(), port, self.owner))
    }

    /// Whether the host still lives the life this was handed out for.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.net.lock().is_alive(self.owner)
    }
}

/// Closes a connection whose dialer gave up before it was established.
struct AbandonedOnDrop<'a> {
    net: &'a Net,
    id: Option<u64>,
}

impl Drop for AbandonedOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            wake(self.net.lock().close_end(id, Side::Dialer));
        }
    }
}
