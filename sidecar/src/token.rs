//! Access tokens: what some secrets buy at a server of tokens, and what is sent in their stead.
//!
//! A token is fetched by the first call that needs it and kept until shortly before it expires; many calls at a time wait for one fetch. When it
//! nears its end, a call has the next one fetched and goes on with this one. A token is forgotten with the secret that bought it: a rotation
//! makes another [`Source`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use postern_crds::{Secret, bundle::VersionedSecret, route::Token};
use tokio_util::task::TaskTracker;

use crate::{
    metrics::{AccessTokenLabels, Metrics},
    scrub::{Needles, Secrets},
    upstream::{Origin, SendError},
};

mod answer;
mod cache;
mod grant;
mod jwt;

use cache::Cache;

/// How long a server of tokens may take for everything: connection, question and answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no token. None of these has anything of a secret in it, nor of what the server wrote but the words of RFC 6749.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The secret is not what the grant needs.
    #[error("the secret is not a key that it takes")]
    Key,
    /// Nothing came back.
    #[error("{0}")]
    Unreachable(Arc<SendError>),
    /// Not all of it came back in time.
    #[error("it did not answer within {} s", PATIENCE.as_secs())]
    Timeout,
    /// The answer broke off, or is longer than an answer is.
    #[error("its answer broke off or is too long")]
    Incomplete,
    /// It answered that there is no token.
    #[error("it answered {status}{}", code.map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The error code, where it is one of RFC 6749's.
        code: Option<&'static str>,
    },
    /// Its answer has no token that can be sent.
    #[error("{0}")]
    Answer(&'static str),
    /// The fetch ended without an end, as when the process stops.
    #[error("the fetch was cut off")]
    CutOff,
}

impl Failure {
    /// Whether the same question could have another answer in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout | Self::Incomplete | Self::CutOff => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Key | Self::Answer(_) => false,
        }
    }
}

/// A token.
#[derive(Clone)]
pub(crate) struct Bought {
    /// The value of the header that carries it.
    pub(crate) header: HeaderValue,
    /// What must not come back of it, and of the secret that bought it.
    pub(crate) needles: Option<Arc<Needles>>,
}

/// Where the token of one credential comes from.
pub(crate) struct Source {
    credential: String,
    token: Token,
    secret: Secret,
    secrets: Secrets,
    origin: Arc<Origin>,
    cache: Arc<Cache>,
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Arc<Metrics>,
    /// Carries the fetches, which outlive the calls that began them.
    tasks: TaskTracker,
}

/// Every source of tokens. Tokens survive a new bundle when nothing that they rest on has changed.
pub(crate) struct Sources {
    shared: Arc<Shared>,
    by_credential: Mutex<HashMap<String, Weak<Source>>>,
}

impl Sources {
    /// None yet. `tasks` carries the fetches.
    pub(crate) fn new(metrics: Arc<Metrics>, tasks: TaskTracker) -> Self {
        Self {
            shared: Arc::new(Shared { metrics, tasks }),
            by_credential: Mutex::default(),
        }
    }

    /// The source of `credential`, which asks for `token` at `origin` with `secret`, of which `secrets` must not come back.
    pub(crate) fn source(
        &self,
        credential: &str,
        token: &Token,
        secret: &VersionedSecret,
        secrets: Secrets,
        origin: Arc<Origin>,
    ) -> Arc<Source> {
        let mut sources = self
            .by_credential
            .lock()
            .expect("no panic while the lock is held");
        let before = sources.get(credential).and_then(Weak::upgrade);
        if let Some(source) = before
            && source.token == *token
            && source.secret == secret.value
            && source.secrets == secrets
            && Arc::ptr_eq(&source.origin, &origin)
        {
            return source;
        }
        let source = Arc::new(Source {
            credential: credential.to_owned(),
            token: token.clone(),
            secret: secret.value.clone(),
            secrets,
            origin,
            cache: Arc::default(),
            shared: Arc::clone(&self.shared),
        });
        sources.retain(|_, source| source.strong_count() > 0);
        sources.insert(credential.to_owned(), Arc::downgrade(&source));
        source
    }
}

impl Source {
    /// The token, fetched if need be.
    ///
    /// # Errors
    /// [`Failure`], the same for all calls that waited for the same fetch.
    pub(crate) async fn current(self: &Arc<Self>) -> Result<Bought, Failure> {
        self.cache.current(|turn| self.fetch(turn)).await
    }

    /// What must not come back of the newest token and of the secret, or of the secret alone.
    pub(crate) fn needles(&self) -> Option<Arc<Needles>> {
        match self.cache.newest() {
            Some(bought) => bought.needles,
            None => self.secrets.needles([]),
        }
    }

    /// The service did not take the token, though it has not expired: it was revoked. The next call has another one fetched.
    pub(crate) fn distrust(&self) {
        self.cache.distrust();
    }

    /// Fetches a token beside the calls, so that it arrives even when the call that wanted it went away.
    fn fetch(self: &Arc<Self>, turn: cache::Turn) {
        let this = Arc::clone(self);
        self.shared.tasks.spawn(async move {
            let fetched = tokio::time::timeout(PATIENCE, this.ask())
                .await
                .unwrap_or(Err(Failure::Timeout));
            let credential = this.credential.as_str();
            let outcome = match &fetched {
                Ok(answer) => {
                    let lifetime_s = answer.lifetime.as_secs();
                    tracing::debug!(credential, lifetime_s, "an access token was fetched");
                    "ok"
                }
                Err(failure) => {
                    let url = this.token.url();
                    tracing::warn!(credential, url, %failure, "no access token: calls with the credential fail when the last one has expired");
                    if failure.is_transient() {
                        "unavailable"
                    } else {
                        "refused"
                    }
                }
            };
            let labels = AccessTokenLabels {
                route: this.credential.clone(),
                outcome,
            };
            this.shared.metrics.access_tokens.get_or_create(&labels).inc();
            turn.end(fetched.map(|answer| {
                let bought = Bought {
                    header: answer.value,
                    needles: this.secrets.needles([answer.token.as_bytes()]),
                };
                (bought, answer.lifetime)
            }));
        });
    }

    async fn ask(&self) -> Result<answer::Fetched, Failure> {
        let request = grant::request(&self.token, &self.secret, SystemTime::now())?;
        let (response, _lease) = self
            .origin
            .send(request)
            .await
            .map_err(|error| Failure::Unreachable(Arc::new(error)))?;
        answer::read(response, &self.token, SystemTime::now()).await
    }
}
