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
    /// A client of these settings that follows no redirect; through the proxy of the environment,
    /// unless `url` is on this very machine.
    pub(crate) fn builder(&self, url: &Url) -> reqwest::ClientBuilder {
        // One provider for the process; a second installation says only that there is one.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .timeout(self.total_timeout);
        if is_loopback(url) { builder.no_proxy() } else { builder }
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
        let follow =
            Policy::custom(|attempt| if stays(&attempt) { attempt.follow() } else { attempt.stop() });
        let client = settings.builder(&base).redirect(follow).build().map_err(|error| setup(&error))?;
        Ok(Self { client, base, settings: settings.clone() })
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        // `./` keeps a colon of the first component from reading as a scheme.
        self.base.join(&format!("./{path}")).map_err(|_why| Error::Place { place: self.place(path) })
    }

    async fn once(&self, url: &Url, limit: usize) -> Result<Option<Bytes>, Error> {
        let place = url.as_str();
        let sent = self.client.get(url.clone()).header(ACCEPT_ENCODING, "identity").send().await;
        let response = sent.map_err(|error| unreachable(place, &error))?;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Ok(None),
            300..=399 => return Err(Error::Redirect { url: place.to_owned() }),
            status => {
                let message = read_bounded(response, place, MAX_MESSAGE).await.unwrap_or_default();
                return Err(Error::Status { url: place.to_owned(), status, message: first_line(&message) });
            }
        }
        if response.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
            let why = "it is compressed, though we asked for it as it is".to_owned();
            return Err(Error::Unreachable { url: place.to_owned(), why });
        }
        read_bounded(response, place, limit).await.map(Some)
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

/// A URL that can be asked.
pub(crate) fn parse_url(place: &str) -> Result<Url, Error> {
    let url = Url::parse(place).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| Error::Place { place: place.to_owned() })
}

/// A prefix that files can be read below.
fn parse_base(place: &str) -> Result<Url, Error> {
    let mut url = parse_url(place)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Place { place: place.to_owned() });
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// A whole body of at most `limit` bytes.
pub(crate) async fn read_bounded(
    mut response: reqwest::Response,
    place: &str,
    limit: usize,
) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(place, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { place: place.to_owned(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(crate) fn setup(error: &reqwest::Error) -> Error {
    Error::Setup { why: deepest(error) }
}

/// What the HTTP client says, in short.
pub(crate) fn unreachable(place: &str, error: &reqwest::Error) -> Error {
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { deepest(error) };
    Error::Unreachable { url: place.to_owned(), why }
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

/// Whether asking again may help.
pub(crate) fn is_passing(error: &Error) -> bool {
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
