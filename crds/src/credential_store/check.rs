//! What the schema of a `CredentialStore` demands, for documents that come past no API server, and as a second look at those that do.

use std::sync::LazyLock;

use kube::core::Selector;
use regex_lite::Regex;

use super::{
    CredentialStoreSpec,
    aws::{
        AssumeRole, AwsAuth, AwsSecretsManagerStore, AwsStoreKeys, EXTERNAL_ID, REGION, ROLE,
        SESSION, WebIdentity,
    },
    http::{HttpStore, POINTER, StoreHeader, URL},
    vault::{ADDRESS, MOUNT, VaultAuth, VaultStore},
};
use crate::{agent_identity::CONNECTION_HEADERS, violation::Violation};

/// First segments of mounts that tell of the operator's own login: a source that reads there would hand it to an agent.
const OWN_MOUNTS: [&str; 4] = ["sys", "auth", "cubbyhole", "identity"];

/// Looks for what is wrong with a store.
///
/// # Errors
/// Every problem. None of them repeats an address, which may have a password in it.
pub fn check(spec: &CredentialStoreSpec) -> Result<(), Vec<Violation>> {
    let CredentialStoreSpec {
        vault,
        aws_secrets_manager,
        http,
        tls,
        allowed_namespaces,
    } = spec;
    let mut found = Vec::new();
    match (vault, aws_secrets_manager, http) {
        (Some(store), None, None) => self::vault("spec.vault", store, &mut found),
        (None, Some(store), None) => aws("spec.awsSecretsManager", store, &mut found),
        (None, None, Some(store)) => self::http("spec.http", store, &mut found),
        _ => found.push(Violation::new(
            "spec",
            "set exactly one kind of store: vault, awsSecretsManager, http",
        )),
    }
    if let Some(tls) = tls
        && tls.ca_bundle.config_map.is_none()
    {
        found.push(Violation::new(
            "spec.tls.caBundle",
            "set exactly one source of the bundle: configMap",
        ));
    }
    if let Some(selector) = allowed_namespaces
        && Selector::try_from(selector.clone()).is_err()
    {
        found.push(Violation::new(
            "spec.allowedNamespaces",
            "is not a label selector: operators are In, NotIn, Exists and DoesNotExist, the first two with values",
        ));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn vault(at: &str, store: &VaultStore, found: &mut Vec<Violation>) {
    let VaultStore {
        address,
        namespace,
        auth,
        engine,
    } = store;
    let mut wrong =
        |member: &str, message: &str| found.push(Violation::new(format!("{at}.{member}"), message));
    if !is_address(address) {
        wrong(
            "address",
            "must be https://host or https://host:port, without a path, a user or a query",
        );
    }
    if namespace.as_deref().is_some_and(|path| !is_mount(path)) {
        wrong(
            "namespace",
            "must be segments of A-Z, a-z, 0-9, '.', '_' and '-'",
        );
    }
    let VaultAuth {
        kubernetes,
        jwt,
        app_role,
        token,
    } = auth;
    let ways = [
        kubernetes.is_some(),
        jwt.is_some(),
        app_role.is_some(),
        token.is_some(),
    ];
    if ways.into_iter().filter(|is_set| *is_set).count() != 1 {
        wrong(
            "auth",
            "set exactly one way to log in: kubernetes, jwt, appRole, token",
        );
    }
    if jwt
        .as_ref()
        .is_some_and(|jwt| jwt.secret.is_some() && jwt.audience.is_some())
    {
        wrong(
            "auth.jwt",
            "audience is of the service account's token and has no meaning beside secret",
        );
    }
    if engine.kv.is_some() == engine.logical.is_some() {
        wrong("engine", "set exactly one kind of engine: kv, logical");
    }
    let mounts = [
        kubernetes.as_ref().map(|auth| &auth.mount_path),
        jwt.as_ref().map(|auth| &auth.mount_path),
        app_role.as_ref().map(|auth| &auth.mount_path),
        engine.kv.as_ref().map(|engine| &engine.mount_path),
        engine.logical.as_ref().map(|engine| &engine.mount_path),
    ];
    if !mounts.into_iter().flatten().all(|path| is_mount(path)) {
        wrong(
            "mountPath",
            "must be segments of A-Z, a-z, 0-9, '.', '_' and '-'",
        );
    }
    if engine.logical.as_ref().is_some_and(|engine| {
        engine
            .mount_path
            .split('/')
            .next()
            .is_some_and(|first| OWN_MOUNTS.contains(&first))
    }) {
        wrong(
            "engine.logical.mountPath",
            "what is below sys, auth, cubbyhole and identity is of the operator's own login and no credential of an agent",
        );
    }
}

fn aws(at: &str, store: &AwsSecretsManagerStore, found: &mut Vec<Violation>) {
    let AwsSecretsManagerStore {
        region,
        endpoint,
        sts_endpoint,
        auth,
        assume_role,
    } = store;
    let mut wrong =
        |member: &str, message: &str| found.push(Violation::new(format!("{at}.{member}"), message));
    if !matches(REGION, region) {
        wrong("region", "must be the name of a region, as in eu-west-1");
    }
    for (member, address) in [("endpoint", endpoint), ("stsEndpoint", sts_endpoint)] {
        if address.as_deref().is_some_and(|text| !is_address(text)) {
            wrong(
                member,
                "must be https://host or https://host:port, without a path, a user or a query",
            );
        }
    }
    let mut roles = Vec::new();
    if let Some(AwsAuth { keys, web_identity }) = auth {
        match (keys, web_identity) {
            (
                Some(AwsStoreKeys {
                    access_key_id: _,
                    secret_access_key: _,
                    session_token: _,
                }),
                None,
            ) => {}
            (
                None,
                Some(WebIdentity {
                    role_arn,
                    audience: _,
                    session_name,
                }),
            ) => roles.push((role_arn, session_name)),
            (None, None) | (Some(_), Some(_)) => {
                wrong("auth", "set exactly one way to log in: keys, webIdentity");
            }
        }
    }
    if let Some(AssumeRole {
        role_arn,
        external_id,
        session_name,
    }) = assume_role
    {
        roles.push((role_arn, session_name));
        if external_id
            .as_deref()
            .is_some_and(|id| !matches(EXTERNAL_ID, id))
        {
            wrong(
                "assumeRole.externalId",
                "must be of A-Z, a-z, 0-9 and _+=,.@:/-",
            );
        }
    }
    for (role, session) in roles {
        if !matches(ROLE, role) {
            wrong(
                "roleArn",
                "must be the ARN of a role, as in arn:aws:iam::123456789012:role/postern",
            );
        }
        if !matches(SESSION, session) {
            wrong("sessionName", "must be of A-Z, a-z, 0-9 and _+=,.@-");
        }
    }
}

fn http(at: &str, store: &HttpStore, found: &mut Vec<Violation>) {
    let HttpStore {
        url,
        headers,
        value,
        encoding: _,
        version,
    } = store;
    let mut wrong =
        |member: &str, message: &str| found.push(Violation::new(format!("{at}.{member}"), message));
    if !is_url(url) {
        wrong(
            "url",
            "must be https://host/… with nothing but {path}, {key} and {version} in braces",
        );
    }
    if !is_pointer(value) || !version.as_deref().is_none_or(is_pointer) {
        wrong(
            "value",
            "value and version must be JSON pointers, as in /data/value",
        );
    }
    for header in headers {
        let StoreHeader {
            name,
            value,
            secret,
            prefix,
        } = header;
        if value.is_some() == secret.is_some() {
            wrong("headers", "set exactly one of value and secret");
        }
        if prefix.is_some() && secret.is_none() {
            wrong("headers", "prefix goes with secret only");
        }
        let texts = [value, prefix].into_iter().flatten();
        let are_plain = texts
            .clone()
            .all(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b)));
        if name.parse::<::http::HeaderName>().is_err() || !are_plain {
            wrong(
                "headers",
                "names and values of headers are of printable ASCII characters",
            );
        }
        if CONNECTION_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            wrong(
                "headers",
                "this header belongs to the connection or the body and cannot carry a credential",
            );
        }
    }
}

fn is_url(url: &str) -> bool {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(URL).expect("a constant pattern"));
    PATTERN.is_match(url) && url.replace(['{', '}'], "").parse::<::http::Uri>().is_ok()
}

fn is_pointer(pointer: &str) -> bool {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(POINTER).expect("a constant pattern"));
    PATTERN.is_match(pointer)
}

fn is_address(address: &str) -> bool {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(ADDRESS).expect("a constant pattern"));
    PATTERN.is_match(address) && address.parse::<::http::Uri>().is_ok()
}

/// For patterns that few documents need.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern)
        .expect("a constant pattern")
        .is_match(text)
}

fn is_mount(path: &str) -> bool {
    static PATTERN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(MOUNT).expect("a constant pattern"));
    PATTERN.is_match(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn store(vault: &str) -> CredentialStoreSpec {
        crate::yaml::from_str(&format!("{{vault: {vault}}}")).unwrap()
    }

    fn places(spec: &CredentialStoreSpec) -> Vec<String> {
        let found = check(spec).err().unwrap_or_default();
        found.into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn what_is_not_said_has_the_usual_value() {
        let spec = store("{address: 'https://v:8200', auth: {kubernetes: {role: postern}}}");
        assert_eq!(check(&spec), Ok(()));
        let vault = spec.vault.unwrap();
        let kv = vault.engine.kv.unwrap();
        assert_eq!(kv.mount_path, "secret");
        assert_eq!(vault.auth.kubernetes.unwrap().mount_path, "kubernetes");
    }

    #[test]
    fn an_address_is_https_and_nothing_else() {
        for address in [
            "http://v",
            "https://v/v1",
            "https://me:pw@v",
            "https://v?x",
            "https://v:0x",
            "https://",
        ] {
            let spec = store(&format!(
                "{{address: '{address}', auth: {{kubernetes: {{role: r}}}}}}"
            ));
            let found = check(&spec).unwrap_err();
            assert_eq!(found[0].path, "spec.vault.address", "{address}");
            assert!(!found[0].message.contains("pw"), "{address}");
        }
        for address in ["https://v", "https://v:8200/", "https://[::1]:8200"] {
            let spec = store(&format!(
                "{{address: '{address}', auth: {{kubernetes: {{role: r}}}}}}"
            ));
            assert_eq!(check(&spec), Ok(()), "{address}");
        }
    }

    #[test]
    fn no_engine_reads_what_tells_of_the_operators_own_login() {
        for mount in ["sys", "auth/token", "cubbyhole", "identity", "..", "a//b"] {
            let spec = store(&format!(
                "{{address: 'https://v', auth: {{kubernetes: {{role: r}}}}, engine: {{logical: {{mountPath: '{mount}'}}}}}}"
            ));
            assert!(!places(&spec).is_empty(), "{mount}");
        }
    }

    #[test]
    fn a_store_at_aws_is_of_one_region_and_its_roles_are_roles() {
        let places = |aws: &str| {
            let spec = format!("{{awsSecretsManager: {aws}}}");
            places(&crate::yaml::from_str(&spec).unwrap())
        };
        let role = "arn:aws:iam::123456789012:role/a";
        assert!(places("{region: eu-west-1}").is_empty());
        for region in ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"] {
            assert!(places(&format!("{{region: {region}}}")).is_empty());
        }
        for (aws, place) in [
            ("{region: evil.example/}".to_owned(), "region"),
            (
                "{region: eu-west-1, endpoint: 'http://h'}".to_owned(),
                "endpoint",
            ),
            (
                "{region: eu-west-1, stsEndpoint: 'https://h/x'}".to_owned(),
                "stsEndpoint",
            ),
            ("{region: eu-west-1, auth: {}}".to_owned(), "auth"),
            (
                "{region: eu-west-1, auth: {webIdentity: {roleArn: x}}}".to_owned(),
                "roleArn",
            ),
            (
                format!(
                    "{{region: eu-west-1, assumeRole: {{roleArn: '{role}', externalId: 'a b'}}}}"
                ),
                "assumeRole.externalId",
            ),
            (
                format!(
                    "{{region: eu-west-1, assumeRole: {{roleArn: '{role}', sessionName: 'a b'}}}}"
                ),
                "sessionName",
            ),
        ] {
            assert_eq!(
                places(&aws),
                [format!("spec.awsSecretsManager.{place}")],
                "{aws}"
            );
        }
    }

    #[test]
    fn no_selector_allows_nobody_and_an_empty_one_allows_all() {
        let labelled = BTreeMap::from([("team".to_owned(), "ai".to_owned())]);
        let mut spec = store("{address: 'https://v', auth: {kubernetes: {role: r}}}");
        assert!(!spec.allows(&labelled) && !spec.allows_all());
        spec.allowed_namespaces = Some(crate::yaml::from_str("{}").unwrap());
        assert!(spec.allows(&BTreeMap::new()) && spec.allows_all());
        spec.allowed_namespaces = Some(crate::yaml::from_str("{matchLabels: {team: ai}}").unwrap());
        assert!(spec.allows(&labelled) && !spec.allows(&BTreeMap::new()) && !spec.allows_all());
        spec.allowed_namespaces = Some(
            crate::yaml::from_str("{matchExpressions: [{key: team, operator: Like}]}").unwrap(),
        );
        assert!(!spec.allows(&labelled));
        assert_eq!(places(&spec), ["spec.allowedNamespaces"]);
    }

    #[test]
    fn a_url_has_its_placeholders_after_the_host_and_no_others() {
        let places = |url: &str, value: &str| {
            let spec = format!("{{http: {{url: '{url}', value: '{value}'}}}}");
            places(&crate::yaml::from_str(&spec).unwrap())
        };
        for url in [
            "https://s.corp/v1/{path}?name={key}&v={version}",
            "https://s.corp:8443",
            "https://s.corp/",
        ] {
            assert_eq!(places(url, "/data/{key}"), [""; 0], "{url}");
        }
        for url in [
            "http://s.corp/{path}",
            "https://{path}.corp/",
            "https://s.corp{path}",
            "https://s.corp/{name}",
            "https://s.corp/{path",
            "https://me:pw@s.corp/",
            "https://s.corp/#{path}",
        ] {
            assert_eq!(places(url, "/data/{key}"), ["spec.http.url"], "{url}");
        }
        for pointer in ["", "data", "/", "/a//b"] {
            let found = places("https://s.corp/{path}", pointer);
            assert_eq!(found, ["spec.http.value"], "{pointer}");
        }
    }

    #[test]
    fn a_header_has_one_value_and_belongs_to_nobody_else() {
        for (header, is_right) in [
            (
                "{name: Authorization, secret: {name: s, key: k}, prefix: 'Bearer '}",
                true,
            ),
            ("{name: X-Version, value: '1'}", true),
            ("{name: X-Version}", false),
            ("{name: X-Version, value: '1', prefix: a}", false),
            ("{name: Host, value: other.corp}", false),
            ("{name: 'X Y', value: '1'}", false),
        ] {
            let spec =
                format!("{{http: {{url: 'https://s.corp/', value: /a, headers: [{header}]}}}}");
            let spec = crate::yaml::from_str(&spec).unwrap();
            assert_eq!(check(&spec).is_ok(), is_right, "{header}");
        }
    }
}
