//! What kind of body a request has, by its `Content-Type`.

use http::{HeaderMap, header};

use super::Unreadable;

/// A body's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json` in UTF-8.
    Json,
    /// `multipart/form-data` with its boundary.
    Form(String),
    /// Another one, or none.
    Other,
}

/// Reads the one `Content-Type`.
///
/// # Errors
/// More than one of them, one that is not text, JSON in another charset than UTF-8, a form without a usable boundary.
pub(super) fn kind(headers: &HeaderMap) -> Result<Media, Unreadable> {
    const ONE: Unreadable = Unreadable::ContentType("there once, as `type/subtype`");
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = values.next() else {
        return Ok(Media::Other);
    };
    if values.next().is_some() {
        return Err(ONE);
    }
    let value = value.to_str().map_err(|_| ONE)?;
    // A list would be two types in one header, of which servers take either.
    if value.contains(',') {
        return Err(ONE);
    }
    let mut parameters = value.split(';').map(str::trim);
    let essence = parameters.next().unwrap_or_default().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => {
            for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
                let (name, value) = parameter.split_once('=').ok_or(ONE)?;
                let charset = value.trim_matches('"');
                if name.eq_ignore_ascii_case("charset")
                    && !["utf-8", "utf8"]
                        .iter()
                        .any(|utf8| charset.eq_ignore_ascii_case(utf8))
                {
                    return Err(Unreadable::ContentType("application/json in UTF-8"));
                }
            }
            Ok(Media::Json)
        }
        "multipart/form-data" => boundary(parameters).map(Media::Form),
        _ => Ok(Media::Other),
    }
}

/// Demands JSON.
///
/// # Errors
/// Any other kind.
pub(super) fn json(headers: &HeaderMap) -> Result<(), Unreadable> {
    match kind(headers)? {
        Media::Json => Ok(()),
        Media::Form(_) | Media::Other => Err(Unreadable::ContentType("application/json")),
    }
}

/// Demands JSON where a body's type is said, for servers that take an unlabelled body for JSON as well: AWS's, and those in Go that never look.
///
/// # Errors
/// Any other kind.
pub(super) fn json_or_nothing(headers: &HeaderMap) -> Result<(), Unreadable> {
    if headers.contains_key(header::CONTENT_TYPE) {
        json(headers)
    } else {
        Ok(())
    }
}

/// The boundary of a form. RFC 2046 section 5.1.1 allows more characters than any client uses; those below are read alike by all.
fn boundary<'a>(parameters: impl Iterator<Item = &'a str>) -> Result<String, Unreadable> {
    const PLAIN: Unreadable =
        Unreadable::ContentType("multipart/form-data with one plain boundary and nothing else");
    let mut boundary = None;
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').ok_or(PLAIN)?;
        if !name.eq_ignore_ascii_case("boundary") || boundary.is_some() {
            return Err(PLAIN);
        }
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or(PLAIN)?,
            None => value,
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte);
        if value.is_empty() || value.len() > 70 || !value.bytes().all(is_plain) {
            return Err(PLAIN);
        }
        boundary = Some(value.to_owned());
    }
    boundary.ok_or(PLAIN)
}
