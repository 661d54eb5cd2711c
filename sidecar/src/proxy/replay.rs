//! Once more with the newer secret: a call that began before a rotation and was refused after it.
//!
//! A provider may take a key out of use the moment that it has another, while calls with the old one are on their way. Such a call is sent again, once, if it
//! can do no harm twice and nothing of it has been given away: its method is idempotent, or the caller says by `Idempotency-Key` that the provider tells
//! repetitions apart, and its body is still held whole. Everything else gets the provider's 401 as it is.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderName, Method, Response, request::Parts, uri::PathAndQuery};
use hyper::body::Incoming;

use super::{credential, inject};
use crate::{
    access::Exchange,
    body::{CallerBody, RequestBody},
    error::Error,
    scrub::Needles,
    snapshot::Binding,
    upstream::{Lease, Outgoing},
};

/// Stripe's header and many others', as in the IETF's draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request as it was before a credential was put into it.
pub(super) struct Replay {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    accepts_trailers: bool,
    body: CallerBody,
}

impl Replay {
    /// What it takes to send the request again; `None` if it must not be. The bytes of the body are shared, not copied.
    pub(super) fn of(
        head: &Parts,
        target: &PathAndQuery,
        accepts_trailers: bool,
        body: &CallerBody,
    ) -> Option<Self> {
        // RFC 9110 section 9.2.2.
        if !head.method.is_idempotent() && !head.headers.contains_key(IDEMPOTENCY_KEY) {
            return None;
        }
        Some(Self {
            method: head.method.clone(),
            target: target.clone(),
            headers: head.headers.clone(),
            accepts_trailers,
            body: body.held()?,
        })
    }

    /// Sends it with the secret of `binding`. `None` where that does not come to an answer: the caller gets the first one.
    pub(super) async fn send(
        self,
        binding: &Binding,
        exchange: &mut Exchange,
    ) -> Option<(Response<Incoming>, Lease, Option<Arc<Needles>>)> {
        let answer = self.answer(binding, exchange).await;
        exchange.sent_again(answer.as_ref().err());
        answer.ok()
    }

    async fn answer(
        self,
        binding: &Binding,
        exchange: &Exchange,
    ) -> Result<(Response<Incoming>, Lease, Option<Arc<Needles>>), Error> {
        let Self {
            method,
            mut target,
            mut headers,
            accepts_trailers,
            body,
        } = self;
        let secret = credential::current(binding)?;
        let origin = binding
            .origin
            .as_ref()
            .map_err(|error| Error::Trust(*error))?;
        let mut head = inject::Head {
            method: &method,
            target: &mut target,
            headers: &mut headers,
        };
        let injected = inject::apply(&mut head, body, binding, secret, SystemTime::now()).await?;
        let own = Arc::clone(&binding.route.own_headers);
        let body = RequestBody::new(injected.body, exchange.sent(), own);
        let (response, lease) = origin
            .send(Outgoing {
                method,
                target,
                headers,
                accepts_trailers,
                body,
            })
            .await?;
        Ok((response, lease, injected.needles))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;

    use super::*;

    fn may_be_sent_again(method: &Method, key: Option<&str>) -> bool {
        let mut request = Request::builder().method(method);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let target = PathAndQuery::from_static("/v1/files");
        let body = CallerBody::Read(Bytes::from_static(b"{}"));
        Replay::of(&head, &target, false, &body).is_some()
    }

    #[test]
    fn only_what_does_no_harm_twice_is_sent_again() {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert!(may_be_sent_again(&method, None), "{method}");
        }
        for method in [Method::POST, Method::PATCH] {
            assert!(!may_be_sent_again(&method, None), "{method}");
            assert!(may_be_sent_again(&method, Some("k-1")), "{method}");
        }
    }
}
