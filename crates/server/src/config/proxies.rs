//! Whose word on a client's address is taken, and in which header it is looked for.
//!
//! Pure. Knows no requests.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

/// `client_address_header`: the one that the trusted proxies write. A client can send any other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressHeader {
    /// `X-Forwarded-For`, which nginx, Caddy, HAProxy, Traefik and load balancers write.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// `trusted_proxies` and `client_address_header`
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: AddressHeader,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<Network>, header: AddressHeader) -> Self {
        Self { networks, header }
    }

    /// Whether this peer speaks for others.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|Network(network)| network.contains(&peer))
    }

    /// Where they write whom they speak for.
    pub fn header(&self) -> AddressHeader {
        self.header
    }

    /// What was configured.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Ok(IpNet::from(address.to_canonical())),
            Err(_no_address) => text.parse::<IpNet>().map(|network| network.trunc()),
        };
        network.map(Self).map_err(|_why| {
            format!("`{text}` is not an address or a network such as `10.0.0.0/8` or `fd00::/8`")
        })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AddressHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_trusted_within_a_network_whatever_its_notation() {
        let networks = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(|text| text.parse().unwrap()).to_vec();
        let trusted = TrustedProxies::new(networks, AddressHeader::default());
        for (peer, yes) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("11.0.0.1", false),
        ] {
            assert_eq!(trusted.trusts(peer.parse().unwrap()), yes, "{peer}");
        }
        assert!(!TrustedProxies::default().trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_form_of_one() {
        for wrong in ["", "10.0.0.0/33", "10.0.0", "proxy.example", "10.0.0.0/8,10.0.0.0/9"] {
            assert!(wrong.parse::<Network>().unwrap_err().contains("`10.0.0.0/8`"), "{wrong}");
        }
        assert_eq!("10.1.2.3/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
