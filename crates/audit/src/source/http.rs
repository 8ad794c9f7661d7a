//! A log as files over HTTP(S).
//!
//! Times, sizes and tries are bounded; a redirect never leaves the host that the user named. Knows
//! paths, and nothing of what is in them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::redirect::{Attempt, Policy};
use url::Url;

use super::Files;
use crate::Error;

const USER_AGENT: &str = concat!("tlogistry-audit/", env!("CARGO_PKG_VERSION"));
/// Redirects followed.
const MAX_REDIRECTS: usize = 5;
/// Bytes of a refusal that are read.
const MAX_MESSAGE: usize = 16 * 1024;
/// Characters of it that are shown.
const SHOWN: usize = 300;

/// How patient the HTTP client is.
#[derive(Clone, Debug)]
pub struct Http {
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// For the whole of one answer.
    pub total_timeout: Duration,
    /// How often one file is asked for before we give up, at least once.
    pub tries: u32,
    /// The wait before the second try; doubled before each further one.
    pub backoff: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(60),
            tries: 4,
            backoff: Duration::from_millis(250),
        }
    }
}

impl Http {
    /// A client of these settings; through the proxy of the environment, unless `url` is on this
    /// very machine.
    pub(crate) fn client(&self, url: &Url) -> Result<reqwest::Client, Error> {
        // One provider for the process; a second installation says only that there is one.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::custom(
                |attempt| {
                    if stays(&attempt) { attempt.follow() } else { attempt.stop() }
                },
            ))
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.total_timeout);
        let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
        builder.build().map_err(|error| Error::Setup { why: deepest(&error) })
    }
}

/// Files below a URL.
#[derive(Debug)]
pub(super) struct HttpFiles {
    client: reqwest::Client,
    /// Ends in a slash.
    base: Url,
    settings: Http,
}

impl HttpFiles {
    pub(super) fn new(place: &str, settings: &Http) -> Result<Self, Error> {
        let base = parse_base(place)?;
        Ok(Self { client: settings.client(&base)?, base, settings: settings.clone() })
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        // `./` keeps a colon of the first component from reading as a scheme.
        self.base.join(&format!("./{path}")).map_err(|_why| Error::Place { place: self.place(path) })
    }

    async fn once(&self, url: &Url, limit: usize) -> Result<Option<Bytes>, Error> {
        let sent = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity").send().await;
        let response = sent.map_err(|error| unreachable(url, &error))?;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Ok(None),
            300..=399 => return Err(Error::Redirect { url: url.to_string() }),
            status => {
                let message = read_bounded(response, url, MAX_MESSAGE).await.unwrap_or_default();
                return Err(Error::Status { url: url.to_string(), status, message: first_line(&message) });
            }
        }
        if response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
            let why = "it is compressed, though we asked for it as it is".to_owned();
            return Err(Error::Unreachable { url: url.to_string(), why });
        }
        read_bounded(response, url, limit).await.map(Some)
    }
}

impl Files for HttpFiles {
    fn read<'a>(&'a self, path: &'a str, limit: usize) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            let url = self.url(path)?;
            let mut wait = self.settings.backoff;
            for _try in 1..self.settings.tries {
                match self.once(&url, limit).await {
                    Err(error) if is_passing(&error) => {
                        tracing::debug!(%url, %error, "asking again");
                        tokio::time::sleep(wait).await;
                        wait *= 2;
                    }
                    answer => return answer,
                }
            }
            self.once(&url, limit).await
        })
    }

    fn place(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A prefix that files can be read below.
pub(crate) fn parse_base(place: &str) -> Result<Url, Error> {
    let wrong = || Error::Place { place: place.to_owned() };
    let mut url = Url::parse(place).map_err(|_why| wrong())?;
    let plain = url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !plain {
        return Err(wrong());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// A whole body of at most `limit` bytes.
pub(crate) async fn read_bounded(
    mut response: reqwest::Response,
    url: &Url,
    limit: usize,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { place: url.to_string(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What the HTTP client says, in short.
pub(crate) fn unreachable(url: &Url, error: &reqwest::Error) -> Error {
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { deepest(error) };
    Error::Unreachable { url: url.to_string(), why }
}

/// The first line of a refusal, without what a terminal would act upon.
pub(crate) fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Status { status, .. } => matches!(status, 429 | 500..=599),
        _ => false,
    }
}

/// Whether a redirect stays with the host that was named, and on a connection as safe as before.
fn stays(attempt: &Attempt<'_>) -> bool {
    let (Some(first), next) = (attempt.previous().first(), attempt.url()) else { return false };
    let same_port = first.port_or_known_default() == next.port_or_known_default();
    let upgrade = first.port().is_none() && next.scheme() == "https" && next.port().is_none();
    attempt.previous().len() <= MAX_REDIRECTS
        && first.host() == next.host()
        && ((first.scheme() == next.scheme() && same_port) || upgrade)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
