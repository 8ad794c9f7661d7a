//! One reference asked for through the service, and what its answer means.
//! Times, sizes and redirects are bounded; it must not know of the list or its state.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use oci::{Sha256Digest, TagName};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::{Host, Url};

use super::outcome::Outcome;
use crate::error::CommandError;

const USER_AGENT: &str = concat!("tlogistry-import/", env!("CARGO_PKG_VERSION"));
/// For a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one answer; the service gives its upstreams less.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often one reference is asked for.
const TRIES: u32 = 4;
/// The wait before the second try where the service names none; doubled before each further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait that is worth it; the reference fails where the service asks for a longer one.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 16 * 1024;
/// Characters of it that are shown.
const MAX_REASON: usize = 1000;

/// A running service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    client: reqwest::Client,
    url: Url,
}

/// What came of asking for a reference once.
#[derive(Debug)]
pub(super) enum Asked {
    Done(Outcome),
    /// It may be answered after this wait.
    Again(Duration),
    /// There is nobody to ask, however often it is tried.
    Unreachable(CommandError),
}

/// What an answer means by its status and headers alone.
#[derive(Debug, Eq, PartialEq)]
enum Head {
    Done(Outcome),
    /// Not now; with the wait that the service asks for.
    Later(Option<Duration>),
    /// The body says why.
    Refused,
}

impl Service {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(url: Url) -> Result<Self, CommandError> {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        // A proxy of the environment has another loopback.
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder
            .build()
            .map_err(|error| CommandError::new(error).because_of("the HTTP client cannot be set up"))?;
        Ok(Self { client, url })
    }

    /// Whether a registry answers there at all.
    ///
    /// # Errors
    /// None does.
    pub(super) async fn ping(&self) -> Result<(), CommandError> {
        let hint = "is it running? another one is named with `--server URL`";
        let response = self.send(Method::GET, "/v2/").await;
        let status = response.map_err(|error| self.unreachable(&error).hinted(hint))?.status();
        if status == StatusCode::OK {
            return Ok(());
        }
        let message = format!("`{}` is no registry: `/v2/` is answered with {}", self.url, status.as_u16());
        Err(CommandError::new(anyhow::Error::msg(message)).hinted(hint))
    }

    /// Asks for a reference that was tried so often before.
    pub(super) async fn ask(&self, tag: &TagName, tries: u32) -> Asked {
        let is_last = tries + 1 >= TRIES;
        let backoff = BACKOFF * 2_u32.saturating_pow(tries);
        let path = format!("/v2/{}/manifests/{}", tag.name, tag.tag);
        let lost = |error: reqwest::Error| {
            if !is_last {
                Asked::Again(backoff)
            } else if error.is_connect() {
                Asked::Unreachable(self.unreachable(&error))
            } else {
                failed(format!("no answer: {}", deepest(&error)))
            }
        };
        let response = match self.send(Method::HEAD, &path).await {
            Ok(response) => response,
            Err(error) => return lost(error),
        };
        match head(response.status(), response.headers()) {
            Head::Done(outcome) => return Asked::Done(outcome),
            Head::Later(wait) if !is_last && wait.is_none_or(|wait| wait <= MAX_WAIT) => {
                return Asked::Again(wait.unwrap_or(backoff));
            }
            Head::Later(_) | Head::Refused => {}
        }
        // A HEAD has no body to say why.
        let response = match self.send(Method::GET, &path).await {
            Ok(response) => response,
            Err(error) => return lost(error),
        };
        match head(response.status(), response.headers()) {
            Head::Done(outcome) => Asked::Done(outcome),
            Head::Later(_) | Head::Refused => failed(reason(response).await),
        }
    }

    async fn send(&self, method: Method, path: &str) -> Result<Response, reqwest::Error> {
        let mut url = self.url.clone();
        url.set_path(path);
        self.client.request(method, url).send().await
    }

    fn unreachable(&self, error: &reqwest::Error) -> CommandError {
        CommandError::new(anyhow::Error::msg(deepest(error)))
            .because_of(format!("`{}` cannot be reached", self.url))
    }
}

fn failed(reason: String) -> Asked {
    Asked::Done(Outcome::Failed { reason })
}

/// Reads status and headers; whatever is not as the service writes it is a failure.
fn head(status: StatusCode, headers: &HeaderMap) -> Head {
    match status {
        StatusCode::OK => Head::Done(served(headers).unwrap_or_else(|name| Outcome::Failed {
            reason: format!("its header `{name}` is not as this service writes it"),
        })),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            // A date, which the service never sends, counts as none.
            Head::Later(read(headers, RETRY_AFTER.as_str()).ok().flatten().map(Duration::from_secs))
        }
        StatusCode::FORBIDDEN => match (digest(headers, RECORDED_DIGEST), digest(headers, UPSTREAM_DIGEST)) {
            (Ok(Some(recorded)), Ok(Some(upstream))) => Head::Done(Outcome::Moved { recorded, upstream }),
            _ => Head::Refused,
        },
        status if status.is_redirection() => Head::Done(Outcome::Failed {
            reason: format!("answered with a redirect ({}), which is not followed", status.as_u16()),
        }),
        _ => Head::Refused,
    }
}

const RECORDED_DIGEST: &str = "tlog-recorded-digest";
const UPSTREAM_DIGEST: &str = "tlog-upstream-digest";
const CONTENT_DIGEST: &str = "docker-content-digest";
const LOG_INDEX: &str = "tlog-logindex";
const FIRST_SEEN: &str = "tlog-first-seen";

/// What the headers of a manifest say of its record, or which of them is wrong.
fn served(headers: &HeaderMap) -> Result<Outcome, &'static str> {
    let (recorded, index) = (digest(headers, RECORDED_DIGEST)?, read(headers, LOG_INDEX)?);
    let (digest, index) = match (recorded, index) {
        (None, None) => return Ok(Outcome::Passed),
        (None, _) => return Err(RECORDED_DIGEST),
        (_, None) => return Err(LOG_INDEX),
        (Some(recorded), Some(index)) => (recorded, index),
    };
    if self::digest(headers, CONTENT_DIGEST)? != Some(digest) {
        return Err(CONTENT_DIGEST);
    }
    // Served as recorded though upstream moved it, because the service is told to.
    if let Some(upstream) = self::digest(headers, UPSTREAM_DIGEST)? {
        return Ok(Outcome::Moved { recorded: digest, upstream });
    }
    Ok(if headers.contains_key(FIRST_SEEN) {
        Outcome::Recorded { digest, index }
    } else {
        Outcome::Known { digest, index }
    })
}

fn digest(headers: &HeaderMap, name: &'static str) -> Result<Option<Sha256Digest>, &'static str> {
    read(headers, name)
}

/// The one value of a header.
fn read<'a, T: FromStr>(headers: &HeaderMap, name: &'a str) -> Result<Option<T>, &'a str> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().ok().and_then(|text| text.parse().ok());
    value.filter(|_| values.next().is_none()).map(Some).ok_or(name)
}

/// What the service says of why.
async fn reason(mut response: Response) -> String {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    // What is cut off, here or on the way, is no JSON.
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_REFUSAL {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    message(&body).unwrap_or_else(|| format!("refused with {status}, without a reason"))
}

/// The message of an OCI error envelope, without what a terminal would act upon.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        message: String,
    }
    let Envelope { errors } = serde_json::from_slice(body).ok()?;
    Some(plain(errors.first().map(|error| &error.message)?))
}

/// In one line, without what a terminal would act upon.
pub(super) fn plain(text: impl Display) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.to_string().chars().take(MAX_REASON).map(shown).collect()
}

fn deepest(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Head {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(header) {
            map.append(name, value);
        }
        head(StatusCode::from_u16(status).unwrap(), &map)
    }

    fn sha256(text: &str) -> Sha256Digest {
        Sha256Digest::parse(text).unwrap()
    }

    #[test]
    fn first_sight_is_told_from_a_record_that_was_there() {
        let record = [(CONTENT_DIGEST, A), (RECORDED_DIGEST, A), (LOG_INDEX, "7")];
        let first = [&record[..], &[(FIRST_SEEN, "true")]].concat();
        assert_eq!(answer(200, &first), Head::Done(Outcome::Recorded { digest: sha256(A), index: 7 }));
        assert_eq!(answer(200, &record), Head::Done(Outcome::Known { digest: sha256(A), index: 7 }));
        assert_eq!(answer(200, &[(CONTENT_DIGEST, A)]), Head::Done(Outcome::Passed));
    }

    #[test]
    fn headers_that_the_service_never_writes_are_a_failure_that_names_them() {
        let record = [(CONTENT_DIGEST, A), (RECORDED_DIGEST, A), (LOG_INDEX, "7")];
        for (name, wrong) in [
            (CONTENT_DIGEST, Some(B)),
            (CONTENT_DIGEST, None),
            (RECORDED_DIGEST, Some("sha256:abc")),
            (RECORDED_DIGEST, None),
            (LOG_INDEX, Some("-1")),
            (LOG_INDEX, None),
        ] {
            let mut headers: Vec<_> = record.into_iter().filter(|(other, _)| *other != name).collect();
            headers.extend(wrong.map(|wrong| (name, wrong)));
            let Head::Done(Outcome::Failed { reason }) = answer(200, &headers) else {
                panic!("{name} {wrong:?}")
            };
            assert!(reason.contains(name), "{name} {wrong:?}: {reason}");
            let twice = [&record[..], &[(name, record.iter().find(|(other, _)| *other == name).unwrap().1)]];
            assert!(matches!(answer(200, &twice.concat()), Head::Done(Outcome::Failed { .. })), "{name}");
        }
    }

    #[test]
    fn a_refusal_with_both_digests_is_a_move_and_any_other_is_asked_for_its_reason() {
        let record = [(CONTENT_DIGEST, A), (RECORDED_DIGEST, A), (LOG_INDEX, "7")];
        let served = answer(200, &[&record[..], &[(UPSTREAM_DIGEST, B)]].concat());
        assert_eq!(served, Head::Done(Outcome::Moved { recorded: sha256(A), upstream: sha256(B) }));
        let moved = answer(403, &[(RECORDED_DIGEST, A), (UPSTREAM_DIGEST, B)]);
        assert_eq!(moved, Head::Done(Outcome::Moved { recorded: sha256(A), upstream: sha256(B) }));
        for (status, headers) in [
            (403, &[][..]),
            (403, &[(RECORDED_DIGEST, A)]),
            (403, &[(RECORDED_DIGEST, A), (UPSTREAM_DIGEST, "x")]),
            (404, &[(RECORDED_DIGEST, A)]),
            (502, &[]),
        ] {
            assert_eq!(answer(status, headers), Head::Refused);
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds() {
        for status in [429, 503] {
            assert_eq!(answer(status, &[("retry-after", "7")]), Head::Later(Some(Duration::from_secs(7))));
            assert_eq!(
                answer(status, &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
                Head::Later(None)
            );
            assert_eq!(answer(status, &[]), Head::Later(None));
        }
    }

    #[test]
    fn a_reason_is_one_line_that_a_terminal_can_show() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\nway"}]}"#;
        assert_eq!(message(body).unwrap(), "no?[31m?way");
        assert_eq!(message(b"<html>"), None);
        assert_eq!(message(br#"{"errors":[]}"#), None);
        assert_eq!(plain("x".repeat(5000)).len(), MAX_REASON);
    }
}
