//! What a witness answered, out of a status and a body of bounded size.
//!
//! Knows one request only; whether to ask again is decided elsewhere.

use std::time::Duration;

use http::header::RETRY_AFTER;
use reqwest::Response;
use tlog::{SignedCheckpoint, decimal};

use super::{Cosigned, SubmitError};
use crate::Witness;

/// Bytes of an answer, at most: far more than 64 cosignatures of any kind in use have.
const MAX_ANSWER: usize = 256 * 1024;
/// Longer waits than this are not believed.
const MAX_RETRY_AFTER: u64 = 3_600;

/// The two answers that a submission can go on from.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200 with a cosignature that verifies.
    Cosigned(Cosigned),
    /// 409: the witness holds a checkpoint of this size.
    Holds(u64),
}

/// Judges status and body; the status alone where the body says nothing more.
pub(super) async fn judge(
    response: Response,
    witness: &Witness,
    checkpoint: &SignedCheckpoint,
) -> Result<Answer, SubmitError> {
    match response.status().as_u16() {
        200 => Cosigned::parse(&text(response).await?, witness, checkpoint).map(Answer::Cosigned),
        409 => {
            let text = text(response).await?;
            let size = decimal(text.strip_suffix('\n').unwrap_or(&text));
            size.map(Answer::Holds).ok_or(SubmitError::Conflict)
        }
        400 => Err(SubmitError::Malformed),
        403 => Err(SubmitError::Untrusted),
        404 => Err(SubmitError::UnknownLog),
        422 => Err(SubmitError::ProofRefused),
        429 => Err(SubmitError::Busy { retry_after: retry_after(&response) }),
        status => Err(SubmitError::UnexpectedStatus { status }),
    }
}

/// The checkpoint that a witness shows.
pub(super) async fn shown(response: Response) -> Result<SignedCheckpoint, SubmitError> {
    match response.status().as_u16() {
        200 => text(response).await?.parse().map_err(SubmitError::Garbage),
        status => Err(SubmitError::UnexpectedStatus { status }),
    }
}

async fn text(mut response: Response) -> Result<String, SubmitError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| SubmitError::unreachable(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(SubmitError::TooLarge { limit: MAX_ANSWER });
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_why| SubmitError::NotUtf8)
}

/// Seconds; a date is left to the feeder's own pace.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = decimal(response.headers().get(RETRY_AFTER)?.to_str().ok()?)?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}
