//! Azure OpenAI, as OpenAI's client and LangChain send it.

use super::*;

#[test]
fn the_deployment_stands_in_the_path() {
    let call = fixture!(AzureOpenAi, "azure-chat").call();
    assert_eq!(call.operation, Operation::Chat);
    let Models::Named(models) = &call.models else {
        panic!()
    };
    assert_eq!(models[0], Model::opaque("fast"));
    assert_eq!(models[1], Model::new("fast"), "the body names it too");

    let call = fixture!(AzureOpenAi, "azure-chat")
        .deployment("fast", "gpt-4o-mini")
        .call();
    assert_eq!(names(&call), ["gpt-4o-mini", "fast"]);
}

#[test]
fn a_deployment_is_named_where_the_body_is_null_or_a_form() {
    let sent = fixture!(AzureOpenAi, "langchain-azure-chat").deployment("fast", "gpt-4o-mini");
    let call = sent.call();
    let named = model(&call);
    assert_eq!(
        (named.name.as_str(), named.aliases.as_slice()),
        ("gpt-4o-mini", &["fast".to_owned()][..])
    );
    assert!(!named.opaque);
    assert_eq!(sent.head().models, call.models);
    let call = fixture!(AzureOpenAi, "azure-transcription")
        .deployment("ears", "whisper")
        .call();
    assert_eq!(
        (call.operation, names(&call)[0]),
        (Operation::Transcription, "whisper")
    );
}

#[test]
fn the_newer_api_has_the_deployment_in_the_body() {
    let body = r#"{"model":"fast","messages":[]}"#;
    let sent = post(Dialect::AzureOpenAi, "/openai/v1/chat/completions", body);
    assert_eq!(model(&sent.call()), &Model::opaque("fast"));
    let call = sent.deployment("fast", "gpt-4o-mini").call();
    assert_eq!(names(&call), ["gpt-4o-mini"]);
}
