//! Which checkpoint of a log a monitor believes: one that its keys signed, that enough witnesses of the policy have
//! cosigned, and that continues what is remembered. So a log cannot show the monitor another history than others see.
//!
//! Reads no leaf.

use oci::Name;
use taglog::{MAX_PREFIX_PROOF, VerifiedPrefix, verify_prefix};
use tlog::{SignedCheckpoint, VerifierKey};

use super::Monitor;
use crate::Error;
use crate::memory::{refuse_at_sight, remember};
use crate::source::{MAX_NOTE, Source};
use crate::state::LogState;
use crate::tree::Tree;

/// What a service adds to a path to show what its witnesses, or its auditors, have cosigned.
const EARLIER: [&str; 2] = ["cosigned", "audited"];

/// A checkpoint that is believed.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) signed: SignedCheckpoint,
    signers: Vec<VerifierKey>,
    /// There is a newer one, which too few have cosigned yet: this one may be older than what is remembered.
    earlier: bool,
}

impl Monitor {
    /// The newest checkpoint of the log that is believed.
    pub(super) async fn checkpoint(&self, now: u64) -> Result<Shown, Error> {
        let parse = |text: &str, place: &str| {
            let malformed = |source| Error::Malformed { place: place.to_owned(), source };
            Ok(((), text.parse::<SignedCheckpoint>().map_err(malformed)?))
        };
        let ((), shown) = self.shown("checkpoint", MAX_NOTE, now, parse).await?;
        Ok(shown)
    }

    /// The newest proof of all tags of a repository that is believed.
    pub(super) async fn repository(&self, name: &Name, now: u64) -> Result<(VerifiedPrefix, Shown), Error> {
        let prove = |text: &str, place: &str| {
            // Signed by whichever of the keys: the last one says why not.
            let mut proved = Err(Error::NoKey);
            for state in &self.states {
                if proved.is_err() {
                    proved = verify_prefix(text, name, state.log())
                        .map_err(|source| Error::Proof { place: place.to_owned(), source: Box::new(source) });
                }
            }
            let proved = proved?;
            let signed = proved.checkpoint.clone();
            Ok((proved, signed))
        };
        self.shown(&format!("tags/{name}"), MAX_PREFIX_PROOF, now, prove).await
    }

    /// What lies at a path, read by `open`; where too few have cosigned the newest, the newest that enough have.
    async fn shown<T: Send>(
        &self,
        path: &str,
        limit: usize,
        now: u64,
        open: impl Fn(&str, &str) -> Result<(T, SignedCheckpoint), Error>,
    ) -> Result<(T, Shown), Error> {
        let log = &self.settings.log;
        let judged = |text: &str, path: &str, earlier| {
            let place = log.place(path);
            let (value, signed) = open(text, &place)?;
            let signers = self.signers(&signed, &place)?;
            self.settings.trust.cosigned(signed.note(), &place, now)?;
            Ok((value, Shown { signed, signers, earlier }))
        };
        let too_few = match judged(&log.text(path, limit).await?, path, false) {
            Err(error @ Error::Quorum { .. }) => error,
            shown => return shown,
        };
        for by in EARLIER {
            let path = format!("{path}?{by}");
            let Ok(text) = log.text(&path, limit).await else { continue };
            match judged(&text, &path, true) {
                Err(Error::Quorum { .. }) => {}
                shown => return shown,
            }
        }
        Err(too_few)
    }

    /// The believed keys that signed, of this very log: a policy may know others.
    fn signers(&self, signed: &SignedCheckpoint, place: &str) -> Result<Vec<VerifierKey>, Error> {
        let origin = &signed.checkpoint().origin;
        if origin != self.settings.key.name() {
            let trusted = self.states.iter().map(|state| state.log().to_string()).collect();
            return Err(Error::UntrustedLog { origin: origin.clone(), trusted });
        }
        Ok(self.settings.trust.signers(signed, place)?.into_iter().cloned().collect())
    }
}

/// The memories of a log's keys, with what was remembered before the log was asked: what it showed then, it has to show
/// a moment later.
#[derive(Debug)]
pub(super) struct Remembered(Vec<(LogState, Option<SignedCheckpoint>)>);

impl Remembered {
    pub(super) fn of(states: &[LogState]) -> Result<Self, Error> {
        let with_latest = |state: &LogState| Ok((state.clone(), state.latest()?));
        states.iter().map(with_latest).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a checkpoint is the latest one already, in each of its signers' memories.
    pub(super) fn has(&self, shown: &Shown) -> bool {
        let is_latest = |(_, latest): &(_, Option<SignedCheckpoint>)| {
            latest.as_ref().is_some_and(|latest| latest.checkpoint() == shown.signed.checkpoint())
        };
        self.of_signers(shown).all(is_latest)
    }

    /// Holds what is shown against memory, and remembers it.
    pub(super) async fn hold(&self, log: &Source, shown: &Shown, now: u64) -> Result<Tree, Error> {
        let size = shown.signed.checkpoint().size;
        for (state, latest) in self.of_signers(shown) {
            let Some(latest) = latest else { continue };
            if !shown.earlier || size >= latest.checkpoint().size {
                let refused = refuse_at_sight(log, latest, &shown.signed).await;
                refused.map_err(|error| state.written(error, now))?;
            }
        }
        let opened = Tree::open(log, None, &shown.signed).await;
        let mut tree = opened.map_err(|error| self.written(shown, error, now))?;
        for (state, latest) in self.of_signers(shown) {
            let remembered = remember(state, latest.as_ref(), &mut tree).await;
            remembered.map_err(|error| state.written(error, now))?;
        }
        Ok(tree)
    }

    /// A fault of what is shown, written down under a key that signed it.
    pub(super) fn written(&self, shown: &Shown, error: Error, now: u64) -> Error {
        match self.of_signers(shown).next() {
            Some((state, _)) => state.written(error, now),
            None => error,
        }
    }

    fn of_signers<'a>(
        &'a self,
        shown: &'a Shown,
    ) -> impl Iterator<Item = &'a (LogState, Option<SignedCheckpoint>)> {
        self.0.iter().filter(|(state, _)| shown.signers.contains(state.log()))
    }
}
