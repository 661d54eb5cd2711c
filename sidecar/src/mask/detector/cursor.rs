//! Reads a value step by step. Where the text ends before a step is told, what begins at the place is open.

use super::Found;
use crate::mask::view::{Next, View};

/// A place in a text.
pub(super) struct Cursor<'a, 'v> {
    pub(super) view: &'v View<'a>,
    pub(super) at: usize,
}

/// What a step says, or why the value is none or open.
pub(super) type Step<T> = Result<T, Found>;

impl From<Step<usize>> for Found {
    /// Of what says where the value ends.
    fn from(end: Step<usize>) -> Self {
        end.map_or_else(|found| found, Self::Value)
    }
}

impl<'a> Cursor<'a, '_> {
    /// The next character, if the text goes on.
    pub(super) fn peek(&self) -> Step<Option<char>> {
        match self.view.next(self.at) {
            Next::Char(char) => Ok(Some(char)),
            Next::End => Ok(None),
            Next::Unknown => Err(Found::Open),
        }
    }

    /// Goes past the next character if it is one of these.
    pub(super) fn eat(&mut self, wanted: impl Fn(char) -> bool) -> Step<Option<char>> {
        let next = self.peek()?.filter(|char| wanted(*char));
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    /// Goes past the next character, which must be one of these.
    pub(super) fn expect(&mut self, wanted: impl Fn(char) -> bool) -> Step<char> {
        self.eat(wanted)?.ok_or(Found::Nothing)
    }

    /// Goes past characters like these: all there are, from `least` to `most`.
    pub(super) fn run(
        &mut self,
        least: usize,
        most: usize,
        wanted: impl Fn(char) -> bool,
    ) -> Step<&'a str> {
        let start = self.at;
        let mut count = 0;
        while self.eat(&wanted)?.is_some() {
            count += 1;
            if count > most {
                return Err(Found::Nothing);
            }
        }
        if count < least {
            return Err(Found::Nothing);
        }
        Ok(&self.view.text[start..self.at])
    }

    /// Goes past `literal`, which must stand here.
    pub(super) fn literal(&mut self, literal: &str) -> Step<()> {
        for wanted in literal.chars() {
            self.expect(|char| char == wanted)?;
        }
        Ok(())
    }

    /// A number of `least` to `most` digits.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Step<(u32, usize)> {
        let digits = self.run(least, most, |char| char.is_ascii_digit())?;
        let number = digits.parse().map_err(|_| Found::Nothing)?;
        Ok((number, digits.len()))
    }

    /// The value ends here, unless a letter or digit follows.
    pub(super) fn end(&self) -> Step<usize> {
        match self.view.is_free_after(self.at) {
            Some(true) => Ok(self.at),
            Some(false) => Err(Found::Nothing),
            None => Err(Found::Open),
        }
    }
}
