//! JWT: JSON Web Tokens, signed (RFC 7515 section 3.1) or encrypted (RFC 7516 section 3.1), in their compact form.
//!
//! The header must be what it says: base64url of a JSON object with an `alg` (RFC 7515 section 4.1.1). A token that was cut behind it is masked too.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    Detect, Found, Reach, Triggers,
    shape::{base64url, dotted},
};
use crate::mask::{bytes::ByteSet, swallow::Swallow, view::View};

/// How a header begins: `{"`.
const BEGIN: &[u8] = b"eyJ";
/// The longest header. It may have certificates in it, but then they are referred to.
const MAX_HEADER: usize = 1024;
/// What is held back of a token. The rest of a longer one is masked as it comes.
const MAX: usize = 4096;
/// So much must follow the header's dot, or it is a header that is talked about.
const MIN_REST: usize = 8;

/// Finds tokens.
pub(super) struct Jwt;

impl Detect for Jwt {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let bytes = &view.bytes()[start..];
        let begin = &BEGIN[..BEGIN.len().min(bytes.len())];
        if !bytes.starts_with(begin) || !view.is_free_before(start) {
            return Found::Nothing;
        }
        let not_yet = if view.is_last {
            Found::Nothing
        } else {
            Found::Open
        };
        let Some(dot) = bytes
            .iter()
            .take(MAX_HEADER)
            .position(|byte| !base64url(*byte))
        else {
            return if bytes.len() < MAX_HEADER {
                not_yet
            } else {
                Found::Nothing
            };
        };
        if bytes[dot] != b'.' || !is_header(&bytes[..dot]) {
            return Found::Nothing;
        }
        let run = bytes
            .iter()
            .take(MAX)
            .take_while(|byte| dotted(**byte))
            .count();
        if run == MAX {
            return Found::Long(start + MAX, Swallow::Run(dotted));
        }
        if run == bytes.len() && !view.is_last {
            return Found::Open;
        }
        let token = view.text[start..start + run].trim_end_matches('.');
        if token.len() < dot + 1 + MIN_REST {
            return Found::Nothing;
        }
        Found::Value(start + token.len())
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::bytes(ByteSet::of([b'J']))]
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        view.bytes()[..=trigger]
            .ends_with(BEGIN)
            .then(|| trigger + 1 - BEGIN.len())
    }

    fn reach(&self) -> Reach {
        Reach::bytes(BEGIN.len() - 1, ByteSet::of([BEGIN[0]]))
    }
}

fn is_header(encoded: &[u8]) -> bool {
    BASE64_URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok())
        .is_some_and(|header| header.contains_key("alg"))
}
