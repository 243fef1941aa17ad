//! LZF, the compression of strings: `000nnnnn` and n+1 bytes as they are, `lllooooo oooooooo` l+2 bytes from o+1
//! bytes before, `111ooooo llllllll oooooooo` l+9 bytes.
//!
//! Candidates for repetitions are found as the library does that Redis uses (liblzf, "very fast"), so that the
//! output is the same.

const LITERALS: usize = 32;
const OFFSETS: usize = 1 << 13;
const LONGEST: usize = 264;
const SLOT_BITS: u32 = 16;

/// What has been written, the byte that holds the length of the literals under way included.
struct Output {
    bytes: Vec<u8>,
    literals: usize,
    most: usize,
}

impl Output {
    fn literal(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.literals += 1;
        if self.literals == LITERALS {
            self.end_literals();
            self.begin_literals();
        }
    }

    fn begin_literals(&mut self) {
        self.bytes.push(0);
        self.literals = 0;
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
    fn end_literals(&mut self) {
        let mark = self.bytes.len() - self.literals - 1;
        if self.literals == 0 {
            self.bytes.truncate(mark);
        } else {
            self.bytes[mark] = (self.literals - 1) as u8;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "offsets have 13 bits, and lengths 8")]
    fn repetition(&mut self, offset: usize, length: usize) {
        self.end_literals();
        let (high, length) = ((offset >> 8) as u8, length - 2);
        if length < 7 {
            self.bytes.push(high | (length as u8) << 5);
        } else {
            self.bytes.extend_from_slice(&[high | 7 << 5, (length - 7) as u8]);
        }
        self.bytes.push(offset as u8);
        self.begin_literals();
    }
}

/// Hashes the three bytes at a position.
fn slot(input: &[u8], at: usize) -> usize {
    let word = u32::from(input[at]) << 16 | u32::from(input[at + 1]) << 8 | u32::from(input[at + 2]);
    ((word >> (24 - SLOT_BITS)).wrapping_sub(word.wrapping_mul(5)) & ((1 << SLOT_BITS) - 1)) as usize
}

/// The input in at most `most` bytes; `None` if it does not fit.
pub(super) fn compress(input: &[u8], most: usize) -> Option<Vec<u8>> {
    if input.len() < 3 || most == 0 {
        return None;
    }
    // The position after the last one seen of each hash; 0 is none.
    let mut seen = vec![0_usize; 1 << SLOT_BITS];
    let mut output = Output { bytes: Vec::with_capacity(most), literals: 0, most };
    output.begin_literals();
    let (mut at, last) = (0, input.len() - 2);
    while at < last {
        let before = std::mem::replace(&mut seen[slot(input, at)], at + 1);
        // The library's test lets a repetition of the very first byte pass unseen.
        let from = before.checked_sub(1).filter(|from| *from > 0 && at - from <= OFFSETS);
        let Some(from) = from.filter(|from| input[*from..*from + 3] == input[at..at + 3]) else {
            if output.bytes.len() >= output.most {
                return None;
            }
            output.literal(input[at]);
            at += 1;
            continue;
        };
        if output.bytes.len() - usize::from(output.literals == 0) + 4 >= output.most {
            return None;
        }
        let length = repeated(input, from, at);
        output.repetition(at - from - 1, length);
        at += length;
        if at >= last {
            break;
        }
        for again in [at - 2, at - 1] {
            seen[slot(input, again)] = again + 1;
        }
    }
    if output.bytes.len() + 3 > output.most {
        return None;
    }
    input[at..].iter().for_each(|byte| output.literal(*byte));
    output.end_literals();
    Some(output.bytes)
}

/// How many bytes at `at` repeat those at `from`, three of which are known to.
fn repeated(input: &[u8], from: usize, at: usize) -> usize {
    let most = (input.len() - at - 2).min(LONGEST);
    let mut length = 2;
    // Sixteen steps are made without a look at the limit, which shows at the end of the input.
    for _ in 0..if most > 16 { 16 } else { 0 } {
        length += 1;
        if input[from + length] != input[at + length] {
            return length;
        }
    }
    loop {
        length += 1;
        if length >= most || input[from + length] != input[at + length] {
            return length;
        }
    }
}

/// The `length` bytes that were compressed; `None` if they are others.
pub(super) fn decompress(mut input: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    while let Some((first, rest)) = input.split_first() {
        let count = usize::from(first >> 5);
        if count == 0 {
            let (literals, rest) = rest.split_at_checked(usize::from(*first) + 1)?;
            output.extend_from_slice(literals);
            input = rest;
        } else {
            let (more, rest) = if count == 7 { rest.split_first()? } else { (&0, rest) };
            let (low, rest) = rest.split_first()?;
            let offset = usize::from(first & 0x1f) << 8 | usize::from(*low);
            let start = output.len().checked_sub(offset + 1)?;
            // A repetition may reach into what it writes.
            for at in start..start + count + usize::from(*more) + 2 {
                output.push(output[at]);
            }
            input = rest;
        }
        if output.len() > length {
            return None;
        }
    }
    (output.len() == length).then_some(output)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(
            pieces in prop::collection::vec((prop::collection::vec(0_u8..4, 1..12), 1_usize..40), 1..40),
        ) {
            let input: Vec<u8> = pieces.into_iter().flat_map(|(piece, times)| piece.repeat(times)).collect();
            if let Some(packed) = compress(&input, input.len().saturating_sub(4)) {
                prop_assert!(packed.len() <= input.len() - 4);
                prop_assert_eq!(decompress(&packed, input.len()), Some(input));
            }
        }

        #[test]
        fn no_input_is_too_odd_to_be_read(input in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..500) {
            prop_assert!(decompress(&input, length).is_none_or(|output| output.len() == length));
        }
    }
}
