//! What a credential means for a request: where it goes, how its secret is put in, what its errors look like.

use std::{collections::BTreeMap, sync::Arc};

use http::{
    HeaderName,
    uri::{Authority, Scheme},
};

use crate::{
    agent_identity::{AgentIdentitySpec, Credential, HttpService},
    placeholder,
    price::Prices,
    provider::{self, Dialect, Provider},
    violation::Violation,
};

mod address;
mod check;
mod environment;
mod injection;
#[cfg(test)]
mod tests;

pub use environment::{Variable, environment, pod_environment};
pub use injection::{Grant, Hmac, Injection, Part, Purpose, Template, Token};

/// The meaning of one credential. The only place where registry, `http` and `endpoint` come together.
#[derive(Clone, Debug)]
pub struct Route {
    /// The credential's name, and the first segment of its local path.
    pub credential: String,
    /// `https`, or `http` where the spec allows plain text.
    pub scheme: Scheme,
    /// Host and port: what is dialled, verified, and sent as `Host`. The port is left out where it is the scheme's own.
    pub authority: Authority,
    /// What a caller may leave out of a path, or repeat: `/v1`, or nothing.
    pub optional_prefix: String,
    /// What every upstream path starts with, without a trailing slash, or nothing.
    pub base_path: String,
    /// How the secret is put into a request.
    pub injection: Injection,
    /// The headers that this sets. What a caller has there is removed.
    pub own_headers: Arc<[HeaderName]>,
    /// Wire format.
    pub dialect: Dialect,
    /// The placeholder that the application holds in the secret's stead.
    pub placeholder: String,
    /// The registry entry, if the credential has one.
    pub provider: Option<&'static Provider>,
    /// Which model stands behind which deployment.
    pub deployments: BTreeMap<String, String>,
}

/// Compiles every credential of an identity.
///
/// # Errors
/// Every problem at once, each with its path in the spec. The rules of the CRD's schema that give a route its meaning are checked again
/// here, since a folder on a laptop and a bundle come past no API server.
pub fn compile(
    namespace: &str,
    identity: &str,
    spec: &AgentIdentitySpec,
) -> Result<Vec<Route>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut routes = Vec::new();
    for (index, credential) in spec.credentials.iter().enumerate() {
        let at = format!("spec.credentials[{index}]");
        violations.extend(check::name(&at, credential, &spec.credentials[..index]));
        violations.extend(check::combination(&at, credential));
        let placeholder =
            |shape: &str| placeholder::render(shape, namespace, identity, &credential.name);
        let route = match (&credential.provider, &credential.http) {
            (Some(name), None) => from_provider(&at, credential, name, placeholder),
            (None, Some(http)) => from_http(&at, credential, http, placeholder),
            _ => Err(vec![Violation::new(
                &at,
                "set exactly one of provider (a service that Postern knows) and http (any other)",
            )]),
        };
        match route {
            Ok(route) => routes.push(route),
            Err(found) => violations.extend(found),
        }
    }
    // No matter of routes, but whoever asks whether an identity has a meaning asks here.
    violations.extend(Prices::compile(&spec.prices).err().unwrap_or_default());
    if violations.is_empty() {
        Ok(routes)
    } else {
        Err(violations)
    }
}

/// The route that a local path's first segment names: the credential of that name, or else the first one of the vendor that LangChain's
/// gateway layout knows by it.
pub fn find<'a>(routes: &'a [Route], segment: &str) -> Option<&'a Route> {
    let named = routes.iter().find(|route| route.credential == segment);
    named.or_else(|| routes.iter().find(|route| route.gateway() == Some(segment)))
}

impl Route {
    /// The path that the provider sees for a caller's `path` below the route. Both start with `/`.
    ///
    /// The vendor's base path is put in front once, however much of it the caller wrote and however often: `/chat`, `/v1/chat`,
    /// `/api/v1/chat` and `/api/v1/v1/chat` all mean `/api/v1/chat` where the base path is `/api/v1`. So one call has one path, and a rule
    /// that names it cannot be passed by another spelling.
    pub fn upstream_path(&self, path: &str) -> String {
        let mut rest = path;
        while let Some(shorter) = self.without_optional_prefix(rest) {
            rest = shorter;
        }
        format!("{}{rest}", self.base_path)
    }

    /// `path` without the optional prefix, or without a tail of it that is whole segments, if it starts with one.
    fn without_optional_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let prefix = &self.optional_prefix;
        prefix
            .match_indices('/')
            .filter_map(|(start, _)| path.strip_prefix(&prefix[start..]))
            .find(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether the injection depends on the whole body of a request, so that this must be there before the first byte is sent.
    pub fn needs_body(&self) -> bool {
        self.injection.needs_body(self.scheme == Scheme::HTTPS)
    }

    /// First segment by which `LANGSMITH_GATEWAY` reaches the vendor, if it does.
    pub fn gateway(&self) -> Option<&'static str> {
        self.provider
            .and_then(|provider| provider.gateway.as_deref())
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        let default = if self.scheme == Scheme::HTTP { 80 } else { 443 };
        self.authority.port_u16().unwrap_or(default)
    }
}

fn from_provider(
    at: &str,
    credential: &Credential,
    name: &str,
    placeholder: impl Fn(&str) -> String,
) -> Result<Route, Vec<Violation>> {
    let provider = provider::find(name).ok_or_else(|| {
        let known: Vec<&str> = provider::all().iter().map(|p| p.name.as_str()).collect();
        vec![Violation::new(
            format!("{at}.provider"),
            format!(
                "{name:?} is not a provider that this version knows; it knows {}",
                known.join(", ")
            ),
        )]
    })?;
    let address = address_of(&format!("{at}.endpoint"), credential, provider);
    let inject = credential.inject.as_ref().unwrap_or(&provider.inject);
    let host = address
        .as_ref()
        .ok()
        .map(|(_, authority, _)| authority.host());
    let injection = injection::compile(&format!("{at}.inject"), inject, host);
    let ((scheme, authority, path), injection) = both(address, injection)?;
    Ok(Route {
        credential: credential.name.clone(),
        scheme,
        authority,
        optional_prefix: provider.base_path.clone(),
        base_path: join_base_path(path, provider),
        own_headers: injection.headers(),
        injection,
        dialect: provider.dialect,
        placeholder: placeholder(&provider.placeholder),
        provider: Some(provider),
        deployments: credential.deployments.clone(),
    })
}

/// Where a provider's calls go: scheme, authority, and the path of an endpoint.
fn address_of(
    at: &str,
    credential: &Credential,
    provider: &Provider,
) -> Result<(Scheme, Authority, String), Violation> {
    match (&credential.endpoint, &provider.host) {
        (Some(endpoint), _) => address::endpoint(at, endpoint, credential.allow_plaintext)
            .map(|address| (address.scheme, address.authority, address.path)),
        (None, Some(host)) => {
            address::host(at, host).map(|host| (Scheme::HTTPS, host, String::new()))
        }
        (None, None) => Err(Violation::new(
            at,
            format!(
                "{} has no common address: set endpoint to yours",
                provider.title
            ),
        )),
    }
}

/// Both, or every problem of both.
fn both<A, B>(
    a: Result<A, Violation>,
    b: Result<B, Vec<Violation>>,
) -> Result<(A, B), Vec<Violation>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a
            .err()
            .into_iter()
            .chain(b.err().into_iter().flatten())
            .collect()),
    }
}

/// What every upstream path starts with: see [`Provider::base_url_has_base_path`].
fn join_base_path(endpoint_path: String, provider: &Provider) -> String {
    if endpoint_path.is_empty() {
        provider.base_path.clone()
    } else if provider.base_url_has_base_path || endpoint_path.ends_with(&provider.base_path) {
        endpoint_path
    } else {
        endpoint_path + &provider.base_path
    }
}

fn from_http(
    at: &str,
    credential: &Credential,
    http: &HttpService,
    placeholder: impl Fn(&str) -> String,
) -> Result<Route, Vec<Violation>> {
    let authority = match http.hosts.as_slice() {
        [host] => address::host(&format!("{at}.http.hosts[0]"), host),
        _ => Err(Violation::new(
            format!("{at}.http.hosts"),
            "name exactly one host",
        )),
    };
    let host = authority.as_ref().ok().map(Authority::host);
    let injection = injection::compile(&format!("{at}.http.inject"), &http.inject, host);
    let (authority, injection) = both(authority, injection)?;
    Ok(Route {
        credential: credential.name.clone(),
        scheme: Scheme::HTTPS,
        authority,
        optional_prefix: String::new(),
        base_path: String::new(),
        own_headers: injection.headers(),
        injection,
        dialect: Dialect::Plain,
        placeholder: placeholder("postern-{}"),
        provider: None,
        deployments: BTreeMap::new(),
    })
}
