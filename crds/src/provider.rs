//! What Postern knows about each vendor, as data: one file a vendor in `crds/providers/`.

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::agent_identity::HeaderInject;

/// One vendor's API: where it is, how it wants its key, and what its clients read from the environment.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The registry name, as in `provider: openai`.
    pub name: String,
    /// The vendor's name for people.
    pub title: String,
    /// The vendor's page that says how requests are authenticated.
    pub docs: String,
    /// The API's host; absent where every customer has an own one, so that `endpoint` is required.
    #[serde(default)]
    pub host: Option<String>,
    /// What every path of the API starts with, as in `/v1`: put in front of a caller's path that lacks it, and once only where a caller
    /// doubles it, so that a base URL works with and without it. May be empty.
    #[serde(default)]
    pub base_path: String,
    /// Whether this vendor's clients expect a base URL to end in `base_path` (OpenAI's do, Anthropic's do not). It says how the path of
    /// an `endpoint` is read: in place of `base_path`, or in front of it.
    #[serde(default)]
    pub base_url_has_base_path: bool,
    /// The wire format: which shape an error has (and later, how a call is understood).
    pub dialect: Dialect,
    /// The header that carries the key.
    pub inject: HeaderInject,
    /// A key that is shaped like a real one, with `{}` where 32 hexadecimal digits go.
    pub placeholder: String,
    /// First segment of the layout that `LANGSMITH_GATEWAY` uses (`openai` for `<base>/openai/v1`), if LangChain routes this vendor by it.
    #[serde(default)]
    pub gateway: Option<String>,
    /// Environment variables of the vendor's Python and JavaScript clients.
    #[serde(default)]
    pub environment: Vec<Variable>,
}

/// One environment variable of a vendor's client.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub carries: Carries,
    /// Its value in an injected container: `{route}` is the credential's base URL, `{placeholder}` its placeholder key.
    pub value: String,
    /// Set only where the container sets it already: a second name for the same thing, which would win over ours.
    #[serde(default)]
    pub only_if_present: bool,
}

/// What an environment variable carries.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A key. A value that the pod sets is replaced, with a warning.
    Key,
    /// An address. A value that the pod sets is kept, and reported when it points past the sidecar.
    Address,
}

/// A vendor's wire format.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// OpenAI and all that speak its format.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
    /// Google's Generative Language API.
    Gemini,
    /// Anything else: plain HTTP with JSON errors.
    Plain,
}

/// The registry, sorted by name.
static REGISTRY: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(file, text)| match crate::yaml::from_str::<Provider>(text) {
            Ok(provider) => provider,
            Err(error) => unreachable!("providers/{file} is compiled in and a test reads it: {error}"),
        })
        .collect()
});

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../providers/", $name, ".yaml")))),*]
    };
}

/// The vendors' files, sorted by name.
const FILES: &[(&str, &str)] = files!["openai", "anthropic"];

/// The vendor called `name`.
pub fn find(name: &str) -> Option<&'static Provider> {
    REGISTRY.iter().find(|provider| provider.name == name)
}

/// All vendors, sorted by name.
pub fn all() -> &'static [Provider] {
    &REGISTRY
}

/// The schema of a vendor's name: one of the registry's.
pub fn name_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    json_schema!({ "type": "string", "enum": names })
}
