//! What credentials mean: addresses, paths, names, environment.

use super::*;
use crate::{agent_identity::CONNECTION_HEADERS, provider::Carries};

/// The routes of an identity whose credentials are this YAML list, without their sources.
fn compiled(credentials: &str) -> Result<Vec<Route>, Vec<String>> {
    let mut credentials: serde_json::Value = crate::yaml::from_str(credentials).unwrap();
    for credential in credentials.as_array_mut().unwrap() {
        credential["source"] = serde_json::json!({"secret": {"name": "s", "key": "k"}});
    }
    let spec = serde_json::json!({"serviceAccountNames": ["a"], "credentials": credentials});
    compile("agents", "bot", &serde_json::from_value(spec).unwrap())
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}

fn route(credential: &str) -> Route {
    compiled(&format!("[{credential}]")).unwrap().remove(0)
}

/// Where a `provider: openai` credential with this endpoint sends `/v1/chat`.
fn dialled(endpoint: &str) -> String {
    let route = route(&format!(
        "{{name: x, provider: openai, allowPlaintext: {}, endpoint: \"{endpoint}\"}}",
        endpoint.starts_with("http://")
    ));
    let (scheme, authority, port) = (&route.scheme, &route.authority, route.port());
    format!(
        "{scheme} {authority} {port} {}",
        route.upstream_path("/v1/chat")
    )
}

/// The one problem of a credential.
fn problem(credential: &str) -> String {
    let mut found = compiled(&format!("[{credential}]")).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn an_endpoint_says_scheme_host_port_and_path() {
    assert_eq!(
        dialled("https://vllm.svc:8443/v1"),
        "https vllm.svc:8443 8443 /v1/chat"
    );
    assert_eq!(
        dialled("https://VLLM.svc/llm/v1/"),
        "https vllm.svc 443 /llm/v1/chat"
    );
    assert_eq!(
        dialled("https://10.0.0.7/v1"),
        "https 10.0.0.7 443 /v1/chat"
    );
    assert_eq!(
        dialled("https://[2001:db8::1]:8443/v1"),
        "https [2001:db8::1]:8443 8443 /v1/chat"
    );
    assert_eq!(
        dialled("https://[2001:db8::1]"),
        "https [2001:db8::1] 443 /v1/chat"
    );
}

#[test]
fn an_endpoint_without_a_path_means_the_vendors_own() {
    assert_eq!(dialled("https://vllm.svc"), "https vllm.svc 443 /v1/chat");
    assert_eq!(dialled("https://vllm.svc/"), "https vllm.svc 443 /v1/chat");
}

#[test]
fn only_the_schemes_own_port_is_left_out() {
    assert_eq!(dialled("https://h:443/v1"), "https h 443 /v1/chat");
    assert_eq!(dialled("https://h:80/v1"), "https h:80 80 /v1/chat");
    assert_eq!(dialled("http://h:80/v1"), "http h 80 /v1/chat");
    assert_eq!(dialled("http://h:443/v1"), "http h:443 443 /v1/chat");
    assert_eq!(dialled("https://[::1]:443/v1"), "https [::1] 443 /v1/chat");
}

#[test]
fn an_endpoint_that_is_not_plain_is_refused_and_not_repeated() {
    for endpoint in [
        "",
        "h",
        "h:8443",
        "ftp://h",
        "https://",
        "https:///v1",
        "https://:8443/v1",
        "https://h:/v1",
        "https://h:0/v1",
        "https://h:65536/v1",
        "https://user:hunter2@h/v1",
        "https://hunter2@h",
        "https://h/v1?key=hunter2",
        "https://h/v1#hunter2",
        "https://h?hunter2",
        "https://h/v1//",
        "https://h//v1",
        "https://h/../v1",
        "https://h/./v1",
        "https://h/%2e%2e/v1",
        "https://h/v1/..",
        "https://h/a;b",
        "https://h./v1",
        "https://-h/v1",
        "https://h_%41/v1",
        "https://h*/v1",
        "https://127.1/v1",
        "https://[::1/v1",
        "https://[g::1]/v1",
        "https://h /v1",
        "https://h\\t/v1",
        "https://ex\u{e4}mple.com",
    ] {
        let found = problem(&format!(
            "{{name: x, provider: openai, endpoint: \"{}\"}}",
            endpoint.replace('\\', "\\\\")
        ));
        assert!(
            found.starts_with("spec.credentials[0].endpoint: "),
            "{endpoint}: {found}"
        );
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn plain_text_is_sent_only_where_the_spec_says_so() {
    let found = problem("{name: x, provider: openai, endpoint: \"http://h/v1\"}");
    assert!(found.contains("clear text"), "{found}");
    assert_eq!(
        route("{name: x, provider: openai, endpoint: \"http://h/v1\", allowPlaintext: true}")
            .scheme,
        Scheme::HTTP
    );
    for credential in [
        "{name: x, provider: openai, allowPlaintext: true}",
        "{name: x, provider: openai, endpoint: \"https://h\", allowPlaintext: true}",
        "{name: x, http: {hosts: [h], inject: {header: {name: a}}}, allowPlaintext: true}",
    ] {
        assert!(
            problem(credential).starts_with("spec.credentials[0].allowPlaintext: "),
            "{credential}"
        );
    }
}

#[test]
fn every_vendor_compiles_and_one_without_a_common_host_needs_an_endpoint() {
    for provider in provider::all() {
        let name = &provider.name;
        // AWS's hosts name the region that a signature is for.
        let host = "bedrock-runtime.eu-central-1.amazonaws.com";
        let credential = format!("{{name: x, provider: {name}, endpoint: \"https://{host}\"}}");
        assert_eq!(route(&credential).base_path, provider.base_path, "{name}");
        let bare = format!("{{name: x, provider: {name}}}");
        match &provider.host {
            Some(host) => assert_eq!(route(&bare).authority.as_str(), host),
            None => assert!(problem(&bare).contains("set endpoint to yours"), "{name}"),
        }
    }
}

#[test]
fn a_vendor_that_signs_for_a_region_gives_it_to_its_clients() {
    let bedrock = route(
        "{name: aws, provider: bedrock, endpoint: \"https://bedrock-runtime.eu-central-1.amazonaws.com\"}",
    );
    let (variables, notes) = environment(&[bedrock], 14080);
    assert_eq!(notes, [""; 0]);
    let value = |name: &str| {
        let variable = variables.iter().find(|variable| variable.name == name);
        variable.unwrap().value.as_str()
    };
    assert_eq!(value("AWS_DEFAULT_REGION"), "eu-central-1");
    assert_eq!(
        value("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        "http://127.0.0.1:14080/aws"
    );
    let elsewhere = "{name: aws, provider: bedrock, endpoint: \"https://gateway.example.com\"";
    assert!(problem(&format!("{elsewhere}}}")).contains("set it to a region"));
    let told =
        format!("{elsewhere}, inject: {{awsSigV4: {{service: bedrock, region: us-east-1}}}}}}");
    assert_eq!(route(&told).injection.region(), Some("us-east-1"));
}

#[test]
fn a_base_url_works_with_and_without_the_base_path_and_with_it_twice() {
    let openai = route("{name: x, provider: openai}");
    for path in [
        "/chat/completions",
        "/v1/chat/completions",
        "/v1/v1/chat/completions",
    ] {
        assert_eq!(openai.upstream_path(path), "/v1/chat/completions", "{path}");
    }
    let openrouter = route("{name: x, provider: openrouter}");
    for path in [
        "/chat",
        "/v1/chat",
        "/api/v1/chat",
        "/api/v1/v1/chat",
        "/v1/api/v1/chat",
    ] {
        assert_eq!(openrouter.upstream_path(path), "/api/v1/chat", "{path}");
    }
    let anthropic = route("{name: x, provider: anthropic}");
    assert_eq!(anthropic.upstream_path("/messages"), "/v1/messages");
    assert_eq!(anthropic.upstream_path("/v1/messages"), "/v1/messages");
}

#[test]
fn only_whole_segments_are_a_base_path() {
    let openai = route("{name: x, provider: openai}");
    assert_eq!(openai.upstream_path("/v1beta/models"), "/v1/v1beta/models");
    assert_eq!(openai.upstream_path("/v10"), "/v1/v10");
    assert_eq!(openai.upstream_path("/"), "/v1/");
    assert_eq!(openai.upstream_path("/v1"), "/v1");
    assert_eq!(openai.upstream_path("/v1/"), "/v1/");
}

#[test]
fn a_vendor_without_a_base_path_gets_what_the_caller_wrote() {
    for (provider, path) in [
        ("gemini", "/v1beta/models/x:generateContent"),
        ("cohere", "/v2/chat"),
        ("cohere", "/v1/embed"),
        ("langsmith", "/"),
    ] {
        assert_eq!(
            route(&format!("{{name: x, provider: {provider}}}")).upstream_path(path),
            path
        );
    }
    assert_eq!(
        route("{name: x, http: {hosts: [h], inject: {header: {name: a}}}}").upstream_path("/v1/v1"),
        "/v1/v1"
    );
}

#[test]
fn an_endpoints_path_is_read_as_the_vendors_clients_read_a_base_url() {
    let base = |provider: &str, path: &str| {
        route(&format!(
            "{{name: x, provider: {provider}, endpoint: \"https://h{path}\"}}"
        ))
        .base_path
    };
    assert_eq!(base("openai", "/llm"), "/llm");
    assert_eq!(base("openai", "/openai/v1"), "/openai/v1");
    assert_eq!(base("anthropic", "/llm"), "/llm/v1");
    assert_eq!(base("anthropic", "/llm/v1"), "/llm/v1");
    assert_eq!(base("azure-openai", "/apim"), "/apim/openai");
    assert_eq!(base("gemini", "/llm"), "/llm");
}

#[test]
fn clients_of_every_vendor_reach_its_api_from_the_address_that_they_are_given() {
    // Provider, the variable, what the client appends to it, and what the vendor must see.
    for (provider, variable, appended, seen) in [
        (
            "openai",
            "OPENAI_BASE_URL",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        (
            "azure-openai",
            "AZURE_OPENAI_ENDPOINT",
            "/openai/deployments/d/chat/completions",
            "/openai/deployments/d/chat/completions",
        ),
        (
            "anthropic",
            "ANTHROPIC_BASE_URL",
            "/v1/messages",
            "/v1/messages",
        ),
        (
            "gemini",
            "GOOGLE_GEMINI_BASE_URL",
            "/v1beta/models/m:generateContent",
            "/v1beta/models/m:generateContent",
        ),
        (
            "mistral",
            "MISTRAL_BASE_URL",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        (
            "groq",
            "GROQ_BASE_URL",
            "/openai/v1/chat/completions",
            "/openai/v1/chat/completions",
        ),
        ("cohere", "CO_API_URL", "/v2/chat", "/v2/chat"),
        (
            "together",
            "TOGETHER_API_BASE",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        // Below any address but the default one the SDK leaves `/inference` out.
        (
            "fireworks",
            "FIREWORKS_BASE_URL",
            "/v1/chat/completions",
            "/inference/v1/chat/completions",
        ),
        (
            "deepseek",
            "DEEPSEEK_API_BASE",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        (
            "xai",
            "XAI_API_BASE",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        (
            "openrouter",
            "OPENROUTER_API_BASE",
            "/chat/completions",
            "/api/v1/chat/completions",
        ),
        (
            "perplexity",
            "PERPLEXITY_BASE_URL",
            "/chat/completions",
            "/chat/completions",
        ),
        ("ollama", "OLLAMA_HOST", "/api/chat", "/api/chat"),
        (
            "vllm",
            "OPENAI_BASE_URL",
            "/chat/completions",
            "/v1/chat/completions",
        ),
        (
            "pinecone",
            "PINECONE_CONTROLLER_HOST",
            "/indexes",
            "/indexes",
        ),
        (
            "pinecone-index",
            "PINECONE_HOST",
            "/vectors/upsert",
            "/vectors/upsert",
        ),
        (
            "langsmith",
            "LANGSMITH_ENDPOINT",
            "/runs/multipart",
            "/runs/multipart",
        ),
    ] {
        let endpoint = provider::find(provider).unwrap().host.is_none();
        let endpoint = if endpoint {
            ", endpoint: \"https://h\""
        } else {
            ""
        };
        let route = route(&format!("{{name: x, provider: {provider}{endpoint}}}"));
        let (variables, _) = pod_environment(std::slice::from_ref(&route));
        let base = &variables.iter().find(|v| v.name == variable).unwrap().value;
        let local = base.strip_prefix("http://127.0.0.1:14080/x").unwrap();
        assert_eq!(
            route.upstream_path(&format!("{local}{appended}")),
            seen,
            "{provider}"
        );
    }
}

#[test]
fn a_host_of_an_unknown_service_is_a_name_and_perhaps_a_port() {
    let http = |host: &str| {
        format!(
            "{{name: x, http: {{hosts: [\"{host}\"], inject: {{header: {{name: X-Key, prefix: \"Token \"}}}}}}}}"
        )
    };
    let route = route(&http("crm.example.com:443"));
    assert_eq!(route.authority.as_str(), "crm.example.com");
    assert_eq!(
        route.injection,
        Injection::Header {
            name: HeaderName::from_static("x-key"),
            prefix: "Token ".into()
        }
    );
    assert_eq!(
        (route.dialect, route.provider.is_none()),
        (Dialect::Plain, true)
    );
    for host in [
        "",
        "a/b",
        "a@b",
        "https://a",
        "a:",
        "a:0",
        "a b",
        "*.example.com",
    ] {
        assert!(
            problem(&http(host)).starts_with("spec.credentials[0].http.hosts[0]: "),
            "{host}"
        );
    }
}

#[test]
fn a_header_of_the_connection_cannot_carry_a_credential() {
    for name in CONNECTION_HEADERS
        .iter()
        .copied()
        .chain(["Host", "bad name", ""])
    {
        let found = problem(&format!(
            "{{name: x, http: {{hosts: [h], inject: {{header: {{name: \"{name}\"}}}}}}}}"
        ));
        assert!(
            found.starts_with("spec.credentials[0].http.inject.header.name: "),
            "{name}: {found}"
        );
    }
    let found =
        problem("{name: x, http: {hosts: [h], inject: {header: {name: a, prefix: \"x\\n\"}}}}");
    assert!(found.contains("prefix"), "{found}");
}

#[test]
fn a_secret_goes_where_the_credential_says_and_else_where_the_provider_wants_it() {
    let injected = |credential: &str| {
        let route = route(credential);
        let headers: Vec<String> = route.own_headers.iter().map(ToString::to_string).collect();
        (route.injection, headers.join(" "))
    };
    let header = |name, prefix: &str| Injection::Header {
        name: HeaderName::from_static(name),
        prefix: prefix.into(),
    };
    for (inject, injection, headers) in [
        ("", header("authorization", "Bearer "), "authorization"),
        (
            "{bearer: {}}",
            header("authorization", "Bearer "),
            "authorization",
        ),
        ("{header: {name: X-Key}}", header("x-key", ""), "x-key"),
        (
            "{query: {name: token}}",
            Injection::Query {
                name: "token".into(),
            },
            "",
        ),
        (
            "{basic: {}}",
            Injection::Basic { username: None },
            "authorization",
        ),
        (
            "{basic: {username: me}}",
            Injection::Basic {
                username: Some("me".into()),
            },
            "authorization",
        ),
        (
            "{cookie: {name: sid}}",
            Injection::Cookie { name: "sid".into() },
            "cookie",
        ),
        (
            "{awsSigV4: {service: bedrock, region: eu-central-1}}",
            Injection::AwsSigV4 {
                service: "bedrock".into(),
                region: "eu-central-1".into(),
            },
            "authorization x-amz-date x-amz-security-token x-amz-content-sha256",
        ),
    ] {
        let expected = (injection, headers.to_owned());
        if inject.is_empty() {
            assert_eq!(injected("{name: x, provider: openai}"), expected);
            continue;
        }
        assert_eq!(
            injected(&format!("{{name: x, provider: openai, inject: {inject}}}")),
            expected
        );
        assert_eq!(
            injected(&format!(
                "{{name: x, http: {{hosts: [h], inject: {inject}}}}}"
            )),
            expected
        );
    }
}

#[test]
fn a_way_to_inject_that_has_no_meaning_is_refused() {
    for (inject, member) in [
        ("{}", ""),
        ("{bearer: {}, query: {name: a}}", ""),
        ("{query: {name: \"a=b\"}}", ".query.name"),
        ("{query: {name: \"\"}}", ".query.name"),
        ("{basic: {username: \"a:b\"}}", ".basic.username"),
        ("{basic: {username: \"\"}}", ".basic.username"),
        ("{cookie: {name: \"a;b\"}}", ".cookie.name"),
        ("{awsSigV4: {service: s3}}", ".awsSigV4.region"),
        ("{awsSigV4: {service: s3, region: a/b}}", ".awsSigV4.region"),
        (
            "{awsSigV4: {service: \"a b\", region: r}}",
            ".awsSigV4.service",
        ),
    ] {
        let found = problem(&format!(
            "{{name: x, http: {{hosts: [h], inject: {inject}}}}}"
        ));
        assert!(
            found.starts_with(&format!("spec.credentials[0].http.inject{member}: ")),
            "{inject}: {found}"
        );
    }
    let found =
        problem("{name: x, http: {hosts: [h], inject: {bearer: {}}}, inject: {bearer: {}}}");
    assert!(found.starts_with("spec.credentials[0].inject: "), "{found}");
}

#[test]
fn only_a_signature_over_the_body_needs_it_before_the_first_byte() {
    let needs_body = |credential: &str| route(credential).needs_body();
    let http = |inject: &str| format!("{{name: x, http: {{hosts: [h], inject: {inject}}}}}");
    assert!(!needs_body(&http("{bearer: {}}")));
    assert!(needs_body(&http(
        "{awsSigV4: {service: bedrock, region: r}}"
    )));
    assert!(!needs_body(&http("{awsSigV4: {service: s3, region: r}}")));
    assert!(
        needs_body(
            "{name: x, provider: openai, endpoint: \"http://h\", allowPlaintext: true, inject: {awsSigV4: {service: s3, region: r}}}"
        ),
        "S3 takes an unsigned body over TLS only"
    );
}

#[test]
fn the_region_may_be_the_hosts() {
    let injection = |host: &str| {
        compiled(&format!(
            "[{{name: x, http: {{hosts: [{host}], inject: {{awsSigV4: {{service: bedrock}}}}}}}}]"
        ))
        .map(|routes| routes[0].injection.clone())
    };
    assert_eq!(
        injection("bedrock-runtime.us-east-1.amazonaws.com"),
        Ok(Injection::AwsSigV4 {
            service: "bedrock".into(),
            region: "us-east-1".into()
        })
    );
    assert!(injection("bedrock.example.com").is_err());
    // A host without meaning is one problem, not two.
    assert_eq!(injection("\"a b\"").unwrap_err().len(), 1);
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = compiled(
        "[{name: a, provider: openia},
          {name: a, http: {hosts: [], inject: {}}},
          {name: openai, http: {hosts: [h], inject: {header: {name: Host}}}, endpoint: \"https://h\", tls: {caBundle: {}}},
          {name: -b, provider: ollama, http: {hosts: [h], inject: {header: {name: a}}}}]",
    )
    .unwrap_err();
    let paths: Vec<&str> = found
        .iter()
        .map(|violation| violation.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        paths,
        [
            "spec.credentials[0].provider",
            "spec.credentials[1].name",
            "spec.credentials[1].http.hosts",
            "spec.credentials[1].http.inject",
            "spec.credentials[2].name",
            "spec.credentials[2].endpoint",
            "spec.credentials[2].tls.caBundle",
            "spec.credentials[2].http.inject.header.name",
            "spec.credentials[3].name",
            "spec.credentials[3]",
        ],
        "{found:#?}"
    );
}

#[test]
fn a_gateways_name_belongs_to_credentials_of_its_vendor() {
    assert!(
        problem("{name: openai, provider: anthropic}")
            .contains("by which LangChain reaches OpenAI")
    );
    assert!(
        problem("{name: gemini, http: {hosts: [h], inject: {header: {name: a}}}}")
            .contains("Gemini")
    );
    assert_eq!(
        route("{name: openai, provider: vllm, endpoint: \"https://h\"}").credential,
        "openai"
    );
}

#[test]
fn a_first_segment_names_a_credential_or_else_the_first_of_a_gateways_vendor() {
    let routes = compiled("[{name: main, provider: openai}, {name: other, provider: openai}, {name: claude, provider: anthropic}]").unwrap();
    let found = |segment| find(&routes, segment).map(|route| route.credential.as_str());
    assert_eq!(found("other"), Some("other"));
    assert_eq!(found("openai"), Some("main"));
    assert_eq!(found("anthropic"), Some("claude"));
    assert_eq!(found("gemini"), None);
    assert_eq!(found(""), None);
}

#[test]
fn the_environment_leads_to_the_route_and_holds_placeholders() {
    let routes = compiled("[{name: main, provider: openai}]").unwrap();
    let (variables, notes) = environment(&routes, 9000);
    let placeholder = &routes[0].placeholder;
    let seen: Vec<(&str, &str, bool)> = variables
        .iter()
        .map(|v| (v.name.as_str(), v.value.as_str(), v.only_if_present))
        .collect();
    assert_eq!(
        seen,
        [
            ("OPENAI_BASE_URL", "http://127.0.0.1:9000/main/v1", false),
            ("OPENAI_API_KEY", placeholder, false),
            ("OPENAI_API_BASE", "http://127.0.0.1:9000/main/v1", true),
            ("LANGSMITH_GATEWAY", "http://127.0.0.1:9000", false),
            ("LANGSMITH_GATEWAY_API_KEY", placeholder, false),
        ]
    );
    assert!(notes.is_empty(), "{notes:?}");
    assert!(variables.iter().all(|v| v.credential == "main"));
}

#[test]
fn the_first_credential_owns_a_variable_and_the_loser_is_named() {
    let routes = compiled(
        "[{name: main, provider: openai}, {name: local, provider: vllm, endpoint: \"https://h\"}]",
    )
    .unwrap();
    let (variables, notes) = pod_environment(&routes);
    assert_eq!(
        variables
            .iter()
            .filter(|v| v.name == "OPENAI_BASE_URL")
            .count(),
        1
    );
    assert_eq!(
        notes,
        [
            "OPENAI_BASE_URL leads to credential main, which comes first; local is reached at http://127.0.0.1:14080/local"
        ]
    );
}

#[test]
fn a_shared_key_is_no_loss() {
    let (variables, notes) =
        pod_environment(&compiled("[{name: a, provider: pinecone}, {name: b, provider: pinecone-index, endpoint: \"https://h\"}]").unwrap());
    assert!(notes.is_empty(), "{notes:?}");
    let addresses: Vec<&str> = variables
        .iter()
        .filter(|v| v.carries == Carries::Address)
        .map(|v| v.value.as_str())
        .collect();
    assert_eq!(
        addresses,
        [
            "http://127.0.0.1:14080/a",
            "http://127.0.0.1:14080/a",
            "http://127.0.0.1:14080/b"
        ]
    );
}

#[test]
fn the_gateway_is_left_out_where_it_would_lead_elsewhere_than_the_vendors_variables() {
    let names = |credentials: &str| {
        let (variables, notes) = pod_environment(&compiled(credentials).unwrap());
        (
            variables.iter().any(|v| v.name == "LANGSMITH_GATEWAY"),
            notes.concat(),
        )
    };
    let (set, notes) = names("[{name: local, provider: openai}, {name: openai, provider: openai}]");
    assert!(
        !set && notes.contains("LANGSMITH_GATEWAY is not set"),
        "{notes}"
    );
    let (set, notes) = names("[{name: openai, provider: openai}, {name: local, provider: openai}]");
    assert!(set && !notes.contains("LANGSMITH_GATEWAY"), "{notes}");
    let (set, _) = names("[{name: cohere, provider: cohere}]");
    assert!(!set, "no client of these vendors reads it");
}

#[test]
fn the_gateway_has_no_key_that_would_stand_in_place_of_bedrocks_signature() {
    let openai = "{name: openai, provider: openai}";
    let aws = "{name: aws, provider: bedrock, endpoint: \"https://bedrock-runtime.us-east-1.amazonaws.com\"}";
    let gateway = |credentials: &[&str]| {
        let routes = compiled(&format!("[{}]", credentials.join(", "))).unwrap();
        let (variables, notes) = pod_environment(&routes);
        let gateway: Vec<_> = variables
            .into_iter()
            .filter(|v| v.name.starts_with("LANGSMITH_GATEWAY"))
            .map(|v| (v.name, v.value, v.only_if_present))
            .collect();
        let reached = find(&routes, "bedrock").map(|route| route.credential.clone());
        (gateway, reached, notes.concat())
    };

    let (both, reached, notes) = gateway(&[openai, aws]);
    let address = "http://127.0.0.1:14080".to_owned();
    assert_eq!(
        both,
        [
            ("LANGSMITH_GATEWAY".to_owned(), address, false),
            ("LANGSMITH_GATEWAY_API_KEY".to_owned(), String::new(), true),
        ]
    );
    assert_eq!(reached.as_deref(), Some("aws"), "the layout's own name");
    assert!(notes.is_empty(), "{notes}");
    // Not by itself, and not where another key would be taken.
    assert!(gateway(&[aws]).0.is_empty());
    let (none, _, notes) = gateway(&[openai, aws, "{name: traces, provider: langsmith}"]);
    assert!(
        none.is_empty() && notes.contains("the key of credential traces"),
        "{notes}"
    );
}

#[test]
fn a_placeholder_depends_on_the_credentials_full_name() {
    let placeholder = |namespace, identity, credential| {
        placeholder::render("p-{}", namespace, identity, credential)
    };
    let one = placeholder("a", "b", "c");
    assert_eq!(one.len(), 34);
    assert_eq!(one, placeholder("a", "b", "c"));
    for other in [
        placeholder("x", "b", "c"),
        placeholder("a", "x", "c"),
        placeholder("a", "b", "x"),
        placeholder("a-b", "", "c"),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn deployments_are_azures_and_name_models() {
    let azure = "name: az, provider: azure-openai, endpoint: \"https://corp.openai.azure.com\"";
    let route = route(&format!("{{{azure}, deployments: {{fast: gpt-4o-mini}}}}"));
    assert_eq!(
        route.deployments.get("fast").map(String::as_str),
        Some("gpt-4o-mini")
    );
    assert_eq!(
        problem("{name: x, provider: openai, deployments: {fast: gpt-4o-mini}}"),
        "spec.credentials[0].deployments: deployments goes with provider azure-openai only"
    );
    for wrong in ["{fast: ''}", "{fast: 'a b'}", "{'': m}", "{schön: m}"] {
        assert_eq!(
            problem(&format!("{{{azure}, deployments: {wrong}}}")),
            "spec.credentials[0].deployments: deployments and models are named in printable ASCII without spaces"
        );
    }
}
