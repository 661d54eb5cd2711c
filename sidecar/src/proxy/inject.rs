//! Puts the real credential in the caller's stead. *Architecture invariant: the only place that reads a secret's bytes.*

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use postern_crds::{Route, Secret, source};
use zeroize::Zeroizing;

use super::caller;
use crate::error::Error;

/// Removes the caller's credentials from `headers` and sets the route's own.
///
/// # Errors
/// [`Error::CredentialUnusable`] when the secret's bytes cannot stand in a header.
pub(crate) fn apply(headers: &mut HeaderMap, route: &Route, secret: &Secret) -> Result<(), Error> {
    caller::remove_from_headers(headers, &route.header);
    headers.insert(&route.header, value(&route.header_prefix, secret)?);
    Ok(())
}

/// The header's value. Its bytes are wiped when the last reference to them goes; it prints as `Sensitive`, and HPACK never indexes it.
fn value(prefix: &str, secret: &Secret) -> Result<HeaderValue, Error> {
    // Where the controller took it from a source, this changes nothing; a bundle may have come another way.
    let key = source::secret(secret.expose()).map_err(|_| Error::CredentialUnusable)?;
    let key = key.expose();
    let mut bytes = Zeroizing::new(Vec::with_capacity(prefix.len() + key.len()));
    bytes.extend_from_slice(prefix.as_bytes());
    bytes.extend_from_slice(key);
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes))
        .map_err(|_| Error::CredentialUnusable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_newline_is_no_part_of_a_key() {
        let value = value("Bearer ", &Secret::new(b"sk-live\n".to_vec())).unwrap();
        assert_eq!(value.as_bytes(), b"Bearer sk-live");
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("sk-live"));
    }

    #[test]
    fn a_secret_that_cannot_stand_in_a_header_is_not_sent() {
        for bytes in ["", "\n", "sk\r\nhost: evil", "sk\0"] {
            assert!(
                matches!(
                    value("", &Secret::new(bytes.into())),
                    Err(Error::CredentialUnusable)
                ),
                "{bytes:?}"
            );
        }
    }
}
