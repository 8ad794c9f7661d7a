//! Which host the commands on a page name: the one that the browser asked for, if that is a host at all.
//!
//! A Host header is a stranger's text that people copy into a shell.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Url;

/// The `host[:port]` for `docker pull` commands, and whether it is plain http beyond this machine,
/// which docker refuses without `insecure-registries`.
///
/// The header counts only if it is a DNS name or address that docker takes for a registry; otherwise
/// `public_url` does. The scheme is always that of `public_url`: a header has none.
pub(crate) fn host_for_commands(host_header: Option<&str>, public_url: &Url) -> (String, bool) {
    let default_port = public_url.port_or_known_default().unwrap_or(443);
    let configured = || {
        let port = public_url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}{port}", public_url.host_str().unwrap_or("localhost"))
    };
    let host = host_header.and_then(normal).unwrap_or_else(configured);
    let host = if is_registry_to_docker(&host) { host } else { format!("{host}:{default_port}") };
    let insecure_http = public_url.scheme() == "http" && !is_loopback(&host);
    (host, insecure_http)
}

/// The URL of this service for commands.
pub(super) fn server_url(host: &str, insecure_http: bool) -> String {
    let scheme = if insecure_http || is_loopback(host) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// Lower case; `None` for what is no `host[:port]` that docker could name.
fn normal(header: &str) -> Option<String> {
    if header.len() > 255 {
        return None;
    }
    let header = header.to_ascii_lowercase();
    let (host, port) = parts(&header)?;
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let host_fits = match bare_ipv6(host) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    (port_fits && host_fits).then_some(header)
}

/// Host and port; the colons of `[::1]` are the host's.
fn parts(text: &str) -> Option<(&str, Option<&str>)> {
    let end_of_host = text.find(']').map_or(0, |bracket| bracket + 1);
    let (bracketed, rest) = text.split_at_checked(end_of_host)?;
    match rest.split_once(':') {
        None => Some((text, None)),
        Some((host, port)) => Some((text.get(..bracketed.len() + host.len())?, Some(port))),
    }
}

fn bare_ipv6(host: &str) -> Option<&str> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']'))
}

fn is_label(label: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Docker takes the first component for a registry only if it has a dot, a colon, or is `localhost`;
/// anything else is a repository of Docker Hub.
fn is_registry_to_docker(host: &str) -> bool {
    host.contains(['.', ':']) || host == "localhost"
}

/// Docker needs no TLS to these.
fn is_loopback(host: &str) -> bool {
    let name = parts(host).map_or(host, |(name, _)| name);
    name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || bare_ipv6(name).is_some_and(|name| name.parse::<Ipv6Addr>().is_ok_and(|a| a.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: Option<&str>, public_url: &str) -> (String, bool) {
        host_for_commands(header, &Url::parse(public_url).unwrap())
    }

    #[test]
    fn commands_name_the_host_that_was_asked_for() {
        for (header, public_url, host, insecure_http) in [
            (Some("localhost:8080"), "http://localhost:8080", "localhost:8080", false),
            (Some("127.0.0.1:8080"), "http://localhost:8080", "127.0.0.1:8080", false),
            (Some("127.8.8.8:8080"), "http://localhost:8080", "127.8.8.8:8080", false),
            (Some("[::1]:8080"), "http://localhost:8080", "[::1]:8080", false),
            (Some("[::1]"), "http://localhost:8080", "[::1]", false),
            (Some("[2001:db8::1]:8080"), "http://localhost:8080", "[2001:db8::1]:8080", true),
            (Some("192.168.1.7:8080"), "http://localhost:8080", "192.168.1.7:8080", true),
            (Some("Tlog.Example"), "http://localhost:8080", "tlog.example", true),
            (Some("tlog.example"), "https://tlog.example", "tlog.example", false),
            (Some("xn--bcher-kva.example"), "https://tlog.example", "xn--bcher-kva.example", false),
            (Some("localhost"), "http://localhost", "localhost", false),
            (None, "https://tlog.example", "tlog.example", false),
            (None, "https://tlog.example:8443/", "tlog.example:8443", false),
            (None, "http://tlog.example", "tlog.example", true),
            (None, "http://[::1]:8080", "[::1]:8080", false),
        ] {
            assert_eq!(
                shown(header, public_url),
                (host.to_owned(), insecure_http),
                "{header:?} {public_url}"
            );
        }
    }

    #[test]
    fn a_name_that_docker_would_take_for_a_repository_gets_its_port() {
        assert_eq!(shown(Some("registry"), "http://registry"), ("registry:80".to_owned(), true));
        assert_eq!(shown(Some("registry"), "https://registry"), ("registry:443".to_owned(), false));
        assert_eq!(shown(None, "https://registry"), ("registry:443".to_owned(), false));
        assert_eq!(shown(Some("registry:5000"), "https://x.example"), ("registry:5000".to_owned(), false));
    }

    #[test]
    fn a_header_that_is_no_host_is_ignored() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = vec!["abcdefgh"; 40].join(".");
        for header in [
            "",
            " ",
            ":8080",
            "tlog.example:",
            "tlog.example:0",
            "tlog.example:65536",
            "tlog.example:+80",
            "tlog.example:80:80",
            "tlog.example.",
            ".example",
            "a..example",
            "-oops.example",
            "--help",
            "a_b.example",
            "user@tlog.example",
            "tlog.example/path",
            "tlog.example?x",
            "tlog.example x",
            "tlog.example;reboot",
            "$(reboot).example",
            "`reboot`.example",
            "\"><script>alert(1)</script>",
            "'onload='x",
            "a&b.example",
            "tlog.example\n",
            "bücher.example",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]x:80",
            "[tlog.example]",
            "[fe80::1%25eth0]",
            "[[::1]]",
            &long,
            &longer,
        ] {
            let expected = ("tlog.example".to_owned(), false);
            assert_eq!(shown(Some(header), "https://tlog.example"), expected, "{header:?}");
        }
    }

    #[test]
    fn the_url_of_this_service_has_the_scheme_that_fits() {
        assert_eq!(server_url("localhost:8080", false), "http://localhost:8080");
        assert_eq!(server_url("[::1]:8080", false), "http://[::1]:8080");
        assert_eq!(server_url("10.0.0.7:8080", true), "http://10.0.0.7:8080");
        assert_eq!(server_url("tlog.example", false), "https://tlog.example");
    }
}
