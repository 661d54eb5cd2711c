//! The search in what stands around a body: headers, trailers, and the words behind a status.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use hyper::ext::ReasonPhrase;

use super::stream::Scrubber;

impl Scrubber {
    /// Takes the secret out of a response's head. HTTP/1.1 has words behind a status that an upstream may choose; with a secret in them they go.
    pub(crate) fn head<B>(&mut self, response: &mut Response<B>) {
        self.headers(response.headers_mut());
        let extensions = response.extensions_mut();
        if let Some(reason) = extensions.get::<ReasonPhrase>()
            && self.whole(reason.as_bytes()).is_some()
        {
            extensions.remove::<ReasonPhrase>();
        }
    }

    /// Takes the secret out of the values of `headers`, or of trailers.
    pub(crate) fn headers(&mut self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some(clean) = self.whole(value.as_bytes()) {
                // What is no value is nothing that may pass.
                *value = HeaderValue::from_maybe_shared(Bytes::from(clean))
                    .unwrap_or_else(|_| HeaderValue::from_static("-"));
            }
        }
    }

    /// `text`, a word of the upstream's that is going to be logged, without the secret.
    pub(crate) fn text(&mut self, text: &mut String) {
        if let Some(clean) = self.whole(text.as_bytes()) {
            *text = String::from_utf8_lossy(&clean).into_owned();
        }
    }
}
