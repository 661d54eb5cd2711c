//! What the proxy knows at one moment: one bundle, compiled, immutable. A request takes one snapshot and keeps it to its end.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use postern_crds::{
    Bundle, Policy, Route, bundle,
    bundle::{Fetch, VersionedSecret},
    control::BundleInUse,
    facts::Models,
    price::{Listed, Prices},
    route::{self, Injection},
};

use crate::{
    clock::Utc,
    mask::Masks,
    proxy::canary::Canaries,
    scrub::{Daily, Needles, Overlap, Secrets},
    token,
    upstream::{Destination, Origin, Upstreams, tls::TrustError},
};

/// One bundle's meaning.
pub(crate) struct Snapshot {
    /// `namespace/name` of the identity.
    pub(crate) identity: String,
    /// The bundle's revision.
    pub(crate) revision: String,
    /// All of the bundle but its secrets, as a digest.
    terms: String,
    /// The format that it was written in.
    format: u32,
    /// When it was compiled.
    since: SystemTime,
    /// Where a newer one can be fetched, if it can be.
    fetch: Option<Arc<Fetch>>,
    /// The policy.
    pub(crate) policy: Policy,
    /// What is masked in calls, if anything is.
    pub(crate) request_masks: Option<Masks>,
    /// What is masked in answers, if anything is.
    pub(crate) masks: Option<Masks>,
    /// What models cost.
    prices: Prices,
    routes: Vec<Route>,
    /// One a route, in the order of the identity.
    bindings: Vec<Arc<Binding>>,
    /// Recognises every placeholder of the identity.
    pub(crate) canaries: Canaries,
}

/// One credential, bound to the one place it may go to.
pub(crate) struct Binding {
    /// Its position among the identity's credentials.
    pub(crate) index: usize,
    /// Where it goes and how.
    pub(crate) route: Route,
    /// The secret, unless it could not be resolved.
    pub(crate) secret: Option<VersionedSecret>,
    /// It is withheld because its source could not be read for too long.
    pub(crate) is_stale: bool,
    /// The connections to its host, or why none can be trusted.
    pub(crate) origin: Result<Arc<Origin>, TrustError>,
    /// Where the token comes from that the secret buys, if it buys one.
    pub(crate) token: Option<Arc<token::Source>>,
    /// What must not come back of the secret. Not where it buys a token, which has its own; nor where it is too short to be looked for.
    pub(crate) needles: Option<Arc<Needles>>,
    /// The same where the secret signs for AWS: it changes from day to day.
    pub(crate) daily: Option<Daily>,
    /// What must not come back of the values that it had before, if it had another one not long ago.
    pub(crate) overlap: Option<Overlap>,
}

impl Binding {
    /// What must not come back of a call that is made with it.
    fn sought(&self) -> Option<Arc<Needles>> {
        match (&self.token, &self.daily) {
            (Some(token), _) => token.needles(),
            (None, Some(daily)) => daily.newest(),
            (None, None) => self.needles.clone(),
        }
    }

    /// What is left of the values before that of `self` at `now`, where `before` stood in its place until then.
    fn after(&self, before: &Self, now: Instant, overlap: Duration) -> Option<Overlap> {
        let is_same = match (&self.secret, &before.secret) {
            (Some(secret), Some(before)) => secret.value == before.value,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let replaced = (!is_same).then(|| before.sought()).flatten();
        Overlap::after(before.overlap.as_ref(), replaced, now, overlap)
    }

    /// Which version of its source the secret is, if there is one.
    fn version(&self) -> Option<&str> {
        self.secret.as_ref().map(|secret| secret.version.as_str())
    }
}

impl Snapshot {
    /// Compiles `bundle`, taking the connections to hosts that were there before from `upstreams`, and the tokens from `tokens`. Of the secrets of `before`,
    /// whose place it takes at `now`, it knows those that are others by then for as long as their `overlap` says.
    ///
    /// # Errors
    /// [`bundle::Error`] when the bundle's specs have no meaning. A certificate authority that cannot be read is not among them: it takes its
    /// own credential out of use, and no other.
    pub(crate) fn compile(
        mut bundle: Bundle,
        upstreams: &Upstreams,
        tokens: &token::Sources,
        before: Option<&Self>,
        now: Instant,
    ) -> Result<Self, bundle::Error> {
        let (revision, terms) = (bundle.revision(), bundle.terms());
        let compiled = bundle.compile()?;
        let canaries = Canaries::new(&bundle.namespace, &bundle.identity, &compiled.routes);
        let wants_authority = |name: &str| {
            bundle
                .spec
                .credentials
                .iter()
                .any(|c| c.name == name && c.tls.is_some())
        };
        let mut bindings = Vec::with_capacity(compiled.routes.len());
        for (index, route) in compiled.routes.iter().cloned().enumerate() {
            let pem = bundle
                .authorities
                .get(&route.credential)
                .map(String::as_str);
            let origin = match pem {
                // Without its own authority the public ones would be trusted in its stead, which nobody asked for.
                None if wants_authority(&route.credential) => Err(TrustError::Missing),
                pem => upstreams.origin(&Destination::of(&route), pem),
            };
            let shape = bundle.shape_of(&route.credential);
            let mut binding = Binding {
                index,
                secret: bundle.secrets.remove(&route.credential),
                is_stale: bundle.stale.contains(&route.credential),
                origin,
                token: None,
                needles: None,
                daily: None,
                overlap: None,
                route,
            };
            let Binding { secret, route, .. } = &binding;
            if let Some(secret) = secret {
                let secrets = Secrets::of(route, shape, &secret.value);
                match &route.injection {
                    Injection::Token(token) if binding.origin.is_ok() => {
                        binding.token = upstreams
                            .origin(&Destination::of_token(route, token), pem)
                            .ok()
                            .map(|server| {
                                tokens.source(&route.credential, token, secret, secrets, server)
                            });
                    }
                    Injection::Token(_) => {}
                    Injection::AwsSigV4 { .. } => binding.daily = Some(Daily::new(secrets)),
                    Injection::Header { .. }
                    | Injection::Query { .. }
                    | Injection::Basic { .. }
                    | Injection::Cookie { .. }
                    | Injection::Hmac(_) => binding.needles = secrets.needles([]),
                }
            }
            let name = &binding.route.credential;
            let before = before.and_then(|before| {
                let mut bindings = before.bindings.iter();
                bindings.find(|before| before.route.credential == *name)
            });
            let said = bundle.spec.credentials.iter().find(|c| c.name == *name);
            if let (Some(before), Some(said)) = (before, said) {
                binding.overlap = binding.after(before, now, said.overlap());
            }
            bindings.push(Arc::new(binding));
        }
        Ok(Self {
            identity: format!("{}/{}", bundle.namespace, bundle.identity),
            revision,
            terms,
            format: bundle.format,
            since: SystemTime::now(),
            fetch: bundle.fetch.map(Arc::new),
            request_masks: Masks::of_requests(compiled.policy.request_masks()),
            masks: Masks::of_responses(compiled.policy.response_masks()),
            policy: compiled.policy,
            prices: compiled.prices,
            routes: compiled.routes,
            bindings,
            canaries,
        })
    }

    /// Namespace and name of the identity.
    pub(crate) fn identity_parts(&self) -> (&str, &str) {
        // Neither has a slash in it.
        self.identity.split_once('/').unwrap_or_default()
    }

    /// Where a newer one can be fetched, if it can be.
    pub(crate) fn fetch(&self) -> Option<&Arc<Fetch>> {
        self.fetch.as_ref()
    }

    /// What the operator is told of it.
    pub(crate) fn in_use(&self) -> BundleInUse {
        let version = |binding: &Arc<Binding>| {
            let version = binding.version()?.to_owned();
            Some((binding.route.credential.clone(), version))
        };
        BundleInUse {
            revision: self.revision.clone(),
            format: self.format,
            credentials: self.bindings.iter().filter_map(version).collect(),
            loaded_at: Utc::at(self.since).rfc3339(),
        }
    }

    /// What stands in `newer` in the place of `binding`, if that has another secret and nothing else in `newer` is other than here: what was decided about a
    /// call by this snapshot is then true of that one.
    pub(crate) fn rotated<'a>(
        &self,
        newer: &'a Self,
        binding: &Binding,
    ) -> Option<&'a Arc<Binding>> {
        if newer.terms != self.terms {
            return None;
        }
        let other = newer.bindings.get(binding.index)?;
        (other.version() != binding.version()).then_some(other)
    }

    /// The credential that a first path segment stands for: see [`route::find`].
    pub(crate) fn binding(&self, segment: &str) -> Option<&Arc<Binding>> {
        let route = route::find(&self.routes, segment)?;
        self.bindings
            .iter()
            .find(|binding| binding.route.credential == route.credential)
    }

    /// What is known of the prices and bounds of `models`; of several, what holds whichever answers.
    pub(crate) fn listed(&self, route: &Route, models: &Models) -> Option<Listed> {
        let provider = route.provider.map(|provider| provider.name.as_str());
        match models {
            Models::None => Some(Listed::FREE),
            Models::Hidden => None,
            Models::Named(models) => models
                .iter()
                .map(|model| self.prices.find(provider, model))
                .reduce(|one, other| Some(one?.or(&other?)))
                .flatten(),
        }
    }

    /// All credentials, in the order of the identity.
    pub(crate) fn bindings(&self) -> &[Arc<Binding>] {
        &self.bindings
    }
}
