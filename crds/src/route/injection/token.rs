//! What is asked for a token, and where.

use http::{
    HeaderName, header,
    uri::{Authority, PathAndQuery},
};

use super::{Injection, header as compile_header, is_printable};
use crate::{
    agent_identity::{AuthStyle, GcpServiceAccountInject, OAuth2Inject},
    route::address,
    violation::Violation,
};

/// Google's, for service accounts.
/// <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>
const GOOGLE: &str = "https://oauth2.googleapis.com/token";

/// A token that a secret buys, and how it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Host and port of the server that has tokens. It is always reached by TLS.
    pub authority: Authority,
    /// Where on it they are.
    pub target: PathAndQuery,
    /// How it is asked.
    pub grant: Grant,
    /// The header that carries the token.
    pub header: HeaderName,
    /// What stands before the token in it.
    pub prefix: String,
}

/// How a server is asked for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// With a client's identifier and its secret (RFC 6749 section 4.4).
    ClientCredentials {
        /// The identifier.
        client_id: String,
        /// Scopes, with a space between.
        scope: Option<String>,
        /// Whom the token is for.
        audience: Option<String>,
        /// Where identifier and secret stand.
        style: AuthStyle,
    },
    /// With a claim that the key of a service account signs (RFC 7523).
    ServiceAccount(Purpose),
}

/// What a service account's token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An access token for these scopes, with a space between.
    Access(String),
    /// An identity token for this audience.
    Identity(String),
}

impl Token {
    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.target)
    }
}

pub(super) fn oauth2(at: &str, inject: &OAuth2Inject) -> Result<Injection, Vec<Violation>> {
    let OAuth2Inject {
        token_url,
        client_id,
        scopes,
        audience,
        auth_style,
        header,
    } = inject;
    let mut found = Vec::new();
    if !is_printable(client_id) {
        found.push(Violation::new(
            format!("{at}.clientId"),
            "must be of printable ASCII characters",
        ));
    }
    let scope = scopes_of(&format!("{at}.scopes"), scopes, &mut found);
    check_audience(at, audience.as_deref(), &mut found);
    let address = server(&format!("{at}.tokenUrl"), token_url, &mut found);
    let (name, prefix) = match header {
        None => (header::AUTHORIZATION, "Bearer ".to_owned()),
        Some(header) => match compile_header(&format!("{at}.header"), header) {
            Ok(header) => header,
            Err(violation) => {
                found.push(violation);
                return Err(found);
            }
        },
    };
    match address {
        Some((authority, target)) if found.is_empty() => Ok(Injection::Token(Box::new(Token {
            authority,
            target,
            grant: Grant::ClientCredentials {
                client_id: client_id.clone(),
                scope,
                audience: audience.clone(),
                style: *auth_style,
            },
            header: name,
            prefix,
        }))),
        _ => Err(found),
    }
}

pub(super) fn service_account(
    at: &str,
    inject: &GcpServiceAccountInject,
) -> Result<Injection, Vec<Violation>> {
    let GcpServiceAccountInject {
        scopes,
        audience,
        token_url,
    } = inject;
    let mut found = Vec::new();
    let scope = scopes_of(&format!("{at}.scopes"), scopes, &mut found);
    check_audience(at, audience.as_deref(), &mut found);
    let purpose = match (scope, audience) {
        (Some(scope), None) => Some(Purpose::Access(scope)),
        (None, Some(audience)) => Some(Purpose::Identity(audience.clone())),
        _ => {
            found.push(Violation::new(
                at,
                "set exactly one of scopes (an access token) and audience (an identity token)",
            ));
            None
        }
    };
    let url = token_url.as_deref().unwrap_or(GOOGLE);
    let address = server(&format!("{at}.tokenUrl"), url, &mut found);
    match (address, purpose) {
        (Some((authority, target)), Some(purpose)) if found.is_empty() => {
            Ok(Injection::Token(Box::new(Token {
                authority,
                target,
                grant: Grant::ServiceAccount(purpose),
                header: header::AUTHORIZATION,
                prefix: "Bearer ".to_owned(),
            })))
        }
        _ => Err(found),
    }
}

/// Reads the address of a server that has tokens.
fn server(at: &str, url: &str, found: &mut Vec<Violation>) -> Option<(Authority, PathAndQuery)> {
    let address = match address::endpoint(at, url, false) {
        Ok(address) => address,
        Err(violation) => {
            found.push(violation);
            return None;
        }
    };
    // A slash at the end belongs to this URL: it is called as it is, and nothing is appended to it.
    let slash = if url.ends_with('/') || address.path.is_empty() {
        "/"
    } else {
        ""
    };
    match format!("{}{slash}", address.path).parse() {
        Ok(target) => Some((address.authority, target)),
        Err(_) => {
            found.push(Violation::new(at, "is too long"));
            None
        }
    }
}

/// The scopes as they are sent (RFC 6749 section 3.3), if there are any.
fn scopes_of(at: &str, scopes: &[String], found: &mut Vec<Violation>) -> Option<String> {
    let is_scope = |scope: &String| {
        !scope.is_empty()
            && scope
                .bytes()
                .all(|b| matches!(b, b'!' | b'#'..=b'[' | b']'..=b'~'))
    };
    for (index, scope) in scopes.iter().enumerate() {
        if !is_scope(scope) {
            found.push(Violation::new(
                format!("{at}[{index}]"),
                "must be of printable ASCII characters without space, quote and backslash",
            ));
        }
    }
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

fn check_audience(at: &str, audience: Option<&str>, found: &mut Vec<Violation>) {
    if audience.is_some_and(|audience| !is_printable(audience)) {
        found.push(Violation::new(
            format!("{at}.audience"),
            "must be of printable ASCII characters",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled<T: serde::de::DeserializeOwned>(
        yaml: &str,
        compile: fn(&str, &T) -> Result<Injection, Vec<Violation>>,
    ) -> Result<Token, Vec<String>> {
        match compile("at", &crate::yaml::from_str(yaml).unwrap()) {
            Ok(Injection::Token(token)) => Ok(*token),
            Ok(other) => panic!("{other:?}"),
            Err(found) => Err(found.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_client_asks_for_its_token_by_tls_and_sends_it_as_a_bearer() {
        let token = compiled(
            "{tokenUrl: \"https://Login.example.com:443/t/\", clientId: me, scopes: [a, b], audience: api}",
            oauth2,
        )
        .unwrap();
        assert_eq!(token.url(), "https://login.example.com/t/");
        assert_eq!(token.header, header::AUTHORIZATION);
        assert_eq!(token.prefix, "Bearer ");
        assert_eq!(
            token.grant,
            Grant::ClientCredentials {
                client_id: "me".into(),
                scope: Some("a b".into()),
                audience: Some("api".into()),
                style: AuthStyle::Header,
            }
        );
        let bare = compiled("{tokenUrl: \"https://h:8443\", clientId: me, authStyle: Body, header: {name: X-Token}}", oauth2).unwrap();
        assert_eq!(bare.url(), "https://h:8443/");
        assert_eq!(
            (bare.header.as_str(), bare.prefix.as_str()),
            ("x-token", "")
        );
    }

    #[test]
    fn a_service_account_asks_google_unless_told_otherwise() {
        let access = compiled(
            "{scopes: [\"https://www.googleapis.com/auth/cloud-platform\"]}",
            service_account,
        )
        .unwrap();
        assert_eq!(access.url(), GOOGLE);
        let identity = compiled(
            "{audience: \"https://run.example.com\", tokenUrl: \"https://h/t\"}",
            service_account,
        )
        .unwrap();
        assert_eq!(identity.url(), "https://h/t");
        assert_eq!(
            identity.grant,
            Grant::ServiceAccount(Purpose::Identity("https://run.example.com".into()))
        );
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let found = compiled(
            "{tokenUrl: \"http://h/t\", clientId: \"a\\nb\", scopes: [ok, \"a b\"], audience: \"\"}",
            oauth2,
        )
        .unwrap_err();
        let paths: Vec<&str> = found
            .iter()
            .map(|v| v.split_once(": ").unwrap().0)
            .collect();
        assert_eq!(
            paths,
            ["at.clientId", "at.scopes[1]", "at.audience", "at.tokenUrl"]
        );
        for both_or_none in ["{}", "{scopes: [a], audience: b}"] {
            let found = compiled(both_or_none, service_account).unwrap_err();
            assert!(found[0].contains("exactly one of scopes"), "{found:?}");
        }
    }

    #[test]
    fn a_token_url_with_a_password_or_query_is_refused_and_not_repeated() {
        for url in [
            "https://a:hunter2@h/t",
            "https://h/t?hunter2",
            "ftp://hunter2",
        ] {
            let found =
                compiled(&format!("{{tokenUrl: \"{url}\", clientId: me}}"), oauth2).unwrap_err();
            assert!(
                found[0].starts_with("at.tokenUrl: ") && !found[0].contains("hunter2"),
                "{found:?}"
            );
        }
    }
}
