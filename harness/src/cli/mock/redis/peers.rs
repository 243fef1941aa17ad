//! `MIGRATE` over TCP: the program stands still while it waits for the other server, as the real one does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use squall_mocks::redis::{Exchanged, Peers, Unreached};

/// Longest line of an answer.
const LINE_BYTES: u64 = 1024;

/// Servers reached by TCP.
pub(super) struct Tcp;

impl Peers for Tcp {
    fn exchange(&self, address: (&str, &str), request: &[u8], lines: usize, patience: Duration) -> Exchanged {
        let (host, port) = address;
        let port: u16 = port.parse().map_err(|_| Unreached::Connecting)?;
        let mut addresses = (host, port).to_socket_addrs().map_err(|_| Unreached::Connecting)?;
        let address = addresses.next().ok_or(Unreached::Connecting)?;
        // The real server notices a refused connection when it writes.
        let mut stream = TcpStream::connect_timeout(&address, patience).map_err(|_| Unreached::Writing)?;
        stream.set_write_timeout(Some(patience)).map_err(|_| Unreached::Writing)?;
        stream.set_read_timeout(Some(patience)).map_err(|_| Unreached::Writing)?;
        stream.write_all(request).map_err(|_| Unreached::Writing)?;
        let (mut reader, mut read) = (BufReader::new(stream), Vec::new());
        while read.len() < lines {
            let mut line = Vec::new();
            let outcome = (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line);
            if outcome.is_err() || !line.ends_with(b"\n") {
                return Err(Unreached::Reading(read));
            }
            read.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        Ok(read)
    }
}
