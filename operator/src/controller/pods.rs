//! How many pods an identity has, and how many of them were injected from an older template.
//!
//! Only the metadata of pods that carry our label is watched, and only what is counted is kept: a cluster may have many.

use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, core::PartialObjectMeta, runtime::watcher};
use postern_crds::names::{IDENTITY_LABEL, TEMPLATE_ANNOTATION};

/// A pod, as it is watched.
pub(crate) type PodMeta = PartialObjectMeta<Pod>;

/// What of a pod is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) identity: Option<String>,
    template: Option<String>,
    ending: bool,
}

/// Pods that were injected and have not finished.
pub(crate) fn selection() -> watcher::Config {
    watcher::Config::default()
        .labels(IDENTITY_LABEL)
        .fields("status.phase!=Succeeded,status.phase!=Failed")
}

/// Drops from `pod` what is not counted.
pub(crate) fn trim(pod: &mut PodMeta) {
    let meta = &mut pod.metadata;
    meta.managed_fields = None;
    meta.owner_references = None;
    meta.finalizers = None;
    if let Some(labels) = &mut meta.labels {
        labels.retain(|key, _| key == IDENTITY_LABEL);
    }
    if let Some(annotations) = &mut meta.annotations {
        annotations.retain(|key, _| key == TEMPLATE_ANNOTATION);
    }
}

/// What of `pod` is counted.
pub(crate) fn counted(pod: &PodMeta) -> Counted {
    Counted {
        identity: pod.labels().get(IDENTITY_LABEL).cloned(),
        template: pod.annotations().get(TEMPLATE_ANNOTATION).cloned(),
        ending: pod.metadata.deletion_timestamp.is_some(),
    }
}

/// Whether `pod` runs with `identity`. Pods that are ending do not count.
pub(crate) fn is_bound(pod: &PodMeta, identity: &str) -> bool {
    let Counted {
        identity: own,
        template: _,
        ending,
    } = counted(pod);
    !ending && own.as_deref() == Some(identity)
}

/// How many of `pods` do not have `template`.
pub(crate) fn outdated<'a>(pods: impl Iterator<Item = &'a PodMeta>, template: &str) -> usize {
    pods.map(counted)
        .filter(|pod| pod.template.as_deref() != Some(template))
        .count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(identity: &str, template: &str, ending: bool) -> PodMeta {
        let mut pod: PodMeta = serde_json::from_value(json!({
            "metadata": {
                "name": "p",
                "labels": { IDENTITY_LABEL: identity, "app": "x" },
                "annotations": { TEMPLATE_ANNOTATION: template, "large": "y" },
                "managedFields": [{ "manager": "kubelet" }],
            },
        }))
        .unwrap();
        if ending {
            pod.metadata.deletion_timestamp =
                Some(serde_json::from_value(json!("2026-11-24T00:00:00Z")).unwrap());
        }
        pod
    }

    #[test]
    fn pods_of_another_template_are_outdated_and_ending_ones_do_not_count() {
        let pods = [
            pod("a", "new", false),
            pod("a", "old", false),
            pod("a", "old", true),
            pod("b", "old", false),
        ];
        let count = |identity: &str| {
            let bound = pods.iter().filter(|pod| is_bound(pod, identity));
            (bound.clone().count(), outdated(bound, "new"))
        };
        assert_eq!(count("a"), (2, 1));
        assert_eq!(count("c"), (0, 0));
    }

    #[test]
    fn trimming_keeps_what_is_counted() {
        let mut trimmed = pod("a", "new", true);
        trim(&mut trimmed);
        assert_eq!(counted(&trimmed), counted(&pod("a", "new", true)));
        assert!(trimmed.metadata.managed_fields.is_none());
        assert_eq!(trimmed.annotations().len() + trimmed.labels().len(), 2);
    }
}
