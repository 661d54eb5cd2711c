//! What operator and sidecar say to each other, beside the bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a sidecar's admin listener tells which bundle it uses. Whoever reaches the pod may ask: nothing in the answer is secret.
pub const BUNDLE_PATH: &str = "/bundle";

/// The bundle that a sidecar uses: the answer to `GET /bundle`, or 503 while there is none. It has neither secrets nor specs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BundleInUse {
    /// [`Bundle::revision`](crate::Bundle::revision).
    pub revision: String,
    /// The format that it was written in.
    pub format: u32,
    /// The version of each credential that has a secret.
    pub credentials: BTreeMap<String, String>,
    /// Since when it is in use, as in `2026-11-25T13:20:00Z`.
    pub loaded_at: String,
}
