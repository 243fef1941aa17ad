//! The codecs of record batches, as Kafka's clients and brokers use them.
//!
//! Behaviour: gzip and zstd as they are, lz4 in frames, snappy in the blocks of snappy-java (what comes without
//! them is read too). Output is bounded: what grows beyond [`LARGEST`] is an error, as is what cannot be read.
//! Written batches are readable by every client, but not byte by byte what Kafka's libraries would write;
//! compression levels are not honoured.

use std::borrow::Cow;
use std::io::{Read, Write};

/// Most bytes a batch may grow to.
pub(crate) const LARGEST: usize = 128 << 20;

const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// The magic, and twice a version that is 1.
const XERIAL_HEADER: usize = 16;
const XERIAL_BLOCK: usize = 32 << 10;

/// A codec, numbered as the attributes of a batch number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    /// The codec of this name; none of `producer`, and of what is no codec.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "uncompressed" => Self::None,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// The codec of this number.
    pub fn numbered(number: i16) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd]
            .into_iter()
            .find(|codec| *codec as i16 == number)
    }

    /// What `bytes` were before they were compressed; the text says what is wrong with them.
    pub fn decompress(self, bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
        self.decompress_within(LARGEST, bytes)
    }

    fn decompress_within(self, largest: usize, bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
        let bounded = |source: &mut dyn Read| bounded(source, largest);
        let whole = match self {
            Self::None => return Ok(Cow::Borrowed(bytes)),
            Self::Gzip => bounded(&mut flate2::read::MultiGzDecoder::new(bytes)),
            Self::Lz4 => bounded(&mut lz4_flex::frame::FrameDecoder::new(bytes)),
            Self::Zstd => ruzstd::decoding::StreamingDecoder::new(bytes)
                .map_err(|error| error.to_string())
                .and_then(|mut source| bounded(&mut source)),
            Self::Snappy => snappy(bytes, largest),
        };
        whole.map(Cow::Owned).map_err(|found| format!("expected bytes compressed by {self:?}, found {found}"))
    }

    /// `bytes`, compressed.
    pub fn compress(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let written = match self {
            Self::None => Ok(bytes.to_vec()),
            Self::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(bytes).and_then(|()| out.finish()).map_err(|error| error.to_string())
            }
            Self::Lz4 => {
                let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
                let written = out.write_all(bytes).map_err(|error| error.to_string());
                written.and_then(|()| out.finish().map_err(|error| error.to_string()))
            }
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                Ok(ruzstd::encoding::compress_to_vec(bytes, level))
            }
            Self::Snappy => snappy_blocks(bytes),
        };
        written.map_err(|found| format!("{self:?} cannot compress: {found}"))
    }
}

fn bounded(source: &mut dyn Read, largest: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let limit = u64::try_from(largest).unwrap_or(u64::MAX);
    source.take(limit + 1).read_to_end(&mut out).map_err(|error| error.to_string())?;
    if out.len() > largest { Err(too_large(largest)) } else { Ok(out) }
}

fn too_large(largest: usize) -> String {
    format!("more than {largest} bytes of output")
}

fn snappy(bytes: &[u8], largest: usize) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(XERIAL_MAGIC) {
        return snappy_block(bytes, largest);
    }
    let mut rest = bytes.get(XERIAL_HEADER..).ok_or("a header that is cut off")?;
    let mut out = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let block = behind.get(..length).ok_or("a block that is cut off")?;
        out.extend_from_slice(&snappy_block(block, largest - out.len())?);
        rest = &behind[length..];
    }
    if rest.is_empty() { Ok(out) } else { Err("a block length that is cut off".to_owned()) }
}

fn snappy_block(block: &[u8], largest: usize) -> Result<Vec<u8>, String> {
    let length = snap::raw::decompress_len(block).map_err(|error| error.to_string())?;
    // A byte of snappy copies 64 at most: what claims more is refused before there is room made for it.
    if length > largest || length > block.len().saturating_mul(64) {
        return Err(too_large(largest));
    }
    snap::raw::Decoder::new().decompress_vec(block).map_err(|error| error.to_string())
}

fn snappy_blocks(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = XERIAL_MAGIC.to_vec();
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    for block in bytes.chunks(XERIAL_BLOCK) {
        let block = snap::raw::Encoder::new().compress_vec(block).map_err(|error| error.to_string())?;
        let length = u32::try_from(block.len()).map_err(|error| error.to_string())?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&block);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    proptest! {
        #[test]
        fn what_was_compressed_is_read_back(bytes in proptest::collection::vec(0_u8..4, 0..20_000)) {
            for codec in CODECS {
                let small = codec.compress(&bytes).expect("compresses");
                prop_assert_eq!(&*codec.decompress(&small).expect("reads"), &bytes[..], "{:?}", codec);
            }
        }

        #[test]
        fn bytes_that_are_not_compressed_are_refused_calmly(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            flip in any::<prop::sample::Index>(),
        ) {
            for codec in CODECS {
                let _ = codec.decompress(&bytes);
                let mut small = codec.compress(&bytes).expect("compresses");
                if !small.is_empty() {
                    let at = flip.index(small.len());
                    small[at] ^= 0x55;
                    let _ = codec.decompress(&small);
                    let _ = codec.decompress(&small[..at]);
                }
            }
        }
    }

    #[test]
    fn what_grows_beyond_the_bound_is_refused() {
        let zeros = vec![0; 200_001];
        for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd, Codec::Snappy] {
            let small = codec.compress(&zeros).expect("compresses");
            assert!(codec.decompress_within(200_000, &small).is_err(), "{codec:?}");
            assert!(codec.decompress_within(200_001, &small).is_ok(), "{codec:?}");
        }
    }

    #[test]
    fn snappy_without_blocks_is_read_too() {
        let raw = snap::raw::Encoder::new().compress_vec(b"abcabcabcabc").expect("compresses");
        assert_eq!(&*Codec::Snappy.decompress(&raw).expect("reads"), b"abcabcabcabc");
    }
}
