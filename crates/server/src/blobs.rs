//! Blobs: upstream's redirect handed on, or its bytes streamed and hashed.
//!
//! A full stream that does not match its digest is cut before its last chunk, so that no client
//! takes it for whole. Redirected and ranged bodies are the client's to check, as always with OCI.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE,
};
use http::{HeaderMap, Method, Response, StatusCode};
use oci::{Digest, Digester, Name};
use upstream::{BlobAnswer, BlobMethod, BlobStream};

use crate::app::App;
use crate::config::BlobMode;
use crate::edge::body::{Body, StreamError, full, stream};
use crate::edge::respond::{CONTENT_DIGEST, IMMUTABLE, http_date, insert, names};
use crate::error::{Error, What};
use crate::evidence::artifact;
use crate::resolve::by_digest;

/// A blob's bytes never arrive as a type that a browser would run.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Answers GET and HEAD of a blob with the client's own method upstream: a location obtained by one
/// need not work for the other.
pub(crate) async fn blob(
    app: &Arc<App>,
    method: &Method,
    request: &HeaderMap,
    name: &Name,
    digest: Digest,
) -> Result<Response<Body>, Error> {
    // Ours, whatever is done with upstream's; only these are looked for where blobs are denied.
    let ours = artifact::blob(app, name, &digest)?;
    if app.config.blobs == BlobMode::Deny && ours.is_none() {
        return Err(Error::BlobsDenied);
    }
    if let Digest::Other { .. } = digest {
        return Err(Error::Algorithm { digest });
    }
    // Whoever has these bytes needs to know only that they may still have them.
    let held = names(request, &digest);
    if by_digest::is_recorded(app, name, &digest)? {
        let served = by_digest::manifest(app, name, digest).await?;
        return Ok(if held {
            unchanged(&served.digest)
        } else {
            octets(method, &served.manifest.bytes, &served.digest, served.since)
        });
    }
    if let Some(bytes) = ours {
        return Ok(if held { unchanged(&digest) } else { octets(method, &bytes, &digest, None) });
    }
    let asked = if held || method == Method::HEAD { BlobMethod::Head } else { BlobMethod::Get };
    let range =
        upstream::BlobRange { range: request.get(RANGE).cloned(), if_range: request.get(IF_RANGE).cloned() };
    let follow = app.config.blobs == BlobMode::Stream;
    let answer = app.upstream.blob(asked, name, &digest, &range, follow).await;
    app.count(name.host(), "blob", answer.as_ref().err());
    let answer = answer.map_err(|source| Error::Upstream {
        what: What::Blob,
        subject: format!("{name}@{digest}"),
        source: Arc::new(source),
    })?;
    Ok(match answer {
        _ if held => unchanged(&digest),
        BlobAnswer::Redirect { location } => redirect(location.as_str(), &digest),
        BlobAnswer::Stream(blob) => streamed(method, blob, &digest),
    })
}

/// 304 with what its 200 would say (RFC 9110 §15.4.5).
fn unchanged(digest: &Digest) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    insert(headers, ETAG, format!("\"{digest}\""));
    insert(headers, CONTENT_DIGEST, digest.to_string());
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    response
}

/// Bytes of our own; a manifest is a blob like any other to those who look for the date of one (Dependabot does).
fn octets(method: &Method, bytes: &Bytes, digest: &Digest, since: Option<u64>) -> Response<Body> {
    let body = if method == Method::HEAD { Bytes::new() } else { bytes.clone() };
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, OCTETS);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    insert(headers, ETAG, format!("\"{digest}\""));
    insert(headers, CONTENT_DIGEST, digest.to_string());
    if let Some(since) = since {
        insert(headers, LAST_MODIFIED, http_date(since));
    }
    response
}

fn redirect(location: &str, digest: &Digest) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    insert(headers, LOCATION, location.to_owned());
    insert(headers, CONTENT_DIGEST, digest.to_string());
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // The location is signed for a short time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn streamed(method: &Method, blob: BlobStream, digest: &Digest) -> Response<Body> {
    let partial = blob.partial;
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, blob.multipart.unwrap_or(OCTETS));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    insert(headers, ETAG, format!("\"{digest}\""));
    insert(headers, CONTENT_DIGEST, digest.to_string());
    if let Some(length) = blob.content_length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(range) = blob.content_range {
        headers.insert(CONTENT_RANGE, range);
    }
    if method == Method::GET {
        let chunks = blob.body.map(|chunk| chunk.map_err(StreamError::from));
        *response.body_mut() = match Digester::new(digest) {
            Some(digester) if !partial => stream(checked(chunks, digester)),
            _ => stream(chunks),
        };
    }
    response
}

/// Passes chunks on, one behind: the last is let go only when the whole matches.
fn checked(
    chunks: impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static,
    digester: Digester,
) -> impl Stream<Item = Result<Bytes, StreamError>> + Send + 'static {
    struct State<Chunks> {
        chunks: std::pin::Pin<Box<Chunks>>,
        digester: Option<Digester>,
        held: Option<Bytes>,
    }
    let state = State { chunks: Box::pin(chunks), digester: Some(digester), held: None };
    futures_util::stream::unfold(state, |mut state| async move {
        loop {
            match state.chunks.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    state.digester.as_mut()?.update(&chunk);
                    if let Some(before) = state.held.replace(chunk) {
                        return Some((Ok(before), state));
                    }
                }
                Some(Err(error)) => {
                    state.digester = None;
                    return Some((Err(error), state));
                }
                None => {
                    let digester = state.digester.take()?;
                    if !digester.matches() {
                        return Some((Err(StreamError::Mismatch), state));
                    }
                    return state.held.take().map(|last| (Ok(last), state));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(chunks: &[&'static [u8]], digest: &Digest) -> (Vec<u8>, bool) {
        let chunks: Vec<Result<Bytes, StreamError>> =
            chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        let out = checked(futures_util::stream::iter(chunks), Digester::new(digest).unwrap());
        let out: Vec<_> = out.collect().await;
        let whole = out.iter().all(Result::is_ok);
        (out.into_iter().flatten().flatten().collect(), whole)
    }

    fn digest(bytes: &[u8]) -> Digest {
        oci::Sha256Digest::of(bytes).into()
    }

    #[tokio::test]
    async fn a_matching_stream_passes_whole() {
        assert_eq!(pass(&[b"ab", b"", b"c"], &digest(b"abc")).await, (b"abc".to_vec(), true));
        assert_eq!(pass(&[], &digest(b"")).await, (Vec::new(), true));
    }

    #[tokio::test]
    async fn the_last_chunk_of_a_wrong_stream_is_never_let_go() {
        assert_eq!(pass(&[b"ab", b"x"], &digest(b"abc")).await, (b"ab".to_vec(), false));
        assert_eq!(pass(&[b"abx"], &digest(b"abc")).await, (Vec::new(), false));
        assert_eq!(pass(&[b"ab"], &digest(b"abc")).await, (Vec::new(), false));
    }
}
