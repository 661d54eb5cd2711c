//! What both roles need to serve over TLS: an authority that replicas share, a certificate of each, and the listener.

pub(crate) mod ca;
pub(crate) mod ca_secret;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod validity;
