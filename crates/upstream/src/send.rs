//! One question to a registry: sent without ado, its challenge answered once, redirects followed
//! by hand, a hiccup retried once.
//!
//! Every hop is checked like the first. Knows no manifests and no blobs.

use std::time::{Duration, Instant};

use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use url::Url;

use crate::Error;
use crate::address::Refused;
use crate::client::Client;
use crate::endpoint::{Endpoint, same_origin};
use crate::token::TokenKey;

/// Redirects followed.
const MAX_REDIRECTS: usize = 5;
/// The longest wait before the one retry.
const MAX_JITTER: u64 = 200;
/// Longer waits than this are not believed.
const MAX_RETRY_AFTER: u64 = 3_600;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// Range and If-Range of a blob, and nothing else.
    pub(crate) extra: Vec<(HeaderName, HeaderValue)>,
    /// Otherwise a redirect is the answer.
    pub(crate) follow: bool,
}

/// An answer, with the URL that gave it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) url: Url,
}

impl Client {
    /// Asks. A status that means failure is an error; 2xx, and 3xx where they are not followed, are
    /// answers.
    pub(crate) async fn ask(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        question: &Question,
    ) -> Result<Answer, Error> {
        let key = TokenKey { host: endpoint.host.clone(), repository: repository.to_owned() };
        let mut authorization = self.tokens.get(&key, Instant::now());
        let mut challenged = false;
        loop {
            let answer = self.hops(endpoint, question, authorization.as_ref()).await?;
            let status = answer.response.status();
            // Some registries answer 400 to a token that has expired.
            let expired = status == StatusCode::BAD_REQUEST && authorization.is_some();
            if challenged || !(status == StatusCode::UNAUTHORIZED || expired) {
                return self.judge(endpoint, answer);
            }
            challenged = true;
            if expired {
                if let Some(turned_down) = authorization.take() {
                    self.tokens.forget(&key, &turned_down);
                }
                challenged = false;
                continue;
            }
            let header =
                self.authorize(endpoint, &key, answer.response.headers(), authorization.as_ref()).await?;
            authorization = Some(header);
        }
    }

    /// Follows redirects where that is asked for.
    async fn hops(
        &self,
        endpoint: &Endpoint,
        question: &Question,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        let mut url = question.url.clone();
        let mut authorization = authorization;
        for _hop in 0..=MAX_REDIRECTS {
            let response = self.retried(endpoint, question, &url, authorization).await?;
            if !response.status().is_redirection()
                || !question.follow
                || response.status() == StatusCode::NOT_MODIFIED
            {
                return Ok(Answer { response, url });
            }
            let next = location(&response, &url, &endpoint.host.to_string())?;
            if !same_origin(&next, &url) {
                authorization = None;
            }
            url = next;
        }
        Err(Error::Redirect { host: endpoint.host.to_string(), why: "more than 5 times" })
    }

    /// Once more after a failed connection or a gateway's hiccup.
    async fn retried(
        &self,
        endpoint: &Endpoint,
        question: &Question,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let first = self.once(endpoint, question, url, authorization).await;
        let again = match &first {
            Ok(response) => matches!(response.status().as_u16(), 502..=504),
            Err(Error::Unreachable { .. }) => true,
            Err(_) => false,
        };
        if !again {
            return first;
        }
        drop(first);
        tokio::time::sleep(jitter()).await;
        self.once(endpoint, question, url, authorization).await
    }

    async fn once(
        &self,
        endpoint: &Endpoint,
        question: &Question,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let host = url.host_str().unwrap_or_default();
        let reach =
            endpoint.reach(url).map_err(|Refused(why)| Error::HostRefused { host: host.to_owned(), why })?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(accept) = question.accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        for (name, value) in &question.extra {
            headers.insert(name, value.clone());
        }
        let sent = self.http(reach).request(question.method.clone(), url.clone()).headers(headers).send();
        match tokio::time::timeout(self.settings().timeouts.headers, sent).await {
            Err(_late) => Err(Error::TimedOut { host: host.to_owned() }),
            Ok(Err(error)) => Err(Error::of_client(host, &error)),
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn judge(&self, endpoint: &Endpoint, answer: Answer) -> Result<Answer, Error> {
        let status = answer.response.status();
        match status.as_u16() {
            200..=299 | 301 | 302 | 303 | 307 | 308 => Ok(answer),
            401 | 403 => Err(Error::Denied { had_credentials: endpoint.credentials().is_some() }),
            404 | 410 => Err(Error::NotFound),
            416 => Err(Error::RangeNotSatisfiable),
            429 => Err(Error::TooManyRequests { retry_after: retry_after(answer.response.headers()) }),
            500..=599 => Err(Error::ServerError { status: status.as_u16() }),
            status => Err(Error::UnexpectedStatus { status }),
        }
    }
}

/// Where a redirect leads, made absolute.
pub(crate) fn location(response: &Response, from: &Url, host: &str) -> Result<Url, Error> {
    let wrong = |why| Error::Redirect { host: host.to_owned(), why };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| wrong("without saying where to"))?;
    from.join(location).map_err(|_why| wrong("to something that is not a URL"))
}

/// Seconds, or a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_not_a_number) => {
            let date = httpdate::parse_http_date(value).ok()?;
            date.duration_since(std::time::SystemTime::now()).unwrap_or_default().as_secs()
        }
    };
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// So that many clients of one hiccup do not come back together.
fn jitter() -> Duration {
    let mut byte = [0_u8; 2];
    // Without randomness the wait is the shortest one.
    let _no_randomness = getrandom::fill(&mut byte);
    Duration::from_millis(50 + u64::from(u16::from_be_bytes(byte)) % MAX_JITTER)
}
