//! What must hold of a pod's admission, whatever the API server asks.

use std::sync::LazyLock;

use super::*;
use crate::{
    fuzz,
    webhook::review::{Answer, Review},
};

static TEMPLATE: LazyLock<SidecarTemplate> = LazyLock::new(template);
static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(snapshot);

/// The patch applies, and what it makes is admitted as it is, with one sidecar.
fn is_admitted_once(data: &[u8]) {
    let Ok(review) = serde_json::from_slice::<Review>(data) else {
        return;
    };
    let pod = &review.request.object;
    let Ok(outcome) = inject(pod, NAMESPACE, &SNAPSHOT, &TEMPLATE) else {
        return;
    };
    let uid = review.request.uid.clone();
    Answer::allow(uid, &outcome.patch, &outcome.warnings).expect("the answer is JSON");
    let once = apply(pod, &outcome);
    let again = inject(&once, NAMESPACE, &SNAPSHOT, &TEMPLATE);
    let again = again.unwrap_or_else(|denial| panic!("{once} is refused: {denial}"));
    assert!(again.patch.is_empty(), "{once} is patched: {}", again.patch);
    if outcome.identity.is_some() {
        let init = once["spec"]["initContainers"]
            .as_array()
            .expect("the sidecar");
        let ours = init
            .iter()
            .filter(|container| container["name"] == "postern");
        assert_eq!(ours.count(), 1, "{once}");
    } else {
        assert_eq!(&once, pod);
    }
}

#[test]
fn mutated_pods_are_admitted_once_or_not_at_all() {
    fuzz::check("pod", is_admitted_once);
}
