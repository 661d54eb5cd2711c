//! What operator and sidecar say to each other, beside the bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a sidecar's admin listener tells which bundle it uses. Whoever reaches the pod may ask: nothing in the answer is secret.
pub const BUNDLE_PATH: &str = "/bundle";

/// Where a sidecar's admin listener is told, by a `POST` without content, that there may be a newer bundle. Whoever reaches the pod may say so: it makes the
/// sidecar ask the operator, once in a while at most, and gives it nothing.
pub const REFRESH_PATH: &str = "/refresh";

/// Where the operator answers a sidecar's `GET` with the newest bundle of its identity. The pod's token, which Kubernetes made for
/// [`TOKEN_AUDIENCE`](crate::names::TOKEN_AUDIENCE), is in `Authorization` as a bearer's.
pub const FETCH_PATH: &str = "/v1/bundle";

/// Header with [`Fetch::ticket`](crate::bundle::Fetch::ticket).
pub const TICKET_HEADER: &str = "postern-ticket";

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
