//! One byte, written as an escape: of a URL (RFC 3986 section 2.1), of JSON (RFC 8259 section 7) and of the languages with its backslash, or of
//! HTML (<https://html.spec.whatwg.org/multipage/syntax.html#character-references>). A text that was escaped may be escaped again, as JSON in a
//! text of JSON is, and a URL in a parameter of another.

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// This byte, in so many bytes.
    Byte(u8, usize),
    /// Perhaps an escape, once more of it is there.
    Begun,
}

/// The bytes that escapes begin with.
pub(super) const STARTERS: [u8; 3] = [b'%', b'\\', b'&'];

/// How many escapes are looked for inside one another.
const MAX_DEPTH: usize = 3;

/// The longest escape, with all that are inside it.
const MAX_LENGTH: usize = 32;

/// The most digits that a numeric reference is taken with; zeros may stand before it without an end.
const MAX_DIGITS: usize = 8;

/// The longest name in [`NAMED`].
const MAX_NAME: usize = 6;

/// The characters of credentials that have a name in HTML. Letters and digits have none.
const NAMED: [(&[u8], u8); 36] = [
    (b"excl", b'!'),
    (b"quot", b'"'),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"amp", b'&'),
    (b"apos", b'\''),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"ast", b'*'),
    (b"plus", b'+'),
    (b"comma", b','),
    (b"period", b'.'),
    (b"sol", b'/'),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"lt", b'<'),
    (b"equals", b'='),
    (b"gt", b'>'),
    (b"quest", b'?'),
    (b"commat", b'@'),
    (b"lsqb", b'['),
    (b"lbrack", b'['),
    (b"bsol", b'\\'),
    (b"rsqb", b']'),
    (b"rbrack", b']'),
    (b"Hat", b'^'),
    (b"lowbar", b'_'),
    (b"grave", b'`'),
    (b"lcub", b'{'),
    (b"lbrace", b'{'),
    (b"verbar", b'|'),
    (b"vert", b'|'),
    (b"rcub", b'}'),
    (b"rbrace", b'}'),
    (b"AMP", b'&'),
];

/// Why no byte was read.
enum Stop {
    /// The text ends in the middle of it.
    More,
    /// It is no escape of an ASCII character.
    No,
}

/// What the escape may mean that `text` begins with: the byte that it is; and where that begins another escape, the byte which that one is.
pub(super) fn readings(text: &[u8]) -> impl Iterator<Item = Escape> {
    let whole = &text[..text.len().min(MAX_LENGTH)];
    let mut depth = 0;
    std::iter::from_fn(move || {
        if depth == MAX_DEPTH {
            return None;
        }
        depth += 1;
        match read(whole, depth) {
            Ok((byte, length)) => {
                if !STARTERS.contains(&byte) {
                    depth = MAX_DEPTH;
                }
                Some(Escape::Byte(byte, length))
            }
            Err(stop) => {
                depth = MAX_DEPTH;
                (matches!(stop, Stop::More) && whole.len() == text.len()).then_some(Escape::Begun)
            }
        }
    })
}

/// The escape that `text` begins with once the escapes inside it are undone, which are one fewer than `depth`, and its length.
fn read(text: &[u8], depth: usize) -> Result<(u8, usize), Stop> {
    let mut characters = Unescaped {
        text,
        at: 0,
        depth: depth - 1,
    };
    let byte = match characters.next()? {
        b'%' => characters.digits(2),
        b'\\' => match characters.next()? {
            b'u' => characters.digits(4),
            b'x' => characters.digits(2),
            b'n' => Ok(b'\n'),
            b'r' => Ok(b'\r'),
            b't' => Ok(b'\t'),
            byte if byte.is_ascii_punctuation() => Ok(byte),
            _ => Err(Stop::No),
        },
        b'&' => characters.reference(),
        _ => Err(Stop::No),
    }?;
    Ok((byte, characters.at))
}

/// The character that `text` begins with once its escapes are undone at most `depth` times, and its length.
fn character(text: &[u8], depth: usize) -> Result<(u8, usize), Stop> {
    let first = *text.first().ok_or(Stop::More)?;
    if depth == 0 || !STARTERS.contains(&first) {
        return Ok((first, 1));
    }
    match read(text, depth) {
        Err(Stop::No) => character(text, depth - 1),
        read => read,
    }
}

/// The characters of a text whose escapes are undone at most `depth` times.
struct Unescaped<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Unescaped<'_> {
    fn next(&mut self) -> Result<u8, Stop> {
        let (byte, length) = character(&self.text[self.at..], self.depth)?;
        self.at += length;
        Ok(byte)
    }

    /// Exactly `count` hexadecimal digits.
    fn digits(&mut self, count: usize) -> Result<u8, Stop> {
        let mut value = 0;
        for _ in 0..count {
            value = value * 16 + digit(self.next()?, 16)?;
        }
        u8::try_from(value).map_err(|_| Stop::No)
    }

    /// A number or a name, and its semicolon.
    fn reference(&mut self) -> Result<u8, Stop> {
        let mut next = self.next()?;
        if next != b'#' {
            return self.name(next);
        }
        next = self.next()?;
        let radix = if matches!(next, b'x' | b'X') {
            next = self.next()?;
            16
        } else {
            10
        };
        let mut value = digit(next, radix)?;
        for _ in 0..MAX_DIGITS {
            next = self.next()?;
            if next == b';' {
                return u8::try_from(value).map_err(|_| Stop::No);
            }
            value = value
                .saturating_mul(radix)
                .saturating_add(digit(next, radix)?);
        }
        Err(Stop::No)
    }

    /// A name that begins with `first`, and its semicolon.
    fn name(&mut self, first: u8) -> Result<u8, Stop> {
        let mut name = [first; MAX_NAME];
        let mut length = 1;
        loop {
            let begin = &name[..length];
            if !NAMED.iter().any(|(name, _)| name.starts_with(begin)) {
                return Err(Stop::No);
            }
            let next = self.next()?;
            if next == b';' {
                let named = NAMED.iter().find(|(name, _)| *name == begin);
                return named.map(|(_, byte)| *byte).ok_or(Stop::No);
            }
            *name.get_mut(length).ok_or(Stop::No)? = next;
            length += 1;
        }
    }
}

fn digit(character: u8, radix: u32) -> Result<u32, Stop> {
    char::from(character).to_digit(radix).ok_or(Stop::No)
}
