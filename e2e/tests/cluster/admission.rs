//! Does anybody get at a bundle past its sidecar: by another pod, by a way into the running one, by the operator's own accounts?
//!
//! Beside everything that is refused stands the nearest thing that is not.

mod caller;
mod connect;

mod join;
mod kubelet;
mod operator;
mod places;
mod pods;

use anyhow::{Result, ensure};
use postern_e2e::{PATIENCE, until};
use serde_json::Value;

use self::caller::Caller;
use crate::support::{Turn, ground};

/// The policies of the release that all tests share.
const POLICIES: [&str; 6] = [
    "postern-bundles",
    "postern-ephemeral-containers",
    "postern-exec",
    "postern-port-forward",
    "postern-secrets",
    "postern-sidecars",
];

#[test]
fn admission_api_server_finds_nothing_wrong_with_any_expression() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    for policy in POLICIES {
        // The controller manager looks at the expressions with the types of what they are about.
        let status = until("the expressions to be looked at", PATIENCE, || {
            let printed =
                cluster.kubectl(["get", "validatingadmissionpolicy", policy, "--output=json"])?;
            let object: Value = serde_json::from_str(&printed)?;
            let status = &object["status"];
            ensure!(
                status["observedGeneration"] == object["metadata"]["generation"],
                "{status}"
            );
            Ok(status.clone())
        })?;
        let checked = &status["typeChecking"];
        assert!(
            checked.is_object() && checked["expressionWarnings"].is_null(),
            "{policy}: {status}"
        );
    }
    Ok(())
}
