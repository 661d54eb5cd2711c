//! Google's operations, as its own client sends them.

use super::*;

#[test]
fn a_chat_has_its_model_in_the_path() {
    let call = fixture!(Gemini, "gemini-generate").call();
    assert_eq!(call.operation, Operation::Chat);
    assert_eq!(model(&call), &Model::new("gemini-2.5-flash"));
    assert!(call.has_images && !call.stream);
    assert_eq!((call.n, call.max_tokens), (2, Some(100)));
    assert_eq!(call.tools, ["googleSearch", "get_weather"]);
    assert_eq!(
        call.estimated_input_tokens, None,
        "what the vendor's search finds is input too"
    );
}

#[test]
fn the_verb_says_that_it_streams() {
    let sent = fixture!(Gemini, "gemini-stream");
    assert!(sent.call().stream && sent.head().stream);
    assert_eq!(names(&sent.call()), ["gemini-2.5-pro"]);
}

#[test]
fn embeddings_caches_counts_and_lists() {
    let call = fixture!(Gemini, "gemini-embed").call();
    assert_eq!(
        (call.operation, call.embeddings_count),
        (Operation::Embeddings, Some(2))
    );
    assert_eq!(model(&call), &Model::new("gemini-embedding-001"));
    let call = fixture!(Gemini, "gemini-cache").call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::Stored, vec!["gemini-2.5-flash"])
    );
    let call = fixture!(Gemini, "gemini-count").call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::CountTokens, vec!["gemini-2.5-flash"])
    );
    let call = fixture!(Gemini, "gemini-list").call();
    assert_eq!(
        (call.operation, call.models),
        (Operation::Models, Models::None)
    );
}

#[test]
fn a_body_that_names_another_model_names_one_more() {
    for (path, body) in [
        (
            "a:batchEmbedContents",
            r#"{"requests":[{"model":"models/b","content":{"parts":[{"text":"x"}]}}]}"#,
        ),
        (
            "a:countTokens",
            r#"{"generateContentRequest":{"model":"models/b","contents":[]}}"#,
        ),
        (
            "a:countTokens",
            r#"{"generate_content_request":{"model":"models/b","contents":[]}}"#,
        ),
        ("a:generateContent", r#"{"model":"b","contents":[]}"#),
        (
            "a:generateContent",
            r#"{"contents":[],"generationConfig":{"routingConfig":{"manualMode":{"modelName":"b"}}}}"#,
        ),
        (
            "a:generateContent",
            r#"{"contents":[],"generation_config":{"routing_config":{"manual_mode":{"model_name":"publishers/google/models/b"}}}}"#,
        ),
    ] {
        let call = post(Dialect::Gemini, &format!("/v1beta/models/{path}"), body).call();
        assert_eq!(names(&call), ["a", "b"], "{body}");
    }
    let auto = r#"{"contents":[],"generationConfig":{"routingConfig":{"autoMode":{}}}}"#;
    let call = post(Dialect::Gemini, "/v1beta/models/a:generateContent", auto).call();
    assert_eq!(call.models, Models::Hidden);
}

#[test]
fn both_spellings_of_a_member_are_read_and_both_at_once_are_refused() {
    let generate =
        |body: &str| post(Dialect::Gemini, "/v1beta/models/a:generateContent", body).read();
    let snake = generate(
        r#"{"contents":[],"system_instruction":{"parts":[{"text":"x"}]},"generation_config":{"max_output_tokens":7},
            "tools":[{"google_search":{}},{"function_declarations":[{"name":"f"}]},{"new_thing":{}}]}"#,
    )
    .unwrap();
    assert_eq!(snake.max_tokens, Some(7));
    assert_eq!(snake.tools, ["googleSearch", "f", "newThing"]);
    for (body, fault) in [
        (
            r#"{"contents":[],"generationConfig":{},"generation_config":{"max_output_tokens":7}}"#,
            json::Fault::Ambiguous,
        ),
        (
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":7}}"#,
            json::Fault::Ambiguous,
        ),
        (
            r#"{"contents":[],"generationconfig":{}}"#,
            json::Fault::KeyCase("generationConfig"),
        ),
        (
            r#"{"contents":[],"Generation_Config":{}}"#,
            json::Fault::KeyCase("generationConfig"),
        ),
    ] {
        match generate(body) {
            Err(Unreadable::Json(error)) => assert_eq!(error.fault, fault, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn vertex_names_publishers_and_hides_models_behind_endpoints() {
    let parent = "/v1/projects/p/locations/europe-west1";
    let told =
        |below: &str, body: &str| post(Dialect::Gemini, &format!("{parent}/{below}"), body).call();
    let call = told(
        "publishers/google/models/gemini-2.5-pro:streamGenerateContent",
        r#"{"contents":{"role":"user","parts":{"text":"x"}}}"#,
    );
    assert_eq!((names(&call), call.stream), (vec!["gemini-2.5-pro"], true));
    let call = told(
        "publishers/anthropic/models/claude-sonnet-4@20250514:rawPredict",
        r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#,
    );
    assert_eq!(
        (call.operation, call.max_tokens),
        (Operation::Chat, Some(9))
    );
    assert_eq!(model(&call).aliases, ["claude-sonnet-4"]);
    let call = told("endpoints/123:generateContent", r#"{"contents":[]}"#);
    assert_eq!(model(&call), &Model::opaque("endpoints/123"));
    let call = told(
        "publishers/google/models/imagen-4.0-generate-001:predict",
        r#"{"instances":[{"prompt":"a cat"}],"parameters":{"sampleCount":3}}"#,
    );
    assert_eq!((call.operation, call.n), (Operation::ImageGeneration, 3));
    let call = told(
        "publishers/google/models/text-embedding-005:predict",
        r#"{"instances":[{"content":"a"},{"content":"b"}]}"#,
    );
    assert_eq!(
        (call.operation, call.embeddings_count),
        (Operation::Embeddings, Some(2))
    );
    let call = told(
        "endpoints/openapi/chat/completions",
        r#"{"model":"google/gemini-2.5-flash","messages":[]}"#,
    );
    assert_eq!(model(&call).aliases, ["gemini-2.5-flash"]);
    let call = post(
        Dialect::Gemini,
        "/v1beta/tunedModels/mine:generateContent",
        r#"{"contents":[]}"#,
    )
    .call();
    assert_eq!(model(&call), &Model::opaque("tunedModels/mine"));
    let call = post(
        Dialect::Gemini,
        "/v1beta/openai/chat/completions",
        r#"{"model":"gemini-2.5-flash","messages":[]}"#,
    )
    .call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::Chat, vec!["gemini-2.5-flash"])
    );
}

#[test]
fn what_is_no_known_target_may_do_anything() {
    for path in [
        "/v1beta/models/a:newVerb",
        "/v1beta/models/a:generateContent/",
        "/v1beta/models/a:generatecontent",
        "/v1beta/models/a:b:generateContent",
        "/v1beta/Models/a:generateContent",
        "/models/a:generateContent",
        "/v1beta/models/x/a:generateContent",
        "/v1beta/interactions",
        "/v1beta/models/a:batchGenerateContent",
        "/",
    ] {
        let call = post(Dialect::Gemini, path, "{}").call();
        assert_eq!(call.models, Models::Hidden, "{path}");
    }
    // Whatever the method is.
    let call = post(
        Dialect::Gemini,
        "/v1beta/models/a:generateContent",
        r#"{"contents":[]}"#,
    )
    .method("GET")
    .call();
    assert_eq!((call.operation, names(&call)), (Operation::Chat, vec!["a"]));
}
