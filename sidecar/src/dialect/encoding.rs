//! Takes the content encoding off a request's body, under a bound.
//!
//! What is refused is what two servers may decode differently: several encodings, unknown ones, and bytes behind the first stream (a second
//! gzip member, a second zstd frame), which one decoder appends and another drops.

use std::io::Read;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use ruzstd::decoding::StreamingDecoder;

/// The most memory that a zstd body may ask for: the window that RFC 9659 allows for this content encoding.
const ZSTD_WINDOW: usize = 8 << 20;

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// An encoding that this version does not know, or more than one.
    #[error("the Content-Encoding must be one of gzip, deflate, br and zstd, or absent")]
    Unknown,
    /// Damaged or cut off, with bytes behind it, or not in this encoding at all.
    #[error("the body is not what its Content-Encoding says, or something stands behind it")]
    Broken,
    /// Longer than the limit when decoded.
    #[error("the decoded body is too long")]
    TooLong,
}

/// The body that `raw` stands for by its `Content-Encoding`; never longer than `limit` bytes, which are all the memory that it takes beside the
/// decoder's own.
///
/// # Errors
/// [`Error`].
pub(crate) fn decode(headers: &HeaderMap, raw: Bytes, limit: usize) -> Result<Bytes, Error> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return plain(raw, limit);
    };
    if encodings.next().is_some() {
        return Err(Error::Unknown);
    }
    let encoding = encoding.to_str().map_err(|_| Error::Unknown)?.trim();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    if is("identity") {
        plain(raw, limit)
    } else if is("gzip") || is("x-gzip") {
        let mut rest: &[u8] = &raw;
        let decoded = take(GzDecoder::new(&mut rest), limit)?;
        whole(decoded, rest)
    } else if is("deflate") {
        // RFC 9110 section 8.4.1.2 means the zlib format. Bare deflate, which some send, is taken by some servers alone.
        let mut rest: &[u8] = &raw;
        let decoded = take(ZlibDecoder::new(&mut rest), limit)?;
        whole(decoded, rest)
    } else if is("br") {
        brotli(&raw, limit)
    } else if is("zstd") {
        let mut rest: &[u8] = &raw;
        let window = ZSTD_WINDOW.max(limit) as u64;
        let decoder = StreamingDecoder::new_with_max_window_size(&mut rest, window)
            .map_err(|_| Error::Broken)?;
        let decoded = take(decoder, limit)?;
        whole(decoded, rest)
    } else {
        Err(Error::Unknown)
    }
}

fn plain(raw: Bytes, limit: usize) -> Result<Bytes, Error> {
    if raw.len() > limit {
        return Err(Error::TooLong);
    }
    Ok(raw)
}

/// All that `decoder` gives.
fn take(decoder: impl Read, limit: usize) -> Result<Vec<u8>, Error> {
    let mut decoded = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut decoded)
        .map_err(|_| Error::Broken)?;
    if decoded.len() > limit {
        return Err(Error::TooLong);
    }
    Ok(decoded)
}

/// `decoded`, if nothing is left of the input.
fn whole(decoded: Vec<u8>, rest: &[u8]) -> Result<Bytes, Error> {
    if rest.is_empty() {
        Ok(decoded.into())
    } else {
        Err(Error::Broken)
    }
}

/// Brotli by its own loop, since its reader buffers input and so cannot tell what was left behind.
fn brotli(raw: &[u8], limit: usize) -> Result<Bytes, Error> {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let (mut left, mut at, mut total) = (raw.len(), 0, 0);
    let mut decoded = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    loop {
        let (mut space, mut filled) = (chunk.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            raw,
            &mut space,
            &mut filled,
            &mut chunk,
            &mut total,
            &mut state,
        );
        decoded.extend_from_slice(&chunk[..filled]);
        if decoded.len() > limit {
            return Err(Error::TooLong);
        }
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess => return whole(decoded, &raw[at..]),
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => {
                return Err(Error::Broken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};

    use super::*;

    const TEXT: &[u8] = br#"{"model":"gpt-4o-mini"}"#;
    /// `TEXT` by Python's `brotli` 1.2.
    const BROTLI: &[u8] = include_bytes!("fixtures/model.json.br");
    /// `TEXT` by zstd 1.5.7, with its checksum.
    const ZSTD: &[u8] = include_bytes!("fixtures/model.json.zst");

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(encodings: &[&str], raw: &[u8], limit: usize) -> Result<Bytes, Error> {
        let mut headers = HeaderMap::new();
        for encoding in encodings {
            headers.append(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        decode(&headers, Bytes::copy_from_slice(raw), limit)
    }

    fn all() -> [(&'static str, Vec<u8>); 4] {
        [
            ("gzip", gzip(TEXT)),
            ("deflate", zlib(TEXT)),
            ("br", BROTLI.to_vec()),
            ("zstd", ZSTD.to_vec()),
        ]
    }

    #[test]
    fn every_known_encoding_is_taken_off() {
        for (encoding, raw) in all() {
            assert_eq!(
                decoded(&[encoding], &raw, 1024).as_deref(),
                Ok(TEXT),
                "{encoding}"
            );
            let capitals = encoding.to_uppercase();
            assert_eq!(
                decoded(&[&capitals], &raw, 1024).as_deref(),
                Ok(TEXT),
                "{encoding}"
            );
        }
        assert_eq!(decoded(&["x-gzip"], &gzip(TEXT), 1024).as_deref(), Ok(TEXT));
        assert_eq!(decoded(&["identity"], TEXT, 1024).as_deref(), Ok(TEXT));
        assert_eq!(decoded(&[], TEXT, 1024).as_deref(), Ok(TEXT));
    }

    #[test]
    fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
        let plain = [("identity", TEXT.to_vec())];
        for (encoding, raw) in all().into_iter().chain(plain) {
            assert!(decoded(&[encoding], &raw, TEXT.len()).is_ok(), "{encoding}");
            let shorter = decoded(&[encoding], &raw, TEXT.len() - 1);
            assert_eq!(shorter, Err(Error::TooLong), "{encoding}");
        }
        // A gigabyte would not fit into the test.
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decoded(&["gzip"], &bomb, 1 << 20), Err(Error::TooLong));
    }

    #[test]
    fn several_encodings_and_unknown_ones_are_refused() {
        let twice = gzip(&gzip(TEXT));
        for encodings in [
            &["gzip, gzip"][..],
            &["gzip", "gzip"],
            &["gzip,"],
            &["gzip;q=1"],
            &["compress"],
            &["aws-chunked"],
            &[""],
            &["identity, gzip"],
        ] {
            assert_eq!(
                decoded(encodings, &twice, 1024),
                Err(Error::Unknown),
                "{encodings:?}"
            );
        }
    }

    #[test]
    fn what_stands_behind_the_first_stream_is_refused() {
        for (encoding, raw) in all() {
            for behind in [&b"x"[..], &raw] {
                let longer = [&raw, behind].concat();
                assert_eq!(
                    decoded(&[encoding], &longer, 1024),
                    Err(Error::Broken),
                    "{encoding}"
                );
            }
        }
    }

    #[test]
    fn a_cut_or_mislabelled_body_is_refused() {
        for (encoding, raw) in all() {
            for end in 0..raw.len() {
                assert_eq!(
                    decoded(&[encoding], &raw[..end], 1024),
                    Err(Error::Broken),
                    "{encoding} {end}"
                );
            }
            for (_, other) in all().into_iter().filter(|(other, _)| *other != encoding) {
                assert_eq!(
                    decoded(&[encoding], &other, 1024),
                    Err(Error::Broken),
                    "{encoding}"
                );
            }
            assert_eq!(
                decoded(&[encoding], TEXT, 1024),
                Err(Error::Broken),
                "{encoding}"
            );
        }
    }
}
