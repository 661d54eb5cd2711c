//! What would be decided about a request that somebody only tells: the stages of `Proxy::carry` as far as the decision, and the masks of calls,
//! without a connection.
//!
//! *Architecture invariant: nothing is decided here.* Every stage is the proxy's own. Left out is what only a connection has: whether its head
//! can be read in one way only, and whose name it calls the proxy by. Limits are left out too, since they depend on the calls before.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{Request, request::Parts};
use postern_crds::{
    Bundle, bundle,
    policy::{Explanation, RuleId},
};
use tokio_util::task::TaskTracker;

use super::{
    facts::{Asked, Extent, Known},
    headers, masking,
    path::NormalPath,
    policy::{self, Subject},
    route,
};
use crate::{
    access::{Masked, Observed},
    body::CallerBody,
    error::Error,
    metrics::Metrics,
    snapshot::{Binding, Snapshot},
    token,
    upstream::Upstreams,
};

/// One bundle, to be asked about requests.
pub(crate) struct Rehearsal {
    snapshot: Snapshot,
}

/// What would become of a request.
pub(crate) struct Outcome {
    /// The rule that allows it, `None` where nothing is enforced; or why it is denied.
    pub(crate) decision: Result<Option<RuleId>, Error>,
    /// What policies that only observe would have done otherwise.
    pub(crate) observed: Vec<Observed>,
    /// What is known of it; `None` where it is refused before it reaches the policy.
    pub(crate) seen: Option<Seen>,
}

/// A request as the policy sees it.
pub(crate) struct Seen {
    /// Where it goes.
    pub(crate) binding: Arc<Binding>,
    /// The path that the provider sees.
    pub(crate) path: String,
    /// What it says; `None` where its body cannot be read in one way only.
    pub(crate) known: Option<Known>,
    /// Whether the body decides. Where it does not, it was read for this answer alone.
    pub(crate) is_body_needed: bool,
    /// Whether policies mask calls, so that it is read for that.
    pub(crate) has_masks: bool,
    /// What every rule makes of it.
    pub(crate) explanations: Vec<Explanation>,
    /// What is masked in it before it is sent, or counted.
    pub(crate) masked: Vec<Masked>,
}

impl Rehearsal {
    /// Compiles `bundle` as the proxy does.
    ///
    /// # Errors
    /// [`bundle::Error`] where its specs have no meaning.
    pub(crate) fn new(bundle: Bundle) -> Result<Self, bundle::Error> {
        let (metrics, tasks) = (Arc::new(Metrics::new()), TaskTracker::new());
        // Nothing is connected to.
        let upstreams = Upstreams::new(
            Vec::new(),
            Duration::ZERO,
            Arc::clone(&metrics),
            tasks.clone(),
        );
        let tokens = token::Sources::new(metrics, tasks);
        let snapshot = Snapshot::compile(bundle, &upstreams, &tokens, None, Instant::now())?;
        Ok(Self { snapshot })
    }

    /// `namespace/name` of the identity.
    pub(crate) fn identity(&self) -> &str {
        &self.snapshot.identity
    }

    /// What would become of `request`, whose target is that of a call to the proxy: `/openai/v1/chat/completions`.
    pub(crate) fn of(&self, request: Request<Bytes>) -> Outcome {
        let mut observed = Vec::new();
        let mut seen = None;
        let decision = self.decide(request, &mut observed, &mut seen);
        Outcome {
            decision,
            observed,
            seen,
        }
    }

    fn decide(
        &self,
        request: Request<Bytes>,
        observed: &mut Vec<Observed>,
        seen: &mut Option<Seen>,
    ) -> Result<Option<RuleId>, Error> {
        let snapshot = &self.snapshot;
        let (mut parts, body) = request.into_parts();
        policy::check_method(&parts.method)?;
        let path = NormalPath::parse(parts.uri.path())?;
        let (binding, upstream_path) = route::resolve(snapshot, &path)?;
        snapshot
            .canaries
            .check(&parts.headers, &path, parts.uri.query(), &binding)?;
        headers::strip_request(&mut parts.headers);

        let asked = Asked::new(snapshot, &binding, &parts, &upstream_path)?;
        let needs = asked.needs();
        let seen = seen.insert(Seen {
            binding: Arc::clone(&binding),
            path: upstream_path.clone(),
            is_body_needed: needs.content,
            has_masks: snapshot.request_masks.is_some(),
            known: None,
            explanations: Vec::new(),
            masked: Vec::new(),
        });
        let is_too_long = body.len() > snapshot.policy.max_inspected_bytes();
        let known = if !asked.reads_body() {
            asked.by_head(Extent::Head)
        } else if is_too_long {
            asked.too_long(needs)
        } else {
            let inspected = asked.by_body(needs, body.clone())?;
            observed.extend(inspected.observed);
            inspected.known
        };
        let decision = policy::decide(
            snapshot,
            &subject(&binding, &parts, &upstream_path, &known),
            |other| observed.push(other),
        );

        // Who asks wants to see the facts even where the proxy lets the body stream past.
        let known = if known.extent == Extent::Head {
            asked.by_whole(body.clone()).unwrap_or(known)
        } else {
            known
        };
        seen.explanations =
            policy::explain(snapshot, &subject(&binding, &parts, &upstream_path, &known));
        let known = seen.known.insert(known);
        let rule = decision?;
        let masked = masking::request(
            snapshot,
            &binding,
            &mut parts,
            &upstream_path,
            known,
            CallerBody::Read(body),
        )?;
        seen.masked = masked.masked;
        Ok(rule)
    }
}

fn subject<'a>(
    binding: &'a Binding,
    parts: &'a Parts,
    path: &'a str,
    known: &'a Known,
) -> Subject<'a> {
    Subject {
        binding,
        parts,
        path,
        known,
        pod: "",
        now: SystemTime::now(),
    }
}
