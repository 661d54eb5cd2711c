//! OpenAI's operations, as its own client and LangChain send them.

use super::*;

#[test]
fn a_chat() {
    let call = fixture!(OpenAi, "openai-chat").call();
    let expected = Call {
        operation: Operation::Chat,
        models: Models::Named(vec![Model::new("gpt-4o-mini")]),
        max_tokens: Some(200),
        messages: Some(2),
        n: 1,
        body_bytes: 198,
        estimated_input_tokens: Some(35),
        ..Call::default()
    };
    assert_eq!(call, expected);
}

#[test]
fn a_chat_with_tools_and_an_image_as_a_stream() {
    let call = fixture!(OpenAi, "openai-chat-tools-image-stream").call();
    assert_eq!(model(&call), &Model::new("gpt-4o"));
    assert!(call.stream && call.has_images);
    assert_eq!(
        (call.n, call.max_tokens, call.messages),
        (2, Some(50), Some(3))
    );
    assert_eq!(call.tools, ["get_weather"]);
    assert!((2600..2750).contains(&call.estimated_input_tokens.unwrap()));
}

#[test]
fn a_fine_tuned_model_has_its_base_as_an_alias() {
    let call = fixture!(OpenAi, "openai-chat-tool-turn").call();
    let named = model(&call);
    assert_eq!(named.name, "ft:gpt-4o-mini-2024-07-18:acme::7p4lURel");
    assert_eq!(named.aliases, ["gpt-4o-mini-2024-07-18"]);
    assert_eq!(call.tools, ["web_search"]);
}

#[test]
fn responses_name_every_kind_of_tool_and_the_model_that_draws() {
    let call = fixture!(OpenAi, "openai-responses").call();
    assert_eq!(call.operation, Operation::Chat);
    assert_eq!(names(&call), ["gpt-5", "gpt-image-1"]);
    assert_eq!(
        call.tools,
        [
            "web_search",
            "get_weather",
            "mcp:deepwiki",
            "image_generation"
        ]
    );
    assert!(call.stream);
    assert_eq!((call.max_tokens, call.messages), (Some(300), Some(1)));
}

#[test]
fn a_response_that_goes_on_has_an_input_of_unknown_length() {
    let call = fixture!(OpenAi, "openai-responses-continued").call();
    assert_eq!(model(&call), &Model::new("gpt-5-mini"));
    assert_eq!(
        (call.messages, call.estimated_input_tokens),
        (Some(2), None)
    );
    assert!(call.has_images);
}

#[test]
fn a_stored_prompt_hides_model_and_tools() {
    let call = fixture!(OpenAi, "openai-responses-prompt").call();
    assert_eq!(
        (call.operation, &call.models),
        (Operation::Chat, &Models::Hidden)
    );
    assert_eq!(call.tools, ["prompt:pmpt_abc"]);
    assert_eq!(call.estimated_input_tokens, None);
    let named = post(
        Dialect::OpenAi,
        "/v1/responses",
        r#"{"model":"gpt-5","prompt":{"id":"p"}}"#,
    );
    assert_eq!(names(&named.call()), ["gpt-5"]);
}

#[test]
fn what_a_tool_server_listed_before_is_no_tool_of_the_call() {
    let body = r#"{"model":"gpt-5","input":[
        {"type":"mcp_list_tools","server_label":"a","tools":[{"name":"read","input_schema":{}}]},
        {"type":"additional_tools","tools":[{"type":"function","name":"write"}]}]}"#;
    let call = post(Dialect::OpenAi, "/v1/responses", body).call();
    assert_eq!(call.tools, ["write"]);
}

#[test]
fn embeddings_count_their_texts() {
    let call = fixture!(OpenAi, "openai-embeddings").call();
    assert_eq!(call.operation, Operation::Embeddings);
    assert_eq!(call.embeddings_count, Some(3));
    let call = fixture!(OpenAi, "openai-embeddings-tokens").call();
    assert_eq!(
        (call.embeddings_count, call.estimated_input_tokens),
        (Some(2), Some(5))
    );
    let one = |input: &str| {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        let call = post(Dialect::OpenAi, "/v1/embeddings", &body).call();
        (call.embeddings_count, call.estimated_input_tokens)
    };
    assert_eq!(one("\"abc\""), (Some(1), Some(1)));
    assert_eq!(one("[1,2,3]"), (Some(1), Some(3)));
    assert_eq!(one("[]"), (Some(0), Some(0)));
}

#[test]
fn completions_answer_every_prompt_so_many_times() {
    let call = fixture!(OpenAi, "openai-completions").call();
    assert_eq!(call.operation, Operation::TextCompletion);
    assert_eq!((call.n, call.max_tokens), (2 * 3, Some(5)));
}

#[test]
fn operations_with_a_model_of_their_own_choice_hide_it() {
    let call = fixture!(OpenAi, "openai-moderations").call();
    assert_eq!(
        (call.operation, call.models),
        (Operation::Moderation, Models::Hidden)
    );
    let call = fixture!(OpenAi, "openai-run").call();
    assert_eq!(
        (call.operation, call.models),
        (Operation::Stored, Models::Hidden)
    );
}

#[test]
fn images_speech_and_films() {
    let call = fixture!(OpenAi, "openai-images").call();
    assert_eq!(
        (call.operation, names(&call), call.n),
        (Operation::ImageGeneration, vec!["gpt-image-1"], 2)
    );
    assert_eq!(call.image_size.as_deref(), Some("1024x1024"));
    let call = fixture!(OpenAi, "openai-images-edit").call();
    assert_eq!(
        (call.operation, names(&call), call.n),
        (Operation::ImageEdit, vec!["gpt-image-1"], 3)
    );
    assert!(call.has_images);
    assert_eq!(call.image_size, None);
    let call = fixture!(OpenAi, "openai-speech").call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::Speech, vec!["gpt-4o-mini-tts"])
    );
    let call = fixture!(OpenAi, "openai-transcription").call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::Transcription, vec!["whisper-1"])
    );
    let call = fixture!(OpenAi, "openai-video").call();
    assert_eq!(
        (call.operation, names(&call)),
        (Operation::Video, vec!["sora-2"])
    );
}

#[test]
fn files_jobs_and_lists() {
    let told = |sent: Sent| {
        let call = sent.call();
        (call.operation, call.models)
    };
    assert_eq!(
        told(fixture!(OpenAi, "openai-files")),
        (Operation::Files, Models::None)
    );
    assert_eq!(
        told(fixture!(OpenAi, "openai-batches")),
        (Operation::Batch, Models::Hidden)
    );
    assert_eq!(
        told(fixture!(OpenAi, "openai-fine-tuning")),
        (
            Operation::FineTuning,
            Models::Named(vec![Model::new("gpt-4o-mini-2024-07-18")])
        )
    );
    assert_eq!(
        told(fixture!(OpenAi, "openai-models")),
        (Operation::Models, Models::None)
    );
}

#[test]
fn every_path_has_its_operation() {
    use Operation as O;
    let hidden = Models::Hidden;
    for (method, path, operation, models) in [
        ("GET", "/v1/chat/completions", O::Stored, Models::None),
        (
            "GET",
            "/v1/chat/completions/c1/messages",
            O::Stored,
            Models::None,
        ),
        ("DELETE", "/v1/chat/completions/c1", O::Stored, Models::None),
        ("GET", "/v1/responses", O::Realtime, hidden.clone()),
        ("GET", "/v1/responses/r1", O::Stored, Models::None),
        ("POST", "/v1/responses/r1/cancel", O::Stored, Models::None),
        ("GET", "/v1/realtime", O::Realtime, hidden.clone()),
        (
            "GET",
            "/v1/realtime?model=gpt-realtime",
            O::Realtime,
            Models::Named(vec![Model::new("gpt-realtime")]),
        ),
        (
            "POST",
            "/v1/realtime/client_secrets?model=gpt-realtime",
            O::Realtime,
            hidden.clone(),
        ),
        ("GET", "/v1/batches/b1", O::Batch, Models::None),
        ("POST", "/v1/evals", O::Batch, hidden.clone()),
        ("POST", "/v1/vector_stores", O::Stored, Models::None),
        (
            "POST",
            "/v1/vector_stores/v1/search",
            O::Search,
            Models::None,
        ),
        ("POST", "/v1/containers", O::Stored, Models::None),
        ("POST", "/v1/videos/v1/remix", O::Video, hidden.clone()),
        ("DELETE", "/v1/models/ft:x", O::Models, hidden.clone()),
        ("GET", "/v1/models/openai/gpt-5", O::Models, Models::None),
        (
            "POST",
            "/v1/threads/t/runs/r/submit_tool_outputs",
            O::Stored,
            hidden.clone(),
        ),
        ("PUT", "/v1/chat/completions", O::Unknown, hidden.clone()),
        ("POST", "/v1/chat/completions/", O::Unknown, hidden.clone()),
        ("POST", "/v1/Chat/completions", O::Unknown, hidden.clone()),
        ("POST", "/v1/chat/completions;x", O::Unknown, hidden.clone()),
        (
            "POST",
            "/v1/v2/chat/completions",
            O::Unknown,
            hidden.clone(),
        ),
        ("POST", "/v1/agents", O::Unknown, hidden.clone()),
        (
            "GET",
            "/v1/organization/admin_api_keys",
            O::Unknown,
            hidden.clone(),
        ),
        ("POST", "/v1", O::Unknown, hidden.clone()),
    ] {
        let sent = get(Dialect::OpenAi, path).method(method);
        let call = sent.call();
        assert_eq!(
            (call.operation, call.models),
            (operation, models),
            "{method} {path}"
        );
        assert_eq!(sent.head().operation, operation, "{method} {path}");
    }
}

#[test]
fn the_head_alone_hides_what_stands_in_the_body() {
    let call = fixture!(OpenAi, "openai-chat").head();
    assert_eq!(
        (call.operation, call.models),
        (Operation::Chat, Models::Hidden)
    );
    let call = fixture!(OpenAi, "openai-files").head();
    assert_eq!(
        (call.operation, call.models),
        (Operation::Files, Models::None)
    );
}

#[test]
fn langchain_sends_the_same() {
    let call = fixture!(OpenAi, "langchain-chat-structured").call();
    assert_eq!(names(&call), ["gpt-4o-mini"]);
    assert_eq!(call.max_tokens, Some(100));
    assert!(
        call.estimated_input_tokens.unwrap() > 40,
        "the schema counts"
    );
    let call = fixture!(OpenAi, "langchain-chat-stream").call();
    assert!(call.stream);
    let call = fixture!(OpenAi, "langchain-responses").call();
    assert_eq!(
        (names(&call), call.messages),
        (vec!["gpt-4o-mini"], Some(2))
    );
    assert_eq!(call.tools, ["web_search_preview"]);
    let call = fixture!(OpenAi, "langchain-embeddings").call();
    assert_eq!(call.embeddings_count, Some(2));
}

#[test]
fn openrouter_names_fallbacks_plugins_and_variants() {
    let chat = |body: &str| post(Dialect::OpenRouter, "/v1/chat/completions", body).call();
    let call = chat(
        r#"{"model":"openai/gpt-5:free","models":["anthropic/claude-opus-4"],"route":"fallback",
            "plugins":[{"id":"web"}],"messages":[]}"#,
    );
    assert_eq!(
        names(&call),
        ["openai/gpt-5:free", "anthropic/claude-opus-4"]
    );
    let Models::Named(models) = &call.models else {
        panic!()
    };
    assert_eq!(models[0].aliases, ["gpt-5", "gpt-5:free", "openai/gpt-5"]);
    assert_eq!(call.tools, ["plugin:web"]);
    assert_eq!(
        chat(r#"{"messages":[]}"#).models,
        Models::Hidden,
        "the account's default"
    );
    assert_eq!(
        chat(r#"{"model":"m","preset":"p","messages":[]}"#).models,
        Models::Hidden
    );
    assert!(model(&chat(r#"{"model":"openrouter/auto","messages":[]}"#)).opaque);
}

#[test]
fn a_gateway_is_told_of_fallbacks_by_name_or_by_object() {
    let body = r#"{"model":"a","fallbacks":["b",{"model":"c"}],"messages":[]}"#;
    let call = post(Dialect::OpenAi, "/v1/chat/completions", body).call();
    assert_eq!(names(&call), ["a", "b", "c"]);
}

#[test]
fn forms_of_other_clients_are_read_too() {
    let form = |boundary: &str, parts: &[&str]| {
        let parts: String = parts
            .iter()
            .map(|part| format!("--{boundary}\r\n{part}\r\n"))
            .collect();
        let head = "POST /v1/audio/transcriptions\r\ncontent-type: multipart/form-data; boundary=";
        let sent = format!("{head}{boundary}\r\n\r\n{parts}--{boundary}--\r\n");
        Sent::parse(Dialect::OpenAi, sent.as_bytes()).call()
    };
    for (boundary, model) in [
        // Node's fetch.
        (
            "----formdata-undici-0123456789",
            "Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1",
        ),
        // OkHttp.
        (
            "b3f1-4a",
            "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: binary\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 9\r\n\r\nwhisper-1",
        ),
        // aiohttp.
        (
            "c0ffee",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1",
        ),
    ] {
        let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a; b, ü.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nID3\n--\r\n--";
        assert_eq!(
            names(&form(boundary, &[file, model])),
            ["whisper-1"],
            "{boundary}"
        );
    }
}
