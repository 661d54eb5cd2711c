//! Ollama's own API (<https://docs.ollama.com/api>), and OpenAI's beside it.

use postern_crds::facts::{Call, Model, Models, Operation};

use super::{
    Head, Request, Unreadable, blocks,
    draft::Draft,
    json::{self, Kind, Value},
    media, model, openai, tools,
};

/// What an operation's body says of its model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Names it. Its answer is a stream unless the body says no.
    Streamed,
    /// Names it.
    Named,
    /// No model is concerned.
    Unread,
    /// Not known.
    Hidden,
}

fn endpoint(method: &str, segments: &[&str]) -> (Operation, Body) {
    use Operation as O;
    match (method, segments) {
        ("POST", ["api", "chat"]) => (O::Chat, Body::Streamed),
        ("POST", ["api", "generate"]) => (O::TextCompletion, Body::Streamed),
        ("POST", ["api", "embed" | "embeddings"]) => (O::Embeddings, Body::Named),
        ("POST", ["api", "pull" | "push" | "create" | "copy" | "show"])
        | ("DELETE", ["api", "delete"]) => (O::Models, Body::Named),
        ("GET" | "HEAD", ["api", "tags" | "ps" | "version"] | [""]) => (O::Models, Body::Unread),
        ("POST" | "HEAD", ["api", "blobs", _]) => (O::Files, Body::Unread),
        ("POST", ["api", "web_search" | "web_fetch"]) => (O::Search, Body::Unread),
        _ => (O::Unknown, Body::Hidden),
    }
}

/// OpenAI's API below `/v1`.
fn compatible<'a>(head: &Head<'a>) -> Option<Head<'a>> {
    head.path.starts_with("/v1/").then_some(Head {
        base_path: "/v1",
        ..*head
    })
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    if let Some(head) = compatible(head) {
        return openai::head(&head);
    }
    let (operation, body) = endpoint(head.method, &head.segments());
    let models = match body {
        Body::Unread => Models::None,
        Body::Streamed | Body::Named | Body::Hidden => Models::Hidden,
    };
    Call {
        stream: body == Body::Streamed,
        ..Draft::head(operation, models)
    }
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    if let Some(head) = compatible(&request.head) {
        let mut call = openai::read(&Request { head, ..*request })?;
        if let Models::Named(models) = &mut call.models {
            for model in models {
                *model = named(&model.name)?;
            }
        }
        return Ok(call);
    }
    let (operation, kind) = endpoint(request.head.method, &request.head.segments());
    let mut draft = Draft::new(operation);
    match kind {
        Body::Streamed | Body::Named => {
            // Ollama's server takes whatever is there for JSON and never looks at its type, but a browser's simple request has another.
            media::json_or_nothing(request.headers)?;
            let mut wants_stream = kind == Body::Streamed;
            json::read(request.body, |value| {
                body(value, &mut wants_stream, &mut draft)
            })?;
            if wants_stream {
                draft.streams();
            }
            if !draft.has_models() {
                return Err(Unreadable::NoModel);
            }
        }
        Body::Unread => {}
        Body::Hidden => return Ok(super::unknown()),
    }
    Ok(draft.finish())
}

/// All operations use the same words for the same things.
fn body(
    value: Value<'_, '_>,
    wants_stream: &mut bool,
    draft: &mut Draft,
) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "adapters",
        "context",
        "files",
        "format",
        "from",
        "images",
        "input",
        "messages",
        "model",
        "modelfile",
        "name",
        "options",
        "path",
        "prompt",
        "source",
        "stream",
        "suffix",
        "system",
        "template",
        "tools",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            // `name` is the older word for it; the others say of which model a new one is made. Under its new name it is another to a rule: whoever
            // denies a model denies making a new one of it.
            "model" | "name" | "from" | "source" => {
                draft.model(named(&value.text()?)?);
                Ok(())
            }
            "messages" => blocks::messages(value, draft),
            "images" => blocks::images(value, draft),
            "tools" => tools::list(value, draft),
            "options" => value.object(&["num_predict"], |_, value| limit(value, draft)),
            "stream" => {
                *wants_stream = value.flag()?;
                Ok(())
            }
            "input" => inputs(value, draft),
            // What a new model is made of.
            "adapters" | "files" | "modelfile" | "path" => {
                draft.hide_models();
                Ok(value.skip()?)
            }
            // Tokens of an earlier answer, a number each.
            "context" => value.list(|value| {
                value.skip()?;
                draft.input.tokens_given(1);
                Ok(())
            }),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// `num_predict`: -1 and -2 are as many as the model likes, which is the same as saying nothing.
fn limit(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    let limit = value.integer()?;
    if let Ok(limit) = u64::try_from(limit) {
        draft.limit(limit);
    }
    Ok(())
}

/// One text, or a list of them.
fn inputs(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() == Some(Kind::List) {
        return value.list(|value| inputs(value, draft));
    }
    draft.embeddings(1);
    Ok(value.weigh(&mut draft.input)?)
}

/// The model called `name`. What a name leaves out is `registry.ollama.ai`, `library` and `latest`
/// (<https://github.com/ollama/ollama/blob/main/types/model/name.go>), so all of its forms are other names of it.
///
/// # Errors
/// [`Unreadable::ModelName`].
fn named(name: &str) -> Result<Model, Unreadable> {
    const HOST: &str = "registry.ollama.ai";
    const NAMESPACE: &str = "library";
    let mut model = model::named(name)?;
    let bare = name.split_once("://").map_or(name, |(_, rest)| rest);
    let (path, tag) = match bare.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (bare, "latest"),
    };
    let mut parts = path.rsplit('/');
    let base = parts.next().unwrap_or(path);
    let namespace = parts.next().unwrap_or(NAMESPACE);
    let host = parts.next().unwrap_or(HOST);
    for form in [
        base.to_owned(),
        format!("{namespace}/{base}"),
        format!("{host}/{namespace}/{base}"),
    ] {
        model.aliases.push(format!("{form}:{tag}"));
        model.aliases.push(form);
    }
    model.aliases.sort_unstable();
    model.aliases.dedup();
    model.aliases.retain(|alias| alias != name);
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_leaves_out_is_another_name_of_it() {
        for (name, alias) in [
            ("llama3.2", "llama3.2:latest"),
            ("llama3.2", "library/llama3.2"),
            ("llama3.2", "registry.ollama.ai/library/llama3.2:latest"),
            ("llama3.2:latest", "llama3.2"),
            ("llama3.2:1b", "llama3.2"),
            ("library/llama3.2:1b", "llama3.2:1b"),
            ("registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b"),
            (
                "https://registry.ollama.ai/library/llama3.2:1b",
                "llama3.2:1b",
            ),
            (
                "hf.co/someone/model-GGUF:Q4_K_M",
                "someone/model-GGUF:Q4_K_M",
            ),
        ] {
            let model = named(name).unwrap();
            assert_eq!(model.name, name);
            assert!(
                model.aliases.iter().any(|a| a == alias),
                "{name}: {:?}",
                model.aliases
            );
            assert!(!model.aliases.iter().any(|a| a == name), "{name}");
        }
    }
}
