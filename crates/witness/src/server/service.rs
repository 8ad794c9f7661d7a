//! From a request to its answer: the one place where outcomes become HTTP.
//!
//! Parses what strangers send; whether to cosign is decided in `judge`, under the lock of `store`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body;
use tlog::{AddCheckpoint, SignatureLine, SigningKey, cosign};

use super::Error;
use super::judge::Refusal;
use super::logs::{self, Logs};
use super::store::{Promise, Store};
use super::time::{ClockError, Now};

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const TEXT: &str = "text/plain; charset=utf-8";
const SIZE: &str = "text/x.tlog.size";

/// Why a request gets no cosignature.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("malformed: not UTF-8")]
    NotUtf8,
    #[error("malformed: {0}")]
    Malformed(tlog::Error),
    #[error("this witness does not know the log")]
    UnknownLog,
    #[error("no signature of a trusted key, or one that does not verify")]
    Untrusted,
    #[error("refused")]
    Refused(Refusal),
    #[error(transparent)]
    Clock(#[from] ClockError),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("this witness has a defect")]
    Defect,
}

/// The running witness.
#[derive(Debug)]
pub(super) struct Service {
    key: SigningKey,
    store: Store,
    logs: Logs,
    now: Now,
}

impl Service {
    pub(super) fn new(key: SigningKey, store: Store, logs: Logs, now: Now) -> Self {
        Self { key, store, logs, now }
    }

    /// Resolves when nothing may be signed any more.
    pub(super) async fn doubtful(&self) {
        self.store.doubtful().await;
    }

    /// How the witness ended.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.store.is_doubtful() { Err(Error::Doubtful) } else { Ok(()) }
    }

    /// Answers any request.
    pub(super) async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let read = matches!(parts.method, Method::GET | Method::HEAD);
        match parts.uri.path() {
            "/add-checkpoint" if parts.method == Method::POST => self.add_checkpoint(body).await,
            "/add-checkpoint" => not_allowed("POST"),
            "/livez" if read => text(StatusCode::OK, TEXT, "ok\n"),
            path => match monitored(path).and_then(|hash| self.logs.origin_of(hash)).map(str::to_owned) {
                None => text(StatusCode::NOT_FOUND, TEXT, "not found\n"),
                Some(origin) if read => self.checkpoint(origin).await,
                Some(_) => not_allowed("GET, HEAD"),
            },
        }
    }

    async fn add_checkpoint<B>(self: Arc<Self>, body: B) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = Limited::new(body, AddCheckpoint::MAX_BYTES).collect();
        let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
            Err(_late) => return text(StatusCode::REQUEST_TIMEOUT, TEXT, "the body comes too slowly\n"),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return text(StatusCode::PAYLOAD_TOO_LARGE, TEXT, "more bytes than a request can have\n");
            }
            Ok(Err(_broken)) => return text(StatusCode::BAD_REQUEST, TEXT, "the body is cut short\n"),
            Ok(Ok(body)) => body.to_bytes(),
        };
        // Not cancelled when the client hangs up; a stored promise without an answer does no harm.
        match blocking(move || self.cosign(&body)).await {
            Ok(line) => text(StatusCode::OK, TEXT, format!("{line}\n")),
            Err(failure) => failure.answer(),
        }
    }

    /// The cosignature, stored before it is returned.
    fn cosign(&self, body: &[u8]) -> Result<SignatureLine, Failure> {
        let body = std::str::from_utf8(body).map_err(|_why| Failure::NotUtf8)?;
        let request: AddCheckpoint = body.parse().map_err(Failure::Malformed)?;
        let origin = request.checkpoint().origin.as_str();
        let keys = self.logs.keys_of(origin).ok_or(Failure::UnknownLog)?;
        let note = logs::verified(request.note(), keys).map_err(|_untrusted| Failure::Untrusted)?;
        self.store.advance(origin, |held| {
            let tree = held.tree.followed_by(&request).map_err(|refusal| {
                if refusal == Refusal::Fork {
                    let (first, second) = (held.note.as_deref(), note.to_string());
                    tracing::error!(origin, first, second, "the log signed two roots for one size");
                }
                Failure::Refused(refusal)
            })?;
            let time = self.now.after(held.last)?;
            let line = cosign(&note, &self.key, time).map_err(Failure::Malformed)?;
            let mut cosigned = note.clone();
            cosigned.push(line.clone());
            Ok((Promise { tree, time, note: cosigned.to_string() }, line))
        })
    }

    async fn checkpoint(self: Arc<Self>, origin: String) -> Response<Full<Bytes>> {
        match blocking(move || self.store.checkpoint(&origin).map_err(Failure::Store)).await {
            Ok(Some(note)) => text(StatusCode::OK, TEXT, note),
            Ok(None) => text(StatusCode::NOT_FOUND, TEXT, "no checkpoint of this log was cosigned yet\n"),
            Err(failure) => failure.answer(),
        }
    }
}

impl Failure {
    fn answer(self) -> Response<Full<Bytes>> {
        let status = match &self {
            Self::NotUtf8 | Self::Malformed(_) | Self::Refused(Refusal::Backwards) => StatusCode::BAD_REQUEST,
            Self::UnknownLog => StatusCode::NOT_FOUND,
            Self::Untrusted => StatusCode::FORBIDDEN,
            Self::Refused(Refusal::Conflict { held }) => {
                return text(StatusCode::CONFLICT, SIZE, format!("{held}\n"));
            }
            Self::Refused(Refusal::Unproved(_) | Refusal::Fork) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Clock(error) => {
                tracing::error!(%error, "nothing is cosigned");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "nothing is cosigned");
                let message = "this witness cannot store its promises\n";
                return text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, message);
            }
            Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = match &self {
            Self::Refused(Refusal::Backwards) => "the old size is larger than the checkpoint's".to_owned(),
            Self::Refused(Refusal::Unproved(error)) => format!("consistency proof: {error}"),
            Self::Refused(Refusal::Fork) => "another root was cosigned for this size".to_owned(),
            other => other.to_string(),
        };
        text(status, TEXT, format!("{message}\n"))
    }
}

/// The hash in `/<hash>/checkpoint`.
fn monitored(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_suffix("/checkpoint")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request hit a defect");
        Err(Failure::Defect)
    })
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "this method is of no use here\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
