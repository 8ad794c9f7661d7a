//! Evidence of records in public: the signer, and what was verified of the documents that are kept with records.
//!
//! A document is checked whenever it is loaded, and once per process. One that does not pass is an alarm and says nothing
//! more; the record itself stays what our own log says. Knows no HTTP but the value of a header.

mod anchor;
pub(crate) mod artifact;
mod begun;
mod bundle;
mod decided;
mod repin;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use ledger::{Evidence, Ledger, Recorded};
use oci::{Name, Sha256Digest};
use sha2::{Digest as _, Sha256};
use sigstore::{Consulted, Entry, Error, Sigstore, Statement, Verified};
use taglog::Leaf;

pub(crate) use self::anchor::keep_anchoring;
pub(crate) use self::begun::Unlogged;
pub(crate) use self::bundle::bundle;
pub(crate) use self::decided::{Own, decided, same};
pub(crate) use self::repin::{Repin, repin};
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
    /// False for records of the original program, of which no signature is left.
    pub(crate) signature_verified: bool,
}

/// The signer and what it knows.
pub(crate) struct Records {
    pub(crate) sigstore: Sigstore,
    ledger: Ledger,
    clock: ledger::Clock,
    /// The name of our own log in statements; a log that goes with the process has none that means anything to the next.
    log_origin: Option<String>,
    /// Of other logs under this identity.
    former_origins: Vec<String>,
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
        let log_origin = (!config.ephemeral).then(|| ledger.origin().to_owned());
        settings.log_origin.clone_from(&log_origin);
        let now = clock.clone();
        let system =
            sigstore::Clock::by(move || std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(now.now()));
        Ok(Self {
            sigstore: Sigstore::open(settings, system)?,
            ledger: ledger.clone(),
            clock,
            log_origin,
            former_origins: former_origins(sigstore, ledger),
            verified: Mutex::default(),
        })
    }

    /// What Rekor has of the reference of `candidate`, which it may say without its payload.
    pub(crate) async fn consult(&self, candidate: &Statement) -> Result<Consulted, Error> {
        // Another instance may keep a log, or none; what another log said of the same digest is no contradiction.
        let others = self.former_origins.iter().cloned().map(Some).chain([None]);
        let others = others.map(|log_origin| Statement { log_origin, ..candidate.clone() });
        let candidates: Vec<Statement> = [candidate.clone()].into_iter().chain(others).collect();
        self.sigstore.consult(&candidate.reference, &candidates).await
    }

    /// What is verified of a record's document; nothing where there is none, or none that passes.
    pub(crate) fn of(&self, record: &Recorded) -> Option<Arc<Logged>> {
        self.at(record.entry())
    }

    /// The same by its leaf.
    pub(crate) fn at(&self, entry: &ledger::Entry) -> Option<Arc<Logged>> {
        let (index, (name, tag, digest)) = (entry.index, entry.leaf.current()?);
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
            Ok(Verified { statement, .. })
                if statement.digest != *digest
                    || statement.reference != format!("{name}:{tag}")
                    || !self.is_of_our_log(&statement) =>
            {
                tracing::error!(index, "the evidence of a record is about another one");
                self.remember(index, None)
            }
            Ok(verified) => self.remember(index, logged(&verified).map(Arc::new)),
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

    fn is_of_our_log(&self, statement: &Statement) -> bool {
        self.log_origin.as_ref().zip(statement.log_origin.as_ref()).is_none_or(|(ours, its)| ours == its)
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

/// What the configuration names, and the log that ours continues.
fn former_origins(sigstore: &SigstoreConfig, ledger: &Ledger) -> Vec<String> {
    let mut origins = sigstore.former_origins.clone();
    if let Ok(Some(ledger::Entry { leaf: Leaf::Log { previous: Some(previous), .. }, .. })) = ledger.entry(0)
    {
        origins.push(previous.origin);
    }
    origins
}

fn logged(verified: &Verified) -> Option<Logged> {
    Some(Logged {
        entry: verified.entry.clone(),
        log: HeaderValue::from_str(&verified.entry.log).ok()?,
        statement: verified.statement.clone(),
        pae_hash: verified.pae_hash,
        signature_verified: verified.signature_verified,
    })
}

/// By which the documents about a manifest under one name are asked for: anybody can give an image further names.
pub(crate) fn subject(name: &Name, digest: &Sha256Digest) -> [u8; 32] {
    Sha256::new()
        .chain_update(name.as_str())
        .chain_update([0])
        .chain_update(digest.as_bytes())
        .finalize()
        .into()
}

/// What is kept with the record that this document is about: asked for by what was signed, by its name and the manifest's
/// digest, by its own digest, and by that of the artifact that it becomes.
pub(crate) fn document(verified: &Verified, name: &Name, media_type: &str, size: u64) -> Evidence {
    let artifact =
        artifact::manifest(&verified.bundle, &verified.statement, media_type, size, verified.entry.time);
    Evidence {
        ids: vec![
            verified.pae_hash,
            subject(name, &verified.statement.digest),
            Sha256::digest(&verified.bundle).into(),
            Sha256::digest(&artifact).into(),
        ],
        document: Bytes::from(verified.bundle.clone()),
    }
}
