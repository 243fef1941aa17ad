//! Byte streams, and the two ways to get one: accept it or dial it.
//!
//! Servers and clients of this crate see only these traits, so the same code runs over TCP, over a
//! simulated network and over pipes in memory. No protocol lives here.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A two-way byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream whose transport is not known at compile time.
pub type BoxStream = Box<dyn Stream>;

/// Accepts connections.
#[async_trait]
pub trait Listener: Send {
    /// Waits for the next connection; the text is the peer's address, for logs and `CLIENT LIST`.
    ///
    /// # Errors
    /// Whatever the transport reports. Servers treat an error as the end of the listener, except
    /// [`io::ErrorKind::ConnectionAborted`] and [`io::ErrorKind::ConnectionReset`], which concern one peer.
    async fn accept(&mut self) -> io::Result<(BoxStream, String)>;
}

/// Opens connections.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Connects to `address`, written `host:port`.
    ///
    /// # Errors
    /// Whatever the transport reports; a refused connection is [`io::ErrorKind::ConnectionRefused`].
    async fn dial(&self, address: &str) -> io::Result<BoxStream>;
}

#[async_trait]
impl Listener for TcpListener {
    async fn accept(&mut self) -> io::Result<(BoxStream, String)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), peer.to_string()))
    }
}

#[cfg(unix)]
#[async_trait]
impl Listener for tokio::net::UnixListener {
    /// Peers have no address of their own; they are named after the socket, as Redis names them.
    async fn accept(&mut self) -> io::Result<(BoxStream, String)> {
        let (stream, _) = Self::accept(self).await?;
        let address = self.local_addr()?;
        let path = address.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
        Ok((Box::new(stream), format!("{path}:0")))
    }
}

/// Dials over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, address: &str) -> io::Result<BoxStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

/// A network in memory: every address is a name, every connection a pipe without delay or loss.
///
/// For tests that need neither ports nor faults.
#[derive(Clone, Default)]
pub struct MemoryNet {
    listeners: Arc<Mutex<BTreeMap<String, mpsc::Sender<DuplexStream>>>>,
}

/// Bytes a pipe holds before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted before a dialer waits.
const BACKLOG: usize = 128;

impl MemoryNet {
    /// A network without listeners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on `address`, replacing an earlier listener there.
    #[must_use]
    pub fn listen(&self, address: &str) -> MemoryListener {
        let (sender, incoming) = mpsc::channel(BACKLOG);
        self.lock().insert(address.to_owned(), sender);
        MemoryListener { incoming, accepted: 0 }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, mpsc::Sender<DuplexStream>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Dial for MemoryNet {
    async fn dial(&self, address: &str) -> io::Result<BoxStream> {
        let refused =
            || io::Error::new(io::ErrorKind::ConnectionRefused, format!("nothing listens on {address}"));
        let listener = self.lock().get(address).cloned().ok_or_else(refused)?;
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        listener.send(far).await.map_err(|_| refused())?;
        Ok(Box::new(near))
    }
}

/// The accepting side of a [`MemoryNet`] address.
pub struct MemoryListener {
    incoming: mpsc::Receiver<DuplexStream>,
    accepted: u64,
}

#[async_trait]
impl Listener for MemoryListener {
    async fn accept(&mut self) -> io::Result<(BoxStream, String)> {
        let stream = self.incoming.recv().await.ok_or(io::ErrorKind::NotConnected)?;
        self.accepted += 1;
        Ok((Box::new(stream), format!("memory:{}", self.accepted)))
    }
}
