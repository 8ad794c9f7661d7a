//! The address of whoever asks: the peer's, or what a trusted proxy says it is.
//!
//! Headers of anybody else are nothing but text that a client made up. Pure.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::config::{AddressHeader, TrustedProxies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies in a row that are followed.
const MAX_HOPS: usize = 32;

/// Whose request it is that came from this peer. Each proxy adds, at the end, the address that it was asked from; the last
/// one of those that is not a trusted proxy's is as far as anything can be believed. What makes no sense is the peer's own.
pub(crate) fn address(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !trusted.trusts(peer) {
        return peer;
    }
    forwarded(trusted, headers).unwrap_or(peer)
}

fn forwarded(trusted: &TrustedProxies, headers: &HeaderMap) -> Option<IpAddr> {
    let (name, read): (_, fn(&str) -> Option<IpAddr>) = match trusted.header() {
        AddressHeader::XForwardedFor => (X_FORWARDED_FOR, node),
        AddressHeader::Forwarded => (FORWARDED, element),
    };
    let mut farthest = None;
    let mut hops = 0;
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    for line in lines.into_iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            hops += 1;
            let address = read(hop.trim()).filter(|_| hops <= MAX_HOPS)?;
            if !trusted.trusts(address) {
                return Some(address);
            }
            farthest = Some(address);
        }
    }
    farthest
}

/// `for=…` of one element of `Forwarded` (RFC 7239 §4), whatever else it says.
fn element(text: &str) -> Option<IpAddr> {
    let mut found = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = found.next()?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    found.next().is_none().then(|| node(quoted.unwrap_or(value)))?
}

/// An address, with or without port and brackets.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::config::Network;

    const PEER: &str = "10.0.0.1";

    fn trusted(header: AddressHeader) -> TrustedProxies {
        let networks: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).to_vec();
        TrustedProxies::new(networks, header)
    }

    fn of(header: AddressHeader, name: &'static str, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        address(&trusted(header), peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_hop_that_is_no_trusted_proxy_is_the_client() {
        for (lines, client) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, 10.0.0.2", "10.0.0.3"], "192.0.2.7"),
            (&["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
            (&[], PEER),
            (&[""], PEER),
            (&["unknown"], PEER),
            (&["192.0.2.7, nonsense"], PEER),
            (&["nonsense, 192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7,"], PEER),
            (&["192.0.2.7 10.0.0.2"], PEER),
        ] {
            assert_eq!(of(AddressHeader::XForwardedFor, "x-forwarded-for", PEER, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_it_is_configured() {
        for (lines, client) in [
            (&["for=192.0.2.7;proto=https;by=10.0.0.1"][..], "192.0.2.7"),
            (&["For=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (&["for=203.0.113.9, for=192.0.2.7, for=10.0.0.2"], "192.0.2.7"),
            (&["for=_hidden"], PEER),
            (&["for=unknown"], PEER),
            (&["proto=https"], PEER),
            (&["for=192.0.2.7;for=192.0.2.8"], PEER),
            (&["for=\"192.0.2.7"], PEER),
        ] {
            assert_eq!(of(AddressHeader::Forwarded, "forwarded", PEER, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn nobody_else_says_who_they_are_and_no_other_header_is_believed() {
        let made_up = &["192.0.2.7"][..];
        assert_eq!(
            of(AddressHeader::XForwardedFor, "x-forwarded-for", "198.51.100.1", made_up),
            "198.51.100.1"
        );
        assert_eq!(of(AddressHeader::XForwardedFor, "forwarded", PEER, &["for=192.0.2.7"]), PEER);
        assert_eq!(of(AddressHeader::Forwarded, "x-forwarded-for", PEER, made_up), PEER);
        assert_eq!(of(AddressHeader::XForwardedFor, "x-real-ip", PEER, made_up), PEER);
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let chain = vec!["10.0.0.2"; MAX_HOPS].join(",");
        assert_eq!(of(AddressHeader::XForwardedFor, "x-forwarded-for", PEER, &[&chain]), "10.0.0.2");
        assert_eq!(
            of(AddressHeader::XForwardedFor, "x-forwarded-for", PEER, &[&format!("192.0.2.7,{chain}")]),
            PEER
        );
    }

    proptest! {
        #[test]
        fn whatever_a_client_puts_before_it_what_the_proxy_added_is_believed(text in "[ -~]{0,60}") {
            let line = format!("{text}, 192.0.2.7");
            prop_assert_eq!(of(AddressHeader::XForwardedFor, "x-forwarded-for", PEER, &[&line]), "192.0.2.7");
        }
    }
}
