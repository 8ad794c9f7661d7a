//! Whether an address in somebody's file is the service. It must not know files.

use url::Url;

/// The service as clients reach it.
#[derive(Debug)]
pub(super) struct Us(Url);

impl Us {
    pub(super) fn new(url: Url) -> Self {
        Self(url)
    }

    /// `https://tlog.example`, without a slash at the end.
    pub(super) fn url(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    pub(super) fn authority(&self) -> &str {
        self.0.authority()
    }

    /// Whether a URL, or `host[:port][/path]`, leads to the service.
    pub(super) fn is(&self, address: &str) -> bool {
        let url = if address.contains("://") {
            Url::parse(address)
        } else {
            Url::parse(&format!("{}://{address}", self.0.scheme()))
        };
        url.is_ok_and(|url| {
            is_same_host(&url, &self.0) && url.port_or_known_default() == self.0.port_or_known_default()
        })
    }

    /// Whether it is reached in the clear over a network.
    pub(super) fn is_exposed(&self) -> bool {
        self.0.scheme() == "http" && !is_loopback(&self.0)
    }
}

fn is_same_host(one: &Url, other: &Url) -> bool {
    (is_loopback(one) && is_loopback(other)) || one.host() == other.host()
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_known_by_host_and_port() {
        let us = Us::new("https://tlog.example".parse().unwrap());
        for ours in
            ["https://tlog.example", "https://tlog.example:443/v2", "tlog.example/docker.io", "TLOG.example"]
        {
            assert!(us.is(ours), "{ours}");
        }
        for other in ["https://tlog.example:8443", "http://tlog.example", "tlog.example.evil", "", "://"] {
            assert!(!us.is(other), "{other}");
        }
        let local = Us::new("http://localhost:8080".parse().unwrap());
        assert!(local.is("http://127.0.0.1:8080") && local.is("localhost:8080/docker.io"));
        assert!(!local.is("localhost:8081"));
    }
}
