//! Every name that operator, sidecar, chart and users must spell alike.

/// API group of all custom resources.
pub const GROUP: &str = "postern.dev";
/// The served and stored API version.
pub const VERSION: &str = "v1alpha1";

/// Pod annotation that opts a pod in; its value names an `AgentIdentity` in the pod's namespace.
pub const IDENTITY_ANNOTATION: &str = "postern.dev/identity";
/// Pod annotation that sets the sidecar's log level: `error`, `warn`, `info` or `debug`.
pub const LOG_LEVEL_ANNOTATION: &str = "postern.dev/log-level";
/// Pod annotation that sets the sidecar's CPU request, within the chart's bounds.
pub const CPU_ANNOTATION: &str = "postern.dev/cpu";
/// Pod annotation that sets the sidecar's memory request and limit, within the chart's bounds.
pub const MEMORY_ANNOTATION: &str = "postern.dev/memory";
/// Every annotation under our prefix that a pod may carry. Any other is refused, so that a misspelt one cannot be ignored.
pub const POD_ANNOTATIONS: [&str; 5] = [
    IDENTITY_ANNOTATION,
    LOG_LEVEL_ANNOTATION,
    CPU_ANNOTATION,
    MEMORY_ANNOTATION,
    TEMPLATE_ANNOTATION,
];
/// Pod annotation, written by the webhook: digest of what was injected. The controller counts pods whose digest is not today's as outdated.
pub const TEMPLATE_ANNOTATION: &str = "postern.dev/template";
/// Pod label, written by the webhook: the identity. The controller watches only pods that carry it.
pub const IDENTITY_LABEL: &str = "postern.dev/identity";
/// The prefix of all our annotations and labels.
pub const PREFIX: &str = "postern.dev/";

/// Annotation by which a Secret's owner consents to its use: comma-separated identity names, or `*`.
pub const ALLOW_IDENTITY_ANNOTATION: &str = "postern.dev/allow-identity";
/// Annotation on an `AgentIdentity` or a `CredentialStore`: any change of its value makes the controller read the sources at once.
pub const REFRESH_ANNOTATION: &str = "postern.dev/refresh";

/// Name of the injected container.
pub const CONTAINER: &str = "postern";
/// Volume with the identity's bundle, mounted into the sidecar only.
pub const BUNDLE_VOLUME: &str = "postern-bundle";
/// Volume with the sidecar's own projected service-account token.
pub const TOKEN_VOLUME: &str = "postern-token";
/// Empty volume that covers the default service-account path in the sidecar.
pub const NO_TOKEN_VOLUME: &str = "postern-no-token";
/// Where the bundle's directory is mounted. A directory, never a `subPath`, which would not follow rotations.
pub const BUNDLE_DIR: &str = "/var/run/postern/bundle";
/// Where the projected token's directory is mounted.
pub const TOKEN_DIR: &str = "/var/run/postern/token";
/// The token's file name in [`TOKEN_DIR`].
pub const TOKEN_FILE: &str = "token";
/// Audience of the projected token.
pub const TOKEN_AUDIENCE: &str = "postern";
/// Key of the bundle in its Secret, and its file name in [`BUNDLE_DIR`].
pub const BUNDLE_KEY: &str = "bundle.json";
/// `type` of the Secrets that hold a bundle.
pub const BUNDLE_SECRET_TYPE: &str = "postern.dev/bundle";

/// Port of the sidecar's data listeners on 127.0.0.1 and ::1.
pub const DATA_PORT: u16 = 14080;
/// Port of the sidecar's admin listener (live, ready, metrics) on the pod's address.
pub const ADMIN_PORT: u16 = 14081;
/// UID and GID of the sidecar; none of Istio's (1337) or Linkerd's (2102).
pub const SIDECAR_UID: i64 = 14000;

/// Field manager of the controller's server-side apply.
pub const CONTROLLER_MANAGER: &str = "postern-controller";
/// Field manager of `status.rotation`, which is written apart from the rest of an identity's status.
pub const ROTATION_MANAGER: &str = "postern-controller-rotation";
/// Field manager of the webhook's server-side apply of its `caBundle`.
pub const WEBHOOK_MANAGER: &str = "postern-webhook";

/// Field manager of `status.refresh` of a `CredentialStore`, which the webhook writes.
pub const EVENTS_MANAGER: &str = "postern-webhook-events";

/// Response header with the stable reason of an answer of ours; never passed through from an upstream.
pub const REASON_HEADER: &str = "postern-reason";
/// Response header with the id under which the access log knows the request.
pub const REQUEST_ID_HEADER: &str = "postern-request-id";

/// Name of the Secret that holds the bundle of `identity`.
pub fn bundle_secret(identity: &str) -> String {
    format!("postern-{identity}")
}

/// Whether `text` is a DNS label as RFC 1123 section 2.1 has it: what Kubernetes asks of a label's value, and we of our names.
pub fn is_label(text: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|b| is_alphanumeric(*b) || *b == b'-')
        && bytes.first().is_some_and(|b| is_alphanumeric(*b))
        && bytes.last().is_some_and(|b| is_alphanumeric(*b))
}
