//! Where the cluster's API is: to its addresses no name may lead, and what its own name leads to is known only when it is looked up.

use std::{
    net::IpAddr,
    sync::{Mutex, Once},
    time::Duration,
};

use crate::config::ApiHost;

/// How long a connection waits for the API's name. Where DNS does not answer, the name of the upstream is not resolved either.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The hosts of the cluster's API.
pub(super) struct ClusterApi {
    addresses: Vec<IpAddr>,
    names: Vec<Name>,
}

/// One that is told by name.
struct Name {
    name: String,
    /// What it led to last; nothing, if it never led anywhere.
    last: Mutex<Vec<IpAddr>>,
    warned: Once,
}

impl ClusterApi {
    /// That of `hosts`. Looks nothing up yet.
    pub(super) fn new(hosts: Vec<ApiHost>) -> Self {
        let (mut addresses, mut names) = (Vec::new(), Vec::new());
        for host in hosts {
            match host {
                ApiHost::Address(address) => addresses.push(address),
                ApiHost::Name(name) => names.push(Name {
                    name,
                    last: Mutex::default(),
                    warned: Once::new(),
                }),
            }
        }
        Self { addresses, names }
    }

    /// Whether `host` is a name of it, whatever it resolves to.
    pub(super) fn is_called(&self, host: &str) -> bool {
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        self.names
            .iter()
            .any(|named| bare(&named.name) == bare(host))
    }

    /// Its addresses now. Looked up anew each time, since a name may move; a name that cannot be looked up leads where it led before, and one that
    /// never could is warned about: what leads there without its name is then not known.
    pub(super) async fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = self.addresses.clone();
        for name in &self.names {
            addresses.extend(name.look_up().await);
        }
        addresses
    }
}

impl Name {
    async fn look_up(&self) -> Vec<IpAddr> {
        // The port is of no matter: addresses alone are compared.
        let looked = tokio::net::lookup_host((self.name.as_str(), 443));
        let found: Vec<IpAddr> = match tokio::time::timeout(LOOKUP_TIMEOUT, looked).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let mut last = self.last.lock().expect("no panic while the lock is held");
        if !found.is_empty() {
            *last = found;
        } else if last.is_empty() {
            self.warned.call_once(|| {
                tracing::warn!(
                    name = self.name,
                    "the name of the cluster's API is not resolved: an upstream of that name is refused, another name that leads there is not noticed"
                );
            });
        }
        last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(hosts: &str) -> ClusterApi {
        let hosts = hosts.split(',').map(|host| host.parse().unwrap());
        ClusterApi::new(hosts.collect())
    }

    #[tokio::test]
    async fn its_addresses_are_those_that_were_told_and_those_of_its_names() {
        let found = api("10.96.0.1,localhost").addresses().await;
        assert_eq!(found[0], IpAddr::from([10, 96, 0, 1]));
        assert!(
            found[1..].contains(&IpAddr::from([127, 0, 0, 1])),
            "{found:?}"
        );
    }

    #[tokio::test]
    async fn a_name_that_is_not_resolved_leads_where_it_led_before_and_else_nowhere() {
        // RFC 6761 section 6.4: there is never such a name.
        let api = api("api.invalid");
        assert_eq!(api.addresses().await, [] as [IpAddr; 0]);
        let before = IpAddr::from([10, 96, 0, 1]);
        *api.names[0].last.lock().unwrap() = vec![before];
        assert_eq!(api.addresses().await, [before]);
    }

    #[test]
    fn it_is_called_by_its_name_in_any_spelling() {
        let api = api("10.96.0.1,bot.hcp.azmk8s.io");
        for host in [
            "bot.hcp.azmk8s.io",
            "BOT.hcp.azmk8s.io",
            "bot.hcp.azmk8s.io.",
        ] {
            assert!(api.is_called(host), "{host}");
        }
        for host in ["hcp.azmk8s.io", "10.96.0.1", "api.openai.com"] {
            assert!(!api.is_called(host), "{host}");
        }
    }
}
