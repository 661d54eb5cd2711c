//! Finds out what a call says: from its head, and from its body where a decision needs that.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use hyper::body::Incoming;
use postern_crds::{facts::Call, policy::Needs};

use crate::{
    access::{Exchange, Observed},
    body::CallerBody,
    dialect::{self, Head, Request},
    error::Error,
    limits::Expected,
    meter,
    snapshot::{Binding, Snapshot},
};

/// A call as far as it was read.
pub(crate) struct Known {
    /// What it says.
    pub(crate) call: Arc<Call>,
    /// What it may use.
    pub(crate) expected: Expected,
    /// How much of it was read for that.
    pub(crate) extent: Extent,
}

/// How much of a call was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The head, which is all that a decision needs.
    Head,
    /// All of it.
    Whole,
    /// The head. The body was to be read too, and is too long for that.
    TooLong,
}

/// A call's head, and where it goes: what can be known of it before its body is there.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    snapshot: &'a Snapshot,
    binding: &'a Binding,
    headers: &'a HeaderMap,
    head: Head<'a>,
}

/// What a call with its body says.
pub(crate) struct Inspected {
    /// The call.
    pub(crate) known: Known,
    /// Its body without a content encoding; `None` where it is to pass as it came.
    pub(crate) decoded: Option<Bytes>,
    /// Why it cannot be read, where only policies that observe wanted to know.
    pub(crate) observed: Option<Observed>,
}

impl<'a> Asked<'a> {
    /// The call with these `parts`, at `path` of the provider.
    ///
    /// # Errors
    /// [`Error::Body`] for a header that asks for another method than the request's own.
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        binding: &'a Binding,
        parts: &'a Parts,
        path: &'a str,
    ) -> Result<Self, Error> {
        dialect::refuse_method_override(&parts.headers)?;
        let route = &binding.route;
        Ok(Self {
            snapshot,
            binding,
            headers: &parts.headers,
            head: Head {
                dialect: route.dialect,
                method: parts.method.as_str(),
                path,
                base_path: &route.base_path,
                query: parts.uri.query(),
                deployments: &route.deployments,
            },
        })
    }

    /// Whether its body is read: for the decision, or to be masked.
    pub(crate) fn reads_body(&self) -> bool {
        self.snapshot.request_masks.is_some() || self.needs().content
    }

    /// What has to be read of it for the decision.
    pub(crate) fn needs(&self) -> Needs {
        let Head { method, path, .. } = self.head;
        let credential = &self.binding.route.credential;
        self.snapshot.policy.needs(credential, method, path)
    }

    /// What its head says.
    pub(crate) fn by_head(&self, extent: Extent) -> Known {
        self.known(dialect::head(&self.head), extent)
    }

    /// What all of it says, where its body is `raw`.
    ///
    /// # Errors
    /// [`Error::Encoding`] and [`Error::Body`] for a body that can be read in more than one way, where what is in it is needed for more than
    /// to observe.
    pub(crate) fn by_body(&self, needs: Needs, raw: Bytes) -> Result<Inspected, Error> {
        match self.understand(raw) {
            Ok((call, bytes)) => Ok(Inspected {
                known: self.known(call, Extent::Whole),
                decoded: Some(bytes),
                observed: None,
            }),
            Err(error) if needs.binding => Err(error),
            // Only masks wanted to know, and find out for themselves.
            Err(_) if !needs.content => Ok(Inspected {
                known: self.by_head(Extent::Head),
                decoded: None,
                observed: None,
            }),
            // Only policies that observe wanted to know: the call is none the worse for it, and passes as it came.
            Err(error) => Ok(Inspected {
                known: self.by_head(Extent::TooLong),
                decoded: None,
                observed: Some(Observed {
                    reason: error.reason(),
                    rule: None,
                }),
            }),
        }
    }

    /// What its head says, where its body is too long to be read.
    pub(crate) fn too_long(&self, needs: Needs) -> Known {
        self.by_head(match needs.content {
            true => Extent::TooLong,
            false => Extent::Head,
        })
    }

    /// What all of it says, where nothing depends on it; `None` where its body `raw` can be read in more than one way.
    pub(crate) fn by_whole(&self, raw: Bytes) -> Option<Known> {
        let (call, _) = self.understand(raw).ok()?;
        Some(self.known(call, Extent::Whole))
    }

    /// What the whole call says, and its body without a content encoding.
    fn understand(&self, raw: Bytes) -> Result<(Call, Bytes), Error> {
        let limit = self.snapshot.policy.max_inspected_bytes();
        let bytes = dialect::encoding::decode(self.headers, raw, limit)?;
        let call = dialect::read(&Request {
            head: self.head,
            headers: self.headers,
            body: &bytes,
        })?;
        Ok((call, bytes))
    }

    /// Adds to what the call says what is known of its models: how much they may answer, and what that may cost.
    fn known(&self, mut call: Call, extent: Extent) -> Known {
        let listed = self.snapshot.listed(&self.binding.route, &call.models);
        let can_end = call.stream && meter::ending::is_possible(self.head.dialect, self.head.query);
        let expected = Expected::of(&call, listed, can_end);
        if call.max_tokens.is_none() {
            call.max_tokens = listed.and_then(|listed| listed.max_output_tokens);
        }
        call.estimated_cost = expected.cost();
        Known {
            call: Arc::new(call),
            expected,
            extent,
        }
    }
}

/// Reads the call. Its body is read once, whole, and only where a rule or a limit may need to know what is in it, or a mask. A body that was read loses its
/// content encoding: what was decided about is what is sent.
///
/// # Errors
/// [`Error::Body`] for a body that can be read in more than one way, [`Error::BodyBroken`] for one that breaks off.
pub(crate) async fn read(
    snapshot: &Snapshot,
    binding: &Binding,
    parts: &mut Parts,
    path: &str,
    body: Incoming,
    exchange: &mut Exchange,
) -> Result<(Known, CallerBody), Error> {
    let asked = Asked::new(snapshot, binding, parts, path)?;
    if !asked.reads_body() {
        return Ok((asked.by_head(Extent::Head), CallerBody::Unread(body)));
    }
    let body = CallerBody::read(body, snapshot.policy.max_inspected_bytes())
        .await
        .map_err(Error::BodyBroken)?;
    let CallerBody::Read(raw) = body else {
        return Ok((asked.too_long(asked.needs()), body));
    };
    let Inspected {
        known,
        decoded,
        observed,
    } = asked.by_body(asked.needs(), raw.clone())?;
    if let Some(observed) = observed {
        exchange.observed(observed);
    }
    let body = match decoded {
        Some(bytes) => {
            parts.headers.remove(header::CONTENT_ENCODING);
            bytes
        }
        None => raw,
    };
    Ok((known, CallerBody::Read(body)))
}
