//! What of a route's secret is looked for: what is secret of it, what is made of that on its way, and what it buys.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_crds::{
    Route, Secret,
    agent_identity::KeyEncoding,
    route::Injection,
    source::{self, Shape},
};

use super::needles::Needles;
use crate::wiped;

/// The texts that must not come back of the calls on one route. It has no `Debug`.
#[derive(PartialEq, Eq)]
pub(crate) struct Secrets {
    texts: Vec<Secret>,
    placeholder: String,
}

impl Secrets {
    /// Those of `route`, whose `secret` is of `shape`. None, where the secret is not: it cannot be sent.
    pub(crate) fn of(route: &Route, shape: Shape, secret: &Secret) -> Self {
        Self {
            texts: source::secret(secret.expose(), shape).map_or_else(
                |_| Vec::new(),
                |secret| texts(&route.injection, shape, &secret),
            ),
            placeholder: route.placeholder.clone(),
        }
    }

    /// Their forms, and those of what was `made` of them or bought with them since. `None` where none is long enough to be looked for.
    pub(crate) fn needles<'a>(
        &'a self,
        made: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Arc<Needles>> {
        let texts = self.texts.iter().map(Secret::expose);
        Needles::new(texts.chain(made), &self.placeholder).map(Arc::new)
    }
}

/// The parts of `secret` that are secret themselves, and what `injection` makes of them that would not be found as one of their forms.
fn texts(injection: &Injection, shape: Shape, secret: &Secret) -> Vec<Secret> {
    let mut texts = source::parts(secret, shape);
    match injection {
        // As it is sent. The password may be too short to be looked for alone.
        Injection::Basic { username } => {
            let pair = match username {
                Some(name) => wiped::join(&[name.as_bytes(), b":", secret.expose()]),
                None => wiped::join(&[secret.expose()]),
            };
            texts.push(Secret::new(BASE64_STANDARD.encode(&*pair).into_bytes()));
            texts.push(Secret::new(pair.to_vec()));
        }
        Injection::Hmac(spec) if spec.key_encoding != KeyEncoding::Text => {
            let key = source::key(secret.expose(), spec.key_encoding);
            texts.extend(key.map(|key| Secret::new(key.to_vec())));
        }
        Injection::Header { .. }
        | Injection::Query { .. }
        | Injection::Cookie { .. }
        | Injection::AwsSigV4 { .. }
        | Injection::Token(_)
        | Injection::Hmac(_) => {}
    }
    texts
}
