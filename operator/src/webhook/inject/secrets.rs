//! Secrets that the application would read: an identity's bundle, which is refused, and the source of a credential, which is reported.

use json_patch::PatchOperation;
use postern_crds::{AgentIdentity, names};
use serde_json::Value;

use super::{
    Snapshot,
    outcome::{Problems, Reason},
    pod::Pod,
};

/// A place in a pod that names a Secret.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    at: String,
    secret: &'a str,
}

/// Refuses a bundle anywhere but in the sidecar's own volume: bundles hold the real keys.
pub(super) fn refuse_bundles(
    pod: &Pod<'_>,
    identity: &str,
    snapshot: &Snapshot,
    problems: &mut Problems,
) {
    let own = names::bundle_secret(identity);
    for Reference { at, secret } in references(pod.value) {
        if secret == own || snapshot.is_bundle(secret) {
            problems.push(
                Reason::BundleSecret,
                format!("{at} names Secret {secret}, which is for the sidecar alone"),
            );
        }
    }
}

/// Reports where the pod, once patched, still names a Secret that a credential comes from: the application then holds the real key.
pub(super) fn warn_of_sources(
    pod: &Pod<'_>,
    patch: &[PatchOperation],
    identity: Option<&AgentIdentity>,
    warnings: &mut Vec<String>,
) {
    let Some(identity) = identity else { return };
    let mut patched = pod.value.clone();
    json_patch::patch(&mut patched, patch).expect("every operation was made for this pod");
    for Reference { at, secret } in references(&patched) {
        let source = identity.spec.credentials.iter().find(|credential| {
            credential
                .source
                .secret
                .as_ref()
                .is_some_and(|key| key.name == secret)
        });
        if let Some(credential) = source {
            warnings.push(format!(
                "{at} gives the program Secret {secret}, the real key of credential {}: remove it",
                credential.name
            ));
        }
    }
}

/// Every Secret that the spec names, but for the sidecar's own volume and the image pull secrets, which reach no container.
///
/// Volumes have a dozen ways to name one. They all use a field `secretName`, or an object with a `name` under a field that has
/// "secret" in its name, so that a kind of volume that does not exist yet is found too.
fn references(pod: &Value) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for (field, value) in pod["spec"].as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("imagePullSecrets", _) => {}
            ("volumes", Value::Array(volumes)) => {
                for (index, volume) in volumes.iter().enumerate() {
                    if volume["name"] != names::BUNDLE_VOLUME {
                        search(volume, &format!("spec.volumes[{index}]"), &mut found);
                    }
                }
            }
            _ => search(value, &format!("spec.{field}"), &mut found),
        }
    }
    found
}

fn search<'a>(value: &'a Value, at: &str, found: &mut Vec<Reference<'a>>) {
    match value {
        Value::Object(object) => {
            for (field, value) in object {
                let at = format!("{at}.{field}");
                let secret = if field == "secretName" {
                    value.as_str()
                } else if field.to_ascii_lowercase().contains("secret") {
                    value["name"].as_str()
                } else {
                    None
                };
                if let Some(secret) = secret {
                    found.push(Reference {
                        at: at.clone(),
                        secret,
                    });
                }
                search(value, &at, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(item, &format!("{at}[{index}]"), found);
            }
        }
        _ => {}
    }
}
