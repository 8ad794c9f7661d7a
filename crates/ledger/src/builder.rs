//! A database made leaf by leaf: of a new log, of its successor's first leaves, of a log restored from a copy. Every leaf
//! passes the rules that an auditor replays before it is written. It must not know where leaves come from or what the
//! file is called when it is done.

use std::path::Path;

use rusqlite::Connection;
use taglog::{Broken, Leaf, Replay, TagKey};
use tlog::{Hash, leaf_hash};

use crate::cosignatures::Cosignature;
use crate::edge::Edge;
use crate::error::{Doing, Error};
use crate::schema;
use crate::store::{self, CheckpointRow, HeadRow, Kept, TagRow};

/// Leaves of one transaction. The file has no name yet, so all that matters is that it is durable in the end.
const LEAVES: u64 = 16_384;
const DOING: &str = "write leaves";

/// A leaf that was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Rule(#[from] Broken),
    #[error(transparent)]
    Store(#[from] Error),
}

/// A database being made.
pub(crate) struct Builder {
    connection: Connection,
    replay: Replay,
    edge: Edge,
}

impl Builder {
    /// Makes the file, which must not exist; `now` is the clock that no leaf may be ahead of.
    pub(crate) fn create(path: &Path, now: u64) -> Result<Self, Error> {
        let connection = schema::create(path)?;
        connection.execute_batch("BEGIN").doing(DOING)?;
        Ok(Self { connection, replay: Replay::new(now), edge: Edge::default() })
    }

    /// Writes the next leaf with the rows that follow from it. The manifest of a record counts as wanted.
    pub(crate) fn leaf(&mut self, bytes: &[u8]) -> Result<Leaf, BuildError> {
        let index = self.edge.size();
        let leaf = Leaf::parse(bytes).map_err(|_| ());
        let known = match &leaf {
            Ok(leaf) => leaf
                .current()
                .is_some_and(|(name, tag, _)| self.replay.map().get(&TagKey::of(name, tag)).is_some()),
            Err(()) => false,
        };
        // Says what is wrong with a leaf that does not parse.
        self.replay.leaf(bytes)?;
        let leaf = leaf.map_err(|()| store::corrupt(format!("leaf {index}")))?;
        let mut full = Vec::new();
        self.edge.push(leaf_hash(bytes), &mut full);
        store::insert_entry(&self.connection, index, bytes).doing(DOING)?;
        for tile in &full {
            store::insert_tile(&self.connection, tile.level, tile.index, &tile.data).doing(DOING)?;
        }
        self.rows(index, &leaf, known)?;
        if (index + 1).is_multiple_of(LEAVES) {
            self.connection.execute_batch("COMMIT; BEGIN").doing(DOING)?;
        }
        Ok(leaf)
    }

    /// Writes the index leaf of what there is.
    pub(crate) fn index(&mut self) -> Result<(), BuildError> {
        let map = self.replay.map();
        let index = Leaf::Index { index: self.edge.size(), count: map.len(), root: map.root() };
        self.leaf(&index.to_bytes()).map(drop)
    }

    /// Keeps a manifest, and wants those that it names.
    pub(crate) fn manifest(&self, kept: &Kept<'_>, now: u64) -> Result<(), Error> {
        store::insert_manifest(&self.connection, kept, None, now).doing("write manifests")
    }

    /// Keeps a cosigned checkpoint.
    pub(crate) fn cosigned(&self, row: &CheckpointRow, cosignatures: &[Cosignature]) -> Result<(), Error> {
        let (connection, doing) = (&self.connection, "write cosignatures");
        store::insert_checkpoint(connection, row).doing(doing)?;
        for cosignature in cosignatures {
            let (cosigner, line) = (cosignature.cosigner(), cosignature.line.to_string());
            store::insert_cosignature(connection, row.size, &cosigner, cosignature.time, &line)
                .doing(doing)?;
        }
        Ok(())
    }

    /// Leaves so far.
    pub(crate) fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Root of the leaves so far.
    pub(crate) fn root(&self) -> Result<Hash, Error> {
        Ok(self.edge.frontier()?.root())
    }

    /// What the rules make of the leaves so far.
    pub(crate) fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Writes the head; the file is whole and durable on return.
    pub(crate) fn finish(self, head: &HeadRow) -> Result<(), Error> {
        store::insert_head(&self.connection, head).doing(DOING)?;
        self.connection.execute_batch("COMMIT").doing(DOING)?;
        self.connection.close().map_err(|(_, error)| error).doing("close the new database")
    }

    fn rows(&self, index: u64, leaf: &Leaf, known: bool) -> Result<(), Error> {
        let connection = &self.connection;
        if let Leaf::Moved { name, tag, recorded, seen, .. } = leaf {
            let key = TagKey::of(name, tag);
            store::insert_move(connection, &key, recorded, seen).doing(DOING)?;
            return store::insert_change(connection, &key, index).doing(DOING);
        }
        let Some((name, tag, digest)) = leaf.current() else { return Ok(()) };
        let (key, is_tag) = (TagKey::of(name, tag), matches!(leaf, Leaf::Tag(_)));
        store::insert_named(connection, name, digest, Some(index)).doing(DOING)?;
        if !known {
            let row = TagRow { index, first: index, had_tag: is_tag };
            return store::insert_tag(connection, &key, row).doing(DOING);
        }
        let before = store::tag(connection, &key)?;
        let before = before.ok_or_else(|| store::corrupt("the row of a recorded tag"))?;
        let row = TagRow { index, had_tag: before.had_tag || is_tag, ..before };
        store::update_tag(connection, &key, row).doing(DOING)?;
        store::insert_change(connection, &key, index).doing(DOING)
    }
}
