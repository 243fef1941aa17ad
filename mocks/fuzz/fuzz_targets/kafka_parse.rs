//! Any bytes as a Kafka request: reading it never panics, never takes long and never takes memory that the bytes do
//! not have. Run with `-malloc_limit_mb=256`: no request of a few kilobytes may ask for so much.
//!
//! The first two bytes choose an API and a version that are served, so that the rest is a body; if the first is 255,
//! the whole input is the frame.

#![no_main]

use libfuzzer_sys::fuzz_target;
use squall_mocks::kafka::{api_names, read_request};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else { return };
    if choice == 255 {
        let _ = read_request(rest);
        return;
    }
    let Some((&version, body)) = rest.split_first() else { return };
    let key = i16::from(choice) % 100;
    let mut frame = Vec::from(key.to_be_bytes());
    frame.extend(i16::from(version % 20).to_be_bytes());
    // A correlation, no client id, and for newer versions no tags: the zero is the body's first byte for the older.
    frame.extend([0, 0, 0, 1, 0xff, 0xff]);
    frame.extend(body);
    if let Ok((name, _)) = read_request(&frame) {
        assert!(api_names().any(|known| known == name));
    }
});
