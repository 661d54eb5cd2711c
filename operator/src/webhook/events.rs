//! `POST /v1/stores/NAME/refresh`: a store's own event, passed on by whoever has the token, makes the controller read the store at once.
//!
//! Every replica may be told. It writes down what was said in the status of the `CredentialStore`, which the leading controller watches; it is asked nothing,
//! reads no store, and answers alike whatever paths there are.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{self, Body},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use kube::Client;
use postern_crds::names::is_label;

use super::metrics::Metrics;

mod batch;
mod message;
mod token;

#[cfg(test)]
pub(super) use batch::tests as written;
use batch::{Refreshes, Told};
use message::About;
use token::Tokens;

/// The longest body that is read. An event of EventBridge has at most 256 KiB (docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
const BODY_LIMIT: usize = 256 * 1024;

/// Hears of events of stores.
pub(super) struct Events {
    tokens: Tokens,
    refreshes: Arc<Refreshes>,
    metrics: Metrics,
}

impl Events {
    /// Writes by `client` what is said by those who show a token of the file `tokens`.
    pub(super) fn new(client: Client, tokens: PathBuf, metrics: Metrics) -> Self {
        Self {
            tokens: Tokens::in_file(tokens),
            refreshes: Arc::new(Refreshes::new(client)),
            metrics,
        }
    }

    async fn answer(&self, store: &str, headers: &HeaderMap, body: Body) -> Outcome {
        // First of all: whoever has no token learns nothing, and has nothing read.
        if !self.tokens.admit(headers.get(header::AUTHORIZATION)).await {
            return Outcome::Unauthorized;
        }
        let Ok(body) = body::to_bytes(body, BODY_LIMIT).await else {
            return Outcome::Malformed;
        };
        let Some(about) = About::read(&body) else {
            return Outcome::Malformed;
        };
        if !is_label(store) {
            return Outcome::NotFound;
        }
        match self.refreshes.ask(store, about).await {
            Told::Written => Outcome::Accepted,
            Told::NoStore => Outcome::NotFound,
            Told::TooOften => Outcome::Throttled,
            Told::Failed => Outcome::Unavailable,
        }
    }
}

/// How an event is answered.
#[derive(Clone, Copy)]
enum Outcome {
    /// The controller will hear of it.
    Accepted,
    /// Without a token, or with another.
    Unauthorized,
    /// Not a message.
    Malformed,
    /// There is no such store.
    NotFound,
    /// Too many wait already.
    Throttled,
    /// The API server did not take it.
    Unavailable,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unauthorized => "unauthorized",
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Accepted => StatusCode::ACCEPTED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn response(self) -> Response {
        let mut response = self.status().into_response();
        let header = match self {
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::Throttled | Self::Unavailable => Some((header::RETRY_AFTER, "5")),
            Self::Accepted | Self::Malformed | Self::NotFound => None,
        };
        if let Some((name, value)) = header {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Where events are told.
pub(super) fn router(events: Arc<Events>) -> Router {
    Router::new()
        .route("/v1/stores/{name}/refresh", post(refresh))
        .with_state(events)
}

async fn refresh(
    State(events): State<Arc<Events>>,
    Path(store): Path<String>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let outcome = events.answer(&store, &head.headers, body).await;
    events.metrics.event_told(outcome.name());
    outcome.response()
}
