//! One connection that speaks raw requests of any version, and blocks until they are answered.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};

/// What an answer may take, longer than any wait that comes to its end in a sequence.
const PATIENCE: Duration = Duration::from_secs(10);
/// What clients are called here; members' ids begin with it.
pub const CLIENT: &str = "diff";

/// A connection to a broker.
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
}

impl Connection {
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends a request.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT)));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version)).map_err(io::Error::other)?;
        request.encode(&mut frame, version).map_err(io::Error::other)?;
        self.send_frame(&frame)
    }

    /// Waits for the answer to the request sent last; `UnexpectedEof` if the broker closes the connection.
    pub fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let mut bytes = self.receive_frame()?;
        let key = ApiKey::try_from(R::KEY).map_err(|()| io::Error::other("no such API"))?;
        let header = ResponseHeader::decode(&mut bytes, key.response_header_version(version));
        let header = header.map_err(io::Error::other)?;
        let answer = R::Response::decode(&mut bytes, version).map_err(io::Error::other)?;
        if header.correlation_id != self.correlation || !bytes.is_empty() {
            let (found, expected, over) = (header.correlation_id, self.correlation, bytes.len());
            return Err(io::Error::other(format!(
                "answer {found} to {expected}, {over} bytes are left over"
            )));
        }
        Ok(answer)
    }

    /// Sends a frame of any bytes.
    pub fn send_frame(&mut self, body: &[u8]) -> io::Result<()> {
        let mut frame = BytesMut::new();
        frame.put_u32(u32::try_from(body.len()).map_err(io::Error::other)?);
        frame.put_slice(body);
        self.stream.write_all(&frame)
    }

    /// Waits for a frame.
    pub fn receive_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Whether an error means that the broker closed the connection.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe | ConnectionAborted)
}
