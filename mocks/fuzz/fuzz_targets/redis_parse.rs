//! Any bytes, in any pieces, to the parser of requests: it never panics, holds no more than has arrived, and the
//! pieces do not decide what the commands are.
//!
//! The first byte says where the input is cut; the rest is what a client sends.

#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use squall_mocks::redis::resp::{Limits, Parser};

const LIMITS: Limits = Limits { bulk_bytes: 512 * 1024 * 1024, authenticated: true };

/// Commands, then the error that ended them.
type Parsed = (Vec<Vec<Bytes>>, Option<String>);

fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Parsed {
    let (mut parser, mut input) = (Parser::new(), BytesMut::new());
    let (mut commands, mut arrived) = (Vec::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        arrived += piece.len();
        loop {
            match parser.next(&mut input, limits) {
                Ok(Some(args)) => commands.push(args),
                Ok(None) => break,
                Err(error) => return (commands, Some(error.to_string())),
            }
            assert!(parser.held_bytes() + input.len() <= arrived, "more is held than has arrived");
        }
    }
    (commands, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&cut, sent)) = data.split_first() else { return };
    for limits in [LIMITS, Limits { authenticated: false, ..LIMITS }] {
        let whole = parse(std::iter::once(sent), limits);
        let pieces = sent.chunks(usize::from(cut).max(1));
        assert_eq!(whole, parse(pieces, limits), "the pieces decide what the commands are");
        let bytes: usize = whole.0.iter().flatten().map(Bytes::len).sum();
        assert!(bytes <= sent.len(), "arguments hold more than was sent");
    }
});
