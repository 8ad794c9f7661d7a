//! Auditors bring their cosignatures: `POST /log/cosignature`, the one thing that strangers may send.
//!
//! Sizes, times and work are bounded here; which keys count is the configuration's, what verifies the ledger's to say.

use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use ledger::CosignError;
use tlog::SignedCheckpoint;

use crate::app::App;
use crate::edge::body::Body;
use crate::edge::respond::text;

/// Bytes of a note that an auditor sends; sixty cosignatures fit.
const MAX_NOTE: usize = 64 * 1024;
/// How long an auditor may take to send one.
const PATIENCE: Duration = Duration::from_secs(10);

/// `POST /log/cosignature`: an auditor brings its cosignature of a published checkpoint.
///
/// 200 and nothing: it is kept. 400: no note. 403: a key that is not collected, or a cosignature that does not verify.
/// 404: a checkpoint that this log never published, or nothing is collected. 503: it could not be stored.
pub(crate) async fn collect<B>(app: &App, body: B) -> Response<Body>
where
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let (status, why) = match take(app, body).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err((status, why)) => (status, format!("{why}\n")),
    };
    let mut response = text(status, why);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

async fn take<B>(app: &App, body: B) -> Result<(), (StatusCode, String)>
where
    B: http_body::Body<Data: Send, Error: std::error::Error + Send + Sync + 'static> + Send,
{
    let refuse = |status, why: &str| Err((status, why.to_owned()));
    if !app.config.shows_log() || app.config.cosigning.policies.is_none() {
        return refuse(StatusCode::NOT_FOUND, "this log collects no cosignatures");
    }
    let whole = tokio::time::timeout(PATIENCE, Limited::new(body, MAX_NOTE).collect()).await;
    let Ok(Ok(whole)) = whole else {
        return refuse(StatusCode::BAD_REQUEST, "the note is larger than 64 KiB, or did not come in time");
    };
    let bytes = whole.to_bytes();
    let signed = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<SignedCheckpoint>().ok());
    let Some(signed) = signed else {
        return refuse(StatusCode::BAD_REQUEST, "this is not the note of a checkpoint");
    };
    let size = signed.checkpoint().size;
    let published = app.published_size();
    if signed.checkpoint().origin != app.ledger.origin() || size > published {
        return refuse(StatusCode::NOT_FOUND, "this log has published no such checkpoint");
    }
    // Whoever sends what is public over and over takes one place in a batch, and no more.
    let _one_at_a_time = app.collecting.lock().await;
    match app.ledger.add_cosignatures(size, signed.note().signatures()).await {
        Ok(outcome) if !outcome.refused.is_empty() => {
            let whose = outcome.refused.join("`, `");
            refuse(StatusCode::FORBIDDEN, &format!("the cosignature of `{whose}` does not verify"))
        }
        Ok(outcome) if outcome.added == 0 => {
            refuse(StatusCode::FORBIDDEN, "no cosignature by a key that this log collects")
        }
        Ok(_) => Ok(()),
        Err(CosignError::NotSigned { .. }) => {
            refuse(StatusCode::NOT_FOUND, "this log has published no such checkpoint")
        }
        Err(error) => {
            tracing::warn!(size, %error, "a cosignature could not be stored");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "the cosignature could not be stored now; send it again")
        }
    }
}
