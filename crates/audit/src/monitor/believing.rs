//! Which checkpoint of a log a monitor believes: one that its keys signed, that enough witnesses of the policy have
//! cosigned, and that continues what is remembered. So a log cannot show the monitor another history than others see.
//!
//! Reads no leaf.

use oci::Name;
use taglog::{MAX_PREFIX_PROOF, VerifiedPrefix, verify_prefix};
use tlog::{SignedCheckpoint, VerifierKey};

use super::Monitor;
use crate::Error;
use crate::memory::require_one_history;
use crate::remembered::Remembered;
use crate::source::MAX_NOTE;

/// What a service adds to a path to show what its witnesses, or its auditors, have cosigned.
const EARLIER: [&str; 2] = ["cosigned", "audited"];

impl Monitor {
    /// The newest checkpoint of the log that is believed.
    pub(super) async fn checkpoint(&self, now: u64) -> Result<SignedCheckpoint, Error> {
        let parse = |text: &str, place: &str| {
            let malformed = |source| Error::Malformed { place: place.to_owned(), source };
            Ok(((), text.parse::<SignedCheckpoint>().map_err(malformed)?))
        };
        let ((), signed) = self.shown("checkpoint", MAX_NOTE, now, parse).await?;
        Ok(signed)
    }

    /// The newest proof of all tags of a repository that is believed.
    pub(super) async fn repository(&self, name: &Name, now: u64) -> Result<VerifiedPrefix, Error> {
        let prove = |text: &str, place: &str| {
            // Signed by whichever of the keys: the last one says why not.
            let mut proved = Err(Error::NoKey);
            for key in self.keys() {
                if proved.is_err() {
                    proved = verify_prefix(text, name, key)
                        .map_err(|source| Error::Proof { place: place.to_owned(), source: Box::new(source) });
                }
            }
            let proved = proved?;
            let signed = proved.checkpoint.clone();
            Ok((proved, signed))
        };
        Ok(self.shown(&format!("tags/{name}"), MAX_PREFIX_PROOF, now, prove).await?.0)
    }

    /// What lies at a path, read by `open`; where too few have cosigned the newest, the newest that enough have.
    /// The newest is held against memory in any case: without its cosignatures an old one is a step back all the same.
    async fn shown<T: Send>(
        &self,
        path: &str,
        limit: usize,
        now: u64,
        open: impl Fn(&str, &str) -> Result<(T, SignedCheckpoint), Error>,
    ) -> Result<(T, SignedCheckpoint), Error> {
        let (log, trust) = (&self.settings.log, &self.settings.trust);
        // Before the log is asked: what it showed then, it has to show a moment later.
        let remembered = Remembered::load(&self.settings.state, trust, now)?;
        let place = log.place(path);
        let (value, newest) = open(&log.text(path, limit).await?, &place)?;
        self.hold(&remembered, &newest, &place).await?;
        let too_few = match trust.cosigned(newest.note(), &place, now) {
            Err(error @ Error::Quorum { .. }) => error,
            cosigned => return cosigned.map(|_| (value, newest)),
        };
        for by in EARLIER {
            let path = format!("{path}?{by}");
            let Ok(text) = log.text(&path, limit).await else { continue };
            let place = log.place(&path);
            let (value, signed) = open(&text, &place)?;
            self.signers(&signed, &place)?;
            match trust.cosigned(signed.note(), &place, now) {
                Err(Error::Quorum { .. }) => continue,
                cosigned => cosigned?,
            };
            require_one_history(log, &signed, &newest).await?;
            if signed.checkpoint().size > newest.checkpoint().size {
                self.hold(&remembered, &signed, &place).await?;
            }
            return Ok((value, signed));
        }
        Err(too_few)
    }

    /// Holds a checkpoint against memory, and remembers it.
    async fn hold(
        &self,
        remembered: &Remembered,
        signed: &SignedCheckpoint,
        place: &str,
    ) -> Result<(), Error> {
        let signers = self.signers(signed, place)?;
        let latest = remembered.largest(self.settings.key.name());
        if latest.is_some_and(|latest| latest.checkpoint() == signed.checkpoint()) {
            return Ok(());
        }
        remembered.open(&self.settings.log, signed, &signers).await.map(drop)
    }

    /// The believed keys that signed, of this very log: a policy may know others.
    fn signers(&self, signed: &SignedCheckpoint, place: &str) -> Result<Vec<&VerifierKey>, Error> {
        let origin = &signed.checkpoint().origin;
        if origin != self.settings.key.name() {
            let trusted = self.keys().map(VerifierKey::to_string).collect();
            return Err(Error::UntrustedLog { origin: origin.clone(), trusted });
        }
        self.settings.trust.signers(signed, place)
    }

    fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.settings.trust.logs().iter().filter(|key| key.name() == self.settings.key.name())
    }
}
