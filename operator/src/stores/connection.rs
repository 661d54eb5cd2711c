//! One store: who reads the same at the same time reads once, few read at once, and one that fails is left alone for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use postern_crds::{CredentialStoreSpec, agent_identity::StoreRef};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    aws::Aws, http::Http, https::Https, own::Own, problem::Problem, reading::Reading, vault::Vault,
};
use crate::controller::{Metrics, jitter};

/// How many requests of readings a store gets at the same time.
const CONCURRENT_READS: usize = 4;
/// How long a reading may take with its turn, its login and all, in seconds: a reconcile has 30.
const READ: u64 = 20;
/// How long a store that failed once is left alone; twice as long after each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a reading gives; all who share it get the same.
type Outcome = Result<Arc<Reading>, Problem>;
/// A reading on its way.
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// One store as one generation of its spec describes it.
pub(super) struct Connection {
    name: String,
    kind: Kind,
    spec: CredentialStoreSpec,
    own: Own,
    metrics: Metrics,
    /// The client, and the authorities that it was made with.
    https: tokio::sync::Mutex<Option<(Option<String>, Https)>>,
    turns: Semaphore,
    flights: Mutex<HashMap<Place, WeakShared<BoxFuture<'static, Outcome>>>>,
    pause: Mutex<Pause>,
}

/// What is read: a path, perhaps of one version, and the key where that is part of the question. Who wants which member of an answer is another matter.
type Place = (String, Option<String>, Option<String>);

enum Kind {
    Vault(Box<Vault>),
    Aws(Box<Aws>),
    Http(Box<Http>),
}

/// Since a store failed.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<(Instant, Problem)>,
}

impl Connection {
    /// The store called `name`, of `spec`, which nobody has asked yet.
    ///
    /// # Errors
    /// [`Problem::Spec`].
    pub(super) fn new(
        name: String,
        spec: CredentialStoreSpec,
        own: Own,
        metrics: Metrics,
    ) -> Result<Self, Problem> {
        postern_crds::credential_store::check(&spec)
            .map_err(|found| Problem::Spec(postern_crds::violation::summary(&found)))?;
        let kind = match (&spec.vault, &spec.aws_secrets_manager, &spec.http) {
            (Some(vault), None, None) => {
                Kind::Vault(Box::new(Vault::new(vault.clone(), own.clone())))
            }
            (None, Some(aws), None) => Kind::Aws(Box::new(Aws::new(aws.clone(), own.clone()))),
            (None, None, Some(http)) => Kind::Http(Box::new(Http::new(http.clone(), own.clone()))),
            _ => return Err(Problem::Spec("it is not of one kind".to_owned())),
        };
        Ok(Self {
            name,
            kind,
            spec,
            own,
            metrics,
            https: tokio::sync::Mutex::default(),
            turns: Semaphore::new(CONCURRENT_READS),
            flights: Mutex::default(),
            pause: Mutex::default(),
        })
    }

    /// Reads what is at `place`.
    ///
    /// # Errors
    /// Why there is nothing. A store that failed a moment ago is not asked; what it failed with is said again.
    pub(super) async fn read(self: &Arc<Self>, place: &StoreRef) -> Outcome {
        if let Some(problem) = self.paused() {
            return Err(problem);
        }
        self.flight(place).await
    }

    /// Whether the store is as its spec says, as far as that can be seen without reading a secret. What was seen is told in words.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) async fn check(&self) -> Result<&'static str, Problem> {
        let looked = async {
            let https = self.https(true).await?;
            match &self.kind {
                Kind::Vault(vault) => vault.check(&https).await,
                Kind::Aws(aws) => aws.check(&https).await,
                Kind::Http(http) => http.check(&https).await,
            }
        };
        let result = in_time(looked).await;
        self.heard(result.as_ref().err());
        result.map(|()| match &self.kind {
            Kind::Vault(_) | Kind::Aws(_) => "it answers and lets the operator in",
            Kind::Http(_) => {
                "it answers; whether it lets the operator in is seen when a source is read"
            }
        })
    }

    /// The reading of `place` that is on its way, or a new one. One whose every reader went away is on its way no more.
    fn flight(self: &Arc<Self>, place: &StoreRef) -> Flight {
        let key = match &self.kind {
            Kind::Http(http) if http.is_keyed() => place.key.clone(),
            Kind::Http(_) | Kind::Vault(_) | Kind::Aws(_) => None,
        };
        let key = (place.path.clone(), place.version.clone(), key);
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let connection = Arc::clone(self);
        let place = place.clone();
        let flight = async move {
            let result = in_time(connection.ask(&place)).await.map(Arc::new);
            connection.heard(result.as_ref().err());
            result
        }
        .boxed()
        .shared();
        flights.retain(|_, flight| flight.upgrade().is_some());
        flights.extend(flight.downgrade().map(|flight| (key, flight)));
        flight
    }

    async fn ask(&self, place: &StoreRef) -> Result<Reading, Problem> {
        let _turn = self
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        // It may have failed while this one waited for its turn.
        if let Some(problem) = self.paused() {
            return Err(problem);
        }
        let https = self.https(false).await?;
        match &self.kind {
            Kind::Vault(vault) => vault.read(&https, place).await,
            Kind::Aws(aws) => aws.read(&https, place).await,
            Kind::Http(http) => http.read(&https, place).await,
        }
    }

    /// The client. Its authorities are read once, and again where `fresh` asks for it or TLS failed since.
    async fn https(&self, fresh: bool) -> Result<Https, Problem> {
        let mut kept = self.https.lock().await;
        if let Some((_, https)) = &*kept
            && !fresh
        {
            return Ok(https.clone());
        }
        let key = self
            .spec
            .tls
            .as_ref()
            .and_then(|tls| tls.ca_bundle.config_map.as_ref());
        let pem = match key {
            Some(key) => Some(
                self.own
                    .authorities(key)
                    .await
                    .map_err(Problem::Authorities)?,
            ),
            None => None,
        };
        if let Some((before, https)) = &*kept
            && *before == pem
        {
            return Ok(https.clone());
        }
        let https = Https::new(pem.as_deref())?;
        *kept = Some((pem, https.clone()));
        Ok(https)
    }

    /// What the store failed with, while it is left alone.
    fn paused(&self) -> Option<Problem> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, problem) = pause.until.as_ref()?;
        (Instant::now() < *until).then(|| problem.clone())
    }

    /// A store that answered is asked again whenever somebody wants to; one that did not is left alone.
    fn heard(&self, problem: Option<&Problem>) {
        self.metrics
            .store_asked(&self.name, problem.map_or("ok", Problem::reason));
        if problem.is_some_and(Problem::is_of_tls)
            && let Ok(mut https) = self.https.try_lock()
        {
            // Perhaps the authorities have changed.
            *https = None;
        }
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match problem.filter(|problem| !problem.is_definitive()) {
            None => *pause = Pause::default(),
            Some(problem) => {
                // Others that were on their way at the same time tell nothing new.
                if pause
                    .until
                    .as_ref()
                    .is_some_and(|(until, _)| Instant::now() < *until)
                {
                    return;
                }
                let length = FIRST_PAUSE * 2_u32.saturating_pow(pause.failures.min(16));
                pause.failures += 1;
                let until = Instant::now() + jitter(length.min(LONGEST_PAUSE));
                pause.until = Some((until, problem.clone()));
            }
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    timeout(Duration::from_secs(READ), work)
        .await
        .unwrap_or(Err(Problem::TimedOut(READ)))
}

/// A short name of where a store called `name` reads: another server, or another engine, is another origin. How the operator logs in and what it
/// trusts is not part of it. What a credential had from one origin is not kept when another fails.
pub(super) fn origin(name: &str, uid: &str, spec: &CredentialStoreSpec) -> String {
    let CredentialStoreSpec {
        vault,
        aws_secrets_manager,
        http,
        tls: _,
        allowed_namespaces: _,
    } = spec;
    let vault = vault
        .as_ref()
        .map(|vault| (&vault.address, &vault.namespace, &vault.engine));
    let http = http
        .as_ref()
        .map(|http| (&http.url, &http.value, http.encoding));
    // The account is that of the role, where one is named: the same name in another one is another secret.
    let aws = aws_secrets_manager.as_ref().map(|aws| {
        let role = aws.assume_role.as_ref().map(|role| &role.role_arn);
        let web_identity = aws
            .auth
            .as_ref()
            .and_then(|auth| auth.web_identity.as_ref());
        let role = role.or(web_identity.map(|role| &role.role_arn));
        (&aws.region, &aws.endpoint, role)
    });
    // What is of no AWS keeps the origin that it had before there was this kind.
    let place = match &aws {
        None => serde_json::to_vec(&(uid, vault, http)),
        Some(aws) => serde_json::to_vec(&(uid, aws)),
    };
    let place = place.expect("it has string keys only");
    let digest: String = Sha256::digest(place)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("store/{name}/{digest}/")
}

#[cfg(test)]
mod tests;
