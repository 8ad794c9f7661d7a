//! The running tag log: one SQLite file, one writer, a published checkpoint that is durable before anyone sees it.
//! Here it is decided what was first seen and what a record means from then on (design §4).
//!
//! It must not know HTTP, registries or configuration files; time, free space and the end of the process are passed in.

#![forbid(unsafe_code)]

mod advance;
mod backup;
mod batch;
mod budgets;
mod builder;
mod cache;
mod clock;
mod cosignatures;
mod cosigning;
mod creation;
mod disk;
mod edge;
mod error;
mod evidence;
mod export;
mod fault;
mod fsck;
mod guard;
mod health;
mod keys;
mod ledger;
mod lock;
mod lookup;
mod manifests;
mod options;
mod proof;
mod publication;
mod publish;
mod published;
mod randomness;
mod readers;
mod reading;
mod record;
mod recovery;
mod restore;
mod rotation;
mod schema;
mod sequencer;
mod shared;
mod signer;
mod snapshot;
mod statistics;
mod store;
mod submission;
mod tiles;
mod view;

pub use crate::backup::backup;
pub use crate::budgets::{Budget, Budgets};
pub use crate::clock::Clock;
pub use crate::cosignatures::Cosigned;
pub use crate::creation::{Presence, make_next_key, presence};
pub use crate::disk::FreeSpace;
pub use crate::error::{
    AppendError, ClockError, CosignError, CreateError, Error, KeyError, OpenError, ReadOnly,
};
pub use crate::evidence::{Evidence, MAX_EVIDENCE, MAX_PREPARED, Pending};
pub use crate::export::{ExportError, Exported, exported_checkpoint, exported_leaves};
pub use crate::fault::{Fault, Faults, Point};
pub use crate::fsck::{Finding, Progress, Report, Stage, fsck};
pub use crate::guard::GuardError;
pub use crate::health::Health;
pub use crate::ledger::Ledger;
pub use crate::lock::LockError;
pub use crate::manifests::StoredManifest;
pub use crate::options::{OnFatal, Options};
pub use crate::publication::{Mode, Publication};
pub use crate::published::{Published, Signed};
pub use crate::randomness::Randomness;
pub use crate::record::{Entry, Recorded};
pub use crate::restore::{LostGuard, RestoreError, Restored, SourceError, restore};
pub use crate::snapshot::export;
pub use crate::statistics::Statistics;
pub use crate::submission::{Appended, ManifestBytes, NotRecorded, Observation, Submission};
