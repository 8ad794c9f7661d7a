//! One question to a registry: sent without ado, its challenge answered once, redirects followed
//! by hand, a hiccup retried once.
//!
//! Every hop is checked like the first. Knows no manifests and no blobs.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, DATE, HeaderName, LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use oci::Name;
use reqwest::Response;
use url::Url;

use crate::Error;
use crate::address::Refused;
use crate::client::Client;
use crate::endpoint::{Endpoint, same_origin};

/// Redirects followed.
const MAX_REDIRECTS: usize = 5;
/// Longer waits than this are not believed, in seconds.
const MAX_RETRY_AFTER: u64 = 3_600;

/// What is asked.
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// Range and If-Range of a blob, and nothing else.
    pub(crate) extra: Vec<(HeaderName, HeaderValue)>,
    /// Otherwise a redirect away from the registry is the answer.
    pub(crate) follow: bool,
}

/// One request, as often as it takes.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a HeaderMap,
    /// To a token service alone.
    pub(crate) form: Option<&'a str>,
}

/// An answer, with the URL that gave it.
pub(crate) struct Answer {
    pub(crate) response: Response,
    url: Url,
    /// Where it redirects to, where that is not followed.
    pub(crate) location: Option<Url>,
}

impl Client {
    /// Asks. A status that means failure is an error; 2xx, and redirects where they are not followed, are
    /// answers.
    pub(crate) async fn ask(
        &self,
        endpoint: &Endpoint,
        name: &Name,
        question: &Question,
    ) -> Result<Answer, Error> {
        let known = self.tokens().get(name, self.now());
        let mut answer = self.hops(endpoint, question, known.as_ref()).await?;
        if let Some(known) = known.as_ref().filter(|_| answer.is(StatusCode::BAD_REQUEST, question)) {
            // Some registries answer 400, and no challenge, to a token that has expired.
            self.tokens().forget(name, known);
            answer = self.hops(endpoint, question, None).await?;
        }
        if answer.is(StatusCode::UNAUTHORIZED, question) {
            let challenge = answer.response.headers();
            let header = Box::pin(self.authorize(endpoint, name, challenge, known.as_ref())).await?;
            answer = self.hops(endpoint, question, Some(&header)).await?;
            if answer.is(StatusCode::UNAUTHORIZED, question) {
                self.tokens().forget(name, &header);
            }
        }
        self.note_allowance(&endpoint.host, answer.response.headers());
        judge(endpoint, answer)
    }

    /// Follows redirects: all of them where that is asked for; otherwise those within the registry that may need
    /// the authorization which only we have.
    async fn hops(
        &self,
        endpoint: &Endpoint,
        question: &Question,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        let mut headers = question.headers(authorization);
        let mut url = question.url.clone();
        let mut may_retry = true;
        for _hop in 0..=MAX_REDIRECTS {
            let host = || url.host_str().unwrap_or_default().to_owned();
            let reach =
                endpoint.reach(&url).map_err(|Refused(why)| Error::HostRefused { host: host(), why })?;
            let message = Message { method: &question.method, url: &url, headers: &headers, form: None };
            let response = self.send(endpoint.http.to(reach), message, &mut may_retry).await?;
            if !is_redirect(response.status()) {
                return Ok(Answer { response, url, location: None });
            }
            let next = location(&response, &url, endpoint.host.as_str())?;
            let leaves = !same_origin(&next, &url);
            if !question.follow && (leaves || !headers.contains_key(AUTHORIZATION)) {
                return Ok(Answer { response, url, location: Some(next) });
            }
            if leaves {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(Error::Redirect { host: endpoint.host.to_string(), why: "more than 5 times" })
    }

    /// Sends, and once more after a failed connection or a gateway's hiccup if it `may_retry`.
    pub(crate) async fn send(
        &self,
        http: &reqwest::Client,
        message: Message<'_>,
        may_retry: &mut bool,
    ) -> Result<Response, Error> {
        let first = self.send_once(http, message).await;
        let hiccup = match &first {
            Ok(response) => matches!(response.status().as_u16(), 502..=504),
            Err(error) => matches!(error, Error::Unreachable { .. }),
        };
        if !hiccup || !std::mem::take(may_retry) {
            return first;
        }
        drop(first);
        tokio::time::sleep(jitter(self.timeouts().retry)).await;
        self.send_once(http, message).await
    }

    async fn send_once(&self, http: &reqwest::Client, message: Message<'_>) -> Result<Response, Error> {
        let host = message.url.host_str().unwrap_or_default();
        let mut request = reqwest::Request::new(message.method.clone(), message.url.clone());
        *request.headers_mut() = message.headers.clone();
        *request.body_mut() = message.form.map(|form| form.to_owned().into());
        match tokio::time::timeout(self.timeouts().headers, http.execute(request)).await {
            Err(_late) => Err(Error::TimedOut { host: host.to_owned() }),
            Ok(Err(error)) => Err(Error::of_client(host, &error)),
            Ok(Ok(response)) => Ok(response),
        }
    }
}

impl Question {
    /// All that is sent, but for `Host` and `User-Agent`.
    fn headers(&self, authorization: Option<&HeaderValue>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(accept) = self.accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers.extend(self.extra.iter().cloned());
        headers
    }
}

impl Answer {
    /// Whether the registry itself gave this status: a storage that it redirected to knows nothing of its tokens.
    fn is(&self, status: StatusCode, question: &Question) -> bool {
        self.response.status() == status && same_origin(&self.url, &question.url)
    }
}

fn judge(endpoint: &Endpoint, answer: Answer) -> Result<Answer, Error> {
    let headers = answer.response.headers();
    match answer.response.status().as_u16() {
        _ if answer.location.is_some() => Ok(answer),
        200..=299 if is_encoded(headers) => Err(Error::Encoded),
        200..=299 => Ok(answer),
        401 | 403 => Err(endpoint.denied()),
        404 | 410 => Err(Error::NotFound),
        416 => Err(Error::RangeNotSatisfiable),
        429 => Err(Error::TooManyRequests { retry_after: retry_after(headers) }),
        status @ 500..=599 => Err(Error::ServerError { status }),
        status => Err(Error::UnexpectedStatus { status }),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// We ask for `identity`; whatever else comes has not the bytes that the digest is of.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Where a redirect leads, made absolute.
fn location(response: &Response, from: &Url, host: &str) -> Result<Url, Error> {
    let wrong = |why| Error::Redirect { host: host.to_owned(), why };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| wrong("without saying where to"))?;
    from.join(location).map_err(|_why| wrong("to something that is not a URL"))
}

/// Seconds, or a date (RFC 9110 §10.2.3), which is counted from the answer's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_not_a_number) => {
            let then = http_date(value)?;
            u64::try_from(then.saturating_sub(date(headers)?)).unwrap_or_default()
        }
    };
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// Unix seconds of the answer's `Date`.
pub(crate) fn date(headers: &HeaderMap) -> Option<i64> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(text).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// A quarter of the longest wait or more, so that many clients of one hiccup do not come back together.
fn jitter(longest: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness the wait is the shortest one.
    let _no_randomness = getrandom::fill(&mut random);
    let fraction = f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX);
    longest.mul_f64(0.25 + 0.75 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_time_to_wait_is_seconds_or_a_date_and_bounded() {
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999999", Some(3_600)),
            ("Sun, 06 Nov 1994 08:51:07 GMT", Some(90)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:00:00 GMT", Some(3_600)),
            ("-1", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            let waited = retry_after(&headers(&[date.clone(), (RETRY_AFTER, value)]));
            assert_eq!(waited, seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&headers(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:51:07 GMT")])), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn the_wait_before_a_retry_is_between_a_quarter_and_the_whole() {
        let longest = Duration::from_millis(200);
        for _ in 0..1_000 {
            assert!((longest / 4..=longest).contains(&jitter(longest)));
        }
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn any_encoding_but_identity_is_seen() {
        for (value, encoded) in
            [("gzip", true), ("identity", false), ("Identity", false), ("br", true), ("", true)]
        {
            assert_eq!(is_encoded(&headers(&[(CONTENT_ENCODING, value)])), encoded, "{value}");
        }
        assert!(!is_encoded(&HeaderMap::new()));
    }
}
