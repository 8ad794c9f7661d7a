//! Replaying all of a log's history: every leaf, every tile, the rules U, I, L, T and G, and every
//! checkpoint that anybody shows.
//!
//! An interrupted audit is taken up again from our own copy of the log's full bundles ([`Cache`]) and
//! replayed from leaf 0. The alternative, to keep the replayed state (every tag with its digest, the
//! moves, the map), would be a second format that is as large as the log and that nothing can be
//! checked against; a replay takes a few seconds for a million leaves, and the copy is authenticated
//! like anything else.

mod compare;
mod explain;

use std::path::PathBuf;

use futures_util::StreamExt as _;
use serde::Serialize;
use taglog::Replay;
use tlog::{SignedCheckpoint, VerifierKey};

pub use self::compare::{Compared, Comparison};
use crate::Error;
use crate::cache::Cache;
use crate::memory::{Memory, hold};
use crate::remembered::Remembered;
use crate::source::Source;
use crate::state::LogState;
use crate::tree::Tree;
use crate::trust::Trust;

/// Bundles fetched ahead, unless the settings say otherwise.
pub const AHEAD: usize = 16;

/// What is to be audited.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log.
    pub log: Source,
    /// The keys that the log may sign with. Cosignatures are not asked for: an auditor is who gives
    /// them.
    pub trust: Trust,
    /// The directory of our memory.
    pub state: PathBuf,
    /// The directory of our copy of the log; nothing: each audit fetches everything.
    pub copy: Option<PathBuf>,
    /// Where others keep checkpoints of the same log: auditors, witnesses, mirrors.
    pub compare: Vec<Source>,
    /// Bundles fetched ahead, at least 1.
    pub ahead: usize,
    /// Unix seconds.
    pub now: u64,
}

/// How far an audit is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Leaves replayed.
    pub done: u64,
    /// Leaves in all.
    pub total: u64,
}

/// A tree of which all of history was audited. Only an audit makes one, and only one of these can be
/// cosigned.
#[derive(Clone, Debug)]
pub struct Audited {
    checkpoint: SignedCheckpoint,
    log: VerifierKey,
    report: Report,
}

/// What an audit found: no fault.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The log's name.
    pub log: String,
    /// The log's key.
    pub key: String,
    /// Leaves, all of them replayed.
    pub size: u64,
    /// Root of the tree.
    pub root: String,
    /// Tags in the map.
    pub tags: u64,
    /// How the checkpoint stands to what was seen before.
    pub memory: Memory,
    /// Size up to which history had been audited before.
    pub audited_before: Option<u64>,
    /// What others show.
    pub compared: Vec<Comparison>,
}

impl Audited {
    /// The checkpoint as the log signed it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The log's key.
    pub fn log(&self) -> &VerifierKey {
        &self.log
    }

    /// What was found.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl Report {
    /// Whether the log was compared with all of the others.
    ///
    /// # Errors
    ///
    /// [`Error::Uncompared`] with the first for which that is not so.
    pub fn require_compared(&self) -> Result<(), Error> {
        let uncompared = |Comparison { place, outcome }: &Comparison| {
            let why = match outcome {
                Compared::Agrees { .. } | Compared::Continues { .. } => return None,
                Compared::Ahead { size } => format!(
                    "it shows a tree of {size} leaves that the log signed and nobody lets us read; it is kept, and asked for in each later audit"
                ),
                Compared::Nothing { why } => why.clone(),
            };
            Some(Error::Uncompared { place: place.clone(), why })
        };
        self.compared.iter().find_map(uncompared).map_or(Ok(()), Err)
    }
}

/// Audits all of a log's history. `progress` is called after each bundle.
///
/// Memory is written when everything is done, and only then.
///
/// # Errors
///
/// [`Error`]; [`Error::Caught`] where the log is at fault, with the evidence in the state directory.
pub async fn audit(settings: &Settings, progress: impl FnMut(Progress)) -> Result<Audited, Error> {
    // Others and memory first: what they show now, the log has to show a moment later.
    let mut others = Vec::new();
    for source in &settings.compare {
        others.push(compare::fetch(source, &settings.trust).await);
    }
    let remembered = Remembered::load(&settings.state, &settings.trust, settings.now)?;
    let signed = settings.log.checkpoint().await?;
    let signers = settings.trust.signers(&signed, &settings.log.place("checkpoint"))?;
    let log = *signers.first().ok_or(Error::NoKey)?;
    let work = Work { settings, remembered: &remembered, signers: &signers, log, signed: &signed };
    let audited = work.audit(others, progress).await;
    let report = audited.map_err(|error| remembered.written(error))?;
    Ok(Audited { log: log.clone(), checkpoint: signed, report })
}

/// One audit under way.
#[derive(Clone, Copy, Debug)]
struct Work<'a> {
    settings: &'a Settings,
    remembered: &'a Remembered,
    /// The trusted keys that signed: a log that changes its key signs with both.
    signers: &'a [&'a VerifierKey],
    /// The first of them.
    log: &'a VerifierKey,
    signed: &'a SignedCheckpoint,
}

impl Work<'_> {
    async fn audit(
        &self,
        others: Vec<compare::Shown>,
        progress: impl FnMut(Progress),
    ) -> Result<Report, Error> {
        let source = &self.settings.log;
        let origin = &self.signed.checkpoint().origin;
        self.remembered.refuse_at_sight(source, self.signed).await?;
        let mut known: Vec<SignedCheckpoint> =
            self.remembered.of(origin).map(|(_, latest)| latest.clone()).collect();
        let states: Vec<&LogState> = self.remembered.states(origin).collect();
        // First what was shown before: what goes with it makes room.
        let mut all = Vec::new();
        for state in &states {
            known.extend(state.audited()?);
            all.extend(state.unreconciled()?.into_iter().map(compare::Shown::earlier));
        }
        all.extend(others);
        let cache = self.settings.copy.as_ref().map(Cache::new);
        let mut tree = Tree::open(source, cache.as_ref(), self.signed).await?;
        // Forks before the long work: they are found by a few tiles.
        for seen in &known {
            hold(&mut tree, seen).await?;
        }
        // Another audit saw more in the meantime; that is its to judge.
        known.retain(|seen| seen.checkpoint().size <= self.signed.checkpoint().size);
        let compared = compare::all(&mut tree, all, self.settings, &states, &mut known).await?;
        known.push(self.signed.clone());
        let replay = self.replay(&mut tree, progress).await?;
        for published in &known {
            if let Err(broken) = replay.published(published.checkpoint().size) {
                return Err(explain::unfinished(&mut tree, published, &broken).await?.into());
            }
        }
        let (memory, audited_before) = self.remember(&mut tree).await?;
        // Not before what it was held against is remembered.
        for state in &states {
            known.iter().try_for_each(|seen| state.reconciled(seen))?;
        }
        let checkpoint = self.signed.checkpoint();
        Ok(Report {
            log: checkpoint.origin.clone(),
            key: self.log.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            tags: replay.map().len(),
            memory,
            audited_before,
            compared,
        })
    }

    async fn replay(&self, tree: &mut Tree, mut progress: impl FnMut(Progress)) -> Result<Replay, Error> {
        let total = tree.checkpoint().size;
        let mut fetched = tree.fetcher().ahead(0..tree.bundles(), self.settings.ahead);
        let mut replay = Replay::new(self.settings.now);
        while let Some(fetched) = fetched.next().await {
            let bundle = tree.authenticate(fetched?).await?;
            if let Err(broken) = bundle.leaves().try_for_each(|(_, leaf)| replay.leaf(leaf)) {
                return Err(explain::broken(tree, self.log, &broken, self.settings.now).await?.into());
            }
            progress(Progress { done: replay.size(), total });
            // Replaying does not wait for anything; others on this thread should not wait for it.
            tokio::task::yield_now().await;
        }
        Ok(replay)
    }

    /// Under each key that signed.
    async fn remember(&self, tree: &mut Tree) -> Result<(Memory, Option<u64>), Error> {
        let memory = self.remembered.remember(self.signers, tree).await?;
        let mut before = None;
        for state in self.states() {
            before = before.max(state.audited()?.map(|audited| audited.checkpoint().size));
            state.advance_audited(self.signed)?;
        }
        Ok((memory, before))
    }

    fn states(&self) -> impl Iterator<Item = &LogState> {
        let states = self.remembered.states(&self.signed.checkpoint().origin);
        states.filter(|state| self.signers.contains(&state.log()))
    }
}
