//! Normalises a path once, before anything is matched: what policy reads is byte for byte what the provider receives.

use std::borrow::Cow;

/// A path that means the same to every parser: no dot segments, no doubled or encoded slashes, nothing encoded that need not be. The one
/// encoded slash that there may be is that of an ARN, and only where [`NormalPath::has_arn`] is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NormalPath(String);

/// Why a path is refused instead of normalised: different servers read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// Does not start with a slash.
    #[error("it does not start with '/'")]
    Relative,
    /// `.` or `..` as a segment, also when encoded or followed by `;` parameters.
    #[error("it has a '.' or '..' segment")]
    DotSegment,
    /// An empty segment that is not the last.
    #[error("it has a doubled slash")]
    DoubledSlash,
    /// An encoded slash or backslash, or a raw backslash.
    #[error("it has an encoded slash or a backslash")]
    HiddenSlash,
    /// An encoded control character, NUL among them.
    #[error("it has a control character")]
    Control,
    /// `%` without two hexadecimal digits, or an encoding of an encoding.
    #[error("it has a malformed or doubled percent-encoding")]
    Encoding,
    /// A byte that RFC 3986 does not allow in a path unencoded.
    #[error("it has a character that must be percent-encoded")]
    Unencoded,
}

impl NormalPath {
    /// Normalises `raw`, the path of a request target without its query.
    ///
    /// Percent-encodings of characters that a path may carry as they are (RFC 3986 section 3.3, `pchar`) are decoded, the others keep their
    /// encoding with capital digits. So `%3A` and `:` cannot be told apart by a rule, and are not told apart by a provider either, since
    /// this form is what is sent. An encoded slash is kept in a segment that starts with `arn:`, since AWS's clients put a whole ARN into one.
    ///
    /// # Errors
    /// [`PathError`] for every path that two servers might read differently.
    pub(crate) fn parse(raw: &str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::Relative);
        }
        let bytes = raw.as_bytes();
        let mut path = String::with_capacity(raw.len());
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'%' => {
                    let byte = hex_pair(bytes, at + 1).ok_or(PathError::Encoding)?;
                    match byte {
                        b'/' if last_segment(&path).starts_with("arn:") => path.push_str("%2F"),
                        b'/' | b'\\' => return Err(PathError::HiddenSlash),
                        0..=0x1f | 0x7f => return Err(PathError::Control),
                        _ if is_pchar(byte) => path.push(char::from(byte)),
                        _ => {
                            path.push('%');
                            for digit in [byte >> 4, byte & 0xf] {
                                path.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                            }
                        }
                    }
                    at += 3;
                }
                b'\\' => return Err(PathError::HiddenSlash),
                byte if byte == b'/' || is_pchar(byte) => {
                    path.push(char::from(byte));
                    at += 1;
                }
                _ => return Err(PathError::Unencoded),
            }
        }
        check_segments(&path)?;
        // Looked for in what is sent: a digit of the inner encoding may have been encoded itself.
        if path
            .match_indices("%25")
            .any(|(at, _)| hex_pair(path.as_bytes(), at + 3).is_some())
        {
            return Err(PathError::Encoding);
        }
        Ok(Self(path))
    }

    /// The path.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an encoded slash is in it, which means a slash to some servers and data to others.
    pub(crate) fn has_arn(&self) -> bool {
        self.0.contains("%2F")
    }

    /// The first segment and the rest, which starts with a slash: `/a/b` gives `a` and `/b`, `/a` gives `a` and `/`.
    pub(crate) fn split_first(&self) -> (&str, &str) {
        let path = &self.0[1..];
        path.find('/').map_or((path, "/"), |end| path.split_at(end))
    }
}

/// What stands behind the last slash.
fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// The byte that two hexadecimal digits at `at` stand for.
fn hex_pair(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// `pchar` of RFC 3986 section 3.3 without percent-encodings: unreserved, sub-delims, `:` and `@`.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn check_segments(path: &str) -> Result<(), PathError> {
    let path = if path.contains("%2F") {
        Cow::Owned(path.replace("%2F", "/"))
    } else {
        Cow::Borrowed(path)
    };
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathError::DoubledSlash);
        }
        // Some servers cut `;` parameters off before they resolve dot segments: `/a/..;/b` is `/b` to them.
        let name = segment.split(';').next().unwrap_or_default();
        if name == "." || name == ".." {
            return Err(PathError::DotSegment);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        NormalPath::parse(raw).map(|path| path.0)
    }

    #[test]
    fn what_may_stand_unencoded_is_decoded_once() {
        for (raw, expected) in [
            ("/", "/"),
            ("/openai/v1/chat/completions", "/openai/v1/chat/completions"),
            ("/a/%7Euser", "/a/~user"),
            ("/a/%61", "/a/a"),
            (
                "/g/models/x%3agenerateContent",
                "/g/models/x:generateContent",
            ),
            ("/a/b%20c", "/a/b%20c"),
            ("/a/%c3%a4", "/a/%C3%A4"),
            ("/a/100%25", "/a/100%25"),
            ("/a/b/", "/a/b/"),
            ("/a/...", "/a/..."),
            ("/a/b;c=d", "/a/b;c=d"),
            ("/a/arn%3Aaws%2fx/y", "/a/arn:aws%2Fx/y"),
        ] {
            assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (raw, expected) in [
            ("", PathError::Relative),
            ("*", PathError::Relative),
            ("/a/../b", PathError::DotSegment),
            ("/a/%2e%2e/b", PathError::DotSegment),
            ("/a/.%2E/b", PathError::DotSegment),
            ("/a/%2e", PathError::DotSegment),
            ("/a/..;x=y/b", PathError::DotSegment),
            ("/a/..%3b/b", PathError::DotSegment),
            ("//a", PathError::DoubledSlash),
            ("/a//b", PathError::DoubledSlash),
            ("/a/b//", PathError::DoubledSlash),
            ("/a%2fb", PathError::HiddenSlash),
            ("/a%5Cb", PathError::HiddenSlash),
            ("/a/xarn:b%2fc", PathError::HiddenSlash),
            ("/a/ARN:b%2fc", PathError::HiddenSlash),
            ("/arn:a/b%2fc", PathError::HiddenSlash),
            ("/a/arn:b%5cc", PathError::HiddenSlash),
            ("/a/arn:b%2f..%2fc", PathError::DotSegment),
            ("/a/arn:b%2f%2e%2e/c", PathError::DotSegment),
            ("/a/arn:b%2f%2fc", PathError::DoubledSlash),
            ("/a/arn:b%252fc", PathError::Encoding),
            ("/a\\b", PathError::HiddenSlash),
            ("/a%00", PathError::Control),
            ("/a%0d%0aHost:x", PathError::Control),
            ("/a%7f", PathError::Control),
            ("/a%", PathError::Encoding),
            ("/a%2", PathError::Encoding),
            ("/a%zz", PathError::Encoding),
            ("/a/%252e%252e/b", PathError::Encoding),
            ("/a/%25%32e%252e/b", PathError::Encoding),
            ("/a/%252%65", PathError::Encoding),
            ("/a/%25%32%35", PathError::Encoding),
            ("/a{b}", PathError::Unencoded),
            ("/ä", PathError::Unencoded),
            ("/a b", PathError::Unencoded),
        ] {
            assert_eq!(normal(raw), Err(expected), "{raw}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for raw in ["/a/%7E%41%20%25x", "/%3Ab/", "/x%22y"] {
            let once = normal(raw).unwrap();
            assert_eq!(normal(&once).as_deref(), Ok(once.as_str()), "{raw}");
        }
    }

    #[test]
    fn the_first_segment_is_the_route() {
        let split = |raw: &str| {
            let path = NormalPath::parse(raw).unwrap();
            let (first, rest) = path.split_first();
            (first.to_owned(), rest.to_owned())
        };
        assert_eq!(split("/a/b/c"), ("a".into(), "/b/c".into()));
        assert_eq!(split("/a"), ("a".into(), "/".into()));
        assert_eq!(split("/a/"), ("a".into(), "/".into()));
        assert_eq!(split("/"), (String::new(), "/".into()));
    }
}
