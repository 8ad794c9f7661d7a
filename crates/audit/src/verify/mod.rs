//! Checking one tag: what a log's map says of it at one size, whether the client may rely on that,
//! and whether it goes with what the client saw before.
//!
//! That the tag never had another value in all of history is what auditors state; without enough of
//! them the report says so.

mod memory;
mod report;
mod succession;

use std::path::PathBuf;
use std::time::Duration;

use oci::{Digest, Reference, Selector, Sha256Digest, TagName};
use taglog::{Leaf, Verified};
use tlog::{TlogProof, VerifierKey};

use self::memory::{Seen, compare, compare_earlier};
pub use self::report::{Freshness, History, Outcome, Refusal, Report, Standing};
pub use self::succession::Succession;
use crate::Error;
use crate::remembered::Remembered;
use crate::source::{MAX_NOTE, Source};
use crate::trust::{Cosigned, Trust};

/// Bytes of a proof, at most: a note, and a leaf and a path through the map in base64 of base64.
const MAX_PROOF: usize = 4 * MAX_NOTE;

/// What is to be verified, and what counts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The tag, perhaps with the digest that it should have.
    pub reference: Reference,
    /// Where the proof is from.
    pub proof: Proof,
    /// Whom to believe.
    pub trust: Trust,
    /// How old the newest sufficient cosignature may be.
    pub max_age: Option<Duration>,
    /// Whether a tag that the operator re-pinned or thawed is acceptable.
    pub allow_superseded: bool,
    /// Whether a tag is acceptable that the log does not freeze: it may have meant something else before,
    /// even frozen, and thawed since.
    pub allow_observed: bool,
    /// The directory of the client's memory; nothing: no memory, so that the log may show everybody
    /// another history.
    pub state: Option<PathBuf>,
    /// Unix seconds.
    pub now: u64,
}

/// Where a proof is from.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A server's prefix: the proof is at `proof/<reference>` below it, the log at `log`. Where the policy is not content
    /// with that proof, the same is asked for with `?cosigned` and `?audited`: cosignatures take their time.
    Server(Source),
    /// A saved one.
    Saved {
        /// The proof.
        text: String,
        /// The log, to compare the proof with the client's memory; nothing: offline.
        log: Option<Source>,
    },
}

/// Verifies a tag. The report tells whether the answer is yes.
///
/// # Errors
///
/// [`Error`]; nothing is known of the tag then. [`Error::Caught`] where the log is at fault, with
/// the evidence in the state directory.
pub async fn verify(settings: &Settings) -> Result<Report, Error> {
    let tag = tag_of(&settings.reference)?;
    let expected = digest_of(&settings.reference)?;
    // Before anything is fetched: what others see in the meantime is no step back of ours.
    let remembered = match &settings.state {
        Some(directory) => Remembered::load(directory, &settings.trust, settings.now)?,
        None => Remembered::nothing(settings.now),
    };
    let (text, place, log) = fetch(&settings.proof, &tag).await?;
    let newest = prove(settings, &tag, &text, &place)?;
    let is_saved = matches!(settings.proof, Proof::Saved { .. });
    // Whoever cosigned it: an older checkpoint without its cosignatures would otherwise be no step back.
    let (mut memory, succession) = compare(&remembered, &newest.seen(log.as_ref(), is_saved)).await?;
    let (proved, cosigned) = match newest.cosigned(settings) {
        Err(Error::Quorum { cosigned }) => match cosigned_earlier(settings, &tag, &newest).await? {
            Some((earlier, cosigned)) => {
                let seen = earlier.seen(log.as_ref(), false);
                memory = compare_earlier(&remembered, &newest.verified.checkpoint, &seen).await?;
                (earlier, cosigned)
            }
            None => return Err(Error::Quorum { cosigned }),
        },
        cosigned => (newest, cosigned?),
    };
    let Proved { verified, key, .. } = proved;
    let checkpoint = verified.checkpoint.checkpoint();
    let outcome = Outcome::of(checkpoint.size, verified.current.as_ref());
    let mut report = Report {
        reference: tag.to_string(),
        log: checkpoint.origin.clone(),
        key: key.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        outcome,
        freshness: Freshness::of(&cosigned, settings.now),
        history: History::of(&cosigned),
        cosigners: cosigned.by.clone(),
        memory,
        succession,
        refusals: Vec::new(),
    };
    report.refusals = refusals(settings, expected, verified.current.as_ref(), &cosigned, &report);
    Ok(report)
}

/// Gets a proof of a tag from a server, to be saved: the newest, or where the policy is not content with that one, the
/// newest with which it is.
///
/// # Errors
///
/// [`Error`]; nothing is worth saving then.
pub async fn proof(server: Source, tag: &TagName, trust: Trust, now: u64) -> Result<String, Error> {
    let settings = Settings {
        reference: Reference { name: tag.name.clone(), selector: Selector::Tag(tag.tag.clone()) },
        proof: Proof::Server(server),
        trust,
        max_age: None,
        allow_superseded: true,
        allow_observed: true,
        state: None,
        now,
    };
    let (text, place, _) = fetch(&settings.proof, tag).await?;
    let newest = prove(&settings, tag, &text, &place)?;
    match newest.cosigned(&settings) {
        Ok(_) => Ok(text),
        Err(Error::Quorum { cosigned }) => match cosigned_earlier(&settings, tag, &newest).await? {
            Some((earlier, _)) => Ok(earlier.text),
            None => Err(Error::Quorum { cosigned }),
        },
        Err(error) => Err(error),
    }
}

/// A proof that the log has signed.
struct Proved<'a> {
    text: String,
    verified: Verified,
    signers: Vec<&'a VerifierKey>,
    /// The first of them.
    key: &'a VerifierKey,
    place: String,
}

impl Proved<'_> {
    fn cosigned(&self, settings: &Settings) -> Result<Cosigned, Error> {
        settings.trust.cosigned(self.verified.checkpoint.note(), &self.place, settings.now)
    }

    fn origin(&self) -> &str {
        &self.verified.checkpoint.checkpoint().origin
    }

    fn seen<'a>(&'a self, log: Option<&'a Source>, is_saved: bool) -> Seen<'a> {
        Seen { checkpoint: &self.verified.checkpoint, signers: &self.signers, log, is_saved }
    }
}

fn prove<'a>(settings: &'a Settings, tag: &TagName, text: &str, place: &str) -> Result<Proved<'a>, Error> {
    let malformed = |source| Error::Malformed { place: place.to_owned(), source };
    let proof: TlogProof = text.parse().map_err(malformed)?;
    let signers = settings.trust.signers(&proof.checkpoint, place)?;
    let key = *signers.first().ok_or(Error::NoKey)?;
    let verified = taglog::verify(text, tag, key)
        .map_err(|source| Error::Proof { place: place.to_owned(), source: Box::new(source) })?;
    Ok(Proved { text: text.to_owned(), verified, signers, key, place: place.to_owned() })
}

/// The proof at the newest checkpoint that enough witnesses or auditors of the server's have cosigned, where the policy
/// is content with it, and the tag still means the same at the `newest` one: what it meant before helps nobody.
async fn cosigned_earlier<'a>(
    settings: &'a Settings,
    tag: &TagName,
    newest: &Proved<'_>,
) -> Result<Option<(Proved<'a>, Cosigned)>, Error> {
    let Proof::Server(server) = &settings.proof else { return Ok(None) };
    for by in ["cosigned", "audited"] {
        let path = format!("proof/{tag}?{by}");
        let text = match server.text(&path, MAX_PROOF).await {
            Ok(text) => text,
            Err(error) => {
                tracing::debug!(%error, "there is no such proof");
                continue;
            }
        };
        let proved = prove(settings, tag, &text, &server.place(&path))?;
        match proved.cosigned(settings) {
            Err(Error::Quorum { .. }) => {}
            // Of another log that is trusted as well; that says nothing of this one.
            Ok(_) if proved.origin() != newest.origin() => {}
            Ok(_) if proved.verified.current != newest.verified.current => {}
            cosigned => return Ok(Some((proved, cosigned?))),
        }
    }
    Ok(None)
}

/// The tag that a reference names.
///
/// # Errors
///
/// [`Error::NoTag`] for one that names only a digest.
pub fn tag_of(reference: &Reference) -> Result<TagName, Error> {
    match &reference.selector {
        Selector::Tag(tag) | Selector::TagAndDigest(tag, _) => {
            Ok(TagName { name: reference.name.clone(), tag: tag.clone() })
        }
        Selector::Digest(_) => Err(Error::NoTag { reference: reference.to_string() }),
    }
}

fn digest_of(reference: &Reference) -> Result<Option<Sha256Digest>, Error> {
    match &reference.selector {
        Selector::TagAndDigest(_, digest) => match digest {
            Digest::Sha256(digest) => Ok(Some(*digest)),
            other => Err(Error::OtherAlgorithm { digest: other.to_string() }),
        },
        Selector::Tag(_) | Selector::Digest(_) => Ok(None),
    }
}

async fn fetch(proof: &Proof, tag: &TagName) -> Result<(String, String, Option<Source>), Error> {
    match proof {
        Proof::Server(server) => {
            let path = format!("proof/{tag}");
            let text = server.text(&path, MAX_PROOF).await?;
            Ok((text, server.place(&path), Some(server.below("log"))))
        }
        Proof::Saved { text, log } => Ok((text.clone(), "the saved proof".to_owned(), log.clone())),
    }
}

fn refusals(
    settings: &Settings,
    expected: Option<Sha256Digest>,
    current: Option<&(u64, Leaf)>,
    cosigned: &Cosigned,
    report: &Report,
) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    match current {
        None => refusals.push(Refusal::NeverRecorded { size: report.size }),
        Some((_, leaf)) => {
            let recorded = leaf.current().map(|(_, _, digest)| *digest);
            if let (Some(expected), Some(recorded)) = (expected, recorded)
                && expected != recorded
            {
                let (expected, recorded) = (expected.to_string(), recorded.to_string());
                refusals.push(Refusal::OtherDigest { expected, recorded });
            }
            refusals.extend(Refusal::of_standing(leaf, settings));
        }
    }
    if let Some(max_age) = settings.max_age {
        let max_age = max_age.as_secs();
        match cosigned.fresh_at.map(|at| settings.now.saturating_sub(at)) {
            None => refusals.push(Refusal::FreshnessUnknown { max_age }),
            Some(age) if age > max_age => refusals.push(Refusal::TooOld { age, max_age }),
            Some(_) => {}
        }
    }
    refusals
}
