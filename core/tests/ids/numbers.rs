//! Numbers, against the published ES6 sequence: 168 edge values, 2000 neighbours of the smallest normal
//! double, then the doubles of a SHA-256 chain that starts with 32 zero bytes. Lines are
//! `<bits in hexadecimal>,<number>\n`; the SHA-256 of the first 10^n lines is published.

use std::io::Write as _;

use sha2::{Digest, Sha256};
use squall_core::canonical::write_number;

const EDGE_VALUES: &str = include_str!("../../testdata/es6-edge-values.txt");
const NEIGHBOURS: u64 = 2000;
const SMALLEST_NORMAL: u64 = 0x0010_0000_0000_0000;

const PUBLISHED: [(usize, &str); 4] = [
    (1_000, "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687"),
    (10_000, "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892"),
    (100_000, "22776e6d4b49fa294a0d0f349268e5c28808fe7e0cb2bcbe28f63894e494d4c7"),
    (1_000_000, "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16"),
];

#[test]
fn a_million_numbers_are_written_as_published() {
    let mut hash = Sha256::new();
    let mut lines = Vec::new();
    let mut published = PUBLISHED.iter();
    let mut next = published.next();
    for (index, number) in sequence().enumerate() {
        let Some((count, expected)) = next else { break };
        write!(lines, "{:x},", number.to_bits()).expect("a vector takes everything");
        write_number(&mut lines, number).expect("a finite number");
        lines.push(b'\n');
        if index + 1 == *count {
            hash.update(&lines);
            lines.clear();
            assert_eq!(hex::encode(hash.clone().finalize()), *expected, "the first {count} numbers");
            next = published.next();
        }
    }
    assert!(next.is_none(), "the sequence ended early");
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut out = Vec::new();
        assert!(write_number(&mut out, number).is_err());
        assert!(out.is_empty(), "{number}");
    }
}

fn sequence() -> impl Iterator<Item = f64> {
    let edges = EDGE_VALUES.lines().filter(|line| !line.starts_with('#'));
    let edges = edges.map(|line| u64::from_str_radix(line, 16).expect("hexadecimal"));
    let neighbours = (0..NEIGHBOURS).map(|n| SMALLEST_NORMAL + n);
    edges.chain(neighbours).map(f64::from_bits).chain(chain())
}

fn chain() -> impl Iterator<Item = f64> {
    let blocks = std::iter::successors(Some([0; 32]), |block| Some(Sha256::digest(block).into()));
    let doubles = blocks.skip(1).flat_map(|block: [u8; 32]| {
        let (words, _) = block.as_chunks::<8>();
        words.iter().map(|word| f64::from_le_bytes(*word)).collect::<Vec<_>>()
    });
    doubles.filter(|double| *double != 0.0 && double.is_finite())
}
