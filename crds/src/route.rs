//! What a credential means for a request: where it goes, how its secret is put in, what its errors look like.

use std::collections::BTreeSet;

use http::{
    HeaderName, Uri,
    uri::{Authority, Scheme},
};

use crate::{
    agent_identity::{AgentIdentitySpec, Credential, HeaderInject, HttpService},
    names::DATA_PORT,
    placeholder,
    provider::{self, Carries, Dialect, Provider},
    violation::Violation,
};

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
    /// The user named the address (`endpoint`), so private addresses are meant.
    pub named_by_user: bool,
    /// The header that carries the secret.
    pub header: HeaderName,
    /// What stands before the secret in it.
    pub header_prefix: String,
    /// Wire format.
    pub dialect: Dialect,
    /// The placeholder that the application holds in the secret's stead.
    pub placeholder: String,
    /// The registry entry, if the credential has one.
    pub provider: Option<&'static Provider>,
}

/// An environment variable for an application container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it carries.
    pub carries: Carries,
    /// Set only where the container sets it already.
    pub only_if_present: bool,
    /// The credential that owns it.
    pub credential: String,
}

/// Compiles every credential of an identity.
///
/// # Errors
/// Every problem at once, each with its path in the spec.
pub fn compile(
    namespace: &str,
    identity: &str,
    spec: &AgentIdentitySpec,
) -> Result<Vec<Route>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut routes = Vec::new();
    let mut names = BTreeSet::new();
    for (index, credential) in spec.credentials.iter().enumerate() {
        let path = format!("spec.credentials[{index}]");
        if !names.insert(&credential.name) {
            violations.push(Violation::new(
                format!("{path}.name"),
                format!("{:?} names an earlier credential too", credential.name),
            ));
        }
        match compile_one(&path, namespace, identity, credential) {
            Ok(route) => routes.push(route),
            Err(found) => violations.extend(found),
        }
    }
    // LangChain's gateway layout gives these names to vendors; a credential under such a name must be of that vendor.
    for (index, credential) in spec.credentials.iter().enumerate() {
        let taken = provider::all()
            .iter()
            .find(|p| p.gateway.as_deref() == Some(credential.name.as_str()));
        if let Some(vendor) = taken
            && credential
                .provider
                .as_deref()
                .and_then(provider::find)
                .is_none_or(|p| p.gateway != vendor.gateway)
        {
            violations.push(Violation::new(
                format!("spec.credentials[{index}].name"),
                format!(
                    "{:?} is the route by which LangChain reaches {}: choose another name",
                    credential.name, vendor.title
                ),
            ));
        }
    }
    if violations.is_empty() {
        Ok(routes)
    } else {
        Err(violations)
    }
}

fn compile_one(
    path: &str,
    namespace: &str,
    identity: &str,
    credential: &Credential,
) -> Result<Route, Vec<Violation>> {
    match (&credential.provider, &credential.http) {
        (Some(name), None) => {
            let provider = provider::find(name).ok_or_else(|| {
                let known: Vec<&str> = provider::all().iter().map(|p| p.name.as_str()).collect();
                vec![Violation::new(
                    format!("{path}.provider"),
                    format!(
                        "{name:?} is not a provider that this version knows; it knows {}",
                        known.join(", ")
                    ),
                )]
            })?;
            from_provider(path, namespace, identity, credential, provider)
                .map_err(|violation| vec![violation])
        }
        (None, Some(http)) => from_http(path, namespace, identity, credential, http)
            .map_err(|violation| vec![violation]),
        _ => Err(vec![Violation::new(
            path,
            "set exactly one of provider and http",
        )]),
    }
}

fn from_provider(
    path: &str,
    namespace: &str,
    identity: &str,
    credential: &Credential,
    provider: &'static Provider,
) -> Result<Route, Violation> {
    let (scheme, authority, endpoint_path) = match (&credential.endpoint, &provider.host) {
        (Some(endpoint), _) => parse_endpoint(
            &format!("{path}.endpoint"),
            endpoint,
            credential.allow_plaintext,
        )?,
        (None, Some(host)) => (Scheme::HTTPS, parse_authority(path, host)?, String::new()),
        (None, None) => {
            return Err(Violation::new(
                format!("{path}.endpoint"),
                format!(
                    "{} has no common address: set endpoint to yours",
                    provider.title
                ),
            ));
        }
    };
    let base_path = join_base_path(endpoint_path, provider);
    Ok(Route {
        credential: credential.name.clone(),
        scheme,
        authority,
        optional_prefix: provider.base_path.clone(),
        base_path,
        named_by_user: credential.endpoint.is_some(),
        header: parse_header(path, &provider.inject)?,
        header_prefix: provider.inject.prefix.clone(),
        dialect: provider.dialect,
        placeholder: placeholder::render(
            &provider.placeholder,
            namespace,
            identity,
            &credential.name,
        ),
        provider: Some(provider),
    })
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
    path: &str,
    namespace: &str,
    identity: &str,
    credential: &Credential,
    http: &HttpService,
) -> Result<Route, Violation> {
    let [host] = http.hosts.as_slice() else {
        return Err(Violation::new(
            format!("{path}.http.hosts"),
            "name exactly one host",
        ));
    };
    let Some(header) = &http.inject.header else {
        return Err(Violation::new(
            format!("{path}.http.inject"),
            "set exactly one way to inject: header",
        ));
    };
    Ok(Route {
        credential: credential.name.clone(),
        scheme: Scheme::HTTPS,
        authority: parse_authority(&format!("{path}.http.hosts[0]"), host)?,
        optional_prefix: String::new(),
        base_path: String::new(),
        named_by_user: true,
        header: parse_header(&format!("{path}.http.inject.header.name"), header)?,
        header_prefix: header.prefix.clone(),
        dialect: Dialect::Plain,
        placeholder: placeholder::render("postern-{}", namespace, identity, &credential.name),
        provider: None,
    })
}

fn parse_endpoint(
    path: &str,
    endpoint: &str,
    allow_plaintext: bool,
) -> Result<(Scheme, Authority, String), Violation> {
    let wrong = |message: &str| Violation::new(path, format!("{endpoint:?} {message}"));
    let uri: Uri = endpoint
        .parse()
        .map_err(|_| wrong("is not a URL like https://host:port/path"))?;
    let parts = uri.into_parts();
    let scheme = parts.scheme.ok_or_else(|| wrong("lacks https://"))?;
    if scheme == Scheme::HTTP && !allow_plaintext {
        return Err(wrong(
            "would carry the credential in clear text: use https://, or set allowPlaintext: true beside it",
        ));
    }
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err(wrong("must start with https://"));
    }
    let authority = parts.authority.ok_or_else(|| wrong("lacks a host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("must not carry a user name or password"));
    }
    let authority = without_default_port(&scheme, parse_authority(path, authority.as_str())?);
    let path_and_query = parts.path_and_query.ok_or_else(|| wrong("lacks a path"))?;
    if path_and_query.query().is_some() || endpoint.contains('#') {
        return Err(wrong("must not carry a query or fragment"));
    }
    let endpoint_path = path_and_query.path().trim_end_matches('/');
    if endpoint_path.contains("//")
        || endpoint_path.contains('%')
        || endpoint_path.split('/').any(|s| s == "." || s == "..")
    {
        return Err(wrong(
            "must have a plain path, without '//', '.', '..' or '%'",
        ));
    }
    Ok((scheme, authority, endpoint_path.to_owned()))
}

fn parse_authority(path: &str, text: &str) -> Result<Authority, Violation> {
    let authority: Authority = text
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| Violation::new(path, format!("{text:?} is not a host or host:port")))?;
    if authority.host().is_empty()
        || authority.as_str().ends_with(':')
        || authority.port().is_some() && authority.port_u16().is_none_or(|p| p == 0)
    {
        return Err(Violation::new(
            path,
            format!("{text:?} is not a host or host:port"),
        ));
    }
    Ok(without_default_port(&Scheme::HTTPS, authority))
}

fn without_default_port(scheme: &Scheme, authority: Authority) -> Authority {
    let default = if *scheme == Scheme::HTTP { 80 } else { 443 };
    if authority.port_u16() != Some(default) {
        return authority;
    }
    authority.host().parse().unwrap_or(authority)
}

fn parse_header(path: &str, inject: &HeaderInject) -> Result<HeaderName, Violation> {
    HeaderName::from_bytes(inject.name.as_bytes())
        .map_err(|_| Violation::new(path, format!("{:?} is not a header name", inject.name)))
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

    /// First segment by which `LANGSMITH_GATEWAY` reaches the vendor, if it does.
    pub fn gateway(&self) -> Option<&'static str> {
        self.provider
            .and_then(|provider| provider.gateway.as_deref())
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.authority
            .port_u16()
            .unwrap_or(if self.scheme == Scheme::HTTP { 80 } else { 443 })
    }
}

/// The route that a local path's first segment names: the credential of that name, or else the first one of the vendor that LangChain's
/// gateway layout knows by it.
pub fn find<'a>(routes: &'a [Route], segment: &str) -> Option<&'a Route> {
    let named = routes.iter().find(|route| route.credential == segment);
    named.or_else(|| routes.iter().find(|route| route.gateway() == Some(segment)))
}

/// The environment that an identity's routes give an application container, in the order of the credentials. Where two credentials
/// would set the same variable, the first owns it; the second return value says which lost, in words for a condition.
pub fn environment(routes: &[Route], port: u16) -> (Vec<Variable>, Vec<String>) {
    let mut variables: Vec<Variable> = Vec::new();
    let mut notes = Vec::new();
    for route in routes {
        let Some(provider) = route.provider else {
            continue;
        };
        for entry in &provider.environment {
            if let Some(owner) = variables.iter().find(|v| v.name == entry.name) {
                notes.push(format!(
                    "{} is set for credential {}, which comes first; {} is reached at its route http://127.0.0.1:{port}/{}",
                    entry.name, owner.credential, route.credential, route.credential
                ));
                continue;
            }
            let value = entry
                .value
                .replace(
                    "{route}",
                    &format!("http://127.0.0.1:{port}/{}", route.credential),
                )
                .replace("{placeholder}", &route.placeholder);
            variables.push(Variable {
                name: entry.name.clone(),
                value,
                carries: entry.carries,
                only_if_present: entry.only_if_present,
                credential: route.credential.clone(),
            });
        }
    }
    let gateway_routes: Vec<(&Route, &str)> = routes
        .iter()
        .filter_map(|route| Some((route, route.gateway()?)))
        .collect();
    let elsewhere = gateway_routes.iter().find(|(route, gateway)| {
        let owner = gateway_routes.iter().find(|(_, other)| other == gateway);
        owner.is_some_and(|(owner, _)| owner.credential == route.credential)
            && find(routes, gateway).is_some_and(|found| found.credential != route.credential)
    });
    match (gateway_routes.first(), elsewhere) {
        (None, _) => {}
        (Some(_), Some((route, gateway))) => notes.push(format!(
            "LANGSMITH_GATEWAY is not set: it would lead clients of {gateway} to credential {gateway}, and the vendor's own variables to {}, \
             which comes first; put {gateway} first or give it another name",
            route.credential
        )),
        (Some((first, _)), None) => {
            let gateway = |name: &str, value: String, carries| Variable {
                name: name.into(),
                value,
                carries,
                only_if_present: false,
                credential: first.credential.clone(),
            };
            variables.push(gateway("LANGSMITH_GATEWAY", format!("http://127.0.0.1:{port}"), Carries::Address));
            variables.push(gateway("LANGSMITH_GATEWAY_API_KEY", first.placeholder.clone(), Carries::Key));
        }
    }
    (variables, notes)
}

/// The environment on the port that injected sidecars listen on.
pub fn pod_environment(routes: &[Route]) -> (Vec<Variable>, Vec<String>) {
    environment(routes, DATA_PORT)
}
