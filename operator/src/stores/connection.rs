//! One store: how it is called, as one generation of its spec describes it.

use std::sync::Arc;

use futures::FutureExt as _;
use postern_crds::{CredentialStoreSpec, agent_identity::StoreRef};
use sha2::{Digest as _, Sha256};

use super::{
    aws::Aws,
    gate::{self, Gate},
    http::Http,
    https::Https,
    lease::Granted,
    own::Own,
    problem::Problem,
    reading::Reading,
    vault::Vault,
};
use crate::controller::Metrics;

/// What a reading gives; all who share it get the same.
pub(super) type Outcome = gate::Outcome<Reading>;

/// One store as one generation of its spec describes it.
pub(super) struct Connection {
    kind: Kind,
    spec: CredentialStoreSpec,
    own: Own,
    /// The client, and the authorities that it was made with.
    https: tokio::sync::Mutex<Option<(Option<String>, Https)>>,
    gate: Gate<Place, Reading>,
}

/// What is read: a path, perhaps of one version, the key where that is part of the question, and for whom, where each gets a credential of its own. Who wants
/// which member of an answer is another matter.
type Place = (String, Option<String>, Option<String>, Option<String>);

enum Kind {
    Vault(Box<Vault>),
    Aws(Box<Aws>),
    Http(Box<Http>),
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
            kind,
            spec,
            own,
            https: tokio::sync::Mutex::default(),
            gate: Gate::new(name, metrics),
        })
    }

    /// Reads what is at `place`.
    ///
    /// # Errors
    /// Why there is nothing. A store that failed a moment ago is not asked; what it failed with is said again.
    pub(super) async fn read(self: &Arc<Self>, place: &StoreRef) -> Outcome {
        self.share(place, None).await
    }

    /// As [`read`](Self::read), for `reader` alone: another gets another credential.
    pub(super) async fn read_for(self: &Arc<Self>, reader: &str, place: &StoreRef) -> Outcome {
        self.share(place, Some(reader)).await
    }

    /// Whether what is read may be made for each reading, with a lease.
    pub(super) fn makes_leases(&self) -> bool {
        match &self.kind {
            Kind::Vault(vault) => vault.makes_leases(),
            Kind::Aws(_) | Kind::Http(_) => false,
        }
    }

    /// Whether there is a lease called `id`.
    ///
    /// # Errors
    /// If nobody can tell.
    pub(super) async fn look_up(&self, id: &str) -> Result<bool, Problem> {
        self.of_leases(async |vault, https| vault.look_up(https, id).await)
            .await
    }

    /// Makes the lease called `id` last longer; nothing, if there is none.
    ///
    /// # Errors
    /// If nobody can tell.
    pub(super) async fn renew(&self, id: &str) -> Result<Option<Granted>, Problem> {
        self.of_leases(async |vault, https| vault.renew(https, id).await)
            .await
    }

    /// Ends the lease called `id`.
    ///
    /// # Errors
    /// If it may be there still.
    pub(super) async fn revoke(&self, id: &str) -> Result<(), Problem> {
        self.of_leases(async |vault, https| vault.revoke(https, id).await)
            .await
    }

    async fn of_leases<T>(
        &self,
        ask: impl AsyncFnOnce(&Vault, &Https) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Kind::Vault(vault) = &self.kind else {
            return Err(Problem::NoLeases);
        };
        let asked = self.gate.ask(async {
            let https = self.https(false).await?;
            ask(vault, &https).await
        });
        let result = asked.await;
        self.distrust(result.as_ref().err());
        result
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
        let result = self.gate.look(looked).await;
        self.distrust(result.as_ref().err());
        result.map(|()| match &self.kind {
            Kind::Vault(_) | Kind::Aws(_) => "it answers and lets the operator in",
            Kind::Http(_) => {
                "it answers; whether it lets the operator in is seen when a source is read"
            }
        })
    }

    async fn share(self: &Arc<Self>, place: &StoreRef, reader: Option<&str>) -> Outcome {
        let key = match &self.kind {
            Kind::Http(http) if http.is_keyed() => place.key.clone(),
            Kind::Http(_) | Kind::Vault(_) | Kind::Aws(_) => None,
        };
        let reader = reader.map(str::to_owned);
        let key = (place.path.clone(), place.version.clone(), key, reader);
        let start = || {
            let (connection, place) = (Arc::clone(self), place.clone());
            async move { connection.ask(&place).await.map(Arc::new) }.boxed()
        };
        self.gate.share(key, start).await
    }

    async fn ask(&self, place: &StoreRef) -> Result<Reading, Problem> {
        let asked = self.gate.ask(async {
            let https = self.https(false).await?;
            match &self.kind {
                Kind::Vault(vault) => vault.read(&https, place).await,
                Kind::Aws(aws) => aws.read(&https, place).await,
                Kind::Http(http) => http.read(&https, place).await,
            }
        });
        let result = asked.await;
        self.distrust(result.as_ref().err());
        result
    }

    /// Forgets the client where TLS failed: perhaps the authorities have changed.
    fn distrust(&self, problem: Option<&Problem>) {
        if problem.is_some_and(Problem::is_of_tls)
            && let Ok(mut https) = self.https.try_lock()
        {
            *https = None;
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
