//! Looks at an expression before the parser does: its alphabet, how many tokens it has and how deep they nest.
//!
//! The parser recurses with every level of nesting and, in a chain of operators, with every operator. It knows of a text no more than its
//! grammar, so what this scanner does not understand in the same way as the grammar (comments, strings of several lines, bytes, escapes that
//! there are not) is refused: <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>.

use super::Mistake;

/// Most tokens of an expression.
pub(super) const MAX_TOKENS: usize = 200;

/// Most levels of brackets and conditionals.
pub(super) const MAX_DEPTH: usize = 6;

/// Checks that an expression is small enough for the parser.
pub(super) fn scan(source: &str) -> Result<(), Mistake> {
    let bytes = source.as_bytes();
    let (mut at, mut tokens, mut depth, mut questions) = (0, 0, 0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'\'' | b'"' => at = skip_text(bytes, at, false)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' => {
                at = skip_word(bytes, at);
                if matches!(bytes.get(at), Some(b'\'' | b'"')) {
                    if !matches!(&bytes[start..at], b"r" | b"R") {
                        return Err(Mistake::new(start, "only r may stand before a quote"));
                    }
                    at = skip_text(bytes, at, true)?;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                return Err(Mistake::new(at, "comments belong into the YAML, after a #"));
            }
            b'&' | b'|' if bytes.get(at + 1) == Some(&byte) => at += 2,
            b'=' | b'!' | b'<' | b'>' if bytes.get(at + 1) == Some(&b'=') => at += 2,
            b'!'..=b'/' | b':'..=b'@' | b'[' | b']' | b'{' | b'|' | b'}' => at += 1,
            _ => {
                return Err(Mistake::new(
                    at,
                    "this character has no meaning here; in a string, write one that is not of ASCII as \\u and four hexadecimal digits",
                ));
            }
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            // What follows nests until the end, as far as this scanner can tell.
            b'?' => questions += 1,
            _ => {}
        }
        tokens += 1;
        if tokens > MAX_TOKENS {
            return Err(Mistake::new(
                start,
                format!(
                    "an expression has at most {MAX_TOKENS} names, literals and operators; write several rules"
                ),
            ));
        }
        if depth + questions > MAX_DEPTH {
            return Err(Mistake::new(
                start,
                format!("brackets and conditionals nest at most {MAX_DEPTH} levels deep"),
            ));
        }
    }
    Ok(())
}

fn skip_word(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'_') {
        at += 1;
    }
    at
}

/// Behind the string that begins with the quote at `at`.
fn skip_text(bytes: &[u8], at: usize, raw: bool) -> Result<usize, Mistake> {
    let quote = bytes[at];
    let mut next = at + 1;
    loop {
        match bytes.get(next) {
            None | Some(b'\n' | b'\r') => {
                return Err(Mistake::new(at, "this string does not end on its line"));
            }
            Some(byte) if *byte == quote => break,
            Some(b'\\') if !raw => next += escape(bytes, next)?,
            Some(b' '..=b'~') => next += 1,
            Some(_) => {
                return Err(Mistake::new(
                    next,
                    "in a string, write characters that are not of ASCII as \\u and four hexadecimal digits",
                ));
            }
        }
    }
    next += 1;
    if next == at + 2 && bytes.get(next) == Some(&quote) {
        return Err(Mistake::new(at, "strings have one quote on each side"));
    }
    Ok(next)
}

/// Length of the escape sequence at `at`.
fn escape(bytes: &[u8], at: usize) -> Result<usize, Mistake> {
    let are_digits = |count: usize| {
        bytes
            .get(at + 2..at + 2 + count)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match bytes.get(at + 1) {
        Some(b'\\' | b'\'' | b'"' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') if are_digits(4) => Ok(6),
        _ => Err(Mistake::new(
            at,
            r#"of escapes there are \\, \', \", \n, \r, \t and \u with four hexadecimal digits; a pattern is best a raw string, as r'\d'"#,
        )),
    }
}
