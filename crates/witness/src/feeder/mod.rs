//! Collects cosignatures of the newest checkpoint in the background, without ever holding up the log.
//!
//! A round asks every witness that is not busy for a cosignature of the same checkpoint; what came in
//! between two rounds is coalesced. Keeps nothing on disk and knows no ledger: checkpoints come through a
//! watch, proofs from a closure, and cosignatures leave through another.

mod counters;
mod gathering;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tlog::{Hash, Policy, SignedCheckpoint};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

pub use self::counters::{Counters, Counts};
use self::gathering::Gathering;
use self::schedule::{Place, Schedule};
use crate::{Client, Cosigned, SubmitError, Witness};

/// The newest checkpoint that may leave the process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Newest {
    /// With the log's signature.
    pub note: Arc<str>,
    /// Its size.
    pub size: u64,
}

/// What the feeder has to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Report {
    /// A witness cosigned.
    Cosigned {
        /// By the policy's name.
        witness: String,
        /// Unix seconds by its clock.
        time: u64,
        /// Of the checkpoint.
        size: u64,
        /// The checkpoint with the log's signatures and the cosignatures of all witnesses so far.
        note: String,
        /// Whether `note` satisfies the policy.
        satisfied: bool,
    },
    /// A witness says that it holds more leaves than our newest checkpoint has.
    Ahead {
        /// By the policy's name.
        witness: String,
        /// Leaves by its word, which nothing proves.
        held: u64,
        /// Ours.
        ours: u64,
    },
    /// A witness says that it holds another tree than ours: a proof is wrong for it, or a root.
    Contradicted {
        /// By the policy's name.
        witness: String,
    },
}

/// Makes the consistency proof from the first size to the second; short, such as reading a few tiles.
pub type Prove = dyn Fn(u64, u64) -> Result<Vec<Hash>, Box<dyn Error + Send + Sync>> + Send + Sync;
/// Takes what the feeder reports; must not block.
pub type Sink = dyn FnMut(Report) + Send;

/// How often witnesses are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// From the beginning of a round to that of the next, at least.
    pub interval: Duration,
    /// When a checkpoint that stays the newest is cosigned again, so that its age is known.
    pub refresh: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), refresh: Duration::from_secs(600) }
    }
}

/// Feeds the witnesses of one log.
pub struct Feeder {
    client: Client,
    witnesses: Vec<Witness>,
    policy: Policy,
    newest: watch::Receiver<Newest>,
    prove: Arc<Prove>,
    sink: Box<Sink>,
    schedule: Schedule,
    counters: Counters,
    /// The size that each witness held when it last cosigned.
    known: BTreeMap<Place, u64>,
    /// Checkpoints that are being cosigned, and the two newest.
    gatherings: BTreeMap<u64, Gathering>,
    asked: JoinSet<Answered>,
    /// Whom each task of `asked` asks, and for a cosignature of how many leaves.
    tasks: BTreeMap<Id, (Place, u64)>,
}

/// How one submission ended.
struct Answered {
    size: u64,
    outcome: Result<Cosigned, SubmitError>,
}

impl Feeder {
    /// Sets up; asks nobody before [`Feeder::run`] or [`Feeder::feed_once`].
    ///
    /// `policy` decides when a checkpoint is satisfied, by the names of `witnesses`
    /// ([`Witness::of_policy`]).
    pub fn new(
        client: Client,
        witnesses: Vec<Witness>,
        policy: Policy,
        pace: Pace,
        newest: watch::Receiver<Newest>,
        prove: Arc<Prove>,
        sink: Box<Sink>,
    ) -> Self {
        Self {
            schedule: Schedule::new(witnesses.len(), pace.interval, pace.refresh),
            counters: Counters::of(witnesses.iter().map(Witness::name)),
            client,
            witnesses,
            policy,
            newest,
            prove,
            sink,
            known: BTreeMap::new(),
            gatherings: BTreeMap::new(),
            asked: JoinSet::new(),
            tasks: BTreeMap::new(),
        }
    }

    /// The counts, to be kept before the feeder is moved into its task.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Asks until `stop` resolves or the source of checkpoints is gone. Submissions under way are
    /// dropped then: what a witness signed meanwhile it will say again.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let now = Instant::now();
            let newest = self.newest.borrow_and_update().clone();
            let due = self.schedule.due(now.into_std(), newest.size);
            if !due.is_empty() {
                self.begin(&newest, &due);
                continue;
            }
            let next = self.schedule.next(now.into_std(), newest.size).map(Instant::from_std);
            let wait = async {
                match next {
                    Some(instant) => tokio::time::sleep_until(instant).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => return,
                changed = self.newest.changed() => if changed.is_err() { return },
                () = wait => {}
                Some(ended) = self.asked.join_next_with_id() => self.finish(ended),
            }
        }
    }

    /// One round now, whatever the pace says: asks every witness for the newest checkpoint and returns
    /// when each has answered or its time-out is over. Whether the policy is satisfied then.
    pub async fn feed_once(&mut self) -> bool {
        let newest = self.newest.borrow_and_update().clone();
        self.begin(&newest, &self.schedule.all_idle());
        while let Some(ended) = self.asked.join_next_with_id().await {
            self.finish(ended);
        }
        self.gatherings.get(&newest.size).is_some_and(|gathering| gathering.satisfies(&self.policy))
    }

    fn begin(&mut self, newest: &Newest, places: &[Place]) {
        self.schedule.started(Instant::now().into_std(), places);
        let checkpoint: SignedCheckpoint = match newest.note.parse() {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(%error, "the log's own checkpoint cannot be read; no witness is asked");
                let now = Instant::now().into_std();
                return places.iter().for_each(|place| self.schedule.failed(*place, now, None));
            }
        };
        for place in places {
            let Some(witness) = self.witnesses.get(*place) else { continue };
            self.counters.change(witness.name(), |counts| counts.submitted += 1);
            let (client, witness, prove) = (self.client.clone(), witness.clone(), Arc::clone(&self.prove));
            let (place, checkpoint, size) = (*place, checkpoint.clone(), newest.size);
            let known = self.known.get(&place).copied().unwrap_or_default();
            let task = self.asked.spawn(async move {
                let outcome = client.submit(&witness, &checkpoint, known, |old| prove(old, size)).await;
                Answered { size, outcome }
            });
            self.tasks.insert(task.id(), (place, size));
        }
        // The same size with other signatures of the log is gathered for anew.
        if self.gatherings.get(&newest.size).is_none_or(|gathering| gathering.checkpoint() != &checkpoint) {
            self.gatherings.insert(newest.size, Gathering::of(checkpoint));
        }
        // A witness that takes longer than a round completes the checkpoint that it was asked for: the next one would
        // be as far away. Older ones that nobody is asked for are of no use.
        let kept = self.gatherings.keys().rev().nth(1).copied().unwrap_or_default();
        let asked: BTreeSet<u64> = self.tasks.values().map(|(_, size)| *size).collect();
        self.gatherings.retain(|size, _| *size >= kept || asked.contains(size));
    }

    fn finish(&mut self, ended: Result<(Id, Answered), JoinError>) {
        let now = Instant::now().into_std();
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((place, _)) = self.tasks.remove(&id) else { return };
        let Some(name) = self.witnesses.get(place).map(Witness::name) else { return };
        let Answered { size, outcome } = match ended {
            Ok((_, answered)) => answered,
            Err(error) => {
                tracing::error!(witness = name, %error, "a submission ended in a defect");
                return self.schedule.failed(place, now, None);
            }
        };
        match outcome {
            Ok(Cosigned { line, time }) => {
                self.schedule.cosigned(place, now, size);
                self.known.insert(place, size);
                self.counters.change(name, |counts| {
                    counts.cosigned += 1;
                    counts.size = size;
                    counts.time = time;
                });
                let Some(gathering) = self.gatherings.get_mut(&size) else { return };
                gathering.add(name, line);
                let (note, satisfied) = (gathering.note(), gathering.satisfies(&self.policy));
                (self.sink)(Report::Cosigned { witness: name.to_owned(), time, size, note, satisfied });
            }
            Err(error) => {
                let retry_after =
                    if let SubmitError::Busy { retry_after } = error { retry_after } else { None };
                self.schedule.failed(place, now, retry_after);
                self.counters.change(name, |counts| *counts.failed.entry(error.label()).or_default() += 1);
                if let SubmitError::Ahead { held, ours } = error {
                    tracing::error!(
                        witness = name,
                        held,
                        ours,
                        "a witness has seen more of this log than there is"
                    );
                    (self.sink)(Report::Ahead { witness: name.to_owned(), held, ours });
                } else {
                    if matches!(error, SubmitError::ProofRefused | SubmitError::Conflict) {
                        (self.sink)(Report::Contradicted { witness: name.to_owned() });
                    }
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(witness = name, %error, cause, "no cosignature");
                }
            }
        }
    }
}

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder").field("witnesses", &self.witnesses).finish_non_exhaustive()
    }
}
