//! TLS in front of any listener, for clients that insist on it.
//!
//! The handshake happens when the connection is first read, in the task that reads it, so a client that never begins
//! one holds up nobody else. Clients are not asked for certificates. This encrypts a test's traffic because a client's
//! configuration says so; it keeps no secrets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::net::{BoxStream, Listener};

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
#[error("expected a certificate chain and its key as PEM, found {0}")]
pub struct TlsError(String);

/// A certificate with its key; clones share them.
#[derive(Clone)]
pub struct TlsIdentity {
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// Reads a certificate chain, the server's own first, and the key of that.
    ///
    /// # Errors
    /// One of them is none, or they do not fit.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let wrong = |found: &dyn ToString| TlsError(found.to_string());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| wrong(&error))?;
        Ok(Self { config: Arc::new(config) })
    }

    /// Puts TLS in front of a listener.
    pub fn listen<L: Listener>(&self, inner: L) -> TlsListener<L> {
        TlsListener { inner, acceptor: TlsAcceptor::from(Arc::clone(&self.config)) }
    }
}

/// Accepts connections that speak TLS.
pub struct TlsListener<L> {
    inner: L,
    acceptor: TlsAcceptor,
}

#[async_trait]
impl<L: Listener> Listener for TlsListener<L> {
    async fn accept(&mut self) -> io::Result<(BoxStream, String)> {
        let (stream, peer) = self.inner.accept().await?;
        Ok((Box::new(Lazy::Handshake(Box::new(self.acceptor.accept(stream)))), peer))
    }
}

/// A connection whose handshake may not have begun.
enum Lazy {
    Handshake(Box<Accept<BoxStream>>),
    Open(Box<TlsStream<BoxStream>>),
    Failed,
}

impl Lazy {
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut TlsStream<BoxStream>>>> {
        if let Self::Handshake(handshake) = self {
            let ended = ready!(Future::poll(Pin::new(&mut **handshake), context));
            // One that ended must not be polled again.
            *self = Self::Failed;
            *self = Self::Open(Box::new(ended?));
        }
        match self {
            Self::Open(stream) => Poll::Ready(Ok(Pin::new(&mut **stream))),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lazy {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Lazy {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(context))?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(context))?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;
    use crate::net::{Dial, MemoryNet};

    fn identity() -> (TlsIdentity, TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes()).expect("they fit");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        (identity, TlsConnector::from(Arc::new(config)))
    }

    #[tokio::test]
    async fn bytes_come_through_and_a_silent_or_wrong_client_holds_up_nobody() {
        let (identity, connector) = identity();
        let net = MemoryNet::new();
        let mut listener = identity.listen(net.listen("localhost:1"));
        let _silent = net.dial("localhost:1").await.expect("it listens");
        let mut wrong = net.dial("localhost:1").await.expect("it listens");
        wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        let right = net.dial("localhost:1").await.expect("it listens");
        let (_first, _) = listener.accept().await.expect("accepted");
        let (mut second, _) = listener.accept().await.expect("accepted");
        assert!(second.read_u8().await.is_err());
        assert!(second.read_u8().await.is_err(), "and again, without panic");
        let (mut third, _) = listener.accept().await.expect("accepted");
        let client = async {
            let mut stream = connector.connect("localhost".try_into().expect("a name"), right).await?;
            stream.write_all(b"ping").await?;
            stream.read_u8().await
        };
        let server = async {
            let mut bytes = [0; 4];
            third.read_exact(&mut bytes).await?;
            third.write_u8(bytes[0]).await?;
            third.flush().await?;
            Ok::<_, io::Error>(bytes)
        };
        let (client, server) = tokio::join!(client, server);
        assert_eq!((client.expect("answered"), &server.expect("read")), (b'p', b"ping"));
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_a_reason() {
        let error = TlsIdentity::from_pem(b"", b"").err().expect("refused").to_string();
        assert!(error.starts_with("expected a certificate chain and its key as PEM, found "), "{error}");
    }
}
