//! An answer in the making, and how it goes onto the wire: whole, chunked, held or cut off.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use crate::gate::Gate;

/// Status, headers, bytes, and the ways in which the bytes may be sent.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Send a `Content-Length`.
    pub(super) length: bool,
    /// Wait here after the first half of the body.
    pub(super) hold: Option<Gate>,
    /// Close the connection after so many bytes.
    pub(super) cut: Option<usize>,
}

/// The body was cut off on purpose; hyper closes the connection.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cut off on purpose")
    }
}

impl std::error::Error for Cut {}

pub(super) type Body = UnsyncBoxBody<Bytes, Cut>;

impl Draft {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into(), length: true, hold: None, cut: None }
    }

    /// An OCI error envelope.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let envelope = json!({"errors": [{"code": code, "message": message}]});
        Self::new(status, envelope.to_string()).with("Content-Type", "application/json")
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a header, instead of all lines of that name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(header_name(name), header_value(value));
    }

    /// Adds a header line.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.headers.append(header_name(name), header_value(value));
    }

    pub(super) fn into_response(mut self, head: bool) -> Response<Body> {
        if self.length {
            self.headers.insert(http::header::CONTENT_LENGTH, self.body.len().into());
        }
        let (status, headers) = (self.status, std::mem::take(&mut self.headers));
        let mut response = Response::new(if head { whole(Bytes::new()) } else { self.script() });
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        *response.headers_mut() = headers;
        response
    }

    fn script(self) -> Body {
        let Self { body, length, hold, cut, .. } = self;
        let mut steps = Vec::new();
        match (hold, cut) {
            (None, None) if length => return whole(body),
            (Some(gate), _) => {
                steps.push(Step::Send(body.slice(..body.len() / 2)));
                steps.push(Step::Wait(gate));
                steps.push(Step::Send(body.slice(body.len() / 2..)));
            }
            (None, Some(cut)) => {
                steps.push(Step::Send(body.slice(..cut.min(body.len()))));
                steps.push(Step::Cut);
            }
            (None, None) => steps.push(Step::Send(body)),
        }
        let frames = stream::unfold(steps.into_iter(), async |mut steps| {
            loop {
                match steps.next()? {
                    Step::Send(bytes) if bytes.is_empty() => {}
                    Step::Send(bytes) => return Some((Ok(Frame::data(bytes)), steps)),
                    Step::Wait(gate) => gate.pass().await,
                    Step::Cut => {
                        // What was sent so far must be flushed before the error drops the connection.
                        tokio::task::yield_now().await;
                        return Some((Err(Cut), steps));
                    }
                }
            }
        });
        StreamBody::new(frames).boxed_unsync()
    }
}

enum Step {
    Send(Bytes),
    Wait(Gate),
    Cut,
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("a header name")
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).expect("a header value")
}
