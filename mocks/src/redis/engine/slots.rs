//! Hash slots: which of the 16,384 a key belongs to, as the cluster specification defines it.

/// How many slots there are.
pub const SLOTS: u16 = 16_384;

/// The slot of a key: its CRC16, of the part in braces only if there is one that is not empty.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0)?;
        Some(&rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC16 of the XMODEM kind: polynomial 0x1021, nothing reflected, starting from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn keys_with_the_same_tag_share_a_slot() {
        assert_eq!(slot_of(b"a"), 15_495);
        assert_eq!(slot_of(b"{a}b"), slot_of(b"a"));
        assert_eq!(slot_of(b"x{a}{b}"), slot_of(b"a"));
        assert_eq!(slot_of(b"{}a"), crc16(b"{}a") % SLOTS);
    }
}
