//! Names of models on Bedrock: identifiers, inference profiles and ARNs, and what stands behind them.

use postern_crds::facts::{Model, Operation};

use super::super::{Unreadable, model};

/// The model that a segment of the path names. Only a slash still is percent-encoded in it: a path is normalised before it is read.
///
/// # Errors
/// [`Unreadable::ModelName`].
pub(super) fn in_path(segment: &str) -> Result<Model, Unreadable> {
    named(&segment.replace("%2F", "/"))
}

/// The model called `name`, with its other names: those behind an ARN, without the region of an inference profile, without vendor, version and date.
///
/// What is only a handle is opaque: provisioned throughput, profiles and models of the customer's own, prompts, routers; and every name that has
/// not the shape `vendor.model`, since the customer's own have none (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
/// `modelId`).
///
/// # Errors
/// [`Unreadable::ModelName`].
pub(super) fn named(name: &str) -> Result<Model, Unreadable> {
    model::check(name)?;
    if name.contains('%') {
        return Err(Unreadable::ModelName);
    }
    let id = if name.len() >= 4 && name[..4].eq_ignore_ascii_case("arn:") {
        match resource(name) {
            Some(("foundation-model" | "inference-profile", id)) => id,
            _ => return Ok(Model::opaque(name)),
        }
    } else {
        name
    };
    if !id.contains('.') || id.contains('/') {
        return Ok(Model::opaque(name));
    }
    let mut aliases = aliases(id);
    if id != name {
        aliases.push(id.to_owned());
    }
    aliases.sort_unstable();
    aliases.dedup();
    Ok(Model {
        aliases,
        ..Model::new(name)
    })
}

/// Kind and name of the resource of an ARN of Bedrock's: `arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.vendor.model`.
fn resource(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2)?;
    let resource = parts.nth(2)?;
    (service == "bedrock").then(|| resource.split_once('/'))?
}

/// The shorter names of `id`, as in `us.anthropic.claude-3-haiku-20240307-v1:0`.
fn aliases(id: &str) -> Vec<String> {
    let mut aliases: Vec<String> = Vec::new();
    let mut start = id;
    // Region and vendor are words; a dot behind a digit belongs to the model's own version.
    for _ in 0..2 {
        let mut shorter = Some(start);
        while let Some(name) = shorter {
            if name != id {
                aliases.push(name.to_owned());
            }
            shorter = without_version(name);
        }
        match start.split_once('.') {
            Some((word, rest)) if !rest.is_empty() && is_word(word) => start = rest,
            _ => return aliases,
        }
    }
    let mut shorter = Some(start);
    while let Some(name) = shorter {
        aliases.push(name.to_owned());
        shorter = without_version(name);
    }
    aliases
}

/// Whether `part` can be a region's or a vendor's prefix: `us`, `us-gov`, `anthropic`, `ai21`.
fn is_word(part: &str) -> bool {
    part == "ai21" || !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// `name` without the last of the things that tell one release of a model from another: `:0`, `-v1`, `-20240307`.
fn without_version(name: &str) -> Option<&str> {
    if let Some((shorter, _)) = name.rsplit_once(':') {
        return Some(shorter);
    }
    let (shorter, last) = name.rsplit_once('-')?;
    let digits = last.strip_prefix('v').unwrap_or(last);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_version = is_number && (last.starts_with('v') || digits.len() == 8);
    is_version.then_some(shorter)
}

/// What an invocation of `name` asks for. The body's shape is the model's own business, so only the name tells.
pub(super) fn operation(name: &str) -> Operation {
    let Ok(model) = named(name) else {
        return Operation::Unknown;
    };
    if model.opaque {
        return Operation::Unknown;
    }
    let name = name.to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    if has("embed") {
        Operation::Embeddings
    } else if has("rerank") {
        Operation::Rerank
    } else if has("stability.") || has("image") || has("canvas") {
        Operation::ImageGeneration
    } else if has("reel") || has("luma.") || has("pegasus") {
        Operation::Video
    } else {
        Operation::Chat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases_of(name: &str) -> Vec<String> {
        let model = named(name).unwrap();
        assert!(!model.opaque, "{name}");
        assert_eq!(model.name, name);
        model.aliases
    }

    #[test]
    fn a_model_is_known_without_region_vendor_version_and_date() {
        assert_eq!(
            aliases_of("us.anthropic.claude-3-haiku-20240307-v1:0"),
            [
                "anthropic.claude-3-haiku",
                "anthropic.claude-3-haiku-20240307",
                "anthropic.claude-3-haiku-20240307-v1",
                "anthropic.claude-3-haiku-20240307-v1:0",
                "claude-3-haiku",
                "claude-3-haiku-20240307",
                "claude-3-haiku-20240307-v1",
                "claude-3-haiku-20240307-v1:0",
                "us.anthropic.claude-3-haiku",
                "us.anthropic.claude-3-haiku-20240307",
                "us.anthropic.claude-3-haiku-20240307-v1",
            ]
        );
        for (name, alias) in [
            (
                "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "claude-sonnet-4-5",
            ),
            (
                "us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0",
                "claude-3-5-sonnet-20240620",
            ),
            (
                "anthropic.claude-3-haiku-20240307-v1:0:48k",
                "claude-3-haiku-20240307",
            ),
            ("meta.llama3-1-8b-instruct-v1:0", "llama3-1-8b-instruct"),
            (
                "us.meta.llama3-1-8b-instruct-v1:0",
                "meta.llama3-1-8b-instruct",
            ),
            ("ai21.jamba-1-5-large-v1:0", "jamba-1-5-large"),
            ("zai.glm-4.7", "glm-4.7"),
            ("amazon.nova-lite-v1:0", "nova-lite"),
        ] {
            assert!(
                aliases_of(name).iter().any(|a| a == alias),
                "{name}: {:?}",
                aliases_of(name)
            );
        }
    }

    #[test]
    fn an_arn_of_a_known_model_is_that_model() {
        for arn in [
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.anthropic.claude-3-haiku-20240307-v1:0",
        ] {
            let aliases = aliases_of(arn);
            for alias in [
                "anthropic.claude-3-haiku-20240307-v1:0",
                "claude-3-haiku-20240307",
            ] {
                assert!(aliases.iter().any(|a| a == alias), "{arn}: {aliases:?}");
            }
        }
    }

    #[test]
    fn a_handle_does_not_tell_its_model() {
        for name in [
            "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123",
            "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-lite-v1:0:4k/abc123",
            "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123",
            "arn:aws:bedrock:us-east-1:123456789012:prompt/ABC:1",
            "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1",
            "arn:aws:sagemaker:us-east-1:123456789012:endpoint/a.b",
            "ARN:aws:bedrock:us-east-1::foundation-model",
            "arn:aws:bedrock:x",
            "abc123def456",
            "a.b/c",
        ] {
            assert_eq!(named(name), Ok(Model::opaque(name)), "{name}");
            assert_eq!(operation(name), Operation::Unknown, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for segment in ["", "a%20b", "anthropic.claude%252F", "%C3%A4"] {
            assert_eq!(in_path(segment), Err(Unreadable::ModelName), "{segment}");
        }
        let arn = "arn:aws:bedrock:us-east-1::foundation-model%2Famazon.nova-lite-v1:0";
        assert_eq!(in_path(arn).unwrap().name, arn.replace("%2F", "/"));
    }

    #[test]
    fn the_name_tells_what_an_invocation_is() {
        for (name, expected) in [
            ("amazon.titan-embed-text-v2:0", Operation::Embeddings),
            ("cohere.embed-english-v3", Operation::Embeddings),
            ("cohere.rerank-v3-5:0", Operation::Rerank),
            ("amazon.nova-canvas-v1:0", Operation::ImageGeneration),
            ("stability.sd3-5-large-v1:0", Operation::ImageGeneration),
            ("amazon.nova-reel-v1:1", Operation::Video),
            ("meta.llama3-1-8b-instruct-v1:0", Operation::Chat),
        ] {
            assert_eq!(operation(name), expected, "{name}");
        }
    }
}
