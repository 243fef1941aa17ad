//! What a connection has sent and nobody has read yet.
//!
//! Nothing is held for a connection that sends nothing: bytes are read to the stack, and what came is kept. A frame
//! gets room as it arrives, at most [`GROWTH`] times what is there, so one that promises much and sends little costs
//! little; when it is whole, its room is its size, for records keep the room they arrived in.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::wire::frame::{self, FrameError};
use crate::net::BoxStream;

/// Bytes read at a time to the stack.
const READ_SIZE: usize = 64 * 1024;
/// A frame that lacks more than this is read to where it stays.
const LARGE: usize = 16 * 1024;
/// Room for what came: a batch of librdkafka's largest gets all of its room after the first read.
const GROWTH: usize = 16;

/// Bytes left free before a large frame. Memory that large begins with a page, and so does what the kernel copies the
/// records to when they are fetched: were they a few bytes deeper in their page there than here, which headers of
/// common lengths bring about, the processor would take two to four times as long for the copy.
const LEAD: usize = 1024;

/// See the module's text.
pub(super) struct Input {
    buffer: BytesMut,
    max_frame: usize,
}

impl Input {
    pub fn new(max_frame: usize) -> Self {
        Self { buffer: BytesMut::new(), max_frame }
    }

    /// How much there is.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame, without its length.
    pub fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        let frame = frame::split(&mut self.buffer, self.max_frame);
        if self.buffer.is_empty() {
            // What was split off keeps the room alive; this must not.
            self.buffer = BytesMut::new();
        }
        frame
    }

    /// Reads what has come, or waits for it.
    ///
    /// # Errors
    /// The stream's own; [`io::ErrorKind::UnexpectedEof`] at its end.
    pub async fn read(&mut self, stream: &mut BoxStream) -> io::Result<()> {
        let read = match self.size_of_partial() {
            Some(size) if size - self.buffer.len() > LARGE => {
                self.make_room(room_for(size, self.buffer.len()));
                let room = self.buffer.capacity() - self.buffer.len();
                stream.read_buf(&mut (&mut self.buffer).limit(room)).await?
            }
            partial => self.read_small(stream, partial).await?,
        };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn read_small(&mut self, stream: &mut BoxStream, partial: Option<usize>) -> io::Result<usize> {
        poll_fn(|context| {
            // Lives while something is read, not while it is waited for.
            let mut space = [MaybeUninit::<u8>::uninit(); READ_SIZE];
            let mut read = ReadBuf::uninit(&mut space);
            std::task::ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            if self.buffer.is_empty() {
                let size = frame::size(read.filled(), self.max_frame).ok().flatten().unwrap_or(0);
                self.make_room(room_for(size, read.filled().len()));
                self.buffer.extend_from_slice(read.filled());
            } else {
                if let Some(size) = partial.filter(|size| *size >= self.buffer.len() + read.filled().len()) {
                    self.make_room(size);
                }
                self.buffer.extend_from_slice(read.filled());
            }
            Poll::Ready(Ok(read.filled().len()))
        })
        .await
    }

    /// The size of the frame whose beginning is there, if it is known and the frame is not whole.
    fn size_of_partial(&self) -> Option<usize> {
        // Those with a wrong length are refused before more is read.
        let size = frame::size(&self.buffer, self.max_frame).ok().flatten()?;
        (size > self.buffer.len()).then_some(size)
    }

    /// Room for `size` bytes and no more; `reserve` would double it.
    fn make_room(&mut self, size: usize) {
        if self.buffer.capacity() < size {
            let lead = if size > READ_SIZE { LEAD } else { 0 };
            let mut larger = BytesMut::with_capacity(lead + size);
            larger.put_bytes(0, lead);
            larger.advance(lead);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
    }
}

/// Room for the `here` bytes that came and what they promise: a frame of `size` bytes.
fn room_for(size: usize, here: usize) -> usize {
    size.min((GROWTH * here).max(LARGE)).max(here)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    const MAX: usize = 10 * 1024 * 1024;

    fn frame_of(size: usize) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.put_u32(u32::try_from(size).expect("short"));
        frame.extend((0..size).map(|at| u8::try_from(at % 251).expect("small")));
        frame
    }

    /// Reads frames out of `wire`, which arrives in pieces, and says how much room was held at most.
    async fn read_all(wire: Vec<u8>, pieces: Vec<usize>) -> (Vec<Bytes>, usize) {
        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        let mut stream: BoxStream = Box::new(near);
        let mut input = Input::new(MAX);
        let (mut frames, mut room) = (Vec::new(), 0);
        let mut rest = &wire[..];
        for piece in pieces.into_iter().chain(std::iter::repeat(500_000)) {
            let (now, later) = rest.split_at(piece.clamp(1, rest.len().max(1)).min(rest.len()));
            if now.is_empty() {
                break;
            }
            far.write_all(now).await.expect("written");
            rest = later;
            let mut left = now.len();
            while left > 0 {
                let before = input.len();
                input.read(&mut stream).await.expect("bytes came");
                left -= input.len() - before;
                room = room.max(input.buffer.capacity());
                while let Some(frame) = input.next().expect("good lengths") {
                    frames.push(frame);
                }
            }
        }
        (frames, room)
    }

    #[tokio::test]
    async fn a_frame_that_promises_much_and_sends_little_holds_little() {
        for sent in [5, 100, 20_000, 300_000] {
            let mut wire = frame_of(MAX);
            wire.truncate(sent);
            let (frames, room) = read_all(wire, Vec::new()).await;
            assert!(frames.is_empty());
            assert!(room <= (GROWTH * sent).max(LARGE), "{room} bytes for {sent}");
        }
    }

    #[tokio::test]
    async fn a_large_frame_ends_in_room_of_its_own_size() {
        let wire = frame_of(3_000_000);
        let length = wire.len();
        let (frames, room) = read_all(wire, Vec::new()).await;
        assert_eq!(frames[0].len(), 3_000_000);
        assert_eq!(room, length);
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_were_sent_whatever_the_pieces(
            sizes in prop::collection::vec(prop_oneof![8_usize..200, 15_000_usize..18_000, Just(200_000)], 1..6),
            pieces in prop::collection::vec(prop_oneof![1_usize..10, 1_usize..70_000], 0..30),
        ) {
            let sent: Vec<Vec<u8>> = sizes.into_iter().map(frame_of).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let (frames, _) = runtime.block_on(read_all(sent.concat(), pieces));
            let sent: Vec<Bytes> = sent.into_iter().map(|frame| Bytes::from(frame).slice(4..)).collect();
            prop_assert_eq!(frames, sent);
        }
    }
}
