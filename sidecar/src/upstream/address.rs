//! Which addresses may be dialled: a name must not lead a credential to a place that its owner did not mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kinds of addresses that a name may not resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 127.0.0.0/8, ::1: the application itself, or this proxy.
    #[error("a loopback address")]
    Loopback,
    /// 169.254.0.0/16 and fe80::/10, which hold the cloud's metadata services.
    #[error("a link-local address")]
    LinkLocal,
    /// Metadata services that live outside link-local ranges.
    #[error("a cloud metadata service")]
    Metadata,
    /// The Kubernetes API of this cluster.
    #[error("the cluster's API")]
    ClusterApi,
    /// Multicast, broadcast, unspecified and reserved addresses.
    #[error("not a host's address")]
    NotAHost,
}

/// Metadata services outside link-local ranges: AWS over IPv6, Alibaba Cloud, Oracle's and Azure's wire server.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Checks one address that `host` resolved to.
///
/// A host that is itself an address, or `localhost`, was named by the user as such and may be dialled: the registry has none of these. Private
/// ranges are not refused: services of a cluster live there, and so do the private endpoints that clouds put
/// behind a vendor's public name; the certificate is verified all the same.
///
/// # Errors
/// The kind of address that it must not be.
pub(crate) fn check(host: &str, address: IpAddr, cluster_api: &[IpAddr]) -> Result<(), Refusal> {
    let address = embedded(address);
    if names(host, address) {
        return Ok(());
    }
    if METADATA.contains(&address) {
        return Err(Refusal::Metadata);
    }
    if cluster_api.iter().any(|api| embedded(*api) == address) {
        return Err(Refusal::ClusterApi);
    }
    match address {
        IpAddr::V4(v4) => {
            if v4.is_loopback() {
                return Err(Refusal::Loopback);
            }
            if v4.is_link_local() {
                return Err(Refusal::LinkLocal);
            }
            // 0.0.0.0/8 reaches the own host on Linux; 240.0.0.0/4 is reserved and holds the broadcast address.
            if v4.octets()[0] == 0 || v4.is_multicast() || v4.octets()[0] >= 240 {
                return Err(Refusal::NotAHost);
            }
        }
        IpAddr::V6(v6) => {
            if v6.is_loopback() {
                return Err(Refusal::Loopback);
            }
            if v6.is_unicast_link_local() {
                return Err(Refusal::LinkLocal);
            }
            if v6.is_unspecified() || v6.is_multicast() {
                return Err(Refusal::NotAHost);
            }
        }
    }
    Ok(())
}

/// Whether `host` is a spelling of `address` and not a name that merely resolves to it.
fn names(host: &str, address: IpAddr) -> bool {
    match host.parse::<IpAddr>() {
        Ok(literal) => embedded(literal) == address,
        // RFC 6761 section 6.3: these names are loopback and nothing else.
        Err(_) => address.is_loopback() && (host == "localhost" || host.ends_with(".localhost")),
    }
}

/// The IPv4 address inside an IPv6 one, where there is one: mapped, compatible (both RFC 4291), NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1))];

    fn verdict(host: &str, address: &str) -> Result<(), Refusal> {
        check(host, address.parse().unwrap(), &API)
    }

    #[test]
    fn a_name_never_leads_to_the_own_host_the_cloud_or_the_cluster_api() {
        for (address, expected) in [
            ("127.0.0.1", Refusal::Loopback),
            ("127.9.9.9", Refusal::Loopback),
            ("::1", Refusal::Loopback),
            ("::ffff:127.0.0.1", Refusal::Loopback),
            ("64:ff9b::7f00:1", Refusal::Loopback),
            ("2002:7f00:1::", Refusal::Loopback),
            ("169.254.169.254", Refusal::LinkLocal),
            ("::ffff:169.254.169.254", Refusal::LinkLocal),
            ("fe80::1", Refusal::LinkLocal),
            ("fd00:ec2::254", Refusal::Metadata),
            ("100.100.100.200", Refusal::Metadata),
            ("168.63.129.16", Refusal::Metadata),
            ("10.96.0.1", Refusal::ClusterApi),
            ("::ffff:10.96.0.1", Refusal::ClusterApi),
            ("0.0.0.0", Refusal::NotAHost),
            ("0.1.2.3", Refusal::NotAHost),
            ("::", Refusal::NotAHost),
            ("224.0.0.1", Refusal::NotAHost),
            ("255.255.255.255", Refusal::NotAHost),
            ("ff02::1", Refusal::NotAHost),
        ] {
            assert_eq!(
                verdict("api.example.com", address),
                Err(expected),
                "{address}"
            );
        }
    }

    #[test]
    fn the_cluster_api_is_known_by_an_address_inside_another_too() {
        // What DNS64 answers for both names.
        let api = ["64:ff9b::a60:1".parse().unwrap()];
        for address in ["64:ff9b::a60:1", "10.96.0.1"] {
            let verdict = check("api.example.com", address.parse().unwrap(), &api);
            assert_eq!(verdict, Err(Refusal::ClusterApi), "{address}");
        }
    }

    #[test]
    fn private_addresses_pass() {
        for address in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
        ] {
            assert_eq!(verdict("api.openai.com", address), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_endpoint_may_name_an_address_itself() {
        assert_eq!(verdict("127.0.0.1", "127.0.0.1"), Ok(()));
        assert_eq!(verdict("localhost", "127.0.0.1"), Ok(()));
        assert_eq!(verdict("localhost", "::1"), Ok(()));
        assert_eq!(verdict("::1", "::1"), Ok(()));
        assert_eq!(verdict("10.96.0.1", "10.96.0.1"), Ok(()));
        assert_eq!(verdict("169.254.169.254", "169.254.169.254"), Ok(()));
        assert_eq!(
            verdict("localhost", "169.254.169.254"),
            Err(Refusal::LinkLocal)
        );
        assert_eq!(
            verdict("localhost.example.com", "127.0.0.1"),
            Err(Refusal::Loopback)
        );
    }

    #[test]
    fn public_addresses_pass() {
        for address in ["1.1.1.1", "104.18.7.192", "100.128.0.1", "2606:4700::1"] {
            assert_eq!(verdict("api.openai.com", address), Ok(()), "{address}");
        }
    }
}
