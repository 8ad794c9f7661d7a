//! How far a monitor has got with a log, and what it still has to ask the registries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::Error;
use crate::state::{read, replace};

/// First sights that wait for their registry, at most; more are reported as unchecked.
pub(super) const MAX_PENDING: usize = 10_000;
const SCHEMA: u32 = 1;

/// What is remembered between two steps.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    schema: u32,
    /// Leaves that were looked at; nothing: none yet.
    pub(super) size: Option<u64>,
    /// The same for each repository that is watched by proof.
    pub(super) repositories: BTreeMap<String, u64>,
    /// First sights that no registry has confirmed yet.
    pub(super) pending: Vec<Pending>,
}

/// A first sight to ask the registry about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    pub(super) first: Event,
    pub(super) tries: u32,
    /// Not before, in Unix seconds.
    pub(super) not_before: u64,
}

/// Progress in its file.
#[derive(Debug)]
pub(super) struct Saved {
    path: PathBuf,
    pub(super) progress: Progress,
}

impl Saved {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let spoilt = || Error::Journal { path: path.to_owned(), line: 1 };
        let progress = match read(path)? {
            None => Progress { schema: SCHEMA, ..Progress::default() },
            Some(json) => serde_json::from_slice(&json).map_err(|_| spoilt())?,
        };
        if progress.schema != SCHEMA {
            return Err(spoilt());
        }
        Ok(Self { path: path.to_owned(), progress })
    }

    /// Durable on return.
    pub(super) fn save(&self) -> Result<(), Error> {
        let json = serde_json::to_string(&self.progress).unwrap_or_default();
        replace(&self.path, json.as_bytes())
    }
}
