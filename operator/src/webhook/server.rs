//! `POST /inject` over TLS, HTTP/1.1 and HTTP/2, and where it is wanted `POST /v1/stores/NAME/refresh`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::Uri,
    routing::post,
};
use tokio_util::sync::CancellationToken;

use super::{
    admit::Admission,
    events::{self, Events},
    metrics::Metrics,
    review::{Answer, Review},
};
use crate::tls::{server::Listener, serving::Serving};

/// The API server accepts objects of 3 MiB; a review has one, and some more about who creates it.
const BODY_LIMIT: usize = 4 << 20;

/// The bound listener.
pub(super) struct Server {
    listener: Listener,
    metrics: Metrics,
}

impl Server {
    /// Takes the address. Handshakes fail until `serving` holds a certificate.
    ///
    /// # Errors
    /// If it is taken, or not ours.
    pub(super) async fn bind(
        address: SocketAddr,
        serving: Arc<Serving>,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let listener = Listener::bind(address, serving).await?;
        Ok(Self { listener, metrics })
    }

    /// The address that was bound; tells the port when 0 was asked for.
    ///
    /// # Errors
    /// If the operating system does not know.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Serves until `shutdown`, and then drains.
    pub(super) async fn serve(
        self,
        admission: Arc<Admission>,
        events: Option<Arc<Events>>,
        shutdown: CancellationToken,
    ) {
        let Self { listener, metrics } = self;
        let router = Router::new()
            .route("/inject", post(inject))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(admission)
            .merge(events.map(events::router).unwrap_or_default());
        let on_failure = move || metrics.handshake_failed();
        listener.serve(router, on_failure, shutdown).await;
    }
}

async fn inject(
    State(admission): State<Arc<Admission>>,
    uri: Uri,
    Json(review): Json<Review>,
) -> Json<Answer> {
    let answer = admission.answer(&review.request, patience(uri.query()));
    Json(answer.await)
}

/// How long an admission may wait: the API server says in the query how long it waits for us, as `timeout=5s`.
fn patience(query: Option<&str>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3);
    const MARGIN: Duration = Duration::from_secs(2);
    let seconds = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| {
            pair.strip_prefix("timeout=")?
                .strip_suffix('s')?
                .parse()
                .ok()
        });
    seconds.map_or(LONGEST, |seconds| {
        Duration::from_secs(seconds)
            .saturating_sub(MARGIN)
            .min(LONGEST)
    })
}

#[cfg(test)]
mod tests;
