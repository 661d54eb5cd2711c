//! What must hold whatever the values are.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use postern_crds::yaml;
use postern_e2e::house;
use serde_json::{Value, json};

use crate::helm::{Object, find, list, objects, objects_with, strings, value_sets};

fn everything() -> Vec<(String, Vec<Object>)> {
    value_sets()
        .into_iter()
        .map(|set| (set.clone(), objects_with(&set)))
        .collect()
}

#[test]
fn no_ca_bundle_is_ever_rendered() {
    for (set, objects) in everything() {
        for object in &objects {
            for webhook in list(&object.0["webhooks"]) {
                let client = webhook["clientConfig"].as_object().expect("an object");
                assert!(!client.contains_key("caBundle"), "{set}: {}", object.name());
            }
        }
    }
}

#[test]
fn secrets_can_be_neither_listed_nor_watched() {
    for (set, objects) in everything() {
        for object in &objects {
            for rule in object.rules() {
                let resources = strings(&rule["resources"]);
                let verbs = strings(&rule["verbs"]);
                assert!(
                    !resources.contains(&"*") && !verbs.contains(&"*"),
                    "{set}: {} allows everything",
                    object.name()
                );
                if resources
                    .iter()
                    .any(|resource| resource.starts_with("secrets"))
                {
                    assert!(
                        !verbs.contains(&"list") && !verbs.contains(&"watch"),
                        "{set}: {}",
                        object.name()
                    );
                }
            }
        }
    }
}

#[test]
fn only_the_controller_may_read_secrets_of_other_namespaces() {
    for (set, objects) in everything() {
        for object in objects
            .iter()
            .filter(|object| object.kind() == "ClusterRole")
        {
            let secrets = object
                .rules()
                .iter()
                .any(|rule| strings(&rule["resources"]).contains(&"secrets"));
            assert!(
                !secrets || object.name().ends_with("-controller"),
                "{set}: {}",
                object.name()
            );
        }
    }
}

#[test]
fn with_watched_namespaces_no_cluster_role_is_left_but_for_what_is_of_the_cluster_and_people() {
    let objects = objects_with("watch-namespaces");
    let mut roles: Vec<_> = objects
        .iter()
        .filter(|object| object.kind() == "ClusterRole")
        .map(Object::name)
        .collect();
    roles.sort_unstable();
    assert_eq!(
        roles,
        [
            "postern-controller-delivery",
            "postern-controller-stores",
            "postern-edit",
            "postern-view",
            "postern-webhook-configuration"
        ]
    );
    for role in ["postern-controller", "postern-webhook"] {
        let mut namespaces: Vec<_> = objects
            .iter()
            .filter(|object| object.kind() == "Role" && object.name() == role)
            .map(|object| {
                object.0["metadata"]["namespace"]
                    .as_str()
                    .expect("a namespace")
            })
            .collect();
        namespaces.sort_unstable();
        assert_eq!(namespaces, ["agents", "more-agents"], "{role}");
    }
}

#[test]
fn tokens_are_reviewed_by_the_controller_alone_and_only_if_sidecars_may_fetch_bundles() {
    let reviews = |objects: &[Object]| -> Vec<String> {
        let roles = objects
            .iter()
            .filter(|object| object.kind().ends_with("Role"));
        let of_reviews = |object: &&Object| {
            let mut rules = object.rules().iter();
            rules.any(|rule| strings(&rule["resources"]).contains(&"tokenreviews"))
        };
        roles
            .filter(of_reviews)
            .map(|object| object.name().to_owned())
            .collect()
    };
    for set in ["defaults", "watch-namespaces"] {
        let objects = objects_with(set);
        assert_eq!(reviews(&objects), ["postern-controller-delivery"], "{set}");
        let rules = &find(&objects, "ClusterRole", "postern-controller-delivery")["rules"];
        let expected = json!([{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]);
        assert_eq!(*rules, expected);
    }
    let without = super::helm::objects(&["--set", "delivery.enabled=false"]);
    assert!(reviews(&without).is_empty());
    let traces = ["postern-controller-ca", "postern-controller-delivery"];
    assert!(!without.iter().any(|object| traces.contains(&object.name())));
}

#[test]
fn of_the_release_namespace_the_controller_may_get_what_stores_name_and_tokens_of_its_own() {
    let objects = objects_with("most");
    let rules = find(&objects, "Role", "corp-gate-controller-stores")["rules"].clone();
    let expected = json!([
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["corp-gate-controller"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["vault-login"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["corp-ca"], "verbs": ["get"]},
    ]);
    assert_eq!(rules, expected);
    let rules = &find(&objects, "ClusterRole", "corp-gate-controller-stores")["rules"];
    let namespaces = &rules[2];
    assert_eq!(namespaces["resourceNames"], json!(["agents"]));
    assert_eq!(namespaces["verbs"], json!(["get"]));

    let without = super::helm::objects(&["--set", "stores.enabled=false"]);
    let of_stores = |object: &&Object| object.name().ends_with("-stores");
    assert_eq!(without.iter().filter(of_stores).count(), 0);
}

#[test]
fn writing_policies_is_part_of_no_role_of_the_cluster() {
    for (set, objects) in everything() {
        for object in &objects {
            let labels = object.0["metadata"]["labels"].as_object().expect("labels");
            if labels
                .keys()
                .any(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
            {
                for rule in object.rules() {
                    assert_eq!(
                        strings(&rule["verbs"]),
                        ["get", "list", "watch"],
                        "{set}: {}",
                        object.name()
                    );
                }
            }
        }
    }
}

#[test]
fn every_pod_is_restricted_and_sized() {
    for (set, objects) in everything() {
        for object in &objects {
            let Some((_, spec)) = object.pod() else {
                continue;
            };
            let name = format!("{set}: {}", object.name());
            let pod = &spec["securityContext"];
            assert_eq!(pod["runAsNonRoot"], true, "{name}");
            assert_eq!(
                pod["seccompProfile"],
                json!({"type": "RuntimeDefault"}),
                "{name}"
            );
            assert!(
                spec.get("hostPID").is_none() && spec.get("shareProcessNamespace").is_none(),
                "{name}"
            );
            for container in list(&spec["containers"]) {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{name}");
                for size in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
                    assert!(
                        container["resources"].pointer(size).is_some(),
                        "{name}: {size}"
                    );
                }
            }
        }
    }
}

#[test]
fn selectors_are_stable_and_select_their_own_pods() {
    for (set, objects) in everything() {
        let app = if set == "most" { "gate" } else { "postern" };
        for component in ["controller", "webhook"] {
            let stable = json!({
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/instance": "postern",
                "app.kubernetes.io/component": component,
            });
            let deployment = objects
                .iter()
                .find(|object| object.kind() == "Deployment" && object.name().ends_with(component))
                .expect("the Deployment");
            assert_eq!(
                deployment.0["spec"]["selector"]["matchLabels"], stable,
                "{set}"
            );
            let (metadata, _) = deployment.pod().expect("a pod");
            for (label, value) in stable.as_object().expect("labels") {
                assert_eq!(&metadata["labels"][label], value, "{set}");
            }
            for object in objects
                .iter()
                .filter(|object| object.name().ends_with(component))
            {
                let selector = match object.kind() {
                    "Service" => &object.0["spec"]["selector"],
                    "PodDisruptionBudget" => &object.0["spec"]["selector"]["matchLabels"],
                    "NetworkPolicy" => &object.0["spec"]["podSelector"]["matchLabels"],
                    _ => continue,
                };
                assert_eq!(*selector, stable, "{set}: {}", object.kind());
            }
        }
    }
}

#[test]
fn nothing_is_there_twice_and_every_reference_has_its_object() {
    for (set, objects) in everything() {
        let mut seen = BTreeMap::new();
        for object in &objects {
            let namespace = object.0["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default();
            let before = seen.insert((object.kind(), namespace, object.name()), ());
            assert!(
                before.is_none(),
                "{set}: two {} {}",
                object.kind(),
                object.name()
            );
        }
        for object in &objects {
            let namespace = object.0["metadata"]["namespace"]
                .as_str()
                .unwrap_or_default();
            if ["RoleBinding", "ClusterRoleBinding"].contains(&object.kind()) {
                let role = &object.0["roleRef"];
                let kind = role["kind"].as_str().expect("a kind");
                let within = if kind == "Role" { namespace } else { "" };
                assert!(
                    seen.contains_key(&(kind, within, role["name"].as_str().expect("a name"))),
                    "{set}: {}",
                    object.name()
                );
                for subject in list(&object.0["subjects"]) {
                    let [name, namespace] = ["name", "namespace"]
                        .map(|field| subject[field].as_str().expect("a string"));
                    assert!(
                        seen.contains_key(&("ServiceAccount", namespace, name)),
                        "{set}: {}",
                        object.name()
                    );
                }
            }
            for webhook in list(&object.0["webhooks"]) {
                let service = &webhook["clientConfig"]["service"];
                let [name, namespace] =
                    ["name", "namespace"].map(|field| service[field].as_str().expect("a string"));
                assert!(seen.contains_key(&("Service", namespace, name)), "{set}");
            }
        }
    }
}

#[test]
fn definitions_are_those_of_the_repository_and_are_kept() -> Result<()> {
    let objects = objects_with("defaults");
    let mut count = 0;
    for entry in fs::read_dir(house::root().join("crds"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let expected: Value = yaml::from_str(&fs::read_to_string(&path)?)?;
        let name = expected["metadata"]["name"].as_str().expect("a name");
        let rendered = find(&objects, "CustomResourceDefinition", name);
        assert_eq!(rendered["spec"], expected["spec"], "{name}");
        assert_eq!(
            rendered["metadata"]["annotations"]["helm.sh/resource-policy"], "keep",
            "{name}"
        );
        count += 1;
    }
    let rendered = objects
        .iter()
        .filter(|object| object.kind() == "CustomResourceDefinition")
        .count();
    assert_eq!(rendered, count);
    assert!(count > 0);
    assert!(
        !objects_with("least")
            .iter()
            .any(|object| object.kind() == "CustomResourceDefinition")
    );
    Ok(())
}

#[test]
fn the_longest_names_still_give_names_that_the_api_accepts() {
    let long = "a".repeat(52);
    let objects = objects(&[
        "--set",
        &format!("nameOverride={}", "b".repeat(63)),
        "--set",
        &format!("fullnameOverride={long}"),
    ]);
    for object in objects
        .iter()
        .filter(|object| object.kind() != "CustomResourceDefinition")
    {
        if ["Service", "Deployment", "Pod"].contains(&object.kind()) {
            assert!(object.name().len() <= 63, "{}", object.name());
        }
        for (label, value) in object.0["metadata"]["labels"].as_object().expect("labels") {
            assert!(
                value.as_str().is_some_and(|value| value.len() <= 63),
                "{}: {label}",
                object.name()
            );
        }
    }
}

#[test]
fn excluded_namespaces_are_excluded_and_watched_ones_alone_are_included() {
    let selector = |objects: &[Object]| {
        find(objects, "MutatingWebhookConfiguration", "postern")["webhooks"][0]["namespaceSelector"]
            ["matchExpressions"]
            .clone()
    };
    let excluded = json!({
        "key": "kubernetes.io/metadata.name", "operator": "NotIn",
        "values": ["kube-system", "kube-public", "kube-node-lease", "postern-system", "quiet"],
    });
    let all = objects(&["--set", "webhook.excludeNamespaces={quiet}"]);
    assert_eq!(selector(&all), json!([excluded]));
    let some = objects(&[
        "--set",
        "webhook.excludeNamespaces={quiet}",
        "--set",
        "rbac.watchNamespaces={agents}",
    ]);
    let included =
        json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["agents"]});
    assert_eq!(selector(&some), json!([excluded, included]));
}

#[test]
fn a_digest_wins_over_a_tag() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let objects = objects(&[
        "--set",
        &format!("image.digest={digest}"),
        "--set-string",
        "image.tag=1",
    ]);
    let image = &find(&objects, "Deployment", "postern-webhook")["spec"]["template"]["spec"]["containers"]
        [0]["image"];
    assert_eq!(*image, format!("ghcr.io/postern-dev/operator@{digest}"));
}
