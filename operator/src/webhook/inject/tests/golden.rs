//! One file a kind of pod, in `pods/`: what is done to it and what is said about it.

use serde_json::{Value, json};

use super::{admit, apply};

fn check(name: &str, text: &str) {
    let pod: Value = postern_crds::yaml::from_str(text).unwrap();
    let outcome = admit(&pod).expect("the pod is admitted");
    insta::with_settings!({prepend_module_to_snapshot => false, snapshot_path => "../snapshots"}, {
        insta::assert_yaml_snapshot!(name, json!({
            "warnings": outcome.warnings,
            "patch": outcome.patch,
        }));
    });

    let once = apply(&pod, &outcome);
    let again = admit(&once).expect("an injected pod is admitted");
    assert!(
        again.patch.is_empty(),
        "injecting again changes {}",
        again.patch
    );
}

macro_rules! golden {
    ($($test:ident: $name:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            check($name, include_str!(concat!("../pods/", $name, ".yaml")));
        }
    )*};
}

golden! {
    pod_of_a_deployment: "deployment",
    pod_of_a_job: "job",
    pod_with_init_containers: "init-containers",
    pod_with_its_own_environment: "own-environment",
    pod_with_istio: "istio",
    pod_with_linkerd: "linkerd",
    pod_under_a_limit_range: "limit-range",
    pod_under_pod_security_restricted: "restricted",
    pod_with_nulls: "nulls",
    pod_that_asks_for_nothing: "no-annotations",
}
