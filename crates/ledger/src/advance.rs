//! From the state of the log at one checkpoint to the state at a later one, by replaying the leaves between them.
//! It must not know why an older state is wanted; nothing it reads is believed before the root agrees.

use rusqlite::Connection;
use taglog::{Leaf, MapValue, TagKey};
use tlog::{Frontier, leaf_hash};

use crate::error::Error;
use crate::published::Signed;
use crate::store::{self, CheckpointRow, corrupt};

/// The state of the log at the checkpoint `to`, which is not older than `from`.
pub(crate) fn advance(connection: &Connection, from: &Signed, to: &CheckpointRow) -> Result<Signed, Error> {
    let wrong = || corrupt(format!("the log between the sizes {} and {}", from.size, to.size));
    let (mut edge, mut map, mut time) = (from.edge.clone(), from.map.clone(), from.time);
    let mut frontier = edge.frontier()?;
    let (mut before, mut last) = (Frontier::new(), None);
    let mut full = Vec::new();
    store::entries(connection, from.size, to.size, |index, bytes| {
        let leaf = Leaf::parse(bytes).map_err(|_| wrong())?;
        let hash = leaf_hash(bytes);
        if index + 1 == to.size {
            before = frontier.clone();
        }
        frontier.push(hash);
        edge.push(hash, &mut full);
        full.clear();
        time = leaf.time().unwrap_or(time);
        if let Some((name, tag, _)) = leaf.current() {
            map.insert(TagKey::of(name, tag), MapValue { index, leaf_hash: hash });
        }
        last = Some(leaf);
        Ok::<(), Error>(())
    })?;
    let index = Leaf::Index { index: to.size.saturating_sub(1), count: map.len(), root: map.root() };
    if frontier.root() != to.root || last != Some(index) {
        return Err(wrong());
    }
    Ok(Signed { note: to.note.as_str().into(), size: to.size, root: to.root, map, before, time, edge })
}
