//! Requests of the vendors' clients with bytes changed: nothing panics, and what still can be read says no less than a lenient parser finds in it.

use proptest::prelude::*;

use super::*;

fn all() -> Vec<Sent> {
    vec![
        fixture!(OpenAi, "openai-chat"),
        fixture!(OpenAi, "openai-chat-tools-image-stream"),
        fixture!(OpenAi, "openai-responses"),
        fixture!(OpenAi, "openai-responses-continued"),
        fixture!(OpenAi, "openai-embeddings-tokens"),
        fixture!(OpenAi, "openai-completions"),
        fixture!(OpenAi, "openai-images-edit"),
        fixture!(OpenAi, "openai-transcription"),
        fixture!(OpenAi, "openai-run"),
        fixture!(AzureOpenAi, "azure-chat"),
        fixture!(Anthropic, "anthropic-messages"),
        fixture!(Anthropic, "anthropic-mcp"),
        fixture!(Anthropic, "anthropic-batch"),
        fixture!(Anthropic, "anthropic-document"),
        fixture!(Gemini, "gemini-generate"),
        fixture!(Gemini, "gemini-embed"),
        fixture!(Gemini, "gemini-cache"),
    ]
}

/// One change of a body.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let tokens: Vec<Vec<u8>> = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "\"model\":\"gpt-5\",",
        "\\u0000",
        "\u{feff}",
        "1e999",
        "\r\n--",
        "ä",
    ]
    .iter()
    .map(|token| token.as_bytes().to_vec())
    .collect();
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<usize>(), prop::sample::select(tokens))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), 1..80_usize, any::<usize>())
            .prop_map(|(from, length, to)| Change::Repeat(from, length, to)),
    ]
}

impl Change {
    fn apply(self, body: &mut Vec<u8>) {
        let within = |at: usize, body: &[u8]| at % (body.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = within(at, body);
                if let Some(old) = body.get_mut(at) {
                    *old = byte;
                }
            }
            Self::Remove(at, length) => {
                let at = within(at, body);
                body.drain(at..(at + length).min(body.len()));
            }
            Self::Insert(at, bytes) => {
                let at = within(at, body);
                body.splice(at..at, bytes);
            }
            Self::Repeat(from, length, to) => {
                let from = within(from, body);
                let copy = body[from..(from + length).min(body.len())].to_vec();
                let to = within(to, body);
                body.splice(to..to, copy);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_request_panics_nowhere_and_what_is_read_is_json(
        which in 0..17_usize,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut sent = all().swap_remove(which);
        for change in changes {
            change.apply(&mut sent.body);
        }
        if let Ok(call) = sent.read() {
            // A call for a model is never read as one without.
            prop_assert_ne!(&call.models, &Models::None);
            let is_form = sent.path.ends_with("edits") || sent.path.ends_with("transcriptions");
            if !is_form {
                let value: serde_json::Value = match serde_json::from_slice(&sent.body) {
                    Ok(value) => value,
                    // Where nobody reads it, a number that no f64 holds is as good as another; serde_json holds all that it reads.
                    Err(error) => {
                        prop_assert!(error.to_string().starts_with("number out of range"));
                        return Ok(());
                    }
                };
                // Where the model stands in the body, the facts name the one that a lenient parser sees.
                if sent.dialect != Dialect::Gemini
                    && let Some(model) = value.get("model").and_then(serde_json::Value::as_str)
                    && call.models != Models::Hidden
                {
                    prop_assert!(names(&call).contains(&model));
                }
                if matches!(sent.dialect, Dialect::OpenAi | Dialect::Anthropic) {
                    let member = |name: &str| value.get(name).cloned().unwrap_or_default();
                    prop_assert!(call.stream || member("stream") != true);
                    for limit in ["max_tokens", "max_completion_tokens", "max_output_tokens"] {
                        prop_assert!(member(limit).as_u64() <= call.max_tokens, "{}", limit);
                    }
                    prop_assert!(member("n").as_u64() <= Some(call.n));
                }
            }
        }
    }

    #[test]
    fn no_path_panics(path in "(/[a-z:@.]{0,12}){0,8}", method in "GET|POST|DELETE|PUT", query in proptest::option::of("[a-z=&;%+]{0,12}")) {
        for dialect in [Dialect::OpenAi, Dialect::AzureOpenAi, Dialect::Anthropic, Dialect::Gemini] {
            let mut sent = get(dialect, "/").method(&method);
            sent.path.clone_from(&path);
            sent.query.clone_from(&query);
            let _ = sent.head();
            let _ = sent.read();
        }
    }

    #[test]
    fn no_form_panics(body in prop::collection::vec(any::<u8>(), 0..200), boundary in "[a-z]{1,3}") {
        let _ = multipart::read(&body, &boundary, |part| {
            let _ = (part.text(), part.field(&["model"]));
            Ok(())
        });
    }
}
