//! The environment of the application's containers: addresses that lead to the sidecar, and placeholders in the keys' stead.

use http::{Uri, uri::Scheme};
use json_patch::PatchOperation;
use postern_crds::{
    names::{self, DATA_PORT},
    provider::Carries,
    route::Variable,
};
use serde_json::{Value, json};

use super::pod::{Container, Pod, add_at, items, replace_at};

/// Whether LangChain uses a gateway at all, or its address: the one variable here that a pod may set to "no".
const GATEWAY: &str = "LANGSMITH_GATEWAY";

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

fn complete_container(
    container: &Container<'_>,
    variables: &[Variable],
    warnings: &mut Vec<String>,
) -> Vec<PatchOperation> {
    let env: Vec<_> = container.named("env").collect();
    let mut patch = Vec::new();
    let mut missing = Vec::new();
    for variable in variables {
        let ours = || json!({"name": variable.name, "value": variable.value});
        let entries: Vec<_> = env
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.name == variable.name)
            .collect();
        // Of two entries with one name the kubelet takes the last.
        let Some((_, last)) = entries.last() else {
            if !variable.only_if_present {
                missing.push(ours());
            }
            continue;
        };
        match variable.carries {
            Carries::Key => {
                for (index, entry) in &entries {
                    let literal = entry
                        .value
                        .get("value")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    let is_read = entry
                        .value
                        .get("valueFrom")
                        .is_some_and(|source| !source.is_null());
                    if literal == variable.value && !is_read {
                        continue;
                    }
                    patch.push(replace_at(
                        container.pointer(&["env", &index.to_string()]),
                        ours(),
                    ));
                    if is_read || !literal.is_empty() {
                        warnings.push(format!(
                            "{container}: {} carried a key and was replaced by a placeholder; remove it, the sidecar holds the key",
                            variable.name
                        ));
                    }
                }
            }
            Carries::Address => warnings.extend(check_address(
                container,
                variable,
                last.value.get("value"),
                last.value.get("valueFrom"),
            )),
        }
    }
    // In front, so that a `$(VARIABLE)` of the container's own is expanded from ours and not from what `envFrom` brings.
    if env.is_empty() && !missing.is_empty() {
        patch.push(add_at(container.pointer(&["env"]), Value::Array(missing)));
    } else {
        for (index, variable) in missing.into_iter().enumerate() {
            patch.push(add_at(
                container.pointer(&["env", &index.to_string()]),
                variable,
            ));
        }
    }
    if !variables.is_empty() {
        warnings.extend(check_env_from(container, variables));
        warnings.extend(check_proxy(container));
    }
    patch
}

/// An address that the pod sets itself is kept; the program may mean it. It is reported when it leads past the sidecar.
fn check_address(
    container: &Container<'_>,
    variable: &Variable,
    value: Option<&Value>,
    source: Option<&Value>,
) -> Option<String> {
    let Variable {
        name, value: ours, ..
    } = variable;
    if source.is_some_and(|source| !source.is_null()) {
        return Some(format!(
            "{container}: {name} is read from elsewhere and cannot be checked; to use the sidecar remove it, or set it to {ours}"
        ));
    }
    let value = value.and_then(Value::as_str).unwrap_or_default();
    let declined = name == GATEWAY
        && ["", "false", "0", "no", "off"].contains(&value.to_ascii_lowercase().as_str());
    if declined || leads_to_sidecar(value) {
        return None;
    }
    Some(format!(
        "{container}: {name} leads past the sidecar, where calls have no key; remove it, or set it to {ours}"
    ))
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
