//! The sidecar as JSON: its container and its volumes.
//!
//! Every field that the API server would fill in is written out, so that an injected container can be compared with what would be
//! injected today.

use postern_crds::names;
use serde_json::{Value, json};

use super::{LogLevel, Quantity, SidecarTemplate};

/// What one pod's annotations may change about its sidecar.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `postern.dev/log-level`.
    pub log_level: Option<LogLevel>,
    /// `postern.dev/cpu`: the request. The limit grows with it, never shrinks.
    pub cpu: Option<Quantity>,
    /// `postern.dev/memory`: request and limit.
    pub memory: Option<Quantity>,
}

/// Files readable by all: the sidecar is neither root nor, without an `fsGroup` that would change the application, in their group.
const MODE: u32 = 0o444;

/// The container.
pub fn container(template: &SidecarTemplate, settings: &Settings) -> Value {
    let SidecarTemplate {
        image,
        pull_policy,
        log_level,
        cpu,
        memory,
    } = template;
    let log_level = settings.log_level.unwrap_or(*log_level);
    let cpu_request = settings.cpu.as_ref().unwrap_or(&cpu.request);
    let cpu_limit = (&cpu.limit).max(cpu_request);
    let memory_request = settings.memory.as_ref().unwrap_or(&memory.request);
    let memory_limit = settings.memory.as_ref().unwrap_or(&memory.limit);
    json!({
        "name": names::CONTAINER,
        "image": image,
        "imagePullPolicy": pull_policy.as_str(),
        "args": ["serve", "--log-level", log_level.as_str()],
        "env": [{
            "name": "POSTERN_POD",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        }],
        // Among the init containers this makes it a native sidecar: it starts before the application and its init containers,
        // stops after them, and does not keep a Job from completing.
        "restartPolicy": "Always",
        "ports": [{"name": "postern-admin", "containerPort": names::ADMIN_PORT, "protocol": "TCP"}],
        // The application starts as soon as the sidecar can answer it: asked every second, for ten minutes.
        "startupProbe": probe("/readyz", 1, 2, 600),
        "readinessProbe": probe("/readyz", 10, 2, 3),
        // Patient, since a restart cuts every stream: a node out of breath is no reason.
        "livenessProbe": probe("/livez", 10, 5, 6),
        "resources": {
            "requests": {"cpu": cpu_request.to_string(), "memory": memory_request.to_string()},
            "limits": {"cpu": cpu_limit.to_string(), "memory": memory_limit.to_string()},
        },
        // Pod Security `restricted`, container by container: the pod's own settings are the application's.
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": names::SIDECAR_UID,
            "runAsGroup": names::SIDECAR_UID,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": names::BUNDLE_VOLUME, "mountPath": names::BUNDLE_DIR, "readOnly": true},
            {"name": names::TOKEN_VOLUME, "mountPath": names::TOKEN_DIR, "readOnly": true},
            {"name": names::NO_TOKEN_VOLUME, "mountPath": SERVICE_ACCOUNT_DIR, "readOnly": true},
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    })
}

/// Where the API server mounts the pod's own token into every container that mounts nothing there. The sidecar has no use for it.
const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// On the pod's address, where the kubelet asks: it cannot reach a loopback address.
fn probe(path: &str, period_seconds: u32, timeout_seconds: u32, failures: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": names::ADMIN_PORT, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": timeout_seconds,
        "successThreshold": 1,
        "failureThreshold": failures,
    })
}

/// The volumes of a pod with `identity`.
pub fn volumes(identity: &str) -> [Value; 3] {
    [
        // Not optional: the kubelet holds the pod until the controller has written the Secret.
        json!({
            "name": names::BUNDLE_VOLUME,
            "secret": {"secretName": names::bundle_secret(identity), "defaultMode": MODE},
        }),
        json!({
            "name": names::TOKEN_VOLUME,
            "projected": {
                "defaultMode": MODE,
                "sources": [{"serviceAccountToken": {
                    "audience": names::TOKEN_AUDIENCE,
                    "expirationSeconds": 3600,
                    "path": names::TOKEN_FILE,
                }}],
            },
        }),
        // In memory, since an emptyDir on disk keeps the cluster autoscaler from removing the node.
        json!({"name": names::NO_TOKEN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}),
    ]
}
