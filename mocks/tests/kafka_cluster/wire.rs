//! A raw connection: requests of any version out, answers in. And the cluster it goes to.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::{BoxStream, Dial, MemoryNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A cluster on pipes in memory.
pub struct Bench {
    pub net: MemoryNet,
    pub cluster: KafkaCluster,
}

impl Bench {
    /// Serves every node of a cluster.
    pub fn new(options: KafkaOptions) -> Self {
        let net = MemoryNet::new();
        let nodes = (1..).zip(options.advertised.clone());
        let cluster = KafkaCluster::new(options);
        for (node, address) in nodes {
            let (listener, cluster) = (net.listen(&address), cluster.clone());
            tokio::spawn(async move { cluster.serve(node, listener).await });
        }
        Self { net, cluster }
    }

    /// A cluster of three nodes with default options.
    pub fn three() -> Self {
        Self::new(KafkaOptions::brokers(3))
    }

    pub async fn connect(&self, node: i32) -> Wire {
        let stream = self.net.dial(&format!("kafka-{node}:9092")).await.expect("the node listens");
        Wire::over(stream)
    }

    /// A connection to the leader of a partition.
    pub async fn leader(&self, topic: &str, partition: i32) -> Wire {
        self.connect(self.cluster.leader(topic, partition).expect("a leader")).await
    }
}

/// One connection.
pub struct Wire {
    pub stream: BoxStream,
    correlation: i32,
}

impl Wire {
    pub fn over(stream: BoxStream) -> Self {
        Self { stream, correlation: 0 }
    }

    /// Sends a request and waits for its answer.
    pub async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        self.receive::<R>(version).await.expect("an answer")
    }

    pub async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let frame = Self::frame(self.correlation, version, request);
        self.stream.write_all(&frame).await.expect("written");
    }

    fn frame<R: Request>(correlation: i32, version: i16, request: &R) -> BytesMut {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(Some(StrBytes::from_static_str("wire")));
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        header.encode(&mut frame, R::header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let size = u32::try_from(frame.len() - 4).expect("short");
        frame[..4].copy_from_slice(&size.to_be_bytes());
        frame
    }

    pub async fn send_frame(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).expect("short"));
        frame.put_slice(body);
        self.stream.write_all(&frame).await.expect("written");
    }

    /// Waits for the answer to the request sent last.
    pub async fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut bytes = self.receive_frame().await?;
        let key = ApiKey::try_from(R::KEY).expect("a key");
        let header =
            ResponseHeader::decode(&mut bytes, key.response_header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, self.correlation);
        let answer = R::Response::decode(&mut bytes, version).expect("an answer of this version");
        assert!(bytes.is_empty(), "{key:?} v{version}: {} bytes are left over", bytes.len());
        Ok(answer)
    }

    /// Sends a request and takes whatever comes back; nothing if the connection closes.
    pub async fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Vec<u8> {
        self.correlation += 1;
        let frame = Self::frame(self.correlation, version, request);
        if self.stream.write_all(&frame).await.is_err() {
            return Vec::new();
        }
        self.receive_frame().await.map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    pub async fn receive_frame(&mut self) -> io::Result<Bytes> {
        let length = self.stream.read_u32().await?;
        let mut bytes = vec![0; usize::try_from(length).expect("short")];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes.into())
    }

    /// Whether the node closes the connection without another byte.
    pub async fn is_closed(&mut self) -> bool {
        matches!(self.stream.read_u8().await, Err(error) if error.kind() == io::ErrorKind::UnexpectedEof)
    }

    /// Versions of an API as the node advertises them, from the oldest that is served to the newest that the codec
    /// knows.
    pub async fn versions(&mut self, key: ApiKey) -> std::ops::RangeInclusive<i16> {
        let answer = self.call(0, ApiVersionsRequest::default()).await;
        let api = answer.api_keys.iter().find(|api| api.api_key == key as i16).expect("it is served");
        let newest = match key {
            // It says that it knows one more.
            ApiKey::OffsetCommit | ApiKey::OffsetFetch => 9,
            key => key.valid_versions().max,
        };
        api.min_version.max(key.valid_versions().min)..=api.max_version.min(newest)
    }
}

/// A text as the codec wants it.
pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}
