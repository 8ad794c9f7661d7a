//! Which hosts and addresses may be asked though nobody configured them: public ones, over https.
//!
//! The names in a request are anybody's choice, so this is what keeps us from being used to reach
//! the network that we stand in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Why an address or host may not be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) &'static str);

/// Ranges that are not public: first address, prefix length.
const DENIED_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All that is handed out to be reached from everywhere; loopback, private, mapped, translated and multicast
/// addresses lie outside.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What lies within that and is not.
const DENIED_V6: [(Ipv6Addr, u32); 5] = [
    // Teredo and other protocols of the network itself.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // An embedded IPv4 address could be checked; no registry is reached by one, so none is let through.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is a public one.
pub(crate) fn check_address(address: IpAddr) -> Result<(), Refused> {
    let public = match address {
        IpAddr::V4(address) => !DENIED_V4.iter().any(|range| within_v4(address, range)),
        IpAddr::V6(address) => {
            within_v6(address, &GLOBAL_V6) && !DENIED_V6.iter().any(|range| within_v6(address, range))
        }
    };
    if public { Ok(()) } else { Err(Refused("its address is not a public one")) }
}

fn within_v4(address: Ipv4Addr, (first, length): &(Ipv4Addr, u32)) -> bool {
    u32::from(address) >> (32 - length) == u32::from(*first) >> (32 - length)
}

fn within_v6(address: Ipv6Addr, (first, length): &(Ipv6Addr, u32)) -> bool {
    u128::from(address) >> (128 - length) == u128::from(*first) >> (128 - length)
}

/// Whether a URL that nobody configured may be asked; names are resolved and checked later.
pub(crate) fn check_url(url: &Url) -> Result<(), Refused> {
    if url.scheme() != "https" {
        return Err(Refused("it is not reached over https"));
    }
    if url.port().is_some_and(|port| port != 443) {
        return Err(Refused("its port is not 443"));
    }
    match url.host() {
        None => Err(Refused("it has no host")),
        Some(Host::Ipv4(address)) => check_address(address.into()),
        Some(Host::Ipv6(address)) => check_address(address.into()),
        Some(Host::Domain(name)) => check_name(name),
    }
}

/// Last labels that lead nowhere in public: reserved ones (RFC 6761, RFC 7686, RFC 8375, RFC 9476), `internal`, and those
/// that networks use for themselves and that ICANN gives to nobody.
const PRIVATE_ZONES: [&str; 14] = [
    "alt",
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "test",
];

fn check_name(name: &str) -> Result<(), Refused> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some((_, last)) = name.rsplit_once('.') else {
        return Err(Refused("its name has no dot"));
    };
    // Resolvers take some all-numeric names for addresses.
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        return Err(Refused("its name is a number"));
    }
    if PRIVATE_ZONES.contains(&last) {
        return Err(Refused("its name is not a public one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3ffe::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(check_address(address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "2001:4860::1",
            "3ffd::1",
        ] {
            assert!(check_address(address.parse().unwrap()).is_ok(), "{address}");
        }
    }

    #[test]
    fn urls_that_nobody_configured_are_https_on_443_with_a_public_name() {
        for url in [
            "http://ghcr.io/",
            "https://ghcr.io:8443/",
            "https://localhost/",
            "https://localhost./",
            "https://registry/",
            "https://a.localhost/",
            "https://a.local/",
            "https://metadata.google.internal/",
            "https://corp.alt/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://10.0.0.1/",
            "https://0/",
            "https://0.0.0.0/",
            "ftp://ghcr.io/",
            "https://１２７.0.0.1/",
            "https://127。0。0。1/",
            "https://[64:ff9b::a00:1]/",
        ] {
            let Ok(parsed) = Url::parse(url) else { continue };
            assert!(check_url(&parsed).is_err(), "{url}");
        }
        for url in [
            "https://ghcr.io/v2/",
            "https://ghcr.io:443/",
            "https://registry-1.docker.io/",
            "https://xn--bcher-kva.example/",
            "https://8.8.8.8/",
            "https://ghcr.io./",
        ] {
            assert!(check_url(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }
}
