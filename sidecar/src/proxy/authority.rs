//! Only the route decides the upstream: a name in the request may agree with it or with this listener, and anything else is refused.

use std::net::SocketAddr;

use http::{HeaderMap, Uri, header};
use postern_crds::Route;

use crate::error::Error;

/// The names by which clients reach this proxy.
#[derive(Clone, Debug)]
pub(crate) struct OwnNames(Vec<String>);

impl OwnNames {
    /// The loopback names of every bound address.
    pub(crate) fn new(addresses: &[SocketAddr]) -> Self {
        let mut names = Vec::new();
        for address in addresses {
            names.push(address.to_string());
            for host in ["127.0.0.1", "localhost", "[::1]"] {
                names.push(format!("{host}:{}", address.port()));
            }
        }
        names.sort();
        names.dedup();
        Self(names)
    }

    fn contain(&self, name: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Checks every name that the request gives for its destination: the authority of its target (absolute form, or `:authority` in HTTP/2) and
/// its `Host`. A page in a browser that was led here by a name of its own is refused by this too.
///
/// # Errors
/// [`Error::HostMalformed`] when there is none or more than one `Host`, [`Error::AuthorityMismatch`] when one disagrees.
pub(crate) fn check(
    uri: &Uri,
    headers: &HeaderMap,
    route: &Route,
    own: &OwnNames,
) -> Result<(), Error> {
    let agrees =
        |name: &str| own.contain(name) || name.eq_ignore_ascii_case(route.authority.as_str());
    if uri
        .scheme()
        .is_some_and(|scheme| *scheme != http::uri::Scheme::HTTP && *scheme != route.scheme)
    {
        return Err(Error::AuthorityMismatch);
    }
    let target = uri.authority().map(http::uri::Authority::as_str);
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts
        .next()
        .map(|value| value.to_str().map_err(|_| Error::HostMalformed))
        .transpose()?;
    if hosts.next().is_some() || (host.is_none() && target.is_none()) {
        return Err(Error::HostMalformed);
    }
    match host.into_iter().chain(target).all(agrees) {
        true => Ok(()),
        false => Err(Error::AuthorityMismatch),
    }
}
