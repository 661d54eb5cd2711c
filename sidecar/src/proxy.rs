//! The line that every request walks. One straight function, one file a stage.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, uri::PathAndQuery};
use hyper::body::Incoming;
use postern_crds::{Route, names::REQUEST_ID_HEADER};
use tokio::sync::watch;

use crate::{
    access::{AccessLog, Exchange},
    answer,
    body::{RequestBody, ResponseBody, Stages},
    bundle::Wanted,
    error::Error,
    limits::Limits,
    listener::HeadError,
    mask::Masks,
    proxy::{
        authority::OwnNames, metering::Metering, path::NormalPath, policy::Subject, replay::Replay,
    },
    scrub::{Needles, Scrubber},
    snapshot::Snapshot,
    upstream::{Lease, Outgoing},
};

pub(crate) mod authority;
pub(crate) mod caller;
pub(crate) mod canary;
mod credential;
pub(crate) mod facts;
pub(crate) mod headers;
pub(crate) mod inject;
mod limits;
pub(crate) mod masking;
pub(crate) mod metering;
pub(crate) mod path;
pub(crate) mod policy;
pub(crate) mod rehearsal;
mod replay;
mod route;

/// The proxy: everything a request needs on its way.
pub(crate) struct Proxy {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    own_names: OwnNames,
    log: Arc<AccessLog>,
    limits: Arc<Limits>,
    wanted: Arc<Wanted>,
    /// The pod's name, for rules.
    pod: String,
}

impl Proxy {
    /// A proxy that decides by the newest of `snapshots`, answers to `own_names`, keeps `limits`, and says where a newer bundle is `wanted`.
    pub(crate) fn new(
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        own_names: OwnNames,
        log: Arc<AccessLog>,
        limits: Arc<Limits>,
        wanted: Arc<Wanted>,
        pod: String,
    ) -> Self {
        Self {
            snapshots,
            own_names,
            log,
            limits,
            wanted,
            pod,
        }
    }

    /// Answers one request: with its upstream's response, or with one of ours that says why not. `head` is what the listener thinks of the
    /// request's head.
    pub(crate) async fn handle(
        &self,
        head: Result<(), HeadError>,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let is_readable = head.is_ok();
        let mut exchange = self
            .log
            .begin(is_readable.then(|| request.method().clone()));
        match self.carry(head, request, &mut exchange).await {
            Ok((mut response, lease, stages)) => {
                response.headers_mut().insert(
                    HeaderName::from_static(REQUEST_ID_HEADER),
                    exchange.id().clone(),
                );
                exchange.answered(response.status().as_u16());
                response.map(|body| ResponseBody::upstream(body, lease, stages, exchange))
            }
            Err(error) => {
                exchange.refused(&error);
                let mut response =
                    answer::render(&error, &exchange.call(), exchange.dialect(), exchange.id());
                if !is_readable {
                    // Where one message ends and the next begins is no longer sure.
                    response
                        .headers_mut()
                        .insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                exchange.answered(response.status().as_u16());
                response.map(|body| ResponseBody::own(body, exchange))
            }
        }
    }

    /// Carries one request to its upstream. The order is a security property: nothing is looked up for a request that cannot be read in one
    /// way only, the policy sees exactly what is sent but for what its own masks take out, no secret is taken before the decision, and nothing leaves before all of it.
    async fn carry(
        &self,
        head: Result<(), HeadError>,
        request: Request<Incoming>,
        exchange: &mut Exchange,
    ) -> Result<(Response<Incoming>, Lease, Box<Stages>), Error> {
        head?;
        let (mut parts, body) = request.into_parts();
        policy::check_method(&parts.method)?;
        let snapshot = self.snapshots.borrow().clone().ok_or(Error::NoPolicy)?;
        exchange.started_under(&snapshot);

        let path = NormalPath::parse(parts.uri.path())?;
        let (binding, upstream_path) = route::resolve(&snapshot, &path)?;
        exchange.routed_to(&binding, &upstream_path);
        authority::check(&parts.uri, &parts.headers, &binding.route, &self.own_names)?;
        snapshot
            .canaries
            .check(&parts.headers, &path, parts.uri.query(), &binding)?;

        let accepts_trailers = headers::accepts_trailers(&parts.headers);
        headers::strip_request(&mut parts.headers); // rules read what is sent
        let (known, body) = facts::read(
            &snapshot,
            &binding,
            &mut parts,
            &upstream_path,
            body,
            exchange,
        )
        .await?;
        exchange.understood(&known.call);
        let now = SystemTime::now();
        let subject = Subject {
            binding: &binding,
            parts: &parts,
            path: &upstream_path,
            known: &known,
            pod: &self.pod,
            now,
        };
        let rule = policy::decide(&snapshot, &subject, |other| exchange.observed(other))?;
        exchange.allowed_by(rule);
        let reservation = limits::reserve(&self.limits, &snapshot, &binding, &known, exchange)?;
        let masking::Masked {
            mut body,
            masked,
            restoring,
        } = masking::request(
            &snapshot,
            &binding,
            &mut parts,
            &upstream_path,
            &known,
            body,
        )?;
        exchange.request_masked(masked);
        let secret = credential::current(&binding)?; // no secret before the decision
        let origin = binding
            .origin
            .as_ref()
            .map_err(|error| Error::Trust(*error))?;

        let asked = metering::ask_for_usage(
            &binding.route,
            &known.call,
            &upstream_path,
            parts.uri.query(),
            &mut body,
        );
        headers::ask_for_plain_answer(&mut parts.headers);
        if snapshot.masks.as_ref().is_some_and(Masks::enforce) {
            headers::ask_for_all(&mut parts.headers);
        }
        let mut target = target(&upstream_path, parts.uri.query(), &binding.route)?;
        let replay = Replay::of(&parts, &target, accepts_trailers, &body);
        let mut head = inject::Head {
            method: &parts.method,
            target: &mut target,
            headers: &mut parts.headers,
        };
        let injected = inject::apply(&mut head, body, &binding, secret, now).await?; // the only reader of the secret's bytes

        exchange.calling_upstream();
        let running = reservation.send();
        let sent = origin
            .send(Outgoing {
                method: parts.method,
                target,
                headers: parts.headers,
                accepts_trailers,
                body: RequestBody::new(
                    injected.body,
                    exchange.sent(),
                    Arc::clone(&binding.route.own_headers),
                ),
            })
            .await;
        let (mut response, mut lease) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                metering::not_answered(running, &error);
                return Err(error.into());
            }
        };
        let mut needles = injected.needles;
        if response.status() == StatusCode::UNAUTHORIZED {
            if let Some(token) = &binding.token {
                token.distrust();
            }
            let newest = self.snapshots.borrow().clone();
            let newer = newest
                .as_deref()
                .and_then(|newest| snapshot.rotated(newest, &binding));
            if let (Some(newer), Some(replay)) = (newer, replay)
                // In a place of its own: every call would make room for what hardly any needs.
                && let Some(again) = Box::pin(replay.send(newer, exchange)).await
            {
                let with_newer;
                (response, lease, with_newer) = again;
                // It was sent with both, and may have begun before the newer one's overlap.
                needles = Needles::either(needles, with_newer);
            }
            if response.status() == StatusCode::UNAUTHORIZED {
                exchange.not_taken();
                // The next call is to have the newest secret that there is.
                self.wanted.ask();
            }
        }
        headers::strip_response(response.headers_mut());
        let decoder = masking::decoder(&snapshot, &mut response)?;
        let (masked, dialect) = (Arc::clone(&snapshot), binding.route.dialect);
        let subject = metering::Subject {
            snapshot,
            binding,
            path: &upstream_path,
            call: &known.call,
            listed: known.expected.listed,
            asked,
            running,
        };
        let metering = Metering::new(subject, &mut response);
        let masking = masking::of(&masked, dialect, &known.call, &mut response)?;
        let restoring = masking::restoring(restoring.as_ref(), dialect, &known.call, &mut response);
        let mut scrubber = Scrubber::new(needles);
        scrubber.head(&mut response);
        let stages = Box::new(Stages {
            decoder,
            metering,
            masking,
            restoring,
            scrubber,
        });
        Ok((response, lease, stages))
    }
}

/// The path that was decided about, and the query without the caller's keys.
fn target(path: &str, query: Option<&str>, route: &Route) -> Result<PathAndQuery, Error> {
    let own = route.injection.parameter();
    let text = match query.and_then(|query| caller::remove_from_query(query, own)) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // The parts were parsed before; together with the route's base path they may be longer than a target can be.
    PathAndQuery::from_maybe_shared(bytes::Bytes::from(text))
        .map_err(|_| Error::Head(HeadError::TooLarge))
}
