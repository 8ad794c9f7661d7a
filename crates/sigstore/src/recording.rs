//! Logging what was signed: the same bytes however often, everything that comes back checked, and the log held against what
//! it showed before.

use std::sync::Arc;

use url::Url;

use crate::error::{Check, Error};
use crate::prepared::Prepared;
use crate::rekor1::Rekor1;
use crate::rekor2::Rekor2;
use crate::service::Inner;
use crate::trust::{Material, RekorVersion};
use crate::verify::{self, Verified, assemble};

/// What came back of a log, not verified.
pub(crate) struct Kept {
    pub(crate) material: Arc<Material>,
    pub(crate) bundle: Vec<u8>,
    /// Of a Rekor v1.
    pub(crate) head: Option<Head>,
}

/// A checkpoint that came with an entry.
pub(crate) struct Head {
    base: Url,
    log: Vec<u8>,
    note: String,
}

impl Inner {
    pub(crate) async fn submit(&self, prepared: &Prepared) -> Result<Verified, Error> {
        let Kept { material, bundle, head } = self.log(prepared).await?;
        let identity = self.identity().await?;
        // Also what a former identity or key had signed and could not finish.
        let verified = self
            .by_any(&identity, |expected| verify::record(&material.root, expected, &bundle))
            .inspect_err(|_why| self.forget(prepared))?;
        if verified.statement.to_payload() != prepared.payload {
            return Err(Error::failed(Check::Payload, &"it is about something else"));
        }
        self.follow(head).await?;
        Ok(verified)
    }

    /// Only once it is verified that its log signed it.
    pub(crate) async fn follow(&self, head: Option<Head>) -> Result<(), Error> {
        let Some(Head { base, log, note }) = head else { return Ok(()) };
        let rekor = Rekor1 { http: &self.http, base: &base, timeout: self.settings.rekor_timeout };
        self.heads.follow(&rekor, &log, &note).await
    }

    pub(crate) async fn log(&self, prepared: &Prepared) -> Result<Kept, Error> {
        let material = self.trust.material(&self.http).await?;
        let (base, version) = self.rekor(&material).ok_or_else(|| Error::Settings {
            why: "there is no Rekor: the signing configuration names none that is valid now, and `rekor_url` is not set"
                .to_owned(),
        })?;
        let timeout = self.settings.rekor_timeout;
        let mut head = None;
        let entry = match version {
            RekorVersion::V1 => {
                let rekor = Rekor1 { http: &self.http, base: &base, timeout };
                let entry = if self.has_ended(prepared) {
                    // Logged in time and only not noticed, or never.
                    rekor.find(prepared).await?.ok_or(Error::CertificateEnded)?
                } else {
                    rekor.log(prepared).await?
                };
                if self.settings.store_attestation {
                    rekor.keep_payload(&material.root, prepared).await?;
                }
                let (log, note) = (entry.log_id.clone(), entry.proof.checkpoint.clone());
                head = Some(Head { base, log, note });
                entry.to_protojson()
            }
            RekorVersion::V2 => {
                Rekor2 { http: &self.http, base: &base, timeout, root: &material.root }.log(prepared).await?
            }
        };
        let bundle = assemble(prepared, &entry);
        Ok(Kept { material, bundle, head })
    }
}
