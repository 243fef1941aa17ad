//! Connections as the platform sees them: a byte stream, and something that opens one.
//!
//! Production dials TCP, the simulation dials simulated links. No protocol lives here.

use std::io;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// A two-way byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream whose transport is not known at compile time.
pub type BoxStream = Box<dyn Stream>;

/// Opens connections.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Connects to `address`, written `host:port`.
    ///
    /// # Errors
    /// Whatever the transport reports; a refused connection is [`io::ErrorKind::ConnectionRefused`].
    async fn dial(&self, address: &str) -> io::Result<BoxStream>;
}

/// Dials over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, address: &str) -> io::Result<BoxStream> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
