//! Takes the content encoding off a response's body as it comes, under a bound.
//!
//! Nobody asks for one where an answer is masked; some servers send one all the same.

use std::io::Write;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status, write::MultiGzDecoder};
use http::{HeaderMap, header};
use ruzstd::decoding::FrameDecoder;

/// The most that one piece may become: more is no text that anybody reads.
const MAX_PIECE: usize = 16 * 1024 * 1024;
/// The most memory that zstd may ask for: the window that RFC 9659 allows for this content encoding.
const ZSTD_WINDOW: u64 = 8 << 20;
/// The longest header of a frame of zstd (RFC 8878 section 3.1.1), magic number included.
const ZSTD_HEADER: usize = 18;

/// The encoding is none of gzip, deflate, br and zstd, or there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// The body is not what its encoding says, or one piece of it becomes too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// The decoder of one body.
pub(crate) struct Decoder {
    kind: Kind,
    /// Something came.
    has_begun: bool,
    /// It came to its end: nothing may follow.
    has_ended: bool,
}

enum Kind {
    /// Of one member after another, as RFC 1952 has it.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd {
        decoder: Box<FrameDecoder>,
        /// What was not read yet: blocks are read whole.
        held: Vec<u8>,
    },
}

impl Decoder {
    /// Of a body with these headers, from which its encoding is taken out. `None` where it has none.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(crate) fn of(headers: &mut HeaderMap) -> Result<Option<Self>, Unknown> {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(encoding) = encodings.next() else {
            return Ok(None);
        };
        if encodings.next().is_some() {
            return Err(Unknown);
        }
        let encoding = encoding.to_str().map_err(|_| Unknown)?.trim();
        let kind = match encoding.to_ascii_lowercase().as_str() {
            "identity" => None,
            "gzip" | "x-gzip" => Some(Kind::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            // RFC 9110 section 8.4.1.2 means the zlib format.
            "deflate" => Some(Kind::Deflate(Decompress::new(true))),
            "br" => {
                let alloc = StandardAlloc::default;
                let state = BrotliState::new(alloc(), alloc(), alloc());
                Some(Kind::Brotli(Box::new(state)))
            }
            "zstd" => {
                let mut decoder = Box::new(FrameDecoder::new());
                decoder.set_max_window_size(ZSTD_WINDOW);
                Some(Kind::Zstd {
                    decoder,
                    held: Vec::new(),
                })
            }
            _ => return Err(Unknown),
        };
        headers.remove(header::CONTENT_ENCODING);
        Ok(kind.map(|kind| Self {
            kind,
            has_begun: false,
            has_ended: false,
        }))
    }

    /// All that `data` and what came before it stand for, as far as it was not given out.
    ///
    /// # Errors
    /// [`Broken`].
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<Vec<u8>, Broken> {
        if data.is_empty() {
            return Ok(Vec::new());
        }
        if self.has_ended {
            return Err(Broken);
        }
        self.has_begun = true;
        let mut out = Vec::new();
        match &mut self.kind {
            Kind::Gzip(decoder) => gzip(decoder, data, &mut out)?,
            Kind::Deflate(decoder) => self.has_ended = deflate(decoder, data, &mut out)?,
            Kind::Brotli(state) => self.has_ended = brotli(state, data, &mut out)?,
            Kind::Zstd { decoder, held } => {
                held.extend_from_slice(data);
                self.has_ended = zstd(decoder, held, &mut out)?;
            }
        }
        Ok(out)
    }

    /// The body is over.
    ///
    /// # Errors
    /// [`Broken`] where it should have gone on.
    pub(crate) fn finish(&mut self) -> Result<(), Broken> {
        let is_whole = match &mut self.kind {
            Kind::Gzip(decoder) => !self.has_begun || decoder.try_finish().is_ok(),
            _ => !self.has_begun || self.has_ended,
        };
        if is_whole { Ok(()) } else { Err(Broken) }
    }
}

fn bounded(out: &[u8]) -> Result<(), Broken> {
    if out.len() > MAX_PIECE {
        return Err(Broken);
    }
    Ok(())
}

fn gzip(
    decoder: &mut MultiGzDecoder<Vec<u8>>,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    // A byte stands for a thousand at most, so that this much never becomes more than a few megabytes before it is measured.
    for piece in data.chunks(4096) {
        decoder.write_all(piece).map_err(|_| Broken)?;
        decoder.flush().map_err(|_| Broken)?;
        out.append(decoder.get_mut());
        bounded(out)?;
    }
    Ok(())
}

/// Returns whether it came to its end.
fn deflate(decoder: &mut Decompress, data: &[u8], out: &mut Vec<u8>) -> Result<bool, Broken> {
    let mut rest = data;
    loop {
        out.reserve(16 << 10);
        let (read, written) = (decoder.total_in(), out.len());
        let status = decoder
            .decompress_vec(rest, out, FlushDecompress::None)
            .map_err(|_| Broken)?;
        bounded(out)?;
        let taken = usize::try_from(decoder.total_in() - read).unwrap_or(rest.len());
        rest = &rest[taken..];
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(true),
            Status::StreamEnd => return Err(Broken),
            Status::Ok | Status::BufError => {
                if taken == 0 && out.len() == written {
                    return Ok(false);
                }
            }
        }
    }
}

/// Returns whether it came to its end.
fn brotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, Broken> {
    let (mut left, mut at, mut total) = (data.len(), 0, 0);
    let mut chunk = vec![0; 16 << 10];
    loop {
        let (mut space, mut filled) = (chunk.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            data,
            &mut space,
            &mut filled,
            &mut chunk,
            &mut total,
            state,
        );
        out.extend_from_slice(&chunk[..filled]);
        bounded(out)?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Ok(false),
            BrotliResult::ResultSuccess if left == 0 => return Ok(true),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => return Err(Broken),
        }
    }
}

/// Returns whether it came to its end.
fn zstd(decoder: &mut FrameDecoder, held: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, Broken> {
    let mut chunk = vec![0; 16 << 10];
    let has_begun = decoder.content_size() > 0 || decoder.blocks_decoded() > 0;
    let mut at = 0;
    loop {
        let (read, written) = match decoder.decode_from_to(&held[at..], &mut chunk) {
            Ok(done) => done,
            // Its header is not all there.
            Err(_) if !has_begun && at == 0 && held.len() < ZSTD_HEADER => return Ok(false),
            Err(_) => return Err(Broken),
        };
        // A checksum that is not all there is told as if it was read.
        let read = if read > held.len() - at { 0 } else { read };
        at += read;
        out.extend_from_slice(&chunk[..written]);
        bounded(out)?;
        if read == 0 && written == 0 {
            break;
        }
    }
    held.drain(..at);
    match (decoder.is_finished(), held.is_empty()) {
        (true, true) => Ok(true),
        (true, false) => Err(Broken),
        (false, _) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write};

    use super::*;

    const TEXT: &[u8] = br#"{"model":"gpt-4o-mini"}"#;
    /// `TEXT` by Python's `brotli` 1.2.
    const BROTLI: &[u8] = include_bytes!("../dialect/fixtures/model.json.br");
    /// `TEXT` by zstd 1.5.7, with its checksum.
    const ZSTD: &[u8] = include_bytes!("../dialect/fixtures/model.json.zst");

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn all() -> [(&'static str, Vec<u8>); 4] {
        let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(TEXT).unwrap();
        [
            ("gzip", gzip(TEXT)),
            ("deflate", zlib.finish().unwrap()),
            ("br", BROTLI.to_vec()),
            ("zstd", ZSTD.to_vec()),
        ]
    }

    fn decoder(encoding: &str) -> Decoder {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        let decoder = Decoder::of(&mut headers).unwrap().unwrap();
        assert!(headers.is_empty());
        decoder
    }

    fn decoded<'a>(
        encoding: &str,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, Broken> {
        let mut decoder = decoder(encoding);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(decoder.push(piece)?);
        }
        decoder.finish()?;
        Ok(out)
    }

    #[test]
    fn every_encoding_is_taken_off_wherever_it_is_cut() {
        for (encoding, raw) in all() {
            for cut in 0..=raw.len() {
                let (head, tail) = raw.split_at(cut);
                assert_eq!(
                    decoded(encoding, [head, tail]).as_deref(),
                    Ok(TEXT),
                    "{encoding} {cut}"
                );
            }
            let bytes = decoded(encoding, raw.chunks(1));
            assert_eq!(bytes.as_deref(), Ok(TEXT), "{encoding}");
        }
        let twice = [gzip(TEXT), gzip(TEXT)].concat();
        assert_eq!(
            decoded("x-gzip", [&twice[..]]).as_deref(),
            Ok(&[TEXT, TEXT].concat()[..])
        );
    }

    #[test]
    fn what_was_sent_can_be_read_before_the_end() {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = decoder("gzip");
        for event in [&b"data: 1\n\n"[..], b"data: 2\n\n"] {
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            let piece = std::mem::take(encoder.get_mut());
            assert_eq!(decoder.push(&piece).unwrap(), event);
        }
    }

    #[test]
    fn a_body_that_is_cut_damaged_or_goes_on_is_told() {
        for (encoding, raw) in all() {
            for end in 1..raw.len() {
                assert_eq!(
                    decoded(encoding, [&raw[..end]]),
                    Err(Broken),
                    "{encoding} {end}"
                );
            }
            let longer = [&raw[..], b"x"].concat();
            assert_eq!(decoded(encoding, [&longer[..]]), Err(Broken), "{encoding}");
            assert_eq!(decoded(encoding, [TEXT]), Err(Broken), "{encoding}");
            assert_eq!(decoded(encoding, []).as_deref(), Ok(&b""[..]), "{encoding}");
        }
    }

    #[test]
    fn a_piece_that_becomes_too_much_is_told() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decoded("gzip", [&bomb[..]]), Err(Broken));
    }

    #[test]
    fn unknown_and_several_encodings_are_told() {
        for encodings in [&["gzip, br"][..], &["gzip", "br"], &["compress"], &[""]] {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(header::CONTENT_ENCODING, encoding.parse().unwrap());
            }
            assert!(Decoder::of(&mut headers).is_err(), "{encodings:?}");
        }
    }
}
