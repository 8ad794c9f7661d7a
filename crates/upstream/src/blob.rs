//! Blobs: where upstream redirects to, or its bytes as they come.
//!
//! A location is handed on only if we would go there ourselves. Whether the bytes fit their digest
//! is for whoever takes the stream to check.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, IF_RANGE, RANGE};
use http::{Method, StatusCode};
use oci::{Digest, Name};
use url::Url;

use crate::Error;
use crate::address::Refused;
use crate::client::Client;
use crate::send::{Answer, Question, location};

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
    /// Of a part.
    pub content_range: Option<HeaderValue>,
    /// Whether this is a part, or several.
    pub partial: bool,
    /// Content-Type of several parts at once.
    pub multipart: Option<HeaderValue>,
    /// Ends with an error where it is cut short.
    pub body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
}

impl Client {
    /// Asks for a blob. With `follow` a redirect is followed here, and its bytes streamed.
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
        let mut extra = Vec::new();
        if let Some(range) = &range.range {
            extra.push((RANGE, range.clone()));
        }
        if let Some(if_range) = &range.if_range {
            extra.push((IF_RANGE, if_range.clone()));
        }
        let question = Question {
            method: if method == BlobMethod::Get { Method::GET } else { Method::HEAD },
            url: endpoint.join(&format!("v2/{}/blobs/{digest}", name.repository()))?,
            accept: None,
            extra,
            follow,
        };
        let Answer { response, url } = self.ask(&endpoint, name.repository(), &question).await?;
        if response.status().is_redirection() {
            let location = location(&response, &url, endpoint.host.as_str())?;
            endpoint.reach(&location).map_err(|Refused(why)| Error::HostRefused {
                host: location.host_str().unwrap_or_default().to_owned(),
                why,
            })?;
            return Ok(BlobAnswer::Redirect { location });
        }
        Ok(BlobAnswer::Stream(self.stream(response, name)))
    }

    fn stream(&self, response: reqwest::Response, name: &Name) -> BlobStream {
        let headers = response.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let multipart = headers
            .get(CONTENT_TYPE)
            .filter(|value| partial && value.as_bytes().starts_with(b"multipart/byteranges"))
            .cloned();
        let content_range = headers.get(CONTENT_RANGE).filter(|_| partial).cloned();
        let (host, idle) = (name.host().to_string(), self.settings().timeouts.idle);
        let chunks = Box::pin(response.bytes_stream());
        let body = Box::pin(until_idle(chunks, host, idle));
        BlobStream { content_length: length, content_range, partial, multipart, body }
    }
}

/// Ends with an error when nothing comes for `idle`.
fn until_idle(
    chunks: impl Stream<Item = reqwest::Result<Bytes>> + Send + Unpin + 'static,
    host: String,
    idle: Duration,
) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
    futures_util::stream::unfold(Some((chunks, host)), move |state| async move {
        let (mut chunks, host) = state?;
        match tokio::time::timeout(idle, chunks.next()).await {
            Err(_late) => Some((Err(Error::TimedOut { host }), None)),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(Error::of_client(&host, &error)), None)),
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((chunks, host)))),
        }
    })
}
