//! Asks witnesses how much of our log they have seen, before anything is signed after a restart.
//!
//! Each gets one `add-checkpoint` request with `old 0` and a checkpoint that had left the process
//! before. One that holds anything answers 409 with its size and signs nothing, whatever we send. One
//! that holds nothing cosigns it, which is right: the checkpoint was published. So no new checkpoint is
//! signed to ask, and no request is sent that only some implementations refuse.

use std::collections::{BTreeMap, BTreeSet};

use tlog::{Policy, SignedCheckpoint};
use tokio::task::JoinSet;

use crate::client::answer::Answer;
use crate::{Client, Cosigned, SubmitError, Witness};

/// What each witness said, by its name.
#[derive(Debug)]
pub struct Sizes {
    ours: u64,
    reports: BTreeMap<String, Result<Held, SubmitError>>,
}

/// What one witness holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// Leaves of the checkpoint that it held when it was asked; 0 for none.
    pub size: u64,
    /// The cosignature of one that held nothing, of the checkpoint that it was asked with.
    pub cosigned: Option<Cosigned>,
}

/// Asks all `witnesses` at once what they hold of the log of `published`: its newest checkpoint that
/// has left the process. Returns when each has answered or the client's time-out is over.
pub async fn sizes(client: &Client, witnesses: &[Witness], published: &SignedCheckpoint) -> Sizes {
    let mut asked = JoinSet::new();
    for witness in witnesses {
        let (client, witness, published) = (client.clone(), witness.clone(), published.clone());
        asked.spawn(async move {
            let answer = client.discover(&witness, &published).await;
            (witness.name().to_owned(), answer.and_then(held))
        });
    }
    let reports = asked.join_all().await.into_iter().collect();
    Sizes { ours: published.checkpoint().size, reports }
}

fn held(answer: Answer) -> Result<Held, SubmitError> {
    match answer {
        Answer::Cosigned(cosigned) => Ok(Held { size: 0, cosigned: Some(cosigned) }),
        // To `old 0` this is the answer of one that does not know what it says.
        Answer::Holds(0) => Err(SubmitError::Conflict),
        Answer::Holds(size) => Ok(Held { size, cosigned: None }),
    }
}

impl Sizes {
    /// Whether signing may begin: the witnesses that hold no more than our log has are a quorum. One
    /// that says nothing, or anything else, does not count.
    pub fn allow_signing(&self, policy: &Policy) -> bool {
        let held = self.reports.iter().filter_map(|(name, report)| Some((name, report.as_ref().ok()?)));
        let not_above: BTreeSet<&str> =
            held.filter(|(_, held)| held.size <= self.ours).map(|(name, _)| name.as_str()).collect();
        policy.is_satisfied_by(&not_above)
    }

    /// Whether signing can never begin, whatever those say that have not answered: so many hold more than our log has
    /// that the others are no quorum.
    pub fn forbid_signing(&self, policy: &Policy) -> bool {
        let above: BTreeSet<&str> = self.above().map(|(name, _)| name).collect();
        let others = self.reports.keys().map(String::as_str).filter(|name| !above.contains(name));
        !above.is_empty() && !policy.is_satisfied_by(&others.collect())
    }

    /// The witnesses that hold more than our log has, with their sizes: each by itself says that our
    /// store was rolled back, or lies.
    pub fn above(&self) -> impl Iterator<Item = (&str, u64)> {
        let held =
            self.reports.iter().filter_map(|(name, report)| Some((name.as_str(), report.as_ref().ok()?)));
        held.filter(|(_, held)| held.size > self.ours).map(|(name, held)| (name, held.size))
    }

    /// Everything that was said, by the witness's name.
    pub fn reports(&self) -> &BTreeMap<String, Result<Held, SubmitError>> {
        &self.reports
    }
}
