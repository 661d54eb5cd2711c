//! What holds for all input: nothing panics, order has no meaning, a `Deny` only takes away, and no error quotes a secret.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use postern_crds::{
    Bundle, Decision, Facts,
    agent_identity::AgentIdentitySpec,
    policy::{self, NamedPolicy, Pattern},
    route, yaml,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Texts of the characters that paths, names and patterns are about.
const ODD: &str = "[/.*%?#:@ \\\\a-cA1\u{e4}\u{0}-]{0,12}";
/// A secret that may turn up nowhere.
const SECRET: &str = "hunter2";

/// Policies out of few names, methods and paths, so that rules do meet requests.
fn policies() -> impl Strategy<Value = Vec<NamedPolicy>> {
    let credentials = prop::sample::select(vec![
        json!(["*"]),
        json!(["a"]),
        json!(["b"]),
        json!(["a", "b"]),
    ]);
    let methods = prop::sample::select(vec![json!([]), json!(["GET"]), json!(["POST", "GET"])]);
    let paths = prop::sample::select(vec![
        json!([]),
        json!(["/x"]),
        json!(["/x/*"]),
        json!(["/**"]),
        json!(["/x/**", "/y"]),
    ]);
    let action = prop::sample::select(vec!["Allow", "Deny"]);
    let rule = (credentials, methods, paths, action);
    let rules = prop::collection::vec(rule, 0..5);
    prop::collection::vec(rules, 1..4).prop_map(|policies| {
        let named = |(index, rules): (usize, Vec<(Value, Value, Value, &str)>)| {
            let rules: Vec<Value> = rules
                .into_iter()
                .enumerate()
                .map(|(index, (credentials, methods, paths, action))| {
                    json!({"name": format!("r{index}"), "to": {"credentials": credentials}, "methods": methods, "paths": paths, "action": action})
                })
                .collect();
            policy(&format!("p{index}"), &json!(rules))
        };
        policies.into_iter().enumerate().map(named).collect()
    })
}

fn policy(name: &str, rules: &Value) -> NamedPolicy {
    let spec = json!({"targetRefs": [{"kind": "AgentIdentity", "name": "bot"}], "rules": rules});
    serde_json::from_value(json!({"name": name, "spec": spec})).unwrap()
}

fn request() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    (
        prop::sample::select(vec!["a", "b", "c"]),
        prop::sample::select(vec!["GET", "POST", "PUT"]),
        prop::sample::select(vec!["/", "/x", "/x/", "/x/1", "/x/1/2", "/y"]),
    )
}

fn decide(policies: &[NamedPolicy], (credential, method, path): (&str, &str, &str)) -> Decision {
    let facts = Facts::of_head(credential, method, path);
    policy::compile(policies).unwrap().decide(&facts).decision
}

fn is_allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allow(_))
}

/// What a pattern means, written down as plainly as can be: all ways to spend a star are tried.
fn means(pattern: &[&str], path: &[&str]) -> bool {
    fn segment(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| segment(rest, &text[taken..])),
            Some((literal, rest)) => text
                .split_first()
                .is_some_and(|(first, text)| first == literal && segment(rest, text)),
        }
    }
    match (pattern, path) {
        (["**"], [first, ..]) => !first.is_empty(),
        ([one, pattern @ ..], [first, path @ ..]) => {
            one.is_empty() == first.is_empty()
                && segment(one.as_bytes(), first.as_bytes())
                && means(pattern, path)
        }
        (rest, path) => rest.is_empty() && path.is_empty(),
    }
}

proptest! {
    #[test]
    fn patterns_never_panic(pattern in ODD, path in ODD) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&path);
        }
    }

    #[test]
    fn a_pattern_matches_what_its_plain_reading_does(pattern in "(/(\\*{0,1}[ab]{0,2}\\*{0,1}[ab]{0,2}|\\*\\*)){1,4}", path in "(/[ab]{0,4}){1,4}") {
        if let Ok(compiled) = Pattern::parse(&pattern) {
            let split = |text: &str| text[1..].split('/').map(str::to_owned).collect::<Vec<_>>();
            let (pattern_parts, path_parts) = (split(&pattern), split(&path));
            let pattern_parts: Vec<&str> = pattern_parts.iter().map(String::as_str).collect();
            let path_parts: Vec<&str> = path_parts.iter().map(String::as_str).collect();
            prop_assert_eq!(compiled.matches(&path), means(&pattern_parts, &path_parts), "{} {}", pattern, path);
        }
    }

    #[test]
    fn a_pattern_without_stars_matches_itself_alone(pattern in "(/[a-c.:-]{1,3}){1,4}/?", path in "(/[a-c.:-]{1,3}){1,4}/?") {
        if let Ok(compiled) = Pattern::parse(&pattern) {
            prop_assert!(compiled.matches(&pattern));
            prop_assert_eq!(compiled.matches(&path), pattern == path);
        }
    }

    #[test]
    fn compiling_a_policy_never_panics(name in ODD, credential in ODD, method in ODD, paths in prop::collection::vec(ODD, 0..4)) {
        let rule = json!({"name": name, "to": {"credentials": [credential, "*"]}, "methods": [method], "paths": paths, "action": "Allow"});
        let broken = policy(&name, &json!([rule, rule]));
        let found = policy::compile(&[broken]).unwrap_err();
        prop_assert!(found.iter().all(|violation| !violation.message.is_empty()));
    }

    #[test]
    fn the_order_of_rules_and_policies_has_no_meaning(policies in policies().prop_flat_map(|policies| {
        let mut shuffled = Just(policies.clone()).prop_shuffle().boxed();
        for index in 0..policies.len() {
            shuffled = shuffled
                .prop_flat_map(move |policies| {
                    let rules = Just(policies[index].spec.rules.clone()).prop_shuffle();
                    rules.prop_map(move |rules| {
                        let mut policies = policies.clone();
                        policies[index].spec.rules = rules;
                        policies
                    })
                })
                .boxed();
        }
        (Just(policies), shuffled)
    }), request in request()) {
        let (written, shuffled) = policies;
        prop_assert_eq!(decide(&written, request), decide(&shuffled, request));
    }

    #[test]
    fn one_more_deny_never_allows_anything(policies in policies(), more in policies(), request in request()) {
        let before = decide(&policies, request);
        let mut tightened = policies;
        for mut policy in more {
            policy.name += "-more";
            policy.spec.rules.retain(|rule| rule.action == postern_crds::egress_policy::Action::Deny);
            tightened.push(policy);
        }
        let after = decide(&tightened, request);
        prop_assert!(is_allowed(&before) || !is_allowed(&after), "{:?} became {:?}", before, after);
    }

    #[test]
    fn one_more_allow_never_lifts_a_denial(policies in policies(), more in policies(), request in request()) {
        let before = decide(&policies, request);
        let mut loosened = policies;
        for mut policy in more {
            policy.name += "-more";
            policy.spec.rules.retain(|rule| rule.action == postern_crds::egress_policy::Action::Allow);
            loosened.push(policy);
        }
        if let Decision::Deny(_) = before {
            prop_assert_eq!(decide(&loosened, request), before);
        }
    }

    #[test]
    fn compiling_an_identity_never_panics_and_gives_routes_that_can_be_dialled(
        name in ODD,
        provider in prop::sample::select(vec!["openai", "groq", "ollama", "nobody"]),
        endpoint in prop::option::of("(https?|ftp)?(://)?[a-b0-9.:@\\[\\]/%?#*_ -]{0,14}"),
        plain in any::<bool>(),
    ) {
        let credential = json!({"name": name, "provider": provider, "endpoint": endpoint, "allowPlaintext": plain,
            "source": {"secret": {"name": "s", "key": "k"}}});
        let spec: AgentIdentitySpec = serde_json::from_value(json!({"serviceAccountNames": ["a"], "credentials": [credential]})).unwrap();
        if let Ok(routes) = route::compile("agents", "bot", &spec) {
            let route = &routes[0];
            prop_assert!(route.port() > 0);
            prop_assert!(!route.authority.host().is_empty() && !route.authority.as_str().contains('@'));
            prop_assert!(route.base_path.is_empty() || route.base_path.starts_with('/') && !route.base_path.ends_with('/'));
            prop_assert!(plain || route.scheme.as_str() == "https");
        }
    }

    #[test]
    fn a_host_never_panics_and_stays_one_host(host in "[a-c0-9.:@\\[\\]/%?#*_ -]{0,14}", header in ODD, prefix in ODD) {
        let credential = json!({"name": "x", "http": {"hosts": [host], "inject": {"header": {"name": header, "prefix": prefix}}},
            "source": {"secret": {"name": "s", "key": "k"}}});
        let spec: AgentIdentitySpec = serde_json::from_value(json!({"serviceAccountNames": ["a"], "credentials": [credential]})).unwrap();
        if let Ok(routes) = route::compile("agents", "bot", &spec) {
            prop_assert!(host.starts_with(routes[0].authority.host()));
        }
    }

    #[test]
    fn a_path_has_one_spelling_upstream(provider in prop::sample::select(vec!["openai", "openrouter", "groq", "fireworks", "anthropic", "cohere"]), path in "(/(v1|api|openai|inference|chat|v1x)){1,6}/?") {
        let credential = json!({"name": "x", "provider": provider, "source": {"secret": {"name": "s", "key": "k"}}});
        let spec: AgentIdentitySpec = serde_json::from_value(json!({"serviceAccountNames": ["a"], "credentials": [credential]})).unwrap();
        let route = &route::compile("agents", "bot", &spec).unwrap()[0];
        let sent = route.upstream_path(&path);
        prop_assert!(sent.starts_with(&route.base_path));
        prop_assert_eq!(route.upstream_path(&sent), sent);
    }

    #[test]
    fn bytes_never_make_a_bundle_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Bundle::parse(&bytes).is_err());
    }

    #[test]
    fn a_damaged_bundle_is_never_quoted(at in 0usize..400, with in any::<u8>()) {
        let mut bytes = json!({
            "format": 1, "minReader": 1, "namespace": "agents", "identity": "bot",
            "spec": {"serviceAccountNames": ["a"], "credentials": [{"name": "x", "provider": "openai", "source": {"secret": {"name": "s", "key": "k"}}}]},
            "policies": [], "secrets": {"x": {"value": SECRET, "version": "1"}},
        }).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        if let Err(error) = Bundle::parse(&bytes) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(SECRET), "{}", shown);
        }
    }

    #[test]
    fn a_damaged_document_with_a_secret_is_never_quoted(before in "[ \\n\\t:{}\\[\\],*&!|>'\"%@#?a-]{0,16}", after in "[ \\n\\t:{}\\[\\],*&!|>'\"%@#?a-]{0,16}") {
        let text = format!("kind: Secret\nstringData:\n  key: {before}{SECRET}{after}\n");
        if let Err(error) = yaml::documents(&text) {
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains(SECRET), "{}", shown);
        }
    }
}
