//! The two ends a host holds: a connected stream and a listener.
//!
//! They turn what the network answers into polls and timers. All rules of the network are in its own file.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::pipe::Read;
use super::{Incarnation, Net, Side};
use crate::sim::now;

/// One end of a connection.
pub struct SimStream {
    net: Net,
    connection: u64,
    side: Side,
    owner: Incarnation,
    timer: Option<Pin<Box<Sleep>>>,
}

impl SimStream {
    pub(super) fn new(net: Net, connection: u64, side: Side, owner: Incarnation) -> Self {
        Self { net, connection, side, owner, timer: None }
    }

    /// Polls a timer for `at`; true if that time has come.
    fn has_come(&mut self, at: Duration, cx: &mut Context<'_>) -> bool {
        let wait = at.saturating_sub(now());
        let timer = self.timer.insert(Box::pin(tokio::time::sleep(wait)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buffer.remaining();
        if most == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.net.read(self.connection, self.side, self.owner, most, cx.waker()) {
                Read::Bytes(bytes) => {
                    buffer.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Read::End => return Poll::Ready(Ok(())),
                Read::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Read::WaitUntil(None) => return Poll::Pending,
                Read::WaitUntil(Some(at)) => {
                    if !self.has_come(at, cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.net.write(self.connection, self.side, self.owner, bytes, cx.waker())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.net.shut_down(self.connection, self.side, self.owner);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.net.close(self.connection, self.side, self.owner);
    }
}

/// Accepts connections on one port of one host. The port is free again when this is dropped.
pub struct SimListener {
    net: Net,
    port: u16,
    owner: Incarnation,
}

impl SimListener {
    pub(super) fn new(net: Net, port: u16, owner: Incarnation) -> Self {
        Self { net, port, owner }
    }

    /// Waits for the next connection; answers the peer's name too.
    pub async fn accept(&mut self) -> (SimStream, String) {
        std::future::poll_fn(|cx| self.net.poll_accept(self.port, self.owner, cx.waker())).await
    }
}

#[async_trait]
impl squall_mocks::net::Listener for SimListener {
    async fn accept(&mut self) -> io::Result<(squall_mocks::net::BoxStream, String)> {
        let (stream, peer) = Self::accept(self).await;
        Ok((Box::new(stream), peer))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.net.unlisten(self.port, self.owner);
    }
}

/// Opens connections from one host.
#[derive(Clone)]
pub struct SimDial {
    pub(super) net: Net,
    pub(super) owner: Incarnation,
}

#[async_trait]
impl squall_mocks::net::Dial for SimDial {
    async fn dial(&self, address: &str) -> io::Result<squall_mocks::net::BoxStream> {
        Ok(Box::new(self.net.connect(self.owner, address).await?))
    }
}

#[async_trait]
impl squall_core::net::Dial for SimDial {
    async fn dial(&self, address: &str) -> io::Result<squall_core::net::BoxStream> {
        Ok(Box::new(self.net.connect(self.owner, address).await?))
    }
}
