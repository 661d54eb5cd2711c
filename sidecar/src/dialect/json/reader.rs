//! The one pass over a document: RFC 8259's grammar, without recursion deeper than the limit and without a tree.

use std::borrow::Cow;

use super::{
    super::Unreadable,
    Error, Fault, MAX_DEPTH, Value,
    fields::Fields,
    text::{self, Raw},
};

/// What a member handler looks like inside, so that it is compiled once and not for every closure.
type EachMember<'f, 'a> = &'f mut dyn FnMut(&'static str, Value<'_, 'a>) -> Result<(), Unreadable>;

/// The state of the one pass. `at` always stands on the first byte of a value when a [`Value`] is made.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
    depth: u8,
    /// The keys of all objects that are open, the innermost last.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    /// Stands on the first value of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            keys: Vec::new(),
        };
        reader.space();
        reader
    }

    /// That nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.space();
        if self.at < self.bytes.len() {
            return Err(Fault::Trailing.at(self.at));
        }
        Ok(())
    }

    pub(super) fn peek(&self) -> Option<u8> {
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

    pub(super) fn object(
        &mut self,
        fields: Fields<'_>,
        each: EachMember<'_, 'a>,
    ) -> Result<(), Unreadable> {
        self.open(b'{', "an object")?;
        let first_key = self.keys.len();
        let mut seen = Vec::new();
        if !self.take(b'}') {
            loop {
                let key = self.key(fields)?;
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

    pub(super) fn members(
        &mut self,
        each: &mut dyn FnMut(&str, Value<'_, 'a>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.open(b'{', "an object")?;
        let first_key = self.keys.len();
        if !self.take(b'}') {
            loop {
                self.key(Fields::None)?;
                let key = self.keys.last().cloned().unwrap_or_default();
                let start = self.at;
                each(&key, Value(self))?;
                if self.at == start {
                    self.skip()?;
                }
                self.space();
                if !self.take(b',') {
                    break;
                }
            }
            self.close_object()?;
        }
        Ok(self.forget_keys(first_key)?)
    }

    pub(super) fn list<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(Value<'_, 'a>) -> Result<(), E>,
    ) -> Result<(), E> {
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
    fn key(&mut self, fields: Fields<'_>) -> Result<Option<&'static str>, Error> {
        let at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.fault());
        }
        let raw = self.string()?;
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

    /// Any value.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => {
                self.open(b'{', "an object")?;
                let first_key = self.keys.len();
                if !self.take(b'}') {
                    loop {
                        self.key(Fields::None)?;
                        self.skip()?;
                        self.space();
                        if !self.take(b',') {
                            break;
                        }
                    }
                    self.close_object()?;
                }
                self.forget_keys(first_key)
            }
            Some(b'[') => self.list(&mut |item| item.skip()),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
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
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
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
    pub(super) fn string(&mut self) -> Result<Raw<'a>, Error> {
        self.at += 1;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            self.at += text::plain_run(&self.bytes[self.at..]);
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
                let unit = text::code_unit(self.bytes, at).ok_or(Fault::Syntax.at(at))?;
                self.at += 6;
                match unit {
                    0xd800..=0xdbff => {
                        let low = text::code_unit(self.bytes, self.at);
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
