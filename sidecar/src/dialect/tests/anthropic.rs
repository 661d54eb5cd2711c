//! Anthropic's operations, as its own client sends them.

use super::*;

#[test]
fn a_message_with_an_image_and_tools() {
    let call = fixture!(Anthropic, "anthropic-messages").call();
    assert_eq!(call.operation, Operation::Chat);
    assert_eq!(model(&call), &Model::new("claude-sonnet-4-5"));
    assert!(call.stream && call.has_images);
    assert_eq!((call.max_tokens, call.messages), (Some(1024), Some(3)));
    assert_eq!(call.tools, ["get_weather", "web_search_20250305"]);
    assert_eq!(
        call.estimated_input_tokens, None,
        "what the vendor's search finds is input too"
    );
}

#[test]
fn a_server_of_tools_has_a_name_of_its_own() {
    let call = fixture!(Anthropic, "anthropic-mcp").call();
    assert_eq!(call.tools, ["mcp:github"]);
}

#[test]
fn a_tool_that_comes_in_the_midst_of_a_conversation_is_a_tool() {
    let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"},
        {"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"a","input_schema":{}}}}]},
        {"role":"assistant","content":[{"type":"compaction","content":"x","tool_changes":[
            {"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"web_search_20260318","name":"web_search"}}},
            {"type":"tool_removal","tool":{"type":"tool_reference","name":"c"}}]}]}]}"#;
    let call = post(Dialect::Anthropic, "/v1/messages", body).call();
    assert_eq!(call.tools, ["a", "web_search_20260318"]);
    let call = post(
        Dialect::Bedrock,
        "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke",
        body,
    )
    .call();
    assert_eq!(call.tools, ["a", "web_search_20260318"]);
}

#[test]
fn what_the_vendor_says_to_the_model_counts_once() {
    let estimate = |more: &str| {
        let body = format!(
            r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"hi"}}]{more}}}"#
        );
        post(Dialect::Anthropic, "/v1/messages", &body)
            .call()
            .estimated_input_tokens
    };
    assert_eq!(estimate(""), Some(9));
    let one = estimate(r#","tools":[{"name":"a","input_schema":{}}]"#).unwrap();
    let two =
        estimate(r#","tools":[{"name":"a","input_schema":{}},{"name":"b","input_schema":{}}]"#)
            .unwrap();
    assert!((600..620).contains(&one) && two - one < 5, "{one} {two}");
    let shell = estimate(r#","tools":[{"type":"bash_20250124","name":"bash"}]"#).unwrap();
    assert!((1350..1400).contains(&shell), "{shell}");
    for tools in [
        r#"[{"type":"web_search_20250305","name":"web_search"}]"#,
        r#"[{"type":"mcp_toolset","mcp_server_name":"s"}]"#,
        r#"[{"type":"tool_of_tomorrow"}]"#,
    ] {
        assert_eq!(estimate(&format!(r#","tools":{tools}"#)), None, "{tools}");
    }
}

#[test]
fn a_batch_names_the_models_of_all_its_requests() {
    let call = fixture!(Anthropic, "anthropic-batch").call();
    assert_eq!(call.operation, Operation::Batch);
    assert_eq!(names(&call), ["claude-haiku-4-5", "claude-opus-4-5"]);
    assert_eq!((call.n, call.max_tokens), (2, Some(20)));
}

#[test]
fn documents_weigh_by_what_they_are() {
    let call = fixture!(Anthropic, "anthropic-document").call();
    assert!(!call.has_images);
    assert!(
        (50..100).contains(&call.estimated_input_tokens.unwrap()),
        "{call:?}"
    );
    let by_file = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[
        {"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#;
    let call = post(Dialect::Anthropic, "/v1/messages", by_file).call();
    assert_eq!(call.estimated_input_tokens, None);
}

#[test]
fn models_to_fall_back_to_are_named() {
    let message = |fallbacks: &str| {
        let body =
            format!(r#"{{"model":"a","max_tokens":1,"messages":[],"fallbacks":{fallbacks}}}"#);
        post(Dialect::Anthropic, "/v1/messages", &body).call()
    };
    let call = message(r#"[{"model":"b","max_tokens":5}]"#);
    assert_eq!((names(&call), call.max_tokens), (vec!["a", "b"], Some(5)));
    assert_eq!(message("\"default\"").models, Models::Hidden);
    let advised = r#"{"model":"a","max_tokens":1,"messages":[],"tools":[{"type":"advisor_20260301","name":"advisor","model":"b"}]}"#;
    let call = post(Dialect::Anthropic, "/v1/messages", advised).call();
    assert_eq!(
        (names(&call), call.tools.as_slice()),
        (vec!["a", "b"], &["advisor_20260301".to_owned()][..])
    );
}

#[test]
fn every_path_has_its_operation() {
    use Operation as O;
    let call = fixture!(Anthropic, "anthropic-count").call();
    assert_eq!(
        (call.operation, names(&call)),
        (O::CountTokens, vec!["claude-sonnet-4-5"])
    );
    let body = r#"{"model":"claude-2","prompt":"Hi","max_tokens_to_sample":7}"#;
    let call = post(Dialect::Anthropic, "/v1/complete", body).call();
    assert_eq!(
        (call.operation, call.max_tokens),
        (O::TextCompletion, Some(7))
    );
    let body = r#"{"model":"claude-sonnet-4-5","messages":[],"max_tokens":5}"#;
    let call = post(Dialect::Anthropic, "/v1/chat/completions", body).call();
    assert_eq!(
        (call.operation, names(&call)),
        (O::Chat, vec!["claude-sonnet-4-5"])
    );
    for (method, path, operation, models) in [
        ("GET", "/v1/models", O::Models, Models::None),
        ("GET", "/v1/messages/batches", O::Batch, Models::None),
        (
            "POST",
            "/v1/messages/batches/b/cancel",
            O::Batch,
            Models::None,
        ),
        ("POST", "/v1/files", O::Files, Models::None),
        ("GET", "/v1/messages", O::Unknown, Models::Hidden),
        ("POST", "/v1/messages/", O::Unknown, Models::Hidden),
        ("POST", "/v1/agents", O::Unknown, Models::Hidden),
        (
            "GET",
            "/v1/organizations/api_keys",
            O::Unknown,
            Models::Hidden,
        ),
    ] {
        let call = get(Dialect::Anthropic, path).method(method).call();
        assert_eq!(
            (call.operation, call.models),
            (operation, models),
            "{method} {path}"
        );
    }
}
