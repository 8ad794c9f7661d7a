//! Signing a statement: who we are, the certificate of the last few minutes, the signature and its timestamp.
//!
//! All of it is checked before it is given away: nothing can be taken back from a log. Logs nothing itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::SigningKey as _;
use secrecy::ExposeSecret as _;

use crate::certificate::{genuine, identity_in};
use crate::error::{Check, Error};
use crate::fulcio::{Credential, certificate};
use crate::identity::{Identity, identity_of, token};
use crate::prepared::{Prepared, Verifier};
use crate::service::Inner;
use crate::settings::SignerSource;
use crate::statement::pae;
use crate::timestamp::{time_of, timestamp};
use crate::trust::Material;

/// How long a certificate signs, of its ten minutes.
const REUSE: Duration = Duration::from_secs(8 * 60);
/// How long before its end a certificate must not be logged any more: Rekor's clock is another.
const MARGIN: i64 = 15;

impl Inner {
    pub(crate) async fn sign(&self, payload: Vec<u8>) -> Result<Prepared, Error> {
        let material = self.trust.material(&self.http).await?;
        if let Some(why) = &material.expired {
            return Err(Error::TrustExpired { why: why.clone() });
        }
        let message = pae(&payload);
        let failed = |error: rcgen::Error| Error::Settings { why: format!("nothing can be signed: {error}") };
        let (signature, verifier, validity) = match &self.managed {
            Some(managed) => {
                let verifier = Verifier::Key { spki: managed.spki.clone() };
                (managed.key.sign(&message).map_err(failed)?, verifier, None)
            }
            None => {
                let credential = self.credential(&material).await?;
                let (not_before, not_after) = (credential.info.not_before, credential.info.not_after);
                let verifier =
                    Verifier::Certificate { der: credential.der.clone(), not_after: not_after.as_second() };
                (credential.key.sign(&message).map_err(failed)?, verifier, Some(not_before..=not_after))
            }
        };
        // What is wrong with it has to be found before it is logged: nothing can be taken back from there.
        let timestamp = match &material.services.timestamp {
            Some(url) => {
                let token = timestamp(&self.http, url, self.settings.rekor_timeout, &signature).await?;
                let time = time_of(&material.root, &token, &signature)?;
                if validity.is_some_and(|validity| !validity.contains(&time)) {
                    return Err(Error::failed(
                        Check::Bundle,
                        &"its timestamp is not of the time of its certificate",
                    ));
                }
                Some(token)
            }
            None => None,
        };
        Prepared { payload, signature, verifier, timestamp }.bounded()
    }

    /// The certificate of the last few minutes, or a new one; who waits shares it, and also that there is none.
    async fn credential(&self, material: &Material) -> Result<Arc<Credential>, Error> {
        self.certifying.run(|| self.held(), self.certified(material)).await
    }

    fn held(&self) -> Option<Arc<Credential>> {
        let (held, now) = (self.credential.load(), self.clock.timestamp());
        let (credential, since) = &**held.as_ref()?;
        let ends = credential.info.not_after.as_second() - MARGIN;
        let is_good = now < *since + REUSE && now >= *since && now.as_second() < ends;
        is_good.then(|| Arc::clone(credential))
    }

    async fn certified(&self, material: &Material) -> Result<Arc<Credential>, Error> {
        let SignerSource::Workload(source) = &self.settings.signer else { return Err(Error::NoIdentity) };
        let now = self.clock.timestamp();
        let base = self.settings.fulcio_url.as_ref().or(material.services.fulcio.as_ref());
        let base = base.ok_or_else(|| Error::Settings {
            why: "there is no Fulcio: the signing configuration names none that is valid now, and `fulcio_url` is not set"
                .to_owned(),
        })?;
        let token = token(&self.http, source, &self.settings.audience).await?;
        let expected = self.learned(token.expose_secret())?;
        let credential = certificate(&self.http, base, self.settings.fulcio_timeout, &token).await?;
        self.certificates.fetch_add(1, Ordering::Relaxed);
        let named = identity_in(&credential.der);
        if named.as_ref() != Some(&*expected) {
            let named = named.map_or_else(|| "nobody".to_owned(), |named| named.to_string());
            return Err(Error::Settings {
                why: format!(
                    "the certificate names {named}, and {expected} was expected: set `identity` and `issuer`"
                ),
            });
        }
        // At its beginning: our clock may be another than Fulcio's.
        genuine(&material.root, &credential.der, &expected)?;
        let credential = Arc::new(credential);
        self.credential.store(Some(Arc::new((Arc::clone(&credential), now))));
        Ok(credential)
    }

    /// Who signs; a token is asked for where nobody said so yet.
    pub(crate) async fn identity(&self) -> Result<Arc<Identity>, Error> {
        if let Some(identity) = self.identity.load_full() {
            return Ok(identity);
        }
        let SignerSource::Workload(source) = &self.settings.signer else { return Err(Error::NoIdentity) };
        let token = token(&self.http, source, &self.settings.audience).await?;
        self.learned(token.expose_secret())
    }

    fn learned(&self, token: &str) -> Result<Arc<Identity>, Error> {
        if let Some(identity) = self.identity.load_full() {
            return Ok(identity);
        }
        let identity = identity_of(token).ok_or_else(|| Error::Settings {
            why: "what was given as an identity token is none".to_owned(),
        })?;
        let identity = Arc::new(identity);
        self.identity.store(Some(Arc::clone(&identity)));
        Ok(identity)
    }

    /// A certificate that a record failed with signs no other.
    pub(crate) fn forget(&self, failed: &Prepared) {
        let Verifier::Certificate { der, .. } = &failed.verifier else { return };
        if self.credential.load().as_ref().is_some_and(|held| held.0.der == *der) {
            self.credential.store(None);
        }
    }

    pub(crate) fn has_ended(&self, prepared: &Prepared) -> bool {
        match &prepared.verifier {
            Verifier::Certificate { not_after, .. } => {
                self.clock.timestamp().as_second() >= not_after - MARGIN
            }
            Verifier::Key { .. } => false,
        }
    }
}
