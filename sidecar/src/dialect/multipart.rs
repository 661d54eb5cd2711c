//! Reads `multipart/form-data` (RFC 7578) in the one way in which every parser reads it, and refuses the rest.
//!
//! Refused are: text before the first delimiter or behind the last, a delimiter that is only the start of a longer line, lines that end in a bare
//! line feed, folded or repeated headers, transfer encodings that encode, names with escapes or in RFC 5987 form, and a name that differs from a read one
//! by case or by brackets alone.

use memchr::memmem;

use super::Unreadable;

/// Why a form is refused. It quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Parts are not set apart as RFC 2046 says.
    #[error("its parts are not set apart by `--boundary` lines ending in CR LF")]
    Delimiter,
    /// A part's header is none that clients send.
    #[error("a part has a malformed, repeated or unknown header")]
    Header,
    /// A part's name is missing, or is not plain.
    #[error(
        "a part's name is missing or has other characters than letters, digits, `_`, `-`, `.` and brackets"
    )]
    Name,
    /// A name is one that we read but for case or brackets.
    #[error("a part's name differs from a known one by case or brackets alone")]
    NameCase,
    /// A field that may stand there once stands there twice.
    #[error("a field stands twice in it")]
    Twice,
    /// A field has no value that its operation takes.
    #[error("a field has another value than the operation takes")]
    Value,
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// The field's name.
    pub(super) name: &'a str,
    /// The bytes.
    pub(super) content: &'a [u8],
    has_file_name: bool,
    content_type: Option<&'a str>,
}

impl<'a> Part<'a> {
    /// Which of `fields` it is.
    ///
    /// # Errors
    /// [`Error::NameCase`] for one of them in other letters, or as an item of a list, which some servers take for the same.
    pub(super) fn field<'f>(&self, fields: &[&'f str]) -> Result<Option<&'f str>, Error> {
        if let Some(field) = fields.iter().find(|field| **field == self.name) {
            return Ok(Some(field));
        }
        let bare = self.name.split(['[', '.']).next().unwrap_or_default();
        if fields.iter().any(|field| field.eq_ignore_ascii_case(bare)) {
            return Err(Error::NameCase);
        }
        Ok(None)
    }

    /// The value of a field that is no file.
    ///
    /// # Errors
    /// [`Error::Value`] for a file, or for text in another charset than UTF-8.
    pub(super) fn text(&self) -> Result<&'a str, Error> {
        let is_plain = self.content_type.is_none_or(|kind| {
            let kind = kind.to_ascii_lowercase().replace([' ', '"'], "");
            matches!(&*kind, "text/plain" | "text/plain;charset=utf-8")
        });
        if self.has_file_name || !is_plain {
            return Err(Error::Value);
        }
        std::str::from_utf8(self.content).map_err(|_| Error::Value)
    }
}

/// Hands every part of `body` to `each`.
///
/// # Errors
/// [`Unreadable::Form`], and whatever `each` finds.
pub(super) fn read<'a>(
    body: &'a [u8],
    boundary: &str,
    mut each: impl FnMut(Part<'a>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let delimiter = format!("\r\n--{boundary}");
    let line = &delimiter[2..];
    let finder = memmem::Finder::new(&delimiter);
    // The first delimiter has no line before it.
    let mut rest = body.strip_prefix(line.as_bytes()).ok_or(Error::Delimiter)?;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = finder.find(part).ok_or(Error::Delimiter)?;
        // Behind a bare line feed it is a delimiter to a lenient parser.
        if memmem::find(&part[..end], line.as_bytes()).is_some() {
            return Err(Error::Delimiter.into());
        }
        each(self::part(&part[..end])?)?;
        rest = &part[end + delimiter.len()..];
    }
    match rest {
        b"--" | b"--\r\n" => Ok(()),
        _ => Err(Error::Delimiter.into()),
    }
}

/// Reads one part: its headers, an empty line, its content.
fn part(bytes: &[u8]) -> Result<Part<'_>, Error> {
    let end = memmem::find(bytes, b"\r\n\r\n").ok_or(Error::Header)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Error::Header)?;
    let (mut disposition, mut content_type) = (None, None);
    for line in head.split("\r\n") {
        if line.chars().any(char::is_control) {
            return Err(Error::Header);
        }
        let (name, value) = line.split_once(':').ok_or(Error::Header)?;
        let value = value.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("content-disposition") && disposition.is_none() {
            disposition = Some(value);
        } else if is("content-type") && content_type.is_none() {
            content_type = Some(value);
        } else if is("content-transfer-encoding") {
            // Java's clients say that nothing is encoded. RFC 7578 section 4.7 has no other use for it.
            if !["binary", "8bit", "7bit"]
                .iter()
                .any(|plain| value.eq_ignore_ascii_case(plain))
            {
                return Err(Error::Header);
            }
        } else if !is("content-length") {
            return Err(Error::Header);
        }
    }
    let (name, has_file_name) = names(disposition.ok_or(Error::Header)?)?;
    Ok(Part {
        name,
        content: &bytes[end + 4..],
        has_file_name,
        content_type,
    })
}

/// The name in a `Content-Disposition`, and whether there is a file's name too.
fn names(disposition: &str) -> Result<(&str, bool), Error> {
    let parameters = disposition.strip_prefix("form-data").ok_or(Error::Header)?;
    let (mut name, mut has_file_name) = (None, false);
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        let parameter = rest.strip_prefix(';').ok_or(Error::Header)?.trim_start();
        let (key, value) = parameter.split_once('=').ok_or(Error::Header)?;
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(Error::Header)?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        // A backslash escapes the next character for one parser and is itself for another.
        if value.contains(['\\', '"']) {
            return Err(Error::Header);
        }
        match key {
            "name" if name.is_none() => name = Some(value),
            "filename" | "filename*" => has_file_name = true,
            _ => return Err(Error::Header),
        }
        rest = behind.trim_start();
    }
    let name = name.ok_or(Error::Name)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(Error::Name);
    }
    Ok((name, has_file_name))
}
