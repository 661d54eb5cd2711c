//! The price table: one file a vendor in `crds/prices/`, which `cargo run -p postern-e2e --bin prices` makes.
//!
//! What it leaves out, and what therefore is no part of a cost: batches, priority and flexible service tiers, audio tokens, and whatever is
//! paid by the call, the search or the image. A model that is paid in no other way is not in it, so that its price is unknown and not zero.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use super::{Listed, LongInput, PerMillion, Price};

/// One vendor's file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    /// Where the numbers come from.
    source: String,
    /// When they were taken over.
    date: String,
    /// By the names that calls have.
    models: HashMap<Box<str>, Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    price: PerMillion,
    #[serde(default)]
    long: Option<Long>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    context_window: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    above: u64,
    price: PerMillion,
}

/// One vendor's prices, read once, when an identity uses the vendor: some milliseconds for the longest file.
struct Table {
    provider: &'static str,
    models: LazyLock<HashMap<Box<str>, Listed>>,
}

macro_rules! tables {
    ($($name:literal),* $(,)?) => {
        [$(Table {
            provider: $name,
            models: LazyLock::new(|| read($name, include_str!(concat!("../../prices/", $name, ".yaml"))).1),
        }),*]
    };
}

/// The vendors whose prices are known, by their names in the registry.
static TABLES: [Table; 14] = tables![
    "anthropic",
    "azure-openai",
    "bedrock",
    "cohere",
    "deepseek",
    "fireworks",
    "gemini",
    "groq",
    "mistral",
    "openai",
    "perplexity",
    "together",
    "voyage",
    "xai",
];

fn read(provider: &str, text: &str) -> (String, HashMap<Box<str>, Listed>) {
    let file: File = match crate::yaml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            unreachable!("prices/{provider}.yaml is compiled in and a test reads it: {error}")
        }
    };
    let models = file.models.into_iter();
    let listed = models.map(|(name, entry)| (name, Listed::from(&entry)));
    (format!("{}, {}", file.source, file.date), listed.collect())
}

impl From<&Entry> for Listed {
    fn from(entry: &Entry) -> Self {
        Self {
            price: Price::from(&entry.price),
            long: entry.long.as_ref().map(|long| LongInput {
                above: long.above,
                price: Price::from(&long.price),
            }),
            max_output_tokens: entry.max_output_tokens,
            context_window: entry.context_window,
        }
    }
}

/// What `provider`, a name of the registry, takes for `model`, written as calls write it.
///
/// A name that is not listed is taken for the listed one that it is a variant of: a dated snapshot (`gpt-4o-2031-01-31`), `-latest`, a
/// fine-tuned model's base (`ft:gpt-4o-mini-2024-07-18:org::id`, listed apart from the base itself), an inference profile of Bedrock
/// (`eu.anthropic…`). Where a variant has another price than its base it is listed itself.
pub fn find(provider: &str, model: &str) -> Option<&'static Listed> {
    let table = TABLES.iter().find(|table| table.provider == provider)?;
    let models = &*table.models;
    let listed = |name: &str| models.get(name);
    let undated = |name: &str| listed(name).or_else(|| listed(without_version(name)?));
    undated(model)
        .or_else(|| undated(base_of_fine_tuned(model)?))
        .or_else(|| undated(without_region(model)?))
}

/// Reads the prices of `provider`, so that no call waits for that.
pub(crate) fn load(provider: &str) {
    if let Some(table) = TABLES.iter().find(|table| table.provider == provider) {
        LazyLock::force(&table.models);
    }
}

/// `name` without a date, a number of a version or `-latest` at its end.
fn without_version(name: &str) -> Option<&str> {
    if let Some(base) = name.strip_suffix("-latest") {
        return Some(base);
    }
    let is_number = |text: &str, digits: &[usize]| {
        digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let (base, last) = name.rsplit_once('-')?;
    if is_number(last, &[3, 4, 8]) {
        return Some(base);
    }
    let (base, month) = base.rsplit_once('-')?;
    let (base, year) = base.rsplit_once('-')?;
    let is_date = is_number(year, &[4]) && is_number(month, &[2]) && is_number(last, &[2]);
    is_date.then_some(base)
}

/// `ft:gpt-4o-mini-2024-07-18` of `ft:gpt-4o-mini-2024-07-18:org::id`
/// (<https://platform.openai.com/docs/guides/supervised-fine-tuning>).
fn base_of_fine_tuned(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("ft:")?;
    let end = rest.find(':')?;
    name.get(..end + "ft:".len())
}

/// A model of Bedrock without the prefix of a cross-region inference profile
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>).
fn without_region(name: &str) -> Option<&str> {
    const REGIONS: [&str; 9] = [
        "us", "us-gov", "eu", "apac", "jp", "au", "ca", "sa", "global",
    ];
    let (region, model) = name.split_once('.')?;
    REGIONS.contains(&region).then_some(model)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{money::Usd, provider, usage::Usage};

    #[test]
    fn every_file_is_read_and_belongs_to_a_vendor_of_the_registry() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/prices");
        let mut on_disk = BTreeSet::new();
        let mut bytes = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            bytes += text.len();
            let (source, models) = read(&name, &text);
            assert!(source.starts_with("PyPI litellm "), "{name}: {source}");
            assert!(!models.is_empty(), "{name}");
            for (model, listed) in models {
                assert!(listed.price.input > Usd::ZERO, "{name}: {model}");
            }
            on_disk.insert(name);
        }
        let listed = TABLES
            .iter()
            .map(|table| format!("{}.yaml", table.provider));
        assert_eq!(on_disk, listed.collect());
        assert!(bytes < 150_000, "they are in every sidecar: {bytes} bytes");
        for table in &TABLES {
            let is_known = provider::find(table.provider).is_some();
            assert!(is_known, "{}", table.provider);
        }
    }

    #[test]
    fn a_call_costs_what_the_vendor_s_page_says() {
        // https://openai.com/api/pricing: $2.50 input, $1.25 cached, $10 output for a million tokens of GPT-4o.
        let usage = Usage {
            input: 1_000_000,
            cached_input: 400_000,
            output: 100_000,
            ..Usage::default()
        };
        let listed = find("openai", "gpt-4o").unwrap();
        assert_eq!(listed.cost(&usage).to_string(), "3.00");
        assert_eq!(listed.max_output_tokens, Some(16_384));
        // https://platform.claude.com/docs/en/about-claude/pricing: $3, $3.75, $6, $0.30, $15 for Sonnet 4.5.
        let usage = Usage {
            input: 4_000_000,
            cached_input: 1_000_000,
            cache_write: 1_000_000,
            cache_write_long: 1_000_000,
            output: 1_000_000,
            ..Usage::default()
        };
        let listed = find("anthropic", "claude-sonnet-4-5-20250929").unwrap();
        assert_eq!(listed.price.of(&usage).to_string(), "28.05");
        // https://ai.google.dev/gemini-api/docs/pricing: Gemini 2.5 Pro, $1.25 and $10, above 200k $2.50 and $15.
        let listed = find("gemini", "gemini-2.5-pro").unwrap();
        assert_eq!(listed.at_most(200_000, 1000).to_string(), "0.26");
        assert_eq!(listed.at_most(200_001, 1000).to_string(), "0.5150025");
    }

    #[test]
    fn a_variant_costs_what_its_base_costs_unless_it_is_listed() {
        let same = |provider, variant, base| {
            let found = find(provider, variant);
            assert!(found.is_some(), "{provider}: {variant}");
            assert_eq!(found, find(provider, base), "{variant}");
        };
        same("openai", "gpt-4o-2031-01-31", "gpt-4o");
        same("anthropic", "claude-opus-4-5-20311231", "claude-opus-4-5");
        same(
            "bedrock",
            "global.amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
        );
        let fine_tuned = find("openai", "ft:gpt-4o-mini-2024-07-18:org::id").unwrap();
        let base = find("openai", "gpt-4o-mini-2024-07-18").unwrap();
        assert!(fine_tuned.price.output > base.price.output);
        let old = find("azure-openai", "gpt-4o-2024-05-13").unwrap();
        let new = find("azure-openai", "gpt-4o").unwrap();
        assert!(old.price.input > new.price.input);
    }

    #[test]
    fn what_is_not_listed_is_unknown() {
        for (provider, model) in [
            ("openai", "gpt-4o-mega"),
            ("openai", "gpt-4o-20"),
            ("openai", "claude-opus-4-5"),
            ("openai", ""),
            ("openai", "ft:gpt-4o"),
            ("cohere", "rerank-v3.5"),
            ("vllm", "gpt-4o"),
            ("nobody", "gpt-4o"),
        ] {
            assert_eq!(find(provider, model), None, "{provider}: {model}");
        }
    }

    #[test]
    fn versions_are_taken_off_names_and_nothing_else_is() {
        for (name, base) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("gpt-4-0613", Some("gpt-4")),
            ("gemini-2.0-flash-001", Some("gemini-2.0-flash")),
            ("claude-opus-4-5-20251101", Some("claude-opus-4-5")),
            ("mistral-large-latest", Some("mistral-large")),
            ("claude-opus-4-5", None),
            ("gpt-4", None),
            ("gpt-4o-20", None),
            ("2024-08-06", None),
            ("-", None),
        ] {
            assert_eq!(without_version(name), base, "{name}");
        }
    }
}
