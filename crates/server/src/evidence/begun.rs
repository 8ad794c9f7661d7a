//! From a durable row to an entry in Rekor: what was signed is logged, the very same bytes each time.
//!
//! It is signed anew only where what was signed can never become a record: its certificate has ended, and Rekor has no
//! entry of it or one that fails its check; or the row cannot be read. So a tag costs at most one entry per certificate.

use bytes::Bytes;
use ledger::{AppendError, Appended, Pending, Submission};
use sigstore::{Error, Prepared, Statement, Verified};

use super::Records;

/// Why something is not logged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unlogged {
    #[error(transparent)]
    Sigstore(#[from] Error),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Records {
    /// Signs a statement and keeps that for `submission`; nothing of it is public yet.
    pub(crate) async fn begin(
        &self,
        submission: &Submission,
        statement: &Statement,
        replaces: Option<Bytes>,
    ) -> Result<(Prepared, Appended), Unlogged> {
        let prepared = self.sigstore.sign(statement).await?;
        let submission = Submission::Pend {
            submission: Box::new(submission.clone()),
            prepared: prepared.to_bytes().into(),
            replaces,
        };
        Ok((prepared, self.ledger.append(submission).await?))
    }

    /// Logs what is pending for `submission`, which should say `expected`, and checks what came back.
    pub(crate) async fn log(
        &self,
        submission: &Submission,
        pending: Pending,
        expected: &Statement,
    ) -> Result<Verified, Unlogged> {
        let mut statement = expected.clone();
        if let Some((prepared, said)) = read(&pending, expected) {
            match self.sigstore.submit(&prepared).await {
                Err(Error::CertificateEnded) => {}
                Err(error @ Error::Verification { .. }) if prepared.has_ended(self.clock.now()) => {
                    tracing::error!(reference = %said.reference, %error, "what was signed can never be a record; signing it anew");
                }
                outcome => return Ok(outcome?),
            }
            statement = said;
        }
        match self.begin(submission, &statement, Some(pending.prepared)).await? {
            (anew, Appended::Pending(now)) if now.prepared == anew.to_bytes() => {
                Ok(self.sigstore.submit(&anew).await?)
            }
            // Somebody else went on with it.
            _ => Err(Error::CertificateEnded.into()),
        }
    }
}

/// What was signed, if it is about the same.
pub(crate) fn read(pending: &Pending, expected: &Statement) -> Option<(Prepared, Statement)> {
    let prepared = Prepared::from_bytes(&pending.prepared).ok()?;
    let said = prepared.statement().ok()?;
    let same = said.reference == expected.reference
        && said.digest == expected.digest
        && said.digest == pending.digest
        && std::mem::discriminant(&said.action) == std::mem::discriminant(&expected.action);
    same.then_some((prepared, said))
}
