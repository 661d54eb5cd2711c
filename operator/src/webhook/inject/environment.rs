//! The environment of the application's containers: addresses that lead to the sidecar, and placeholders in the keys' stead.

use http::{Uri, uri::Scheme};
use json_patch::PatchOperation;
use postern_crds::{
    names::{self, DATA_PORT},
    provider::Carries,
    route::Variable,
};
use serde_json::{Value, json};

use super::pod::{Container, Named, Pod, add_at, items, replace_at};

/// Whether LangChain uses a gateway at all, or its address: the one variable here that a pod may set to "no".
const GATEWAY: &str = "LANGSMITH_GATEWAY";
/// The gateway's own key, which is empty where Bedrock, whose calls are signed, is behind it.
const GATEWAY_KEY: &str = "LANGSMITH_GATEWAY_API_KEY";
/// What stands in for the gateway's key where that is empty.
const LANGSMITH_KEY: &str = "LANGSMITH_API_KEY";

/// What completes the environment of every container but ours. That includes other injectors' and native sidecars: from here they
/// look like any container, some of them are applications, and to a proxy these variables mean nothing.
pub(super) fn complete(
    pod: &Pod<'_>,
    variables: &[Variable],
    warnings: &mut Vec<String>,
) -> Vec<PatchOperation> {
    pod.all_containers()
        .filter(|container| container.name != names::CONTAINER)
        .flat_map(|container| complete_container(&container, variables, warnings))
        .collect()
}

/// A variable that a container sets itself.
struct Setting<'a> {
    index: usize,
    /// Its value; empty if it is read from elsewhere.
    value: &'a str,
    /// Whether it is read from a Secret, a ConfigMap or a field.
    is_read: bool,
}

/// What the container sets under `name`, in its order.
fn settings<'a>(container: &Container<'a>, name: &str) -> Vec<Setting<'a>> {
    let entries = container.named("env").enumerate();
    entries
        .filter(|(_, entry)| entry.name == name)
        .map(|(index, Named { value, .. })| Setting {
            index,
            value: value
                .get("value")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            is_read: value
                .get("valueFrom")
                .is_some_and(|source| !source.is_null()),
        })
        .collect()
}

fn complete_container(
    container: &Container<'_>,
    variables: &[Variable],
    warnings: &mut Vec<String>,
) -> Vec<PatchOperation> {
    let mut patch = Vec::new();
    let mut missing = Vec::new();
    for variable in variables {
        let settings = settings(container, &variable.name);
        // Of two entries with one name the kubelet takes the last.
        match (variable.carries, settings.last()) {
            (_, None) if variable.only_if_present => {}
            (_, None) => missing.push(entry(variable)),
            (Carries::Key, Some(_)) => {
                patch.extend(replace_keys(container, variable, &settings, warnings));
            }
            (Carries::Address, Some(last)) => {
                warnings.extend(check_address(container, variable, last));
            }
            (Carries::Setting, Some(_)) => {}
        }
    }
    // In front, so that a `$(VARIABLE)` of the container's own is expanded from ours and not from what `envFrom` brings.
    if container.named("env").next().is_none() && !missing.is_empty() {
        patch.push(add_at(container.pointer(&["env"]), Value::Array(missing)));
    } else {
        let added = missing
            .into_iter()
            .enumerate()
            .map(|(index, entry)| add_at(container.pointer(&["env", &index.to_string()]), entry));
        patch.extend(added);
    }
    if !variables.is_empty() {
        warnings.extend(check_env_from(container, variables));
        warnings.extend(check_proxy(container));
        warnings.extend(check_signatures(container, variables));
    }
    patch
}

fn entry(variable: &Variable) -> Value {
    json!({"name": variable.name, "value": variable.value})
}

/// A key that the pod sets itself is replaced, wherever it stands: the one that is overridden today may be the last tomorrow.
fn replace_keys(
    container: &Container<'_>,
    variable: &Variable,
    settings: &[Setting<'_>],
    warnings: &mut Vec<String>,
) -> Vec<PatchOperation> {
    let foreign = || {
        settings
            .iter()
            .filter(|setting| setting.is_read || setting.value != variable.value)
    };
    if foreign().any(|setting| setting.is_read || !setting.value.is_empty()) {
        warnings.push(format!(
            "{container}: {} carried a key and was replaced by a placeholder; remove it, the sidecar holds the key",
            variable.name
        ));
    }
    foreign()
        .map(|setting| {
            let path = container.pointer(&["env", &setting.index.to_string()]);
            replace_at(path, entry(variable))
        })
        .collect()
}

/// An address that the pod sets itself is kept; the program may mean it. It is reported when it leads past the sidecar.
fn check_address(
    container: &Container<'_>,
    variable: &Variable,
    setting: &Setting<'_>,
) -> Option<String> {
    let Variable {
        name, value: ours, ..
    } = variable;
    if setting.is_read {
        return Some(format!(
            "{container}: {name} is read from elsewhere and cannot be checked; to use the sidecar remove it, or set it to {ours}"
        ));
    }
    if name == GATEWAY && is_no(setting.value) || leads_to_sidecar(setting.value) {
        return None;
    }
    Some(format!(
        "{container}: {name} leads past the sidecar, where calls have no key; remove it, or set it to {ours}"
    ))
}

/// As LangChain reads the gateway's variable.
fn is_no(value: &str) -> bool {
    ["", "false", "0", "no", "off"].contains(&value.to_ascii_lowercase().as_str())
}

fn leads_to_sidecar(value: &str) -> bool {
    let Ok(uri) = value.trim().parse::<Uri>() else {
        return false;
    };
    uri.scheme() == Some(&Scheme::HTTP)
        && uri.port_u16() == Some(DATA_PORT)
        && uri
            .host()
            .is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host))
}

/// Variables of an `envFrom` cannot be seen. Those that we set win over them.
fn check_env_from(container: &Container<'_>, variables: &[Variable]) -> Option<String> {
    let sources: Vec<_> = items(container.value, "envFrom")
        .filter_map(|source| {
            let named = |kind: &str, field: &str| {
                Some(format!("{kind} {}", source[field]["name"].as_str()?))
            };
            named("Secret", "secretRef").or_else(|| named("ConfigMap", "configMapRef"))
        })
        .collect();
    if sources.is_empty() {
        return None;
    }
    let unset: Vec<&str> = variables
        .iter()
        .filter(|variable| variable.only_if_present)
        .map(|variable| variable.name.as_str())
        .collect();
    let hint = if unset.is_empty() {
        String::new()
    } else {
        format!(", as {}", unset.join(", "))
    };
    Some(format!(
        "{container}: envFrom {} is not seen here; Postern's variables win over it, but others in it may carry keys or addresses{hint}",
        sources.join(", ")
    ))
}

/// HTTP clients send calls for `http://127.0.0.1` to a proxy too, unless told otherwise.
fn check_proxy(container: &Container<'_>) -> Option<String> {
    const PROXY: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
    let proxy = container.named("env").find(|entry| {
        PROXY.contains(&entry.name) && entry.value.get("value") != Some(&json!(""))
    })?;
    let exempt = container
        .named("env")
        .filter(|entry| NO_PROXY.contains(&entry.name))
        .filter_map(|entry| entry.value.get("value")?.as_str())
        .flat_map(|hosts| hosts.split(','))
        .any(|host| ["127.0.0.1", "127.0.0.0/8", "*"].contains(&host.trim()));
    if exempt {
        return None;
    }
    Some(format!(
        "{container}: {} also catches calls to the sidecar; add 127.0.0.1 to NO_PROXY and no_proxy",
        proxy.name
    ))
}

/// LangChain for Python sends Bedrock any key of LangSmith that it finds in place of a signature, while the gateway is on: see
/// `crds/providers/bedrock.yaml`.
fn check_signatures(container: &Container<'_>, variables: &[Variable]) -> Option<String> {
    let is_signed = variables
        .iter()
        .any(|variable| variable.name == GATEWAY_KEY && variable.value.is_empty());
    let last = |name: &str| settings(container, name).pop();
    let has_key = last(LANGSMITH_KEY).is_some_and(|key| key.is_read || !key.value.is_empty());
    let is_off = last(GATEWAY).is_some_and(|gateway| !gateway.is_read && is_no(gateway.value));
    (is_signed && has_key && !is_off).then(|| {
        format!(
            "{container}: LangChain for Python would send Bedrock the key in {LANGSMITH_KEY} in place of a signature; set {GATEWAY} to \"false\", or remove that key"
        )
    })
}
