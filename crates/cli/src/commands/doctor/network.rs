//! The running service and the upstreams, asked over HTTP: whether they answer, and what their clocks say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use oci::RegistryHost;
use reqwest::header::DATE;
use reqwest::{Client, ClientBuilder, Response, StatusCode};
use server::config::Config;
use url::Url;

use super::findings::Findings;
use super::log::chain;
use super::us::is_loopback;

const USER_AGENT: &str = concat!("tlogistry-doctor/", env!("CARGO_PKG_VERSION"));
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 16 << 10;
/// Upstreams that are asked.
const MAX_UPSTREAMS: usize = 100;
/// A clock that is so far off makes records that contradict everybody's.
const CLOCK_WARN: Duration = Duration::from_secs(60);
const CLOCK_FAIL: Duration = Duration::from_secs(600);

/// Whether the service runs here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Running {
    Here,
    No,
}

/// Asks the service itself.
pub(super) async fn service(config: &Config, findings: &mut Findings) -> Running {
    let address = reachable(config.listen);
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let Ok(url) = Url::parse(&format!("{scheme}://{address}/readyz")) else { return Running::No };
    // Our own socket, by its address, which no certificate names; whether clients trust it is asked at `public_url`.
    let answer = match ask(&url, true, |builder| builder.tls_danger_accept_invalid_certs(true)).await {
        Ok(answer) => answer,
        Err(_unreachable) => {
            findings.ok("service", format!("not running at `{address}`"));
            return Running::No;
        }
    };
    let status = answer.status();
    let page = match server::admin::readiness(config).await {
        Ok(Some(readiness)) => readiness.page,
        // Who may not ask there, or runs another version, is told what strangers are.
        Ok(None) | Err(_) => text(answer).await,
    };
    let why: Vec<&str> = page.lines().filter(|line| *line != "ok").collect();
    let why = why.join("; ");
    if status != StatusCode::OK {
        let message = format!("not ready at `{address}` (status {}): {why}", status.as_u16());
        findings.fail("service", message, "nothing new is recorded until this is put right");
    } else if why.is_empty() {
        findings.ok("service", format!("ready at `{address}`"));
    } else {
        findings.warn(
            "service",
            format!("ready at `{address}`, but {why}"),
            "put it right before it matters",
        );
    }
    Running::Here
}

/// Asks every configured upstream.
pub(super) async fn upstreams(config: &Config, findings: &mut Findings) {
    for (host, upstream) in config.upstreams.iter().take(MAX_UPSTREAMS) {
        let subject = format!("upstream {host}");
        let Some(url) = upstream.url.clone().or_else(|| own_url(host)) else { continue };
        let Ok(url) = url.join("v2/") else { continue };
        match ask(&url, false, |builder| builder).await {
            Ok(answer) => {
                check_answer(&subject, &url, &answer, findings);
                let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
                check_clock(&subject, date, SystemTime::now(), findings);
            }
            Err(error) => findings.fail(
                &subject,
                format!("`{url}` cannot be reached: {}", chain(&error)),
                "recorded tags are served meanwhile; check name, network, proxy and certificate",
            ),
        }
    }
}

fn check_answer(subject: &str, url: &Url, answer: &Response, findings: &mut Findings) {
    let status = answer.status();
    match status.as_u16() {
        200 | 401 => findings.ok(subject, format!("`{url}` answers with {}", status.as_u16())),
        429 | 500.. => findings.fail(
            subject,
            format!("`{url}` answers with {}", status.as_u16()),
            "recorded tags are served meanwhile; new ones wait until it recovers",
        ),
        _ => findings.warn(
            subject,
            format!("`{url}` answers with {}, as no registry does", status.as_u16()),
            "is `url` the registry's own address?",
        ),
    }
}

/// An answer without a date, as some registries give it, says nothing.
fn check_clock(subject: &str, date: Option<&str>, now: SystemTime, findings: &mut Findings) {
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
    let apart = now.duration_since(theirs).unwrap_or_else(|behind| behind.duration());
    let message = format!("the clock is {} s away from that of `{subject}`", apart.as_secs());
    let hint = "set the clock right, and keep it so with NTP: its time goes into records for ever";
    if apart > CLOCK_FAIL {
        findings.fail("clock", message, hint);
    } else if apart > CLOCK_WARN {
        findings.warn("clock", message, hint);
    } else {
        findings.ok("clock", format!("agrees with `{subject}`"));
    }
}

async fn ask(
    url: &Url,
    with_body: bool,
    set_up: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Response, reqwest::Error> {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(TIMEOUT);
    // A proxy of the environment has another loopback.
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
    let client = set_up(builder).build()?;
    let request = if with_body { client.get(url.clone()) } else { client.head(url.clone()) };
    request.send().await
}

/// The beginning of an answer's body.
async fn text(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            break;
        }
    }
    bytes.truncate(MAX_ANSWER);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where an address that stands for all of the machine's is reached.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn own_url(host: &RegistryHost) -> Option<Url> {
    let host = if *host == RegistryHost::docker_hub() { "registry-1.docker.io" } else { host.as_str() };
    Url::parse(&format!("https://{host}/")).ok()
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;

    #[test]
    fn a_clock_that_is_far_from_an_upstreams_is_found() {
        let date = "Wed, 25 Nov 2026 12:00:00 GMT";
        let theirs = httpdate::parse_http_date(date).unwrap();
        let problems = |date: Option<&str>, now: SystemTime| {
            let mut findings = Findings::default();
            check_clock("upstream ghcr.io", date, now, &mut findings);
            findings.levels()
        };
        let seconds = Duration::from_secs;
        assert_eq!(problems(Some(date), theirs + seconds(60)), [Level::Ok]);
        assert_eq!(problems(Some(date), theirs - seconds(61)), [Level::Warn]);
        assert_eq!(problems(Some(date), theirs + seconds(601)), [Level::Fail]);
        assert_eq!(problems(None, theirs), []);
        assert_eq!(problems(Some("yesterday"), theirs), []);
    }

    #[test]
    fn an_address_of_all_interfaces_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
