//! An auditor's cosignature (C2SP tlog-cosignature, `cosignature/v1`), by a key of its own, named
//! like `auditor.example/x`.
//!
//! A cosignature says that the cosigner has seen no other tree of this log. By the key of an auditor
//! it says in addition what [`STATEMENT`] says, which is why it can only be made of an
//! [`Audited`] tree: all of history, at exactly that size.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use tlog::{Note, SignatureLine, SigningKey};

use crate::Error;
use crate::history::Audited;
use crate::post::Post;
use crate::source::Http;

/// What an auditor's cosignature states, besides what any cosignature does. To be published with the
/// key, as C2SP tlog-cosignature asks for.
pub const STATEMENT: &str = "The rules U, I, L, T and G of tlogistry/v1 hold for all of history: for every leaf of \
     this tree, replayed by this auditor from leaf 0, by its clock, and for every checkpoint of this \
     log that it has seen.";

/// Where a log collects cosignatures, below its prefix.
///
/// `POST <prefix>/cosignature`, `text/plain`: the checkpoint's note with the log's signature and the
/// cosignature. Answers: 200 and nothing, the cosignature was kept; 400 for what is no note; 403 for
/// a key that the log does not collect, or a cosignature that does not verify; 404 for a checkpoint
/// that the log never published; 409 for one that is no longer the newest. Refusals say why in a
/// line of text. To send the same again changes nothing.
pub const COLLECTOR: &str = "cosignature";

/// An auditor's cosignature of one checkpoint.
#[derive(Clone, Debug)]
pub struct Cosignature {
    line: SignatureLine,
    note: Note,
}

impl Cosignature {
    /// The signature line.
    pub fn line(&self) -> &SignatureLine {
        &self.line
    }

    /// The checkpoint with the log's signature and this line.
    pub fn note(&self) -> &Note {
        &self.note
    }
}

/// Cosigns an audited tree at `now`, in Unix seconds.
///
/// # Errors
///
/// [`Error::Cosigner`] for a key that is not a cosigner's, or is the log's own; [`Error::Uncompared`] where
/// one of the others that the audit should have been compared with could not be.
pub fn cosign(audited: &Audited, key: &SigningKey, now: u64) -> Result<Cosignature, Error> {
    audited.report().require_compared()?;
    let cosigner = |source| Error::Cosigner { name: key.name().to_owned(), source };
    if key.verifier().key_bytes() == audited.log().key_bytes() {
        let why = "it is the key of the log itself".to_owned();
        return Err(cosigner(tlog::Error::Format { format: "cosigner's key", why }));
    }
    let signed = audited.checkpoint().note();
    let mut note = Note::unsigned(signed.text().to_owned()).map_err(cosigner)?;
    signed.lines_of(audited.log()).for_each(|line| note.push(line.clone()));
    let line = tlog::cosign(&note, key, now).map_err(cosigner)?;
    note.push(line.clone());
    Ok(Cosignature { line, note })
}

/// Sends a cosignature to the log at a prefix (`https://tlog.example/log`).
///
/// # Errors
///
/// [`Error::Status`] with what the log says against it, [`Error::Unreachable`], [`Error::Place`].
pub async fn submit(cosignature: &Cosignature, log: &str, http: &Http) -> Result<(), Error> {
    let collector = Post::to(&format!("{}/{COLLECTOR}", log.trim_end_matches('/')), http)?;
    let text: (HeaderName, HeaderValue) =
        (CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    collector.send(&[text], &cosignature.note.to_string()).await
}
