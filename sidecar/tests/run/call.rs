//! The program's calls: who sees what, and what is told at the end.

use http::{Response, StatusCode};

use crate::support::{CALL, Folder, KEY, Outcome, Protocol, Upstream, full};

#[tokio::test]
async fn the_program_sends_a_placeholder_and_the_provider_gets_the_key() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = Upstream::ok(protocol).await;
        let outcome = Folder::of(&upstream)
            .run()
            .python(CALL, &["/chat/completions"])
            .await;
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
        assert_eq!(outcome.stdout, "200 {\"ok\":true}\n");
        let seen = upstream.saw_one();
        assert_eq!(seen.target, "/v1/chat/completions");
        assert_eq!(
            seen.header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        assert_eq!(&seen.body[..], b"{\"model\":\"gpt-4o-mini\"}");
    }
}

#[tokio::test]
async fn a_denied_call_never_reaches_the_provider_and_the_summary_says_what_would_allow_it() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .python(CALL, &["/responses"])
        .await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert!(
        outcome.stdout.starts_with("403 {\"error\":"),
        "{}",
        outcome.stdout
    );
    assert!(upstream.seen().is_empty());
    let summary = "postern: agents/bot made 1 call: 0 allowed, 1 denied, 0 failed upstream\n  \
                   openai: 0 allowed, 1 denied\n  \
                   denied 1x: POST /v1/responses with openai: no rule allows it\n    \
                   to allow it, add to the rules of an EgressPolicy: \
                   {name: NAME, to: {credentials: [openai]}, methods: [POST], paths: [\"/v1/responses\"], action: Allow}\n";
    assert!(outcome.stderr.ends_with(summary), "{}", outcome.stderr);
}

#[tokio::test]
async fn the_rule_of_the_summary_allows_the_call_when_it_is_added() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let outcome = folder.run().python(CALL, &["/responses"]).await;
    let (_, rule) = outcome
        .stderr
        .split_once("to the rules of an EgressPolicy: ")
        .unwrap();
    folder.write(
        "more.yaml",
        &format!(
            "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: more, namespace: agents}}\nspec:\n  \
             targetRefs: [{{kind: AgentIdentity, name: bot}}]\n  rules:\n  - {}\n",
            rule.trim().replace("NAME", "responses")
        ),
    );
    let outcome = folder.run().python(CALL, &["/responses"]).await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
}

#[tokio::test]
async fn what_goes_wrong_upstream_is_told_apart_from_denials() {
    let refusing = Upstream::answering(Protocol::Http1, |_, _| {
        let mut response = Response::new(full("{\"error\":\"no such key\"}"));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
    })
    .await;
    let outcome = Folder::of(&refusing)
        .run()
        .python(CALL, &["/chat/completions"])
        .await;
    assert!(
        outcome
            .stdout
            .starts_with("401 {\"error\":\"no such key\"}"),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("made 1 call: 1 allowed, 0 denied, 1 failed upstream\n  openai: 1 allowed, 0 denied; 1 answered with 401\n"),
        "{}",
        outcome.stderr
    );

    // An authority that did not sign the upstream's certificate.
    let other = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&refusing);
    let authority = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "agents"}, "data": {"ca.crt": other.authority.pem()},
    });
    folder.write("ca.json", &authority.to_string());
    let outcome = folder.run().python(CALL, &["/chat/completions"]).await;
    assert!(outcome.stdout.starts_with("502 "), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("openai: 1 allowed, 0 denied; 1 upstream_tls\n"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn the_summary_as_json_is_the_last_line() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .args(&["--summary", "json"])
        .python(CALL, &["/responses"])
        .await;
    let summary: serde_json::Value =
        serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(summary["identity"], "agents/bot");
    assert_eq!(
        (&summary["allowed"], &summary["denied"]),
        (&0.into(), &1.into())
    );
    assert_eq!(summary["denials"][0]["path"], "/v1/responses");
    assert_eq!(summary["denials"][0]["reason"], "no_rule");
}

#[tokio::test]
async fn a_program_without_a_call_is_told_so() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let Outcome { stderr, .. } = Folder::of(&upstream).run().command(&["true"]).await;
    assert!(
        stderr.ends_with("postern: agents/bot made no call\n"),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_log_tells_of_requests_on_standard_error_and_never_the_key() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .args(&["--log-level", "debug"])
        .python(CALL, &["/chat/completions?key=a"])
        .await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n");
    assert!(
        outcome.stderr.contains("path=\"/v1/chat/completions\""),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
}
