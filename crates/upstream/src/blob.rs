//! Blobs: where upstream redirects to, or its bytes as they come.
//!
//! A location is handed on only if we would go there ourselves. Whether the bytes fit their digest
//! is for whoever takes the stream to check.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, IF_RANGE, RANGE};
use http::{Method, StatusCode};
use oci::{Digest, Name};
use reqwest::Response;
use url::Url;

use crate::Error;
use crate::address::Refused;
use crate::client::Client;
use crate::send::Question;

/// The client's own method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlobMethod {
    /// With the bytes.
    Get,
    /// Without.
    Head,
}

/// What passes of a client's headers.
#[derive(Clone, Debug, Default)]
pub struct BlobRange {
    /// `Range`
    pub range: Option<HeaderValue>,
    /// `If-Range`
    pub if_range: Option<HeaderValue>,
}

/// How upstream answers.
pub enum BlobAnswer {
    /// With a location that needs nothing of ours.
    Redirect {
        /// Absolute.
        location: Url,
    },
    /// With the bytes.
    Stream(BlobStream),
}

/// Bytes as they come.
pub struct BlobStream {
    /// By upstream's word.
    pub content_length: Option<u64>,
    /// Whether this is a part (206), or several: then it has a `content_range` or is `multipart`.
    pub partial: bool,
    /// Of one part.
    pub content_range: Option<HeaderValue>,
    /// Content-Type of several parts at once.
    pub multipart: Option<HeaderValue>,
    /// Ends with an error where it is cut short.
    pub body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
}

impl Client {
    /// Asks for a blob. With `follow` every redirect is followed here, and the bytes are streamed; without, one that
    /// leads away from the registry is the answer, and one within it only where none of our credentials are needed.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn blob(
        &self,
        method: BlobMethod,
        name: &Name,
        digest: &Digest,
        range: &BlobRange,
        follow: bool,
    ) -> Result<BlobAnswer, Error> {
        let endpoint = self.endpoint(name.host())?;
        let extra = range.headers(method);
        let ranged = !extra.is_empty();
        let question = Question {
            method: if method == BlobMethod::Get { Method::GET } else { Method::HEAD },
            url: endpoint.join(&format!("v2/{}/blobs/{digest}", name.repository()))?,
            accept: None,
            extra,
            follow,
        };
        let answer = self.exchange(&endpoint, self.ask(&endpoint, name, &question)).await?;
        if let Some(location) = answer.location {
            endpoint.reach(&location).map_err(|Refused(why)| Error::HostRefused {
                host: location.host_str().unwrap_or_default().to_owned(),
                why,
            })?;
            return Ok(BlobAnswer::Redirect { location });
        }
        BlobStream::of(answer.response, ranged, name.host().as_str(), self.timeouts().idle)
            .map(BlobAnswer::Stream)
    }
}

impl BlobRange {
    /// A range is defined for GET alone (RFC 9110 §14.2).
    fn headers(&self, method: BlobMethod) -> Vec<(HeaderName, HeaderValue)> {
        let (BlobMethod::Get, Some(range)) = (method, &self.range) else { return Vec::new() };
        let if_range = self.if_range.clone().map(|condition| (IF_RANGE, condition));
        [(RANGE, range.clone())].into_iter().chain(if_range).collect()
    }
}

impl BlobStream {
    fn of(response: Response, ranged: bool, host: &str, idle: Duration) -> Result<Self, Error> {
        let status = response.status();
        let headers = response.headers();
        let partial = status == StatusCode::PARTIAL_CONTENT;
        let content_range = headers.get(CONTENT_RANGE).filter(|_| partial).cloned();
        let multipart = headers.get(CONTENT_TYPE).filter(|value| partial && is_multipart(value)).cloned();
        let part = partial && ranged && content_range.is_some() != multipart.is_some();
        if status != StatusCode::OK && !part {
            return Err(Error::UnexpectedStatus { status: status.as_u16() });
        }
        let content_length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Box::pin(until_idle(response, host.to_owned(), idle));
        Ok(Self { content_length, content_range, partial, multipart, body })
    }
}

fn is_multipart(content_type: &HeaderValue) -> bool {
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"multipart/byteranges")
}

/// Ends with an error when it is cut short, or nothing comes for `idle`.
fn until_idle(
    response: Response,
    host: String,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    futures_util::stream::unfold(Some((response, 0, host)), move |state| async move {
        let (mut response, received, host) = state?;
        match tokio::time::timeout(idle, response.chunk()).await {
            Err(_late) => Some((Err(Error::TimedOut { host }), None)),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(Error::of_body(&host, &error, received)), None)),
            Ok(Ok(Some(chunk))) => {
                let received = received.saturating_add(chunk.len());
                Some((Ok(chunk), Some((response, received, host))))
            }
        }
    })
}
