//! The whole: one signer, one trust root, and what it costs.
//!
//! Cheap to clone; nothing here is kept on disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::consult::{Consulted, Search};
use crate::error::{Check, Error, Service};
use crate::former::{Signer, of_key};
use crate::fulcio::{Credential, spki};
use crate::heads::Heads;
use crate::http::Http;
use crate::identity::Identity;
use crate::monitor;
use crate::original;
use crate::prepared::Prepared;
use crate::recording::Kept;
use crate::rekor1::Rekor1;
use crate::rekor2::Rekor2;
use crate::settings::{Clock, Settings, SignerSource};
use crate::statement::{Statement, checkpoint_payload, pae};
use crate::together::Together;
use crate::trust::{Material, Rekor2At, RekorVersion, Trust};
use crate::verify::{self, Entry, Expected, Verified};

/// One signer.
#[derive(Clone)]
pub struct Sigstore(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) http: Http,
    pub(crate) trust: Trust,
    /// Learned from a token, where it is not configured.
    pub(crate) identity: ArcSwapOption<Identity>,
    pub(crate) managed: Option<Managed>,
    former: Vec<Signer>,
    pub(crate) heads: Heads,
    pub(crate) credential: ArcSwapOption<(Arc<Credential>, Timestamp)>,
    pub(crate) certifying: Together,
    pub(crate) certificates: AtomicU64,
    pub(crate) last_error: ArcSwapOption<String>,
}

pub(crate) struct Managed {
    pub(crate) key: KeyPair,
    pub(crate) spki: Vec<u8>,
}

/// What was logged about a checkpoint.
#[derive(Clone, Debug)]
pub struct Anchored {
    /// The Sigstore bundle.
    pub bundle: Vec<u8>,
    /// SHA-256 of what was signed.
    pub pae_hash: [u8; 32],
    /// Where it is logged.
    pub entry: Entry,
}

/// Requests sent so far, and certificates had.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// For identity tokens; a file or a program is none.
    pub identity: u64,
    /// To Fulcio.
    pub fulcio: u64,
    /// To Rekor.
    pub rekor: u64,
    /// To timestamp authorities.
    pub timestamp: u64,
    /// To the trust root's repository.
    pub trust: u64,
    /// Certificates.
    pub certificates: u64,
}

/// How it is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Why nothing is signed: the trust root has expired.
    pub expired: Option<String>,
    /// What went wrong last, until something goes well.
    pub last_error: Option<String>,
}

impl Sigstore {
    /// Reads the files that `settings` names. Nobody is asked anything yet.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::Settings`]
    pub fn open(settings: Settings, clock: Clock) -> Result<Self, Error> {
        let http = Http::new()?;
        let trust = Trust::new(settings.trust.clone(), clock.clone())?;
        let managed = match &settings.signer {
            SignerSource::Workload(_) => None,
            SignerSource::ManagedKey(path) => {
                let wrong = |why: String| Error::File { path: path.clone(), why };
                let pem = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
                // Says nothing of the content: it is a key.
                let key = KeyPair::from_pem_and_sign_algo(&pem, &PKCS_ECDSA_P256_SHA256)
                    .map_err(|_secret| wrong("it holds no P-256 private key as PEM".to_owned()))?;
                let spki = spki(&key);
                Some(Managed { key, spki })
            }
        };
        let identity = match &managed {
            Some(managed) => Some(of_key(&managed.spki)),
            None => settings.identity.clone(),
        };
        let former = settings.former.iter().map(Signer::open).collect::<Result<_, _>>()?;
        let heads = Heads::open(settings.heads.clone())?;
        Ok(Self(Arc::new(Inner {
            settings,
            clock,
            http,
            trust,
            identity: ArcSwapOption::from(identity.map(Arc::new)),
            managed,
            former,
            heads,
            credential: ArcSwapOption::empty(),
            certifying: Together::default(),
            certificates: AtomicU64::new(0),
            last_error: ArcSwapOption::empty(),
        })))
    }

    /// What Rekor has of a reference already. `candidates` are statements that it may have without their payload.
    ///
    /// # Errors
    ///
    /// [`Error`]: then nothing is known, and nothing may be recorded.
    pub async fn consult(&self, reference: &str, candidates: &[Statement]) -> Result<Consulted, Error> {
        let found = async {
            self.ready().await?;
            self.0.consult(reference, candidates).await
        };
        self.noted(found.await)
    }

    /// Asks what a search needs for as long as one may take; what was begun goes on for the next one.
    async fn ready(&self) -> Result<(), Error> {
        let this = self.clone();
        let asking = tokio::spawn(async move { this.prepare().await });
        match tokio::time::timeout(self.0.settings.search.time, asking).await {
            Ok(Ok(outcome)) => outcome,
            // Late, or the process ends.
            Ok(Err(_)) | Err(_) => Err(Error::NotReady),
        }
    }

    /// Entries of ours under a reference, in whatever log's name, that none of `published` is behind: each one is a statement
    /// that somebody signed as us and nobody shows.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Settings`] where the log has no index that could be asked.
    pub async fn unexplained(&self, reference: &str, published: &[Statement]) -> Result<Vec<Entry>, Error> {
        let material = self.0.trust.material(&self.0.http).await?;
        let found = self.0.search(&material, reference, published, &[], None).await?;
        if !found.searched {
            return Err(Error::Settings {
                why: "tags can only be looked up in a Rekor v1 with an index; a Rekor v2 is read as a whole"
                    .to_owned(),
            });
        }
        let explained: Vec<[u8; 32]> = published.iter().map(Statement::pae_hash).collect();
        let records = found.records.into_iter().filter(|record| !explained.contains(&record.pae_hash));
        Ok(records.map(|record| record.entry).chain(found.unreadable).collect())
    }

    /// Signs a statement, and has the signature timestamped where there is a timestamp authority. Nothing is public yet.
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub async fn sign(&self, statement: &Statement) -> Result<Prepared, Error> {
        self.noted(self.0.sign(statement.to_payload()).await)
    }

    /// Logs what was signed, and checks all that came back. The same call again is the same entry.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::CertificateEnded`] where it was not logged and has to be signed again.
    pub async fn submit(&self, prepared: &Prepared) -> Result<Verified, Error> {
        self.noted(self.0.submit(prepared).await)
    }

    /// Checks a record that was kept.
    ///
    /// # Errors
    ///
    /// [`Error::Verification`]; [`Error::NoIdentity`] and [`Error::TrustExpired`] while it is not known by what.
    pub fn verify(&self, bundle: &[u8]) -> Result<Verified, Error> {
        let inner = &self.0;
        let material = inner.trust.known().ok_or(Error::NoIdentity)?;
        if original::is_document(bundle) {
            return original::load(&material.root, &inner.settings.adopt_original, bundle);
        }
        let identity = inner.identity.load_full().ok_or(Error::NoIdentity)?;
        inner.by_any(&identity, |expected| verify::record(&material.root, expected, bundle))
    }

    /// Asks whoever has to be asked before anything can be verified: the trust root, and who we are.
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub async fn prepare(&self) -> Result<(), Error> {
        let ready = async {
            self.0.trust.material(&self.0.http).await?;
            self.0.identity().await.map(drop)
        };
        self.noted(ready.await)
    }

    /// Logs a checkpoint of our own log.
    ///
    /// # Errors
    ///
    /// [`Error`]
    pub async fn anchor(&self, origin: &str, checkpoint: &str) -> Result<Anchored, Error> {
        let inner = &self.0;
        let anchored = async {
            let payload = checkpoint_payload(origin, checkpoint);
            let prepared = inner.sign(payload.clone()).await?;
            let Kept { material, bundle, head } = inner.log(&prepared).await?;
            let digest: [u8; 32] = Sha256::digest(checkpoint).into();
            let identity = inner.identity().await?;
            let logged = verify::logged(&material.root, &inner.expected(&identity), &bundle, &digest)?;
            if logged.payload != payload {
                return Err(Error::failed(Check::Payload, &"it is about another checkpoint"));
            }
            inner.follow(head).await?;
            let pae_hash = Sha256::digest(pae(&payload)).into();
            Ok(Anchored { bundle, pae_hash, entry: logged.entry })
        };
        self.noted(anchored.await)
    }

    /// Reads on in every Rekor v2 that is believed for entries of ours: [`monitor`]. What was read before an error is in
    /// `state`, and was given to `found`.
    ///
    /// # Errors
    ///
    /// [`Error`]: of the first log that could not be read to its end.
    pub async fn watch(
        &self,
        state: &mut monitor::State,
        mut found: impl FnMut(monitor::Signed),
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), Error> {
        let inner = &self.0;
        let material = inner.trust.material(&inner.http).await?;
        if material.services.rekors2.is_empty() {
            return Err(Error::Settings {
                why: "only a Rekor v2 can be read as a whole, and none is believed; in a Rekor v1 tags are looked up"
                    .to_owned(),
            });
        }
        let identity = inner.identity().await?;
        let signers = inner.signers(&identity);
        let (mut read, mut failed) = (BTreeSet::new(), None);
        for Rekor2At { base, is_named } in &material.services.rekors2 {
            // Of a log that was to be read where the configuration has it.
            let is_known = base.host_str().is_some_and(|host| read.contains(host));
            if !is_named && (is_known || failed.is_some()) {
                continue;
            }
            let timeout = inner.settings.rekor_timeout;
            let rekor = Rekor2 { http: &inner.http, base, timeout, root: &material.root };
            match monitor::walk(&rekor, &signers, state, &mut found, &mut progress).await {
                Ok(name) => drop(read.insert(name)),
                Err(error) => {
                    tracing::warn!(%base, %error, "a log could not be read to its end");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Who signs, as far as it is known.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.0.identity.load_full()
    }

    /// Checks what was logged about a checkpoint and kept; gives that checkpoint of the log `origin`.
    ///
    /// # Errors
    ///
    /// [`Error::Verification`]; [`Error::NoIdentity`] while it is not known by what.
    pub fn verify_anchor(&self, origin: &str, bundle: &[u8]) -> Result<String, Error> {
        let material = self.0.trust.known().ok_or(Error::NoIdentity)?;
        let identity = self.0.identity.load_full().ok_or(Error::NoIdentity)?;
        let checked =
            |expected: &Expected<'_>| crate::anchored::checkpoint(&material.root, expected, bundle, origin);
        self.0.by_any(&identity, checked)
    }

    /// What it cost so far.
    pub fn statistics(&self) -> Statistics {
        let counters = &self.0.http.counters;
        Statistics {
            identity: counters.get(Service::Identity),
            fulcio: counters.get(Service::Fulcio),
            rekor: counters.get(Service::Rekor),
            timestamp: counters.get(Service::Timestamp),
            trust: counters.get(Service::Trust),
            certificates: self.0.certificates.load(Ordering::Relaxed),
        }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        Health {
            expired: self.0.trust.known().and_then(|material| material.expired.clone()),
            last_error: self.0.last_error.load_full().map(|error| error.to_string()),
        }
    }

    fn noted<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        self.0.last_error.store(outcome.as_ref().err().map(|error| Arc::new(error.to_string())));
        outcome
    }
}

impl Inner {
    async fn consult(&self, reference: &str, candidates: &[Statement]) -> Result<Consulted, Error> {
        let settings = &self.settings;
        let material = self.trust.material(&self.http).await?;
        // What is found would be pinned, and nothing of it was checked while this trust was good.
        if let Some(why) = &material.expired {
            return Err(Error::TrustExpired { why: why.clone() });
        }
        let origin = settings.log_origin.as_deref();
        let mut found =
            self.search(&material, reference, candidates, &settings.adopt_original, origin).await?;
        found.searched &= matches!(self.rekor(&material), Some((_, RekorVersion::V1)));
        Ok(found)
    }

    /// Every Rekor v1, whichever Rekor is written to: what was logged there before still holds.
    async fn search(
        &self,
        material: &Material,
        reference: &str,
        candidates: &[Statement],
        adopt: &[Identity],
        log_origin: Option<&str>,
    ) -> Result<Consulted, Error> {
        let bases = match &self.settings.rekor_url {
            Some(url) => std::slice::from_ref(url),
            None => material.services.rekors1.as_slice(),
        };
        let mut found = Consulted { searched: !bases.is_empty(), ..Consulted::default() };
        let identity = if bases.is_empty() { return Ok(found) } else { self.identity().await? };
        let signers = self.signers(&identity);
        for base in bases {
            let search = Search {
                rekor: Rekor1 { http: &self.http, base, timeout: self.settings.rekor_timeout },
                material,
                heads: &self.heads,
                signers: &signers,
                adopt,
                budget: self.settings.search,
                log_origin,
            };
            found.join(search.run(reference, candidates).await?);
        }
        Ok(found)
    }

    pub(crate) fn rekor(&self, material: &Material) -> Option<(Url, RekorVersion)> {
        match &self.settings.rekor_url {
            Some(url) => Some((url.clone(), RekorVersion::V1)),
            None => material.services.rekor.clone(),
        }
    }

    /// What a check says by who we are now, else by whom we were before; where nobody passes it, why we do not now.
    pub(crate) fn by_any<T>(
        &self,
        identity: &Identity,
        check: impl Fn(&Expected<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let former = || self.former(identity).find_map(|former| check(&former).ok());
        check(&self.expected(identity)).or_else(|error| former().ok_or(error))
    }

    /// Whose records are ours: who signs, and who did before.
    pub(crate) fn signers<'a>(&'a self, identity: &'a Identity) -> Vec<Expected<'a>> {
        std::iter::once(self.expected(identity)).chain(self.former(identity)).collect()
    }

    fn former<'a>(&'a self, now: &'a Identity) -> impl Iterator<Item = Expected<'a>> {
        let former = self.former.iter().filter(move |former| former.identity != *now);
        former.map(|former| Expected { identity: &former.identity, key: former.key.as_deref() })
    }

    pub(crate) fn expected<'a>(&'a self, identity: &'a Identity) -> Expected<'a> {
        Expected { identity, key: self.managed.as_ref().map(|managed| managed.spki.as_slice()) }
    }
}
