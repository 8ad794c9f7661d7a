//! Requests to Sigstore's services: bounded in size and time, never redirected, counted, and sent again where that helps.
//!
//! Knows no service.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};

use crate::error::{Error, Service};

/// Bytes of an answer, where nothing else is said; a Rekor entry with its proof is some 10 kB, one with an attestation up to
/// 150.
const MAX_ANSWER: usize = 1024 * 1024;
/// Times that one request is sent.
const ATTEMPTS: u32 = 4;
/// Before the second time; doubled each time, and never longer than what the service asks for within reason.
const PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// Requests sent so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    identity: AtomicU64,
    fulcio: AtomicU64,
    rekor: AtomicU64,
    timestamp: AtomicU64,
    trust: AtomicU64,
}

impl Counters {
    fn of(&self, service: Service) -> &AtomicU64 {
        match service {
            Service::Identity => &self.identity,
            Service::Fulcio => &self.fulcio,
            Service::Rekor => &self.rekor,
            Service::Timestamp => &self.timestamp,
            Service::Trust => &self.trust,
        }
    }

    pub(crate) fn add(&self, service: Service) {
        self.of(service).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, service: Service) -> u64 {
        self.of(service).load(Ordering::Relaxed)
    }
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The beginning of what it says, for people.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// The client.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    pub(crate) counters: Counters,
}

impl Http {
    pub(crate) fn new() -> Result<Self, Error> {
        // Whoever was first has decided, and the tree has one provider.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tlogistry/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT)
            .build()
            .map_err(|error| Error::Settings { why: format!("no HTTP client can be made: {error}") })?;
        Ok(Self { client, counters: Counters::default() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends what `request` makes until it is answered with something else than "later"; the same each time.
    pub(crate) async fn send(
        &self,
        service: Service,
        url: &str,
        timeout: Duration,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        self.send_for(MAX_ANSWER, service, url, timeout, request).await
    }

    /// The same for an answer of at most `limit` bytes.
    pub(crate) async fn send_for(
        &self,
        limit: usize,
        service: Service,
        url: &str,
        timeout: Duration,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let outcome = self.once(limit, service, url, timeout, request(&self.client)).await;
            let again = match &outcome {
                Ok(answer) => is_later(answer.status),
                Err(error) => error.is_transient(),
            };
            if !again || attempt >= ATTEMPTS {
                return outcome.and_then(|answer| refused_later(service, url, answer));
            }
            let asked = outcome.as_ref().ok().and_then(|answer| retry_after(&answer.headers));
            tokio::time::sleep(asked.unwrap_or(pause).min(MAX_PAUSE)).await;
            pause = pause.saturating_mul(2);
        }
        Err(unreachable(service, url, "it was asked too often"))
    }

    async fn once(
        &self,
        limit: usize,
        service: Service,
        url: &str,
        timeout: Duration,
        request: RequestBuilder,
    ) -> Result<Answer, Error> {
        self.counters.add(service);
        let asked = async {
            let response = request.send().await.map_err(|error| unreachable(service, url, &chain(&error)))?;
            read(limit, service, url, response).await
        };
        tokio::time::timeout(timeout, asked)
            .await
            .unwrap_or_else(|_late| Err(unreachable(service, url, "it did not answer in time")))
    }
}

async fn read(limit: usize, service: Service, url: &str, mut response: Response) -> Result<Answer, Error> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| unreachable(service, url, &chain(&error)))?
    {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { service, url: url.to_owned(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

fn is_later(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

fn refused_later(service: Service, url: &str, answer: Answer) -> Result<Answer, Error> {
    if is_later(answer.status) { Err(refusal(service, url, &answer)) } else { Ok(answer) }
}

/// The error of an answer that is not what was asked for.
pub(crate) fn refusal(service: Service, url: &str, answer: &Answer) -> Error {
    let (status, text) = (answer.status, answer.text());
    Error::Service {
        service,
        url: url.to_owned(),
        why: if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") },
        status: Some(status),
        retry_after: retry_after(&answer.headers),
    }
}

fn unreachable(service: Service, url: &str, why: &str) -> Error {
    Error::Service { service, url: url.to_owned(), why: why.to_owned(), status: None, retry_after: None }
}

fn retry_after(headers: &HeaderMap<HeaderValue>) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An error and what caused it, without the URL, which stands beside it.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "it cannot be reached".to_owned() } else { text }
}
