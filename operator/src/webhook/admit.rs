//! One admission: asks `inject`, and tells the API server, the log and the metrics what came of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    cluster::Cluster,
    inject::{self, Denial, Outcome},
    metrics::Metrics,
    review::{Answer, Request},
};
use crate::sidecar::SidecarTemplate;

/// Answers the API server.
pub(super) struct Admission {
    cluster: Cluster,
    template: Arc<SidecarTemplate>,
    metrics: Metrics,
}

/// Why a pod may not be created.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Denied(Denial),
    #[error(
        "this installation of Postern does not watch namespace {0}, so no identity can be used in it"
    )]
    Unwatched(String),
    #[error("Postern is starting and does not know the cluster yet: try again")]
    Starting,
    #[error("Postern could not decide, which is a bug: see the log of its webhook")]
    Panicked,
    #[error("Postern could not write its answer, which is a bug: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl Error {
    /// A stable token, for log and metrics. Of several problems the first has it.
    fn reason(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial
                .problems
                .first()
                .map_or("none", |problem| problem.reason.as_str()),
            Self::Unwatched(_) => "unwatched_namespace",
            Self::Starting => "starting",
            Self::Panicked => "panicked",
            Self::Unwritable(_) => "unwritable",
        }
    }

    /// The HTTP status that whoever creates the pod is given.
    fn status(&self) -> u16 {
        match self {
            Self::Denied(_) | Self::Unwatched(_) => 403,
            Self::Starting => 503,
            Self::Panicked | Self::Unwritable(_) => 500,
        }
    }

    /// How it is counted: whether the pod is at fault, or we.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Denied(_) | Self::Unwatched(_) => "denied",
            Self::Starting | Self::Panicked | Self::Unwritable(_) => "failed",
        }
    }
}

impl Admission {
    /// Decides by what `cluster` holds, and injects `template`.
    pub(super) fn new(cluster: Cluster, template: Arc<SidecarTemplate>, metrics: Metrics) -> Self {
        Self {
            cluster,
            template,
            metrics,
        }
    }

    /// Answers one question. The identity may be waited for as long as `patience`. A dry run is answered alike, since nothing here has
    /// an effect.
    pub(super) async fn answer(&self, request: &Request, patience: Duration) -> Answer {
        let started = Instant::now();
        let _in_flight = self.metrics.admitting();
        let decided = self.decide(request, patience).await.and_then(|outcome| {
            let answer = Answer::allow(request.uid.clone(), &outcome.patch, &outcome.warnings)?;
            Ok((outcome, answer))
        });
        match decided {
            Ok((outcome, answer)) => {
                let token = match (&outcome.identity, outcome.patch.is_empty()) {
                    (None, _) => "untouched",
                    (Some(_), false) => "injected",
                    (Some(_), true) => "complete",
                };
                self.report(
                    request,
                    started,
                    token,
                    "none",
                    &outcome.warnings.join("; "),
                );
                answer
            }
            Err(error) => {
                let message = error.to_string();
                self.report(request, started, error.outcome(), error.reason(), &message);
                Answer::deny(request.uid.clone(), error.status(), message)
            }
        }
    }

    async fn decide(&self, request: &Request, patience: Duration) -> Result<Outcome, Error> {
        let Request {
            namespace, object, ..
        } = request;
        let Some(identity) = inject::requested_identity(object) else {
            return Ok(Outcome::default());
        };
        if !self.cluster.is_synced() {
            return Err(Error::Starting);
        }
        // A value that is no text names no identity, and `inject` says so.
        let name = identity.as_str().unwrap_or_default();
        let snapshot = self
            .cluster
            .snapshot(namespace, name, patience)
            .await
            .ok_or_else(|| Error::Unwatched(namespace.clone()))?;
        // A bug must not close the connection, which the API server would report as a network problem.
        let inject = || inject::inject(object, namespace, &snapshot, &self.template);
        catch_unwind(AssertUnwindSafe(inject))
            .map_err(|_| Error::Panicked)?
            .map_err(Error::Denied)
    }

    /// One line and one count an admission. Nothing in it is a value of the pod's environment.
    fn report(
        &self,
        request: &Request,
        started: Instant,
        outcome: &'static str,
        reason: &'static str,
        detail: &str,
    ) {
        let took = started.elapsed();
        self.metrics.admitted(outcome, reason, took);
        let metadata = &request.object["metadata"];
        let owner = &metadata["ownerReferences"][0];
        let generated = metadata["generateName"].as_str().unwrap_or_default();
        let identity = inject::requested_identity(&request.object).and_then(Value::as_str);
        tracing::info!(
            namespace = request.namespace,
            pod = if request.name.is_empty() {
                generated
            } else {
                &request.name
            },
            owner_kind = owner["kind"].as_str(),
            owner_name = owner["name"].as_str(),
            identity,
            outcome,
            reason,
            detail,
            dry_run = request.dry_run,
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "admission"
        );
    }
}

#[cfg(test)]
pub(in crate::webhook) mod tests;
