//! `prices`: makes the price table in `crds/prices/` anew from the one that LiteLLM ships.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;
use postern_e2e::{Cache, run};
use serde::Deserialize;

/// Make crds/prices/*.yaml from the price table of LiteLLM (PyPI package `litellm`, licence MIT).
///
/// Needs python3 with pip. Look at what changed before you commit it.
#[derive(Parser)]
struct Arguments {
    /// Which release of LiteLLM.
    #[arg(long, default_value = "1.110.2")]
    version: String,
    /// When its prices were taken over, as it will stand in the files; today by default.
    #[arg(long)]
    date: Option<String>,
}

/// The table's place in the package.
const TABLE: &str = "litellm/model_prices_and_context_window_backup.json";

/// Vendors of our registry, and what LiteLLM calls them: in `litellm_provider`, and in front of the models' names.
const VENDORS: &[(&str, &[&str], &str)] = &[
    ("anthropic", &["anthropic"], ""),
    ("azure-openai", &["azure"], "azure/"),
    ("bedrock", &["bedrock", "bedrock_converse"], ""),
    ("cohere", &["cohere", "cohere_chat"], "cohere/"),
    ("deepseek", &["deepseek"], "deepseek/"),
    (
        "fireworks",
        &["fireworks_ai", "fireworks_ai-embedding-models"],
        "fireworks_ai/",
    ),
    ("gemini", &["gemini"], "gemini/"),
    ("groq", &["groq"], "groq/"),
    ("mistral", &["mistral"], "mistral/"),
    ("openai", &["openai", "text-completion-openai"], ""),
    ("perplexity", &["perplexity"], "perplexity/"),
    ("together", &["together_ai"], "together_ai/"),
    ("voyage", &["voyage"], "voyage/"),
    ("xai", &["xai"], "xai/"),
];

/// What operations are paid by tokens alone.
const MODES: [&str; 4] = ["chat", "completion", "embedding", "responses"];

/// Parts of names of models that are paid by tokens of another kind than text, which the table does not tell apart.
const OTHER_TOKENS: [&str; 7] = [
    "audio",
    "image",
    "live",
    "realtime",
    "transcribe",
    "tts",
    "voice",
];

/// Bounds above which LiteLLM knows another price for the whole call.
const LONG: [(&str, u64); 5] = [
    ("_above_100k_tokens", 100_000),
    ("_above_128k_tokens", 128_000),
    ("_above_200k_tokens", 200_000),
    ("_above_256k_tokens", 256_000),
    ("_above_272k_tokens", 272_000),
];

/// One model of LiteLLM's table: the members that are read by name, and all others.
#[derive(Deserialize)]
struct Model {
    litellm_provider: Option<String>,
    mode: Option<String>,
    deprecation_date: Option<String>,
    #[serde(flatten)]
    other: HashMap<String, serde_json::Value>,
}

fn main() -> Result<()> {
    let Arguments { version, date } = Arguments::parse();
    let date = match date {
        Some(date) => date,
        None => run::output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?
            .trim()
            .to_owned(),
    };
    let cache = Cache::open()?;
    let package = cache.entry(&format!("litellm-{version}"), |at| fetch(&version, at))?;
    let text = fs::read_to_string(package.join(TABLE)).context("reading LiteLLM's table")?;
    let table: BTreeMap<String, Model> = serde_json::from_str(&text)?;

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/prices");
    fs::create_dir_all(&directory)?;
    for (vendor, names, prefix) in VENDORS {
        let of_vendor = |model: &Model| {
            let provider = model.litellm_provider.as_deref();
            provider.is_some_and(|provider| names.contains(&provider))
        };
        let mut entries = BTreeMap::new();
        for (name, model) in table.iter().filter(|(_, model)| of_vendor(model)) {
            let name = name.strip_prefix(prefix).unwrap_or(name);
            if is_wanted(name, vendor, model, &date)
                && let Some(entry) = entry(model).with_context(|| format!("{vendor}: {name}"))?
            {
                entries.insert(name.to_owned(), entry);
            }
        }
        write(
            &directory,
            vendor,
            &without_variants(&entries),
            &version,
            &date,
        )?;
    }
    Ok(())
}

/// Unpacks the package into `at`.
fn fetch(version: &str, at: &Path) -> Result<()> {
    fs::create_dir_all(at)?;
    run::output(
        Command::new("python3")
            .args(["-m", "pip", "download", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary", ":all:", "--dest"])
            .arg(at)
            .arg(format!("litellm=={version}")),
    )?;
    let wheel: PathBuf = fs::read_dir(at)?
        .find_map(|file| file.ok())
        .context("pip left no file")?
        .path();
    run::output(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .args([&wheel, at]),
    )?;
    fs::remove_file(wheel)?;
    Ok(())
}

/// Whether calls can name the model, and text is all it is paid by.
fn is_wanted(name: &str, vendor: &str, model: &Model, date: &str) -> bool {
    let is_paid_by_tokens = model
        .mode
        .as_deref()
        .is_some_and(|mode| MODES.contains(&mode));
    let is_gone = model
        .deprecation_date
        .as_deref()
        .is_some_and(|gone| gone < date);
    // LiteLLM writes regions and sizes in front of a name with a slash, where the vendor itself has no slashes in names.
    let has_slashes = matches!(vendor, "fireworks" | "groq" | "perplexity" | "together");
    is_paid_by_tokens
        && !is_gone
        && (has_slashes || !name.contains('/'))
        // A class of models by their size.
        && !name.starts_with("together-ai-")
        && !OTHER_TOKENS.iter().any(|part| name.contains(part))
}

/// The model's line, or nothing where it has no price for its tokens.
fn entry(model: &Model) -> Result<Option<String>> {
    let Some(price) = prices(model, "")? else {
        return Ok(None);
    };
    let mut line = format!("{{price: {price}");
    let mut longs = LONG.iter().filter_map(|(suffix, above)| {
        let price = prices(model, suffix).transpose()?;
        Some(price.map(|price| (above, price)))
    });
    if let Some(long) = longs.next() {
        let (above, price) = long?;
        line += &format!(", long: {{above: {above}, price: {price}}}");
    }
    if longs.next().is_some() {
        bail!("it has two bounds, and the table has room for one");
    }
    let mut bound = |name: &str, member: &str| {
        if let Some(tokens) = model.other.get(member).and_then(|value| value.as_u64()) {
            line += &format!(", {name}: {tokens}");
        }
    };
    if model.mode.as_deref() != Some("embedding") {
        bound("maxOutputTokens", "max_output_tokens");
    }
    bound("contextWindow", "max_input_tokens");
    Ok(Some(line + "}"))
}

/// The model's prices whose names end in `suffix`; nothing where it has none, or none for its input.
fn prices(model: &Model, suffix: &str) -> Result<Option<String>> {
    let of = |member: &str| {
        let value = model.other.get(&format!("{member}{suffix}"));
        value
            .and_then(|value| value.as_f64())
            .map(per_million)
            .transpose()
    };
    let is_embedding = model.mode.as_deref() == Some("embedding");
    let (Some(input), output) = (of("input_cost_per_token")?, of("output_cost_per_token")?) else {
        return Ok(None);
    };
    let Some(output) = output.or(is_embedding.then(|| "0".to_owned())) else {
        return Ok(None);
    };
    if input == "0" || (output == "0" && !is_embedding) {
        return Ok(None);
    }
    let mut text = format!("{{input: \"{input}\", output: \"{output}\"");
    let cache_write = of("cache_creation_input_token_cost")?;
    let long_lived = of("cache_creation_input_token_cost_above_1hr")?;
    for (name, price, stead) in [
        ("cachedInput", of("cache_read_input_token_cost")?, &input),
        ("cacheWrite", cache_write.clone(), &input),
        (
            "cacheWriteLong",
            long_lived,
            cache_write.as_ref().unwrap_or(&input),
        ),
        ("reasoning", of("output_cost_per_reasoning_token")?, &output),
    ] {
        if let Some(price) = price.filter(|price| price != stead) {
            text += &format!(", {name}: \"{price}\"");
        }
    }
    Ok(Some(text + "}"))
}

/// US dollars for a million tokens, exactly, of LiteLLM's floating dollars for one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked to be what was rounded"
)]
fn per_million(each: f64) -> Result<String> {
    let pico = (each * 1e12).round();
    if pico < 0.0 || (each * 1e12 - pico).abs() > 0.01 {
        bail!("{each} dollars for a token are no whole picodollars");
    }
    let pico = pico as u64;
    let text = format!("{}.{:06}", pico / 1_000_000, pico % 1_000_000);
    Ok(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// Without the models that the look-up takes for another one that has the same price: see `crds/src/price/table.rs`.
fn without_variants(entries: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let is_variant = |name: &str, entry: &str| {
        let base = name.rsplit_once('-').filter(|(_, version)| {
            matches!(version.len(), 8) && version.bytes().all(|b| b.is_ascii_digit())
        });
        let dated = name
            .len()
            .checked_sub("-2025-01-31".len())
            .and_then(|at| name.split_at_checked(at))
            .filter(|(_, date)| {
                date.bytes().enumerate().all(|(index, b)| match index {
                    0 | 5 | 8 => b == b'-',
                    _ => b.is_ascii_digit(),
                })
            });
        let region = name.split_once('.').map(|(region, base)| (base, region));
        [base, dated, region]
            .into_iter()
            .flatten()
            .any(|(base, _)| entries.get(base).is_some_and(|known| known == entry))
    };
    entries
        .iter()
        .filter(|(name, entry)| !is_variant(name, entry))
        .map(|(name, entry)| (name.as_str(), entry.as_str()))
        .collect()
}

fn write(
    directory: &Path,
    vendor: &str,
    entries: &BTreeMap<&str, &str>,
    version: &str,
    date: &str,
) -> Result<()> {
    let mut text = format!(
        "# US dollars for a million tokens. Made by `cargo run -p postern-e2e --bin prices`; do not edit.\n\
         source: PyPI litellm {version} (MIT), {TABLE}\n\
         date: {date}\n\
         models:\n"
    );
    for (name, entry) in entries {
        text += &format!("  \"{name}\": {entry}\n");
    }
    let file = directory.join(format!("{vendor}.yaml"));
    fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}
