//! What the schema of an `AgentIdentity` demands of a credential as a whole, for documents that come past no API server.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::{
    agent_identity::{Credential, MAX_OVERLAP, STORE_PATH, Source},
    interval,
    names::is_label,
    provider,
    violation::Violation,
};

/// Problems of a credential's name. `earlier` are the credentials before it.
pub(super) fn name(at: &str, credential: &Credential, earlier: &[Credential]) -> Vec<Violation> {
    let name = &credential.name;
    let mut found = Vec::new();
    let mut wrong = |message: String| found.push(Violation::new(format!("{at}.name"), message));
    if !is_label(name) {
        wrong("must be 1 to 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit".into());
    }
    if earlier.iter().any(|other| other.name == *name) {
        wrong(format!("{name:?} names an earlier credential too"));
    }
    // LangChain's gateway layout gives these names to vendors; a credential under such a name must be one that their clients can call.
    let vendor = provider::all()
        .iter()
        .find(|vendor| vendor.gateway.as_ref() == Some(name));
    if let Some(vendor) = vendor {
        let is_callable = match credential.provider.as_deref().map(provider::find) {
            Some(Some(own)) => own.gateway == vendor.gateway,
            // The provider is misspelt, which is reported; more likely than not the name is right.
            Some(None) => true,
            None => false,
        };
        if !is_callable {
            wrong(format!(
                "{name:?} is the route by which LangChain reaches {}: choose another name",
                vendor.title
            ));
        }
    }
    found
}

/// Members that cannot stand beside each other, and unions without their member.
pub(super) fn combination(at: &str, credential: &Credential) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut wrong =
        |member: &str, message: &str| found.push(Violation::new(format!("{at}.{member}"), message));
    let is_plaintext = credential
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    if credential.http.is_some() && credential.endpoint.is_some() {
        wrong(
            "endpoint",
            "endpoint goes with provider; with http, name the hosts there",
        );
    }
    if credential.http.is_some() && credential.inject.is_some() {
        wrong(
            "inject",
            "inject goes with provider; with http, say it there",
        );
    }
    if !credential.deployments.is_empty() && credential.provider.as_deref() != Some("azure-openai")
    {
        wrong(
            "deployments",
            "deployments goes with provider azure-openai only",
        );
    }
    if let Some(overlap) = &credential.overlap {
        match interval::parse(overlap) {
            Some(said) if said <= MAX_OVERLAP => {}
            Some(_) => wrong("overlap", "use at most 24h"),
            None => wrong("overlap", "use a number and a unit, as in 30s, 5m or 1h"),
        }
    }
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    if !credential
        .deployments
        .iter()
        .all(|(deployment, model)| is_name(deployment) && is_name(model))
    {
        wrong(
            "deployments",
            "deployments and models are named in printable ASCII without spaces",
        );
    }
    if credential.allow_plaintext && !is_plaintext {
        wrong(
            "allowPlaintext",
            "allowPlaintext goes with an http:// endpoint only",
        );
    }
    if let Some(tls) = &credential.tls {
        if is_plaintext {
            wrong("tls", "tls has no meaning for an http:// endpoint");
        }
        if tls.ca_bundle.config_map.is_none() {
            wrong(
                "tls.caBundle",
                "set exactly one source of the bundle: configMap",
            );
        }
    }
    let Source { secret, store } = &credential.source;
    if secret.is_some() == store.is_some() {
        wrong("source", "set exactly one source: secret, store");
    }
    if let Some(store) = store
        && !is_store_path(&store.path)
    {
        wrong(
            "source.store.path",
            r"must be segments with a slash between them, none of them '.' or '..', without white space, '?', '#', '%' and '\'",
        );
    }
    found
}

/// Whether `path` stays in its place when it is made part of an address.
fn is_store_path(path: &str) -> bool {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(STORE_PATH).expect("a constant pattern"));
    PATTERN.is_match(path) && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}
