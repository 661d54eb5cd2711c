//! Reads JSON in the one way in which every parser reads it, and refuses what two parsers may read differently.
//!
//! Policy and provider must see the same call, so all of this is refused (RFC 8259 calls most of it "unpredictable"): a key that stands twice
//! in an object, compared after unescaping and at every depth; a key that differs from one that we read by case alone (Go's `encoding/json`
//! takes it for that one, `ſ` for `s` and `K` for `k` too); bytes after the document; a byte order mark; what is not UTF-8; half a surrogate
//! pair; control characters in a string; nesting deeper than [`MAX_DEPTH`]; a number that is not exact in the fields that we read.
//!
//! One pass, and no tree: a reader names the members that it wants and is handed each as a [`Value`]; everything else is checked and skipped.

use std::borrow::Cow;

use super::{Unreadable, estimate::Tally};

/// How deep objects and lists may nest. Real calls with deep JSON Schemas stay under 30; parsers differ in what they do beyond 100.
pub(crate) const MAX_DEPTH: u8 = 64;

/// Why a document is refused, and where. It quotes nothing of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault} (at byte {at})", .field.map(|field| format!("`{field}`: ")).unwrap_or_default())]
pub(crate) struct Error {
    /// Offset in the decoded body.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) fault: Fault,
    /// The innermost member that we read and in which it is.
    pub(crate) field: Option<&'static str>,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Starts with U+FEFF.
    #[error("the body starts with a byte order mark; send plain UTF-8")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    Utf8,
    /// Not JSON.
    #[error("this is not JSON")]
    Syntax,
    /// Ends before it is complete.
    #[error("the JSON ends too early")]
    End,
    /// Bytes after the document.
    #[error("something stands behind the JSON document")]
    Trailing,
    /// Deeper than [`MAX_DEPTH`].
    #[error("nesting deeper than {MAX_DEPTH}")]
    Depth,
    /// A key twice in one object.
    #[error("a key stands twice in one object; send it once")]
    DuplicateKey,
    /// A key that is another one but for case.
    #[error("a key differs from `{0}` by case alone; spell it `{0}`")]
    KeyCase(&'static str),
    /// NUL in a key: parsers in C cut it there.
    #[error("a key has a NUL character")]
    KeyNul,
    /// Half a surrogate pair.
    #[error("half a surrogate pair in a string")]
    Surrogate,
    /// A raw control character in a string.
    #[error("a raw control character in a string; escape it")]
    Control,
    /// A member of another type than its API has.
    #[error("{0} is expected here")]
    Expected(&'static str),
    /// Two members that mean the same.
    #[error("two members mean the same; send one of them")]
    Ambiguous,
}

impl Fault {
    fn at(self, at: usize) -> Error {
        Error {
            at,
            fault: self,
            field: None,
        }
    }
}

/// What a value is, before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    List,
    /// `"…"`
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// `null`
    Null,
}

/// Reads one document from `bytes`: hands its value to `with`, and checks that nothing stands behind it.
///
/// # Errors
/// [`Unreadable::Json`] as the module says, and whatever `with` finds.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    with: impl FnOnce(Value<'_, 'a>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Fault::ByteOrderMark.at(0).into());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Fault::Utf8.at(error.valid_up_to()))?;
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth: 0,
        keys: Vec::new(),
    };
    reader.space();
    let start = reader.at;
    with(Value(&mut reader))?;
    if reader.at == start {
        reader.skip()?;
    }
    reader.space();
    if reader.at < reader.bytes.len() {
        return Err(Fault::Trailing.at(reader.at).into());
    }
    Ok(())
}

/// One value of the document. Each method takes all of it; a value that nobody takes is checked and skipped.
pub(crate) struct Value<'r, 'a>(&'r mut Reader<'a>);

impl<'a> Value<'_, 'a> {
    /// What it is; `None` where nothing that could be JSON stands.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.0.peek().and_then(|byte| match byte {
            b'{' => Some(Kind::Object),
            b'[' => Some(Kind::List),
            b'"' => Some(Kind::Text),
            b'-' | b'0'..=b'9' => Some(Kind::Number),
            b't' | b'f' => Some(Kind::Flag),
            b'n' => Some(Kind::Null),
            _ => None,
        })
    }

    /// The value, or nothing for `null`, which APIs take for an absent member.
    pub(crate) fn optional(self) -> Result<Option<Self>, Error> {
        if self.kind() == Some(Kind::Null) {
            self.0.skip()?;
            return Ok(None);
        }
        Ok(Some(self))
    }

    /// An object: `each` is called for every member whose key is in `fields`.
    ///
    /// # Errors
    /// Not an object, a key twice, a key that is one of `fields` but for case, and whatever `each` finds.
    pub(crate) fn object(
        self,
        fields: &[&'static str],
        mut each: impl FnMut(&'static str, Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.0.object(Fields::Plain(fields), &mut each)
    }

    /// An object as protobuf reads it: every one of `fields`, which are given in camel case, may be in snake case too.
    ///
    /// # Errors
    /// As for [`Value::object`], and one of `fields` in both spellings.
    pub(crate) fn message(
        self,
        fields: &[&'static str],
        mut each: impl FnMut(&'static str, Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.0.object(Fields::Proto(fields), &mut each)
    }

    /// An object whose keys are not known before: `each` is called for every member.
    ///
    /// # Errors
    /// Not an object, a key twice, and whatever `each` finds.
    pub(crate) fn members(
        self,
        mut each: impl FnMut(&str, Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let reader = self.0;
        reader.open(b'{', "an object")?;
        let first_key = reader.keys.len();
        if !reader.take(b'}') {
            loop {
                reader.key(Fields::None, &mut None)?;
                let key = reader.keys.last().cloned().unwrap_or_default();
                let start = reader.at;
                each(&key, Value(reader))?;
                if reader.at == start {
                    reader.skip()?;
                }
                reader.space();
                if !reader.take(b',') {
                    break;
                }
            }
            reader.close_object()?;
        }
        Ok(reader.forget_keys(first_key)?)
    }

    /// A list: `each` is called for every item.
    ///
    /// # Errors
    /// Not a list, and whatever `each` finds.
    pub(crate) fn list(
        self,
        mut each: impl FnMut(Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.0.list(&mut each)
    }

    /// A string.
    ///
    /// # Errors
    /// Not a string.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, Error> {
        let at = self.0.at;
        if self.kind() != Some(Kind::Text) {
            return Err(Fault::Expected("a string").at(at));
        }
        self.0.string().map(Raw::unescape)
    }

    /// `true` or `false`; not `"true"` nor `1`, which some servers take for it.
    ///
    /// # Errors
    /// Anything else.
    pub(crate) fn flag(self) -> Result<bool, Error> {
        let at = self.0.at;
        if self.kind() != Some(Kind::Flag) {
            return Err(Fault::Expected("true or false").at(at));
        }
        let value = self.0.peek() == Some(b't');
        self.0.skip()?;
        Ok(value)
    }

    /// A whole number that is not negative. `100.0` and `1e2` are 100, as for most servers.
    ///
    /// # Errors
    /// Anything else: a fraction, a negative number, one beyond 2^53, a number in quotes.
    pub(crate) fn count(self) -> Result<u64, Error> {
        let at = self.0.at;
        u64::try_from(self.integer()?)
            .map_err(|_| Fault::Expected("a whole number that is not negative").at(at))
    }

    /// A whole number, negative ones too.
    ///
    /// # Errors
    /// Anything else, as for [`Value::count`].
    pub(crate) fn integer(self) -> Result<i64, Error> {
        /// Up to here every whole number is an f64 (ECMAScript's `MAX_SAFE_INTEGER`).
        const EXACT: i64 = (1 << 53) - 1;
        let refused = Fault::Expected("a whole number").at(self.0.at);
        if self.kind() != Some(Kind::Number) {
            return Err(refused);
        }
        let digits = self.0.number()?;
        let exact = digits.parse::<i64>().ok().or_else(|| {
            let float = digits.parse::<f64>().ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "whole and within the range in which f64 is exact"
            )]
            (float.fract() == 0.0 && float.abs() <= EXACT as f64).then_some(float as i64)
        });
        exact
            .filter(|number| (-EXACT..=EXACT).contains(number))
            .ok_or(refused)
    }

    /// Any value: the weight of all its strings, keys and numbers is added to `tally`.
    ///
    /// # Errors
    /// What the module says.
    pub(crate) fn weigh(self, tally: &mut Tally) -> Result<(), Error> {
        self.0.any(&mut Some(tally))
    }

    /// Any value.
    ///
    /// # Errors
    /// What the module says.
    pub(crate) fn skip(self) -> Result<(), Error> {
        self.0.skip()
    }

    /// That the value is wrong here, in words that go after "is expected here".
    pub(crate) fn expected(&self, what: &'static str) -> Error {
        Fault::Expected(what).at(self.0.at)
    }
}

/// What a member handler looks like inside, so that it is compiled once and not for every closure.
type EachMember<'f, 'a> = &'f mut dyn FnMut(&'static str, Value<'_, 'a>) -> Result<(), Unreadable>;

/// The members that are read of an object.
#[derive(Clone, Copy)]
enum Fields<'f> {
    /// None.
    None,
    /// These.
    Plain(&'f [&'static str]),
    /// These, in camel case or in snake case.
    Proto(&'f [&'static str]),
}

impl Fields<'_> {
    /// Which one `key` is.
    ///
    /// # Errors
    /// It is one but for case.
    fn find(self, key: &str) -> Result<Option<&'static str>, Fault> {
        let (fields, is_proto) = match self {
            Self::None => return Ok(None),
            Self::Plain(fields) => (fields, false),
            Self::Proto(fields) => (fields, true),
        };
        let is_exact = |field: &str| field == key || is_proto && is_snake(key, field);
        if let Some(field) = fields.iter().find(|field| is_exact(field)) {
            return Ok(Some(field));
        }
        let bare: Cow<'_, str> = match is_proto && key.contains('_') {
            true => key.replace('_', "").into(),
            false => key.into(),
        };
        match fields.iter().find(|field| is_read_as(&bare, field)) {
            Some(field) => Err(Fault::KeyCase(field)),
            None => Ok(None),
        }
    }
}

/// Whether `key` is `field` in snake case.
fn is_snake(key: &str, field: &str) -> bool {
    let mut rest = key.bytes();
    let is_same = field.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            rest.next() == Some(b'_') && rest.next() == Some(byte.to_ascii_lowercase())
        } else {
            rest.next() == Some(byte)
        }
    });
    is_same && rest.next().is_none()
}

/// The state of the one pass. `at` always stands on the first byte of a value when a [`Value`] is made.
struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    /// The keys of all objects that are open, the innermost last.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault(&self) -> Error {
        if self.at < self.bytes.len() {
            Fault::Syntax.at(self.at)
        } else {
            Fault::End.at(self.at)
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes `byte` and the white space behind it, if it is there.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
            self.space();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.fault())
        }
    }

    /// Enters an object or a list.
    fn open(&mut self, byte: u8, what: &'static str) -> Result<(), Error> {
        if self.peek() != Some(byte) {
            return Err(if self.at < self.bytes.len() {
                Fault::Expected(what).at(self.at)
            } else {
                self.fault()
            });
        }
        if self.depth == MAX_DEPTH {
            return Err(Fault::Depth.at(self.at));
        }
        self.depth += 1;
        self.take(byte);
        Ok(())
    }

    fn object(&mut self, fields: Fields<'_>, each: EachMember<'_, 'a>) -> Result<(), Unreadable> {
        self.open(b'{', "an object")?;
        let first_key = self.keys.len();
        let mut seen = Vec::new();
        if !self.take(b'}') {
            loop {
                let key = self.key(fields, &mut None)?;
                if let Some(field) = key {
                    if seen.contains(&field) {
                        return Err(Unreadable::from(Fault::Ambiguous.at(self.at)).within(field));
                    }
                    if matches!(fields, Fields::Proto(_)) {
                        seen.push(field);
                    }
                    let start = self.at;
                    each(field, Value(self)).map_err(|error| error.within(field))?;
                    if self.at == start {
                        self.skip()
                            .map_err(|error| Unreadable::from(error).within(field))?;
                    }
                } else {
                    self.skip()?;
                }
                self.space();
                if !self.take(b',') {
                    break;
                }
            }
            self.close_object()?;
        }
        self.forget_keys(first_key)?;
        Ok(())
    }

    fn list(
        &mut self,
        each: &mut dyn FnMut(Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.open(b'[', "a list")?;
        if !self.take(b']') {
            loop {
                let start = self.at;
                each(Value(self))?;
                if self.at == start {
                    self.skip()?;
                }
                self.space();
                if !self.take(b',') {
                    break;
                }
            }
            self.close_list()?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn close_object(&mut self) -> Result<(), Error> {
        if self.peek() != Some(b'}') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    fn close_list(&mut self) -> Result<(), Error> {
        if self.peek() != Some(b']') {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a key and its colon; says which of `fields` it is.
    fn key(
        &mut self,
        fields: Fields<'_>,
        tally: &mut Option<&mut Tally>,
    ) -> Result<Option<&'static str>, Error> {
        let at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let raw = self.string()?;
        if let Some(tally) = tally {
            tally.text(raw.text);
        }
        let key = raw.unescape();
        if matches!(key, Cow::Owned(_)) && key.contains('\0') {
            return Err(Fault::KeyNul.at(at));
        }
        let field = fields.find(&key).map_err(|fault| fault.at(at))?;
        self.keys.push(key);
        self.space();
        self.expect(b':')?;
        Ok(field)
    }

    /// Ends an object whose keys start at `first`.
    fn forget_keys(&mut self, first: usize) -> Result<(), Error> {
        let keys = &mut self.keys[first..];
        // Sorting in place is quick for the few keys that objects have, and stays so for a million of them.
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Fault::DuplicateKey.at(self.at));
        }
        self.keys.truncate(first);
        self.depth -= 1;
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Error> {
        self.any(&mut None)
    }

    fn any(&mut self, tally: &mut Option<&mut Tally>) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => {
                let raw = self.string()?;
                if let Some(tally) = tally {
                    tally.text(raw.text);
                }
                Ok(())
            }
            Some(b'{') => {
                self.open(b'{', "an object")?;
                let first_key = self.keys.len();
                if !self.take(b'}') {
                    loop {
                        self.key(Fields::None, tally)?;
                        self.any(tally)?;
                        self.space();
                        if !self.take(b',') {
                            break;
                        }
                    }
                    self.close_object()?;
                }
                self.forget_keys(first_key)
            }
            Some(b'[') => {
                self.open(b'[', "a list")?;
                if !self.take(b']') {
                    loop {
                        self.any(tally)?;
                        self.space();
                        if !self.take(b',') {
                            break;
                        }
                    }
                    self.close_list()?;
                }
                self.depth -= 1;
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                let digits = self.number()?;
                if let Some(tally) = tally {
                    tally.text(digits);
                }
                Ok(())
            }
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.fault()),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Fault::Syntax.at(self.at))
        }
    }

    /// RFC 8259 section 6: no leading zeros, no plus sign, digits on both sides of the point.
    fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.fault());
        }
        Ok(())
    }

    /// A string, with `at` on its opening quote.
    fn string(&mut self) -> Result<Raw<'a>, Error> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            self.at += plain_run(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(Fault::Control.at(self.at)),
                None => return Err(Fault::End.at(self.at)),
            }
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(Raw { text, is_escaped })
    }

    /// One escape, with `at` on its backslash; both halves of a surrogate pair count as one.
    fn escape(&mut self) -> Result<(), Error> {
        let at = self.at;
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = code_unit(self.bytes, at).ok_or(Fault::Syntax.at(at))?;
                self.at += 6;
                match unit {
                    0xd800..=0xdbff => {
                        let low = code_unit(self.bytes, self.at);
                        if !matches!(low, Some(0xdc00..=0xdfff)) {
                            return Err(Fault::Surrogate.at(at));
                        }
                        self.at += 6;
                    }
                    0xdc00..=0xdfff => return Err(Fault::Surrogate.at(at)),
                    _ => {}
                }
            }
            Some(_) => return Err(Fault::Syntax.at(at)),
            None => return Err(Fault::End.at(at)),
        }
        Ok(())
    }
}

/// The UTF-16 code unit of the escape `\uXXXX` at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if !escape.starts_with(b"\\u") {
        return None;
    }
    escape[2..].iter().try_fold(0_u16, |unit, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// What stands between the quotes of a string.
#[derive(Clone, Copy)]
struct Raw<'a> {
    text: &'a str,
    is_escaped: bool,
}

impl<'a> Raw<'a> {
    /// The characters that it stands for. Its escapes were checked when it was read.
    fn unescape(self) -> Cow<'a, str> {
        if !self.is_escaped {
            return Cow::Borrowed(self.text);
        }
        let mut text = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let bytes = rest.as_bytes();
            let mut length = 2;
            text.push(match bytes[at + 1] {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    length = 6;
                    let units = [code_unit(bytes, at), code_unit(bytes, at + 6)];
                    let decoded = char::decode_utf16(units.into_iter().flatten()).next();
                    let character = decoded
                        .and_then(Result::ok)
                        .expect("surrogates were checked to come in pairs");
                    length += 6 * (character.len_utf16() - 1);
                    character
                }
                other => char::from(other),
            });
            rest = &rest[at + length..];
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}

/// Whether a parser without regard to case takes `key` for `field`, which is ASCII. Go folds by Unicode's simple rule, by which two characters
/// outside ASCII are letters within: U+017F is `s` and U+212A is `k` (<https://pkg.go.dev/encoding/json#Unmarshal>).
fn is_read_as(key: &str, field: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(field);
    }
    let folded = key.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(field.chars().map(|c| c.to_ascii_lowercase()))
}

/// How many bytes from the start are neither a quote nor a backslash nor a control character. Eight at a time, since most of a body is prose.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    /// The high bit of every zero byte is set; above the lowest such byte there may be others, which do not matter.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special =
            controls | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest
        .iter()
        .position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
    words.len() * 8 + tail.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
