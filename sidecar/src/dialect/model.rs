//! Names of models: which are names at all, and by which others a vendor knows the same model.

use postern_crds::facts::Model;

use super::Unreadable;

/// The longest name. ARNs of Bedrock have up to 2,048 characters by their schema and about 150 in life.
pub(super) const MAX_NAME: usize = 512;

/// Refuses what is no model's name: characters that look like others, white space that one server trims and another does not, nothing at all.
///
/// # Errors
/// [`Unreadable::ModelName`].
pub(super) fn check(name: &str) -> Result<(), Unreadable> {
    let is_name =
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    if is_name {
        Ok(())
    } else {
        Err(Unreadable::ModelName)
    }
}

/// The model that a call names, with the names that the families of hosts give to the same one.
///
/// # Errors
/// [`Unreadable::ModelName`].
pub(super) fn named(name: &str) -> Result<Model, Unreadable> {
    check(name)?;
    let mut aliases: Vec<String> = Vec::new();
    let mut queue = vec![name];
    while let Some(next) = queue.pop() {
        for shorter in shorter(next).into_iter().flatten() {
            if !shorter.is_empty() && shorter != name && !aliases.iter().any(|a| a == shorter) {
                aliases.push(shorter.to_owned());
                queue.push(shorter);
            }
        }
    }
    aliases.sort_unstable();
    Ok(Model {
        name: name.to_owned(),
        aliases,
        opaque: is_opaque(name),
    })
}

/// Whether a name stands for whichever model its host chooses: OpenRouter's routers (`openrouter/auto`, and models that it shows under such
/// names before their makers do) and presets (<https://openrouter.ai/docs/features/presets>).
fn is_opaque(name: &str) -> bool {
    name.starts_with("openrouter/") || name.contains("@preset/")
}

/// What is left of a name when one of the things that vendors add is taken off it.
fn shorter(name: &str) -> [Option<&str>; 5] {
    // OpenAI: `ft:gpt-4o-mini-2024-07-18:org:name:id`, and the older `davinci:ft-org-2023-01-01`.
    let fine_tuned = name
        .strip_prefix("ft:")
        .map(|rest| rest.split(':').next().unwrap_or(rest));
    // OpenRouter: `openai/gpt-5:free`; Ollama's tags are of the same shape.
    let variant = name
        .rsplit_once(':')
        .filter(|_| fine_tuned.is_none())
        .map(|(model, _)| model);
    // OpenRouter, Groq, Together: `vendor/model`; Fireworks: `accounts/fireworks/models/model`, `model#deployment`.
    let last_segment = name.rsplit_once('/').map(|(_, model)| model);
    let deployment = name.split_once('#').map(|(model, _)| model);
    // Vertex AI: `claude-sonnet-4@20250514`.
    let version = name.split_once('@').map(|(model, _)| model);
    [fine_tuned, variant, last_segment, deployment, version]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_aliases_that_its_host_understands() {
        for (name, aliases) in [
            ("gpt-5", vec![]),
            ("openai/gpt-5", vec!["gpt-5"]),
            (
                "openai/gpt-5:free",
                vec!["gpt-5", "gpt-5:free", "openai/gpt-5"],
            ),
            (
                "ft:gpt-4o-mini-2024-07-18:org::id",
                vec!["gpt-4o-mini-2024-07-18"],
            ),
            ("ft:gpt-4o", vec!["gpt-4o"]),
            ("claude-sonnet-4@20250514", vec!["claude-sonnet-4"]),
            ("davinci:ft-org-2023-01-01", vec!["davinci"]),
            ("accounts/fireworks/models/llama-v3", vec!["llama-v3"]),
            (
                "accounts/a/models/m#accounts/a/deployments/d",
                vec!["accounts/a/models/m", "d", "m"],
            ),
        ] {
            assert_eq!(named(name).unwrap().aliases, aliases, "{name}");
        }
    }

    #[test]
    fn a_router_or_a_preset_hides_the_model() {
        for name in ["openrouter/auto", "@preset/cheap", "openai/gpt-5@preset/x"] {
            assert!(named(name).unwrap().opaque, "{name}");
        }
        assert!(!named("openai/gpt-5").unwrap().opaque);
    }

    #[test]
    fn what_only_looks_like_a_name_is_refused() {
        for name in [
            "",
            " gpt-5",
            "gpt-5 ",
            "gpt-5\n",
            "gpt-5\0",
            "gpt\u{2010}5",
            "ɡpt-5",
            "gpt-５",
            "gpt-\u{200b}5",
            &"a".repeat(MAX_NAME + 1),
        ] {
            assert_eq!(named(name), Err(Unreadable::ModelName), "{name:?}");
        }
    }
}
