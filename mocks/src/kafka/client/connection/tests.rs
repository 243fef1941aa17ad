//! A connection against a broker of a few lines, so that it can misbehave in ways no real one would.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, HeartbeatRequest, HeartbeatResponse};
use kafka_protocol::protocol::{Encodable, decode_request_header_from_buffer};
use tokio::io::DuplexStream;

use super::*;
use crate::net::{Listener, MemoryNet};

const ADDRESS: &str = "broker:9092";

/// The broker's side of one connection.
struct Peer(Box<dyn crate::net::Stream>);

impl Peer {
    /// The next request's header and body; none when the client has closed.
    async fn request(&mut self) -> Option<(RequestHeader, Bytes)> {
        let length = self.0.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).expect("a length")];
        self.0.read_exact(&mut frame).await.ok()?;
        let mut frame = Bytes::from(frame);
        let header = decode_request_header_from_buffer(&mut frame).expect("a header");
        Some((header, frame))
    }

    async fn answer<M: Encodable + HeaderVersion>(&mut self, correlation: i32, message: &M, version: i16) {
        let mut frame = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(correlation)
            .encode(&mut frame, M::header_version(version))
            .expect("a header");
        message.encode(&mut frame, version).expect("a message");
        self.0.write_i32(i32::try_from(frame.len()).expect("small")).await.expect("written");
        self.0.write_all(&frame).await.expect("written");
    }

    /// Answers `ApiVersions` as a broker that knows nothing newer than version 0 of it.
    async fn shake_hands(&mut self) {
        let versions = ApiVersionsResponse::default().with_api_keys(
            [ApiKey::ApiVersions, ApiKey::Heartbeat]
                .map(|key| ApiVersion::default().with_api_key(key as i16).with_max_version(0))
                .into(),
        );
        let (header, _) = self.request().await.expect("a request");
        assert_eq!(header.request_api_version, API_VERSIONS);
        let refused = versions.clone().with_error_code(ResponseError::UnsupportedVersion.code());
        self.answer(header.correlation_id, &refused, 0).await;
        let (header, _) = self.request().await.expect("a second request");
        assert_eq!(header.request_api_version, 0);
        self.answer(header.correlation_id, &versions, 0).await;
    }
}

/// A connection and its peer, hands shaken.
async fn connected() -> (Connection, Peer) {
    let net = MemoryNet::new();
    let mut listener = net.listen(ADDRESS);
    let accept = async {
        let mut peer = Peer(listener.accept().await.expect("a connection").0);
        peer.shake_hands().await;
        peer
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    let (opened, peer) = tokio::join!(Connection::open(&net, ADDRESS, "c", 1000, deadline), accept);
    (opened.expect("opened"), peer)
}

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_requests_whatever_their_order() {
    let (connection, mut peer) = connected().await;
    let (one, two) = (HeartbeatRequest::default(), HeartbeatRequest::default());
    let broker = async {
        let (first, _) = peer.request().await.expect("a request");
        let (second, _) = peer.request().await.expect("sent before the first is answered");
        let response = |code| HeartbeatResponse::default().with_error_code(code);
        peer.answer(second.correlation_id, &response(2), 0).await;
        peer.answer(first.correlation_id, &response(1), 0).await;
    };
    let (one, two, ()) = tokio::join!(
        connection.call(i16::MAX, &one, in_seconds(1)),
        connection.call(i16::MAX, &two, in_seconds(1)),
        broker
    );
    assert_eq!((one.expect("answered").error_code, two.expect("answered").error_code), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_past_its_deadline_ends_the_connection_and_fails_all_others() {
    let (connection, peer) = connected().await;
    let (one, two) = (HeartbeatRequest::default(), HeartbeatRequest::default());
    let start = Instant::now();
    let (one, two) = tokio::join!(
        connection.call(i16::MAX, &one, in_seconds(2)),
        connection.call(i16::MAX, &two, in_seconds(60))
    );
    assert_eq!(start.elapsed().as_secs(), 2);
    assert!(matches!(one, Err(ClientError::TimedOut { what, .. }) if what == "Heartbeat"));
    assert!(matches!(two, Err(ClientError::Disconnected { sent: true, .. })));
    assert!(!connection.is_open());
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_fails_requests_before_they_are_sent() {
    let (connection, peer) = connected().await;
    drop(peer);
    let first = connection.call(i16::MAX, &HeartbeatRequest::default(), in_seconds(1)).await;
    assert!(matches!(first, Err(ClientError::Disconnected { .. })), "{first:?}");
    let second = connection.call(i16::MAX, &HeartbeatRequest::default(), in_seconds(1)).await;
    assert!(matches!(second, Err(ClientError::Disconnected { sent: false, .. })), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_the_limit_or_without_a_length_ends_the_connection() {
    for length in [1001, -1, 3, i32::MAX] {
        let (connection, mut peer) = connected().await;
        let broker = async {
            peer.request().await.expect("a request");
            peer.0.write_i32(length).await.expect("written");
        };
        let request = HeartbeatRequest::default();
        let (answer, ()) = tokio::join!(connection.call(i16::MAX, &request, in_seconds(60)), broker);
        let Err(ClientError::Disconnected { reason, .. }) = answer else { panic!("{answer:?}") };
        assert!(reason.contains("limit") || reason.contains("valid length"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_reads_blocks_no_one_beyond_the_deadline() {
    let (stalled, _kept): (DuplexStream, DuplexStream) = tokio::io::duplex(16);
    struct Stalled(std::sync::Mutex<Option<DuplexStream>>);
    #[async_trait::async_trait]
    impl Dial for Stalled {
        async fn dial(&self, _address: &str) -> io::Result<BoxStream> {
            let stream = self.0.lock().expect("unpoisoned").take();
            Ok(Box::new(stream.ok_or(io::ErrorKind::ConnectionRefused)?))
        }
    }
    let dial = Stalled(std::sync::Mutex::new(Some(stalled)));
    let opened = Connection::open(&dial, ADDRESS, "c", 1000, in_seconds(3)).await;
    assert!(matches!(opened, Err(ClientError::Connect { .. })));
}
