//! Decodes gzip bodies while they arrive.
//!
//! The decoder of the HTTP client stops at the end of the first gzip member. A proxy that compresses in chunks sends
//! several members (RFC 1952, 2.2), so the rest of the answer would be lost.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The first byte of each member of a gzip stream.
const MAGIC: u8 = 0x1f;

/// Decodes one body.
pub(crate) enum Decoder {
    /// Not compressed, or with an encoding that was not requested.
    Plain,
    /// Compressed, before the first byte.
    Unstarted,
    /// In a member, or right after it.
    Member(Box<GzDecoder<Vec<u8>>>),
    /// After the last member, where some servers pad with zeros. That is ignored, as other clients do.
    Padding,
}

impl Decoder {
    /// The decoder for an answer with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_gzip = ["gzip", "x-gzip"].iter().any(|name| coding.trim().eq_ignore_ascii_case(name));
        if is_gzip { Self::Unstarted } else { Self::Plain }
    }

    fn member() -> Self {
        Self::Member(Box::new(GzDecoder::new(Vec::new())))
    }

    /// Decodes a chunk. Calls `take` with about 32 KiB of output at a time, so that it can stop a body that grows without
    /// limit.
    ///
    /// # Errors
    /// The error of `take`, and an [`io::Error`] for bytes that are not gzip.
    pub(crate) fn decode<E: From<io::Error>>(
        &mut self,
        mut chunk: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(first) = chunk.first() {
            match self {
                Self::Plain => return take(chunk),
                Self::Padding => return Ok(()),
                Self::Unstarted => *self = Self::member(),
                Self::Member(decoder) => {
                    let read = decoder.write(chunk)?;
                    // Otherwise the decoder keeps up to 32 KiB, which would be lost if the body is cut off.
                    decoder.flush()?;
                    take_decoded(decoder, &mut take)?;
                    // A complete member consumes nothing more.
                    if read == 0 {
                        self.finish(&mut take)?;
                        *self = if *first == MAGIC { Self::member() } else { Self::Padding };
                    }
                    chunk = &chunk[read..];
                }
            }
        }
        Ok(())
    }

    /// Passes the rest of a body to `take`.
    ///
    /// # Errors
    /// The error of `take`, and an [`io::Error`] for a body that ends within a member or doesn't match its checksum.
    pub(crate) fn finish<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self::Member(decoder) = self else { return Ok(()) };
        let finished = decoder.try_finish();
        take_decoded(decoder, &mut take)?;
        Ok(finished?)
    }
}

fn take_decoded<E>(
    decoder: &mut GzDecoder<Vec<u8>>,
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let decoded = decoder.get_mut();
    if !decoded.is_empty() {
        take(decoded)?;
        decoded.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoder(coding: &str) -> Decoder {
        Decoder::of(&HeaderMap::from_iter([(CONTENT_ENCODING, coding.parse().unwrap())]))
    }

    /// The decoded part of a body in chunks of this size, and whether it was complete.
    fn decoded(coding: &str, body: &[u8], size: usize) -> (Vec<u8>, bool) {
        let (mut decoder, mut all) = (decoder(coding), Vec::new());
        let mut take = |bytes: &[u8]| -> io::Result<()> {
            all.extend_from_slice(bytes);
            Ok(())
        };
        let fed = body.chunks(size).try_for_each(|chunk| decoder.decode(chunk, &mut take));
        let finished = decoder.finish(&mut take);
        (all, fed.is_ok() && finished.is_ok())
    }

    #[test]
    fn members_are_decoded_whatever_the_chunks() {
        let text = b"one two three".repeat(9);
        let members = [gzip(&text[..1]), gzip(b""), gzip(&text[1..50]), gzip(&text[50..])].concat();
        for size in 1..=members.len() {
            assert_eq!(decoded("gzip", &members, size), (text.clone(), true), "{size}");
        }
        let padded = [&members[..], &[0; 20]].concat();
        assert_eq!(decoded("X-Gzip", &padded, 7), (text.clone(), true));
        assert_eq!(decoded("gzip", b"", 1), (Vec::new(), true));
        assert_eq!(decoded("identity", &members, 5), (members.clone(), true));
    }

    #[test]
    fn a_body_that_ends_within_a_member_or_is_not_gzip_is_an_error() {
        let text = b"one two three".repeat(9);
        let whole = [gzip(&text), gzip(&text)].concat();
        let first = gzip(&text).len();
        for end in (1..whole.len()).filter(|end| *end != first) {
            let (came, complete) = decoded("gzip", &whole[..end], 9);
            assert!(!complete && came.len() <= 2 * text.len(), "{end}");
        }
        let mut wrong_sum = gzip(&text);
        wrong_sum[first - 5] ^= 1;
        assert!(!decoded("gzip", &wrong_sum, 9).1);
        assert!(!decoded("gzip", b"{\"results\":[]}", 9).1);
    }

    #[test]
    fn the_part_before_a_body_was_cut_off_is_decoded() {
        // Noise hardly compresses, so half of the body contains half of the text. (Xorshift, Marsaglia 2003.)
        let mut state = 1_u32;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        let noise: Vec<u8> = (0..3_000).map(|_| draw()).collect();
        let body = gzip(&noise);
        let (mut decoder, mut came) = (decoder("gzip"), Vec::new());
        let half = &body[..body.len() / 2];
        let taken = decoder.decode(half, |bytes| -> io::Result<()> {
            came.extend_from_slice(bytes);
            Ok(())
        });
        assert!(taken.is_ok() && came.len() > 1_000 && noise.starts_with(&came), "{}", came.len());
    }

    #[test]
    fn a_body_that_inflates_without_limit_is_stopped_early() {
        let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
        let mut taken = 0;
        let stopped = decoder("gzip").decode(&bomb, |bytes| {
            taken += bytes.len();
            if taken > 100_000 { Err(io::Error::other("enough")) } else { Ok(()) }
        });
        assert!(stopped.is_err() && taken < 1_000_000, "{taken}");
    }
}
