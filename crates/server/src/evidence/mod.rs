//! Evidence of records in public: the signer, and what was verified of the documents that are kept with records.
//!
//! A document is checked whenever it is loaded, and once per process. One that does not pass is an alarm and says nothing
//! more; the record itself stays what our own log says. Knows no HTTP but the value of a header.

mod anchor;
pub(crate) mod artifact;
mod bundle;
mod repin;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use ledger::{Evidence, Ledger, Recorded};
use oci::Sha256Digest;
use sha2::{Digest as _, Sha256};
use sigstore::{Entry, Error, Sigstore, Statement, Verified};

pub(crate) use self::anchor::keep_anchoring;
pub(crate) use self::bundle::bundle;
pub(crate) use self::repin::repin;
use crate::config::{Config, SigstoreConfig};

/// Verified documents that are remembered; all are forgotten when there are more.
const REMEMBERED: usize = 65_536;
/// Between two tries to find out who signs and who is believed.
const RETRY: Duration = Duration::from_secs(10);

/// A record's place in Rekor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Logged {
    pub(crate) entry: Entry,
    /// The log's name, as the value of `Tlog-Log`.
    pub(crate) log: HeaderValue,
    pub(crate) statement: Statement,
    pub(crate) pae_hash: [u8; 32],
}

/// The signer and what it knows.
pub(crate) struct Records {
    pub(crate) sigstore: Sigstore,
    ledger: Ledger,
    verified: Mutex<HashMap<u64, Option<Arc<Logged>>>>,
}

impl Records {
    /// For a log of this name.
    ///
    /// # Errors
    ///
    /// A file that the configuration names.
    pub(crate) fn open(
        config: &Config,
        sigstore: &SigstoreConfig,
        ledger: &Ledger,
        clock: ledger::Clock,
    ) -> Result<Self, Error> {
        let mut settings = sigstore.settings.clone();
        // A log that goes with the process has no name that means anything to the next.
        settings.log_origin = (!config.ephemeral).then(|| ledger.origin().to_owned());
        let clock =
            sigstore::Clock::by(move || std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(clock.now()));
        Ok(Self {
            sigstore: Sigstore::open(settings, clock)?,
            ledger: ledger.clone(),
            verified: Mutex::default(),
        })
    }

    /// What is verified of a record's document; nothing where there is none, or none that passes.
    pub(crate) fn of(&self, record: &Recorded) -> Option<Arc<Logged>> {
        self.at(record.index(), &record.digest())
    }

    /// The same by the index of its leaf.
    pub(crate) fn at(&self, index: u64, digest: &Sha256Digest) -> Option<Arc<Logged>> {
        if let Some(known) = self.lock().get(&index) {
            return known.clone();
        }
        let document = match self.ledger.evidence(index) {
            Ok(Some(document)) => document,
            Ok(None) => return self.remember(index, None),
            Err(error) => {
                tracing::error!(index, %error, "the evidence of a record cannot be read");
                return None;
            }
        };
        match self.sigstore.verify(&document) {
            Ok(verified) if verified.statement.digest == *digest => {
                self.remember(index, logged(&verified).map(Arc::new))
            }
            Ok(_) => {
                tracing::error!(index, "the evidence of a record is about another digest");
                self.remember(index, None)
            }
            // Not known yet by what to check it; asked again next time.
            Err(error @ (Error::NoIdentity | Error::TrustExpired { .. })) => {
                tracing::debug!(index, %error, "the evidence of a record cannot be checked yet");
                None
            }
            Err(error) => {
                tracing::error!(index, %error, "the evidence of a record fails its check");
                self.remember(index, None)
            }
        }
    }

    fn remember(&self, index: u64, logged: Option<Arc<Logged>>) -> Option<Arc<Logged>> {
        let mut verified = self.lock();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(index, logged.clone());
        logged
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<Arc<Logged>>>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, until it is known, who signs and who is believed; then documents can be checked.
    pub(crate) async fn prepare(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        while let Err(error) = self.sigstore.prepare().await {
            tracing::warn!(%error, "records are not logged in Rekor yet");
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }
}

fn logged(verified: &Verified) -> Option<Logged> {
    Some(Logged {
        entry: verified.entry.clone(),
        log: HeaderValue::from_str(&verified.entry.log).ok()?,
        statement: verified.statement.clone(),
        pae_hash: verified.pae_hash,
    })
}

/// What is kept with the record that this document is about: asked for by what was signed, by the manifest's digest, by its
/// own, and by that of the artifact that it becomes.
pub(crate) fn document(verified: &Verified, media_type: &str, size: u64) -> Evidence {
    let artifact =
        artifact::manifest(&verified.bundle, &verified.statement, media_type, size, verified.entry.time);
    Evidence {
        ids: vec![
            verified.pae_hash,
            *verified.statement.digest.as_bytes(),
            Sha256::digest(&verified.bundle).into(),
            Sha256::digest(&artifact).into(),
        ],
        document: Bytes::from(verified.bundle.clone()),
    }
}
