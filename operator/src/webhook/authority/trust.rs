//! Our `caBundle` in the `MutatingWebhookConfiguration`: the one field of it that is ours, by server-side apply.
//!
//! The chart leaves the field out, so that neither an upgrade nor a GitOps tool ever has another opinion about it.

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use postern_crds::names::WEBHOOK_MANAGER;
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::Error;
use crate::tls::ca::{self, Ca};

/// The entry of the configuration that calls us.
pub(super) const WEBHOOK: &str = "inject.postern.dev";

/// Since when the API server trusts the current authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It was there when we looked; the API server had time to notice.
    Established,
    /// We have just written it.
    Fresh,
}

/// Makes the API server trust `ca`, and the earlier ones that it still wants trusted.
pub(super) async fn establish(
    configurations: &Api<MutatingWebhookConfiguration>,
    name: &str,
    ca: &Ca,
    now: Timestamp,
) -> Result<Trust, Error> {
    let found = configurations
        .get_opt(name)
        .await
        .map_err(Error::ReadConfiguration)?
        .ok_or_else(|| Error::NoConfiguration(name.to_owned()))?;
    let webhook = found
        .webhooks
        .iter()
        .flatten()
        .find(|webhook| webhook.name == WEBHOOK)
        .ok_or_else(|| Error::NoWebhook(name.to_owned()))?;
    let present = webhook
        .client_config
        .ca_bundle
        .as_ref()
        .map_or(Vec::new(), |ByteString(pem)| {
            ca::certificates(&String::from_utf8_lossy(pem))
        });
    let wanted = ca.trusted(now);
    if is_settled(&present, &wanted, now) {
        return Ok(Trust::Established);
    }
    let bundle = ByteString(ca::to_pem(&wanted).into_bytes());
    let ours = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "webhooks": [{"name": WEBHOOK, "clientConfig": {"caBundle": bundle}}],
    });
    configurations
        .patch(
            name,
            &PatchParams::apply(WEBHOOK_MANAGER).force(),
            &Patch::Apply(&ours),
        )
        .await
        .map_err(Error::WriteConfiguration)?;
    tracing::info!(
        configuration = name,
        authorities = wanted.len(),
        "set the caBundle"
    );
    Ok(Trust::Fresh)
}

/// Whether the bundle can stay as it is: it has all that we want, and nothing expired.
///
/// It may have more. A replica that read the Secret before another renewed it would otherwise take the new authority out again.
fn is_settled(
    present: &[CertificateDer<'static>],
    wanted: &[CertificateDer<'static>],
    now: Timestamp,
) -> bool {
    let complete = wanted
        .iter()
        .all(|certificate| present.contains(certificate));
    complete && ca::unexpired(present, now).count() == present.len()
}
