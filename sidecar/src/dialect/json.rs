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
use fields::Fields;
use reader::Reader;
use text::Raw;

mod fields;
mod reader;
mod text;

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
    let mut reader = Reader::new(text);
    let start = reader.at;
    with(Value(&mut reader))?;
    if reader.at == start {
        reader.skip()?;
    }
    Ok(reader.end()?)
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
        self.0.members(&mut each)
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

    /// Any value: its weight as it stands there, with its keys and brackets but without the quotes of a string, is added to `tally`.
    ///
    /// # Errors
    /// What the module says.
    pub(crate) fn weigh(self, tally: &mut Tally) -> Result<(), Error> {
        let quotes = usize::from(self.kind() == Some(Kind::Text));
        let start = self.0.at + quotes;
        self.0.skip()?;
        tally.text(&self.0.text[start..self.0.at - quotes]);
        Ok(())
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

#[cfg(test)]
mod tests;
