//! Reads a query in every way in which a server might.

use super::{Unreadable, draft::Draft, model};

/// The values of all parameters called `name`, without regard to case.
///
/// # Errors
/// [`Unreadable::Query`] for a name or value of them that is not percent-encoded UTF-8.
pub(super) fn values(query: Option<&str>, name: &str) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    // Older servers part parameters at `;` too.
    for parameter in query.unwrap_or_default().split(['&', ';']) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if decode(key)?.eq_ignore_ascii_case(name) {
            found.push(decode(value)?);
        }
    }
    Ok(found)
}

/// Takes the models that the query names to those of `draft`: a server that looks there first would take one of them.
///
/// # Errors
/// [`Unreadable::Query`], or a name that is none.
pub(super) fn models(query: Option<&str>, draft: &mut Draft) -> Result<(), Unreadable> {
    for name in values(query, "model")? {
        draft.model(model::named(&name)?);
    }
    Ok(())
}

/// Takes percent-encoding off, and `+` for a space.
///
/// # Errors
/// [`Unreadable::Query`].
pub(crate) fn decode(text: &str) -> Result<String, Unreadable> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = text.get(at..at + 2).ok_or(Unreadable::Query)?;
                at += 2;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(Unreadable::Query);
                }
                u8::from_str_radix(digits, 16).map_err(|_| Unreadable::Query)?
            }
            other => *other,
        });
    }
    String::from_utf8(decoded).map_err(|_| Unreadable::Query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_however_it_is_written() {
        let values = |query| values(Some(query), "model");
        assert_eq!(values("a=1&model=x").unwrap(), ["x"]);
        assert_eq!(values("MODEL=x").unwrap(), ["x"]);
        assert_eq!(values("%6dodel=%78+y").unwrap(), ["x y"]);
        assert_eq!(values("a=1;model=x&model=y").unwrap(), ["x", "y"]);
        assert_eq!(values("model").unwrap(), [""]);
        assert_eq!(values("models=x").unwrap(), [""; 0]);
    }

    #[test]
    fn a_broken_encoding_is_refused() {
        for query in [
            "model=%",
            "model=%f",
            "model=%zz",
            "model=%ff",
            "%=x",
            "model=%+1",
        ] {
            assert_eq!(
                values(Some(query), "model"),
                Err(Unreadable::Query),
                "{query}"
            );
        }
    }
}
