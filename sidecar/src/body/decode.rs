//! Takes the content encoding off a body as it comes, under a bound: a request's, which is all there, and a response's.

use std::io::Write;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status, write::GzDecoder};
use http::{HeaderMap, header};
use ruzstd::decoding::FrameDecoder;

/// The most memory that zstd may ask for: the window that RFC 9659 allows for this content encoding.
const ZSTD_WINDOW: usize = 8 << 20;
/// The longest header of a frame of zstd (RFC 8878 section 3.1.1), magic number included.
const ZSTD_HEADER: usize = 18;

/// A content encoding that can be taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encoding is none of gzip, deflate, br and zstd, or there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// It is not what its encoding says, or is cut off, or goes on behind its end.
    Broken,
    /// One piece of it becomes more than [`Bound::piece`].
    TooLong,
}

/// What a decoder takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// The most bytes that one piece may become.
    piece: usize,
    /// The most bytes that zstd may ask for as its window.
    window: usize,
    /// One member of gzip may follow another, as RFC 1952 has it: some readers drop all but the first.
    members: bool,
}

impl Bound {
    /// A response's. Nobody asks for an encoding where an answer is masked; some servers send one all the same. More than 16 MiB in one piece
    /// is no text that anybody reads.
    pub(crate) const RESPONSE: Self = Self {
        piece: 16 << 20,
        window: ZSTD_WINDOW,
        members: true,
    };

    /// A request's, whose whole body comes in one piece and is at most `limit` bytes then.
    pub(crate) fn request(limit: usize) -> Self {
        Self {
            piece: limit,
            window: ZSTD_WINDOW.max(limit),
            members: false,
        }
    }
}

/// The decoder of one body.
pub(crate) struct Decoder {
    kind: Kind,
    bound: Bound,
    /// Something came.
    has_begun: bool,
    /// It came to its end: nothing may follow.
    has_ended: bool,
}

enum Kind {
    Gzip(Box<GzDecoder<Vec<u8>>>),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd {
        decoder: Box<FrameDecoder>,
        /// What was not read yet: blocks are read whole.
        held: Vec<u8>,
    },
}

impl Encoding {
    /// Of a body with these headers; `None` where it has none.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Unknown> {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(encoding) = encodings.next() else {
            return Ok(None);
        };
        if encodings.next().is_some() {
            return Err(Unknown);
        }
        let encoding = encoding.to_str().map_err(|_| Unknown)?.trim();
        match encoding.to_ascii_lowercase().as_str() {
            "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "br" => Ok(Some(Self::Brotli)),
            "zstd" => Ok(Some(Self::Zstd)),
            _ => Err(Unknown),
        }
    }
}

impl Decoder {
    /// Of a body in `encoding`.
    pub(crate) fn new(encoding: Encoding, bound: Bound) -> Self {
        let kind = match encoding {
            Encoding::Gzip => Kind::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            // RFC 9110 section 8.4.1.2 means the zlib format. Bare deflate, which some send, is taken by some readers alone.
            Encoding::Deflate => Kind::Deflate(Decompress::new(true)),
            Encoding::Brotli => {
                let alloc = StandardAlloc::default;
                let state = BrotliState::new(alloc(), alloc(), alloc());
                Kind::Brotli(Box::new(state))
            }
            Encoding::Zstd => {
                let mut decoder = Box::new(FrameDecoder::new());
                decoder.set_max_window_size(bound.window as u64);
                Kind::Zstd {
                    decoder,
                    held: Vec::new(),
                }
            }
        };
        Self {
            kind,
            bound,
            has_begun: false,
            has_ended: false,
        }
    }

    /// Of a response with these headers, from which its encoding is taken out. `None` where it has none.
    ///
    /// # Errors
    /// [`Unknown`].
    pub(crate) fn of_response(headers: &mut HeaderMap) -> Result<Option<Self>, Unknown> {
        let encoding = Encoding::of(headers)?;
        headers.remove(header::CONTENT_ENCODING);
        Ok(encoding.map(|encoding| Self::new(encoding, Bound::RESPONSE)))
    }

    /// All that `data` and what came before it stand for, as far as it was not given out.
    ///
    /// # Errors
    /// [`Undecodable`].
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<Vec<u8>, Undecodable> {
        if data.is_empty() {
            return Ok(Vec::new());
        }
        if self.has_ended {
            return Err(Undecodable::Broken);
        }
        self.has_begun = true;
        let mut out = Out {
            bytes: Vec::new(),
            most: self.bound.piece,
        };
        match &mut self.kind {
            Kind::Gzip(decoder) => gzip(decoder, self.bound.members, data, &mut out)?,
            Kind::Deflate(decoder) => self.has_ended = deflate(decoder, data, &mut out)?,
            Kind::Brotli(state) => self.has_ended = brotli(state, data, &mut out)?,
            Kind::Zstd { decoder, held } => {
                held.extend_from_slice(data);
                self.has_ended = zstd(decoder, held, &mut out)?;
            }
        }
        Ok(out.bytes)
    }

    /// The body is over. One of no bytes at all is whole in any encoding, as many servers have it.
    ///
    /// # Errors
    /// [`Undecodable::Broken`] where it should have gone on.
    pub(crate) fn finish(&mut self) -> Result<(), Undecodable> {
        let is_whole = match &mut self.kind {
            Kind::Gzip(decoder) => !self.has_begun || decoder.try_finish().is_ok(),
            _ => !self.has_begun || self.has_ended,
        };
        if is_whole {
            Ok(())
        } else {
            Err(Undecodable::Broken)
        }
    }
}

/// What one piece became so far.
struct Out {
    bytes: Vec<u8>,
    most: usize,
}

impl Out {
    fn bounded(&self) -> Result<(), Undecodable> {
        if self.bytes.len() > self.most {
            return Err(Undecodable::TooLong);
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Undecodable> {
        self.bytes.extend_from_slice(bytes);
        self.bounded()
    }
}

fn gzip(
    decoder: &mut GzDecoder<Vec<u8>>,
    members: bool,
    data: &[u8],
    out: &mut Out,
) -> Result<(), Undecodable> {
    let broken = |_| Undecodable::Broken;
    // A byte stands for a thousand at most, so that this much never becomes more than a few megabytes before it is measured.
    for piece in data.chunks(4096) {
        let mut rest = piece;
        while !rest.is_empty() {
            match decoder.write(rest).map_err(broken)? {
                // It came to its end before this.
                0 if members => {
                    decoder.try_finish().map_err(broken)?;
                    out.add(decoder.get_ref())?;
                    *decoder = GzDecoder::new(Vec::new());
                }
                0 => return Err(Undecodable::Broken),
                taken => rest = &rest[taken..],
            }
        }
        decoder.flush().map_err(broken)?;
        out.bytes.append(decoder.get_mut());
        out.bounded()?;
    }
    Ok(())
}

/// Returns whether it came to its end.
fn deflate(decoder: &mut Decompress, data: &[u8], out: &mut Out) -> Result<bool, Undecodable> {
    let mut rest = data;
    loop {
        out.bytes.reserve(16 << 10);
        let (read, written) = (decoder.total_in(), out.bytes.len());
        let status = decoder
            .decompress_vec(rest, &mut out.bytes, FlushDecompress::None)
            .map_err(|_| Undecodable::Broken)?;
        out.bounded()?;
        let taken = usize::try_from(decoder.total_in() - read).unwrap_or(rest.len());
        rest = &rest[taken..];
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(true),
            Status::StreamEnd => return Err(Undecodable::Broken),
            Status::Ok | Status::BufError => {
                if taken == 0 && out.bytes.len() == written {
                    return Ok(false);
                }
            }
        }
    }
}

/// Returns whether it came to its end. By its own loop, since the crate's reader buffers input and so cannot tell what was left behind.
fn brotli(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    data: &[u8],
    out: &mut Out,
) -> Result<bool, Undecodable> {
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
        out.add(&chunk[..filled])?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Ok(false),
            BrotliResult::ResultSuccess if left == 0 => return Ok(true),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => {
                return Err(Undecodable::Broken);
            }
        }
    }
}

/// Returns whether it came to its end.
fn zstd(
    decoder: &mut FrameDecoder,
    held: &mut Vec<u8>,
    out: &mut Out,
) -> Result<bool, Undecodable> {
    let mut chunk = vec![0; 16 << 10];
    let has_begun = decoder.content_size() > 0 || decoder.blocks_decoded() > 0;
    let mut at = 0;
    loop {
        let (read, written) = match decoder.decode_from_to(&held[at..], &mut chunk) {
            Ok(done) => done,
            // Its header is not all there.
            Err(_) if !has_begun && at == 0 && held.len() < ZSTD_HEADER => return Ok(false),
            Err(_) => return Err(Undecodable::Broken),
        };
        // A checksum that is not all there is told as if it was read.
        let read = if read > held.len() - at { 0 } else { read };
        at += read;
        out.add(&chunk[..written])?;
        if read == 0 && written == 0 {
            break;
        }
    }
    held.drain(..at);
    match (decoder.is_finished(), held.is_empty()) {
        (true, true) => Ok(true),
        (true, false) => Err(Undecodable::Broken),
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
        let decoder = Decoder::of_response(&mut headers).unwrap().unwrap();
        assert!(headers.is_empty());
        decoder
    }

    fn decoded<'a>(
        encoding: &str,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, Undecodable> {
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
                    Err(Undecodable::Broken),
                    "{encoding} {end}"
                );
            }
            let longer = [&raw[..], b"x"].concat();
            assert_eq!(
                decoded(encoding, [&longer[..]]),
                Err(Undecodable::Broken),
                "{encoding}"
            );
            assert_eq!(
                decoded(encoding, [TEXT]),
                Err(Undecodable::Broken),
                "{encoding}"
            );
            assert_eq!(decoded(encoding, []).as_deref(), Ok(&b""[..]), "{encoding}");
        }
    }

    #[test]
    fn a_piece_that_becomes_too_much_is_told() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decoded("gzip", [&bomb[..]]), Err(Undecodable::TooLong));
    }

    #[test]
    fn unknown_and_several_encodings_are_told() {
        for encodings in [&["gzip, br"][..], &["gzip", "br"], &["compress"], &[""]] {
            let mut headers = HeaderMap::new();
            for encoding in encodings {
                headers.append(header::CONTENT_ENCODING, encoding.parse().unwrap());
            }
            assert!(Decoder::of_response(&mut headers).is_err(), "{encodings:?}");
        }
    }
}
