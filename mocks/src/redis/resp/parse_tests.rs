//! Tests of the request parser: golden errors, and anything at all as input.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bulk_bytes: 512 * 1024 * 1024, authenticated: true };

/// Feeds `input` in pieces of `step` bytes and collects the commands.
fn parse(input: &[u8], step: usize, limits: Limits) -> Result<Vec<Vec<Bytes>>, ProtocolError> {
    let (mut parser, mut buffer, mut commands) = (Parser::new(), BytesMut::new(), Vec::new());
    for piece in input.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        while let Some(command) = parser.next(&mut buffer, limits)? {
            commands.push(command);
        }
    }
    Ok(commands)
}

fn refusal(input: &[u8]) -> String {
    parse(input, usize::MAX, LIMITS).expect_err("a protocol error").to_string()
}

#[test]
fn malformed_requests_get_the_real_servers_texts() {
    assert_eq!(refusal(b"*3\r\n+SET\r\n"), "ERR Protocol error: expected '$', got '+'");
    assert_eq!(refusal(b"*x\r\n"), "ERR Protocol error: invalid multibulk length");
    assert_eq!(refusal(b"*2147483648\r\n"), "ERR Protocol error: invalid multibulk length");
    assert_eq!(refusal(b"*1\r\n$-1\r\n"), "ERR Protocol error: invalid bulk length");
    assert_eq!(refusal(b"*1\r\n$536870913\r\n"), "ERR Protocol error: invalid bulk length");
    assert_eq!(refusal(b"set \"a\"b c\r\n"), "ERR Protocol error: unbalanced quotes in request");
    assert_eq!(refusal(&[b'a'; 70_000]), "ERR Protocol error: too big inline request");
    assert_eq!(refusal(&[b'*'; 70_000]), "ERR Protocol error: too big mbulk count string");
}

#[test]
fn a_client_that_has_not_authenticated_may_send_little() {
    let limits = Limits { authenticated: false, ..LIMITS };
    let refused = |input: &[u8]| parse(input, usize::MAX, limits).expect_err("refused").to_string();
    assert_eq!(refused(b"*11\r\n"), "ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(refused(b"*1\r\n$16385\r\n"), "ERR Protocol error: unauthenticated bulk length");
}

#[test]
fn an_announced_length_reserves_next_to_no_memory() {
    let mut parser = Parser::new();
    let mut input = BytesMut::from(&b"*2147483647\r\n$536870912\r\n"[..]);
    assert_eq!(parser.next(&mut input, LIMITS), Ok(None));
    assert!(parser.args.capacity() <= 16 && parser.held_bytes() == 0);
}

#[test]
fn inline_commands_know_quotes_and_escapes() {
    let commands = parse(b"\r\n set  \"a\\x41\\n\" 'it\\'s' \"\"\nPING\r\n", 3, LIMITS).expect("commands");
    let expected: [&[&[u8]]; 2] = [&[b"set", b"aA\n", b"it's", b""], &[b"PING"]];
    assert_eq!(commands, expected);
}

#[test]
fn empty_arrays_are_skipped() {
    let commands = parse(b"*0\r\n*-5\r\n*1\r\n$4\r\nPING\r\n", usize::MAX, LIMITS).expect("commands");
    assert_eq!(commands, [["PING"]]);
}

fn encode(commands: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for command in commands {
        wire.extend(format!("*{}\r\n", command.len()).bytes());
        for argument in command {
            wire.extend(format!("${}\r\n", argument.len()).bytes());
            wire.extend(argument);
            wire.extend(b"\r\n");
        }
    }
    wire
}

proptest! {
    #[test]
    fn requests_survive_any_split(
        commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5), 0..6),
        step in 1_usize..50,
    ) {
        prop_assert_eq!(parse(&encode(&commands), step, LIMITS), Ok(commands.into_iter()
            .map(|command| command.into_iter().map(Bytes::from).collect()).collect::<Vec<Vec<Bytes>>>()));
    }

    #[test]
    fn garbage_ends_in_commands_or_an_error_and_splitting_it_changes_nothing(
        input in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), Just(b'1'), Just(b'"'), Just(b'\''), Just(b'-'),
        ], 0..200),
        step in 1_usize..9,
    ) {
        let (whole, split) = (parse(&input, usize::MAX, LIMITS), parse(&input, step, LIMITS));
        prop_assert_eq!(whole.is_ok(), split.is_ok());
        if let (Ok(whole), Ok(split)) = (whole, split) {
            prop_assert_eq!(whole, split);
        }
    }
}
