//! Finds out what a call says: from its head, and from its body where a decision needs that.

use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use hyper::body::Incoming;
use postern_crds::facts::Call;

use crate::{
    access::{Exchange, Observed},
    body::CallerBody,
    dialect::{self, Head, Request},
    error::Error,
    limits::Expected,
    meter,
    snapshot::{Binding, Snapshot},
};

/// A call as far as it was read, and its body for sending it on.
pub(crate) struct Known {
    /// What it says.
    pub(crate) call: Call,
    /// What it may use.
    pub(crate) expected: Expected,
    /// How much of it was read for that.
    pub(crate) extent: Extent,
    /// The body.
    pub(crate) body: CallerBody,
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

/// Reads the call. Its body is read once, whole, and only where a rule or a limit may need to know what is in it. A body that was read loses its content encoding: what was decided about is what is sent.
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
) -> Result<Known, Error> {
    dialect::refuse_method_override(&parts.headers)?;
    let route = &binding.route;
    let method = parts.method.clone();
    let query = parts.uri.query();
    let head = Head {
        dialect: route.dialect,
        method: method.as_str(),
        path,
        base_path: &route.base_path,
        query,
        deployments: &route.deployments,
    };
    let needs = snapshot
        .policy
        .needs(&route.credential, method.as_str(), path);
    let finished = |call, extent, body| known(snapshot, binding, query, call, extent, body);
    if !needs.content {
        let body = CallerBody::Unread(body);
        return Ok(finished(dialect::head(&head), Extent::Head, body));
    }
    let limit = snapshot.policy.max_inspected_bytes();
    let body = CallerBody::read(body, limit)
        .await
        .map_err(Error::BodyBroken)?;
    let CallerBody::Read(raw) = body else {
        return Ok(finished(dialect::head(&head), Extent::TooLong, body));
    };
    match understand(head, &parts.headers, raw.clone(), limit) {
        Ok((call, bytes)) => {
            let known = finished(call, Extent::Whole, CallerBody::Read(bytes));
            parts.headers.remove(header::CONTENT_ENCODING);
            Ok(known)
        }
        Err(error) if needs.binding => Err(error),
        // Only policies that observe wanted to know: the call is none the worse for it, and passes as it came.
        Err(error) => {
            exchange.observed(Observed {
                reason: error.reason(),
                rule: None,
            });
            Ok(finished(
                dialect::head(&head),
                Extent::TooLong,
                CallerBody::Read(raw),
            ))
        }
    }
}

/// What the whole call says, and its body without a content encoding.
fn understand(
    head: Head<'_>,
    headers: &HeaderMap,
    raw: Bytes,
    limit: usize,
) -> Result<(Call, Bytes), Error> {
    let bytes = dialect::encoding::decode(headers, raw, limit)?;
    let call = dialect::read(&Request {
        head,
        headers,
        body: &bytes,
    })?;
    Ok((call, bytes))
}

/// Adds to what the call says what is known of its models: how much they may answer, and what that may cost.
fn known(
    snapshot: &Snapshot,
    binding: &Binding,
    query: Option<&str>,
    mut call: Call,
    extent: Extent,
    body: CallerBody,
) -> Known {
    let listed = snapshot.listed(&binding.route, &call.models);
    let can_end = call.stream && meter::ending::is_possible(binding.route.dialect, query);
    let expected = Expected::of(&call, listed, can_end);
    if call.max_tokens.is_none() {
        call.max_tokens = listed.and_then(|listed| listed.max_output_tokens);
    }
    call.estimated_cost = expected.cost();
    Known {
        call,
        expected,
        extent,
        body,
    }
}
