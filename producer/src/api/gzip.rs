//! Bodies that were compressed on their way, decoded as they arrive.
//!
//! The HTTP client's own decoder stops at the end of the first gzip member, and a proxy that compresses piece by piece
//! sends several (RFC 1952, 2.2), so the rest of the answer would be lost.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// What each member of a gzip stream begins with.
const MAGIC: u8 = 0x1f;

/// Decodes one body.
pub(crate) enum Decoder {
    /// Not compressed, or in a way that was not asked for.
    Plain,
    /// Compressed, and no byte has come yet.
    Unstarted,
    /// In a member, or right behind it.
    Member(Box<GzDecoder<Vec<u8>>>),
    /// Behind the last member, where some servers pad with zeros. That is ignored, as other clients do.
    Padding,
}

impl Decoder {
    /// The decoder that an answer's headers call for.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_gzip = ["gzip", "x-gzip"].iter().any(|name| coding.trim().eq_ignore_ascii_case(name));
        if is_gzip { Self::Unstarted } else { Self::Plain }
    }

    fn member() -> Self {
        Self::Member(Box::new(GzDecoder::new(Vec::new())))
    }

    /// Decodes a piece; `take` gets what comes out, some 32 KiB at a time, so that it can stop a body that grows
    /// without limit.
    ///
    /// # Errors
    /// What `take` says, and an [`io::Error`] for bytes that are not gzip.
    pub(crate) fn decode<E: From<io::Error>>(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(first) = piece.first() {
            match self {
                Self::Plain => return take(piece),
                Self::Padding => return Ok(()),
                Self::Unstarted => *self = Self::member(),
                Self::Member(decoder) => {
                    let read = decoder.write(piece)?;
                    // Otherwise the decoder keeps up to 32 KiB, which a body that breaks off would lose.
                    decoder.flush()?;
                    take_decoded(decoder, &mut take)?;
                    // A member that is complete takes nothing more.
                    if read == 0 {
                        self.finish(&mut take)?;
                        *self = if *first == MAGIC { Self::member() } else { Self::Padding };
                    }
                    piece = &piece[read..];
                }
            }
        }
        Ok(())
    }

    /// Hands over what is left at the end of a body.
    ///
    /// # Errors
    /// What `take` says, and an [`io::Error`] for a body that ends within a member or doesn't match its checksum.
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

    /// A body in pieces of this size, as far as it can be decoded, and whether that was all.
    fn decoded(coding: &str, body: &[u8], size: usize) -> (Vec<u8>, bool) {
        let (mut decoder, mut all) = (decoder(coding), Vec::new());
        let mut take = |bytes: &[u8]| -> io::Result<()> {
            all.extend_from_slice(bytes);
            Ok(())
        };
        let fed = body.chunks(size).try_for_each(|piece| decoder.decode(piece, &mut take));
        let finished = decoder.finish(&mut take);
        (all, fed.is_ok() && finished.is_ok())
    }

    #[test]
    fn members_are_decoded_whatever_the_pieces() {
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
    fn a_body_that_ends_within_a_member_or_is_no_gzip_is_an_error() {
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
    fn what_came_before_a_body_broke_off_is_handed_over() {
        // Noise hardly compresses, so half of the body holds half of the text. (Xorshift, Marsaglia 2003.)
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
