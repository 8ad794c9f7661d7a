//! What others show of the same log: one history, or a fork.
//!
//! A larger tree than the log's own has to be read somewhere, or nothing is known of it. It is kept, and every
//! later audit asks for it again, until the log itself shows as much.

use std::collections::BTreeSet;

use serde::Serialize;
use tlog::{Hash, SignedCheckpoint, VerifierKey};

use super::Settings;
use crate::Error;
use crate::evidence::Fault;
use crate::memory::require_continuation;
use crate::source::Source;
use crate::state::LogState;
use crate::tree::Tree;
use crate::trust::Trust;

/// One of the others.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Comparison {
    /// Where.
    pub place: String,
    /// What it shows.
    pub outcome: Compared,
}

/// What one of the others shows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Compared {
    /// A tree of the same history.
    Agrees {
        /// Its size.
        size: u64,
    },
    /// A larger tree than the log's own, which continues it. Kept, until the log shows as much.
    Continues {
        /// Its size.
        size: u64,
    },
    /// A larger tree, signed by the log, that can be read nowhere: it may be another history. Kept, until
    /// a later audit can compare it.
    Ahead {
        /// Its size.
        size: u64,
    },
    /// No checkpoint of the log.
    Nothing {
        /// Why.
        why: String,
    },
}

/// What was fetched from one of the others.
#[derive(Debug)]
pub(super) struct Shown {
    place: String,
    /// Each with the prefix that it is at, where there may be files; nothing for what was shown earlier.
    checkpoints: Vec<(SignedCheckpoint, Option<Source>)>,
    /// Why there are no more.
    error: Option<Error>,
}

impl Shown {
    /// What one of the others showed when it could not be compared.
    pub(super) fn earlier(checkpoint: SignedCheckpoint) -> Self {
        let place = "what was shown before".to_owned();
        Self { place, checkpoints: vec![(checkpoint, None)], error: None }
    }
}

/// Fetches the checkpoints that a mirror or auditor (`checkpoint`), a witness (`<hash of the log's
/// name>/checkpoint`, C2SP tlog-witness) or a service (`log/checkpoint`) shows; not verified yet, and
/// perhaps of other logs.
pub(super) async fn fetch(source: &Source, trust: &Trust) -> Shown {
    let mut prefixes = vec![source.clone()];
    let names: BTreeSet<&str> = trust.logs().iter().map(VerifierKey::name).collect();
    prefixes.extend(names.into_iter().map(|name| source.below(&Hash::of(name).to_hex())));
    prefixes.push(source.below("log"));
    let (mut checkpoints, mut error) = (Vec::new(), None);
    for prefix in prefixes {
        match prefix.checkpoint().await {
            Ok(checkpoint) => checkpoints.push((checkpoint, Some(prefix))),
            Err(Error::Missing { .. }) => {}
            Err(why) => error = Some(why),
        }
    }
    if checkpoints.is_empty() && error.is_none() {
        error = Some(Error::Missing { place: source.place("checkpoint") });
    }
    Shown { place: source.place(""), checkpoints, error }
}

/// Compares a tree with what others show, and adds those of their checkpoints that belong to it to
/// `known`. What is larger is kept in those of the `states` whose key signed it.
///
/// # Errors
///
/// [`Error::Fault`] with a fork; those of reading the tree, and of the states.
pub(super) async fn all(
    tree: &mut Tree,
    others: Vec<Shown>,
    settings: &Settings,
    states: &[&LogState],
    known: &mut Vec<SignedCheckpoint>,
) -> Result<Vec<Comparison>, Error> {
    let mut comparisons = Vec::new();
    for shown in others {
        let (place, outcome) = (shown.place.clone(), one(tree, shown, settings, states, known).await?);
        comparisons.push(Comparison { place, outcome });
    }
    Ok(comparisons)
}

async fn one(
    tree: &mut Tree,
    shown: Shown,
    settings: &Settings,
    states: &[&LogState],
    known: &mut Vec<SignedCheckpoint>,
) -> Result<Compared, Error> {
    let Shown { place, checkpoints, mut error } = shown;
    let of_log = checkpoints.iter().find(|(shown, _)| shown.checkpoint().origin == tree.checkpoint().origin);
    let shown = of_log.filter(|(shown, _)| {
        let signers = settings.trust.signers(shown, &place);
        signers.map_err(|why| error = Some(why)).is_ok()
    });
    let Some((signed, source)) = shown else {
        let why = error.map_or_else(|| "it shows other logs alone".to_owned(), |error| with_causes(&error));
        return Ok(Compared::Nothing { why });
    };
    let size = signed.checkpoint().size;
    if size > tree.checkpoint().size {
        let larger = larger(tree, signed, source.as_ref(), &settings.trust).await?;
        // What the log shows next has to begin with it, whoever shows it.
        states.iter().try_for_each(|state| state.keep_unreconciled(signed, tree.checkpoint().size))?;
        let Some(mut larger) = larger else { return Ok(Compared::Ahead { size }) };
        for state in states {
            for kept in state.unreconciled()? {
                let is_within = kept.checkpoint() != signed.checkpoint() && kept.checkpoint().size <= size;
                if is_within && continues(&mut larger, &kept).await? {
                    state.reconciled(&kept)?;
                }
            }
        }
        return Ok(Compared::Continues { size });
    }
    require_continuation(tree, signed).await?;
    known.push(signed.clone());
    Ok(Compared::Agrees { size })
}

fn with_causes(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A tree that begins with ours and with a larger one: as the log shows it by now, or as its files are there already, or
/// as whoever shows it has them. Nothing where it cannot be read.
async fn larger(
    tree: &Tree,
    shown: &SignedCheckpoint,
    other: Option<&Source>,
    trust: &Trust,
) -> Result<Option<Tree>, Error> {
    let log = tree.source();
    if let Ok(newer) = log.checkpoint().await
        && trust.signers(&newer, &log.place("checkpoint")).is_ok()
        && newer.checkpoint().origin == shown.checkpoint().origin
        && newer.checkpoint().size >= shown.checkpoint().size
        && let Ok(mut newer) = Tree::open(log, None, &newer).await
        && continues(&mut newer, tree.signed()).await?
        && continues(&mut newer, shown).await?
    {
        return Ok(Some(newer));
    }
    for source in std::iter::once(log).chain(other) {
        if let Ok(mut larger) = Tree::open(source, None, shown).await
            && continues(&mut larger, tree.signed()).await?
        {
            return Ok(Some(larger));
        }
    }
    Ok(None)
}

/// False where it cannot be read.
async fn continues(larger: &mut Tree, smaller: &SignedCheckpoint) -> Result<bool, Error> {
    match require_continuation(larger, smaller).await {
        Ok(()) => Ok(true),
        Err(Error::Fault(finding)) if matches!(finding.fault, Fault::Fork { .. }) => {
            Err(Error::Fault(finding))
        }
        Err(_unreadable) => Ok(false),
    }
}
