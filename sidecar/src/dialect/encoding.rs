//! Takes the content encoding off a request's body, under a bound.
//!
//! What is refused is what two servers may decode differently: several encodings, unknown ones, and bytes behind the first stream (a second
//! gzip member, a second zstd frame), which one decoder appends and another drops.

use bytes::Bytes;
use http::HeaderMap;

use crate::body::{Bound, Decoder, Encoding, Undecodable, Unknown};

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

impl From<Unknown> for Error {
    fn from(_: Unknown) -> Self {
        Self::Unknown
    }
}

impl From<Undecodable> for Error {
    fn from(why: Undecodable) -> Self {
        match why {
            Undecodable::Broken => Self::Broken,
            Undecodable::TooLong => Self::TooLong,
        }
    }
}

/// The body that `raw` stands for by its `Content-Encoding`; never longer than `limit` bytes, which with a few megabytes of the decoder's own are
/// all the memory that it takes.
///
/// # Errors
/// [`Error`].
pub(crate) fn decode(headers: &HeaderMap, raw: Bytes, limit: usize) -> Result<Bytes, Error> {
    let Some(encoding) = Encoding::of(headers)? else {
        return if raw.len() > limit {
            Err(Error::TooLong)
        } else {
            Ok(raw)
        };
    };
    // No encoding makes nothing of nothing.
    if raw.is_empty() {
        return Err(Error::Broken);
    }
    let mut decoder = Decoder::new(encoding, Bound::request(limit));
    let decoded = decoder.push(&raw)?;
    decoder.finish()?;
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};
    use http::header;

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
