//! What is checked before a log is used again: key, right edge, map, own signature, rollback guard (design §4).
//! What fails a check is refused; what is only incomplete is opened read-only. It must not change the log: all that is
//! written is the guard, when it is behind, and the signatures of a key that has been added.

use std::sync::Arc;

use rusqlite::Connection;
use taglog::{Leaf, MapValue, SupersedeRule, TagKey, TagMap};
use tlog::{Frontier, Hash, Policy, SignatureLine, TILE_WIDTH, VerifierKey, leaf_hash};

use crate::advance::advance;
use crate::batch::Tip;
use crate::cosignatures;
use crate::creation::{absent, presence};
use crate::edge::{self, Edge, perfect_root};
use crate::error::{Error, OpenError, ReadOnly};
use crate::guard::{Guard, GuardError, Mark};
use crate::keys::{Keys, identity};
use crate::options::Options;
use crate::published::Signed;
use crate::schema::{self, Access};
use crate::signer::Signer;
use crate::store::{self, CheckpointRow, HeadRow, Order, TagRow, corrupt};
use crate::view::{Found, newest_satisfying};

/// How many leaves a cosigned checkpoint may be behind the head to be made servable again at the start, where nothing
/// demands it.
const WORTH_REACHING: u64 = 1 << 20;

/// A log that holds together.
pub(crate) struct Recovered {
    pub(crate) connection: Connection,
    pub(crate) keys: Keys,
    pub(crate) supersede: SupersedeRule,
    pub(crate) tip: Tip,
    /// The state at the head, with the cosignatures that it has.
    pub(crate) newest: Reached,
    /// The newest checkpoints that satisfy the policies of witnesses and of auditors.
    pub(crate) cosigned: Option<Reached>,
    pub(crate) audited: Option<Reached>,
    /// What signing needs.
    pub(crate) writable: Option<(Signer, Guard)>,
    /// Why nothing may be recorded.
    pub(crate) read_only: Option<ReadOnly>,
}

/// A state of the log with the cosignatures of its checkpoint.
pub(crate) type Reached = (Arc<Signed>, Vec<SignatureLine>);

/// Opens the database and runs every check of the start.
pub(crate) fn recover(options: &Options, cosigners: &[VerifierKey]) -> Result<Recovered, OpenError> {
    let path = options.database_path();
    if !presence(options).database {
        return Err(absent(options));
    }
    let connection = schema::connect(&path, Access::Write)?;
    schema::migrate(&connection, &path, schema::MIGRATIONS)?;
    let mut head = store::head(&connection)?;
    if let Some(configured) = options.origin.as_ref().filter(|origin| **origin != head.origin) {
        return Err(OpenError::OriginDiffers { stored: head.origin, configured: configured.clone() });
    }
    let inconsistent = |why: &str| OpenError::Inconsistent { path: path.clone(), why: why.to_owned() };
    let mut keys = Keys::stored(&connection, &head)?
        .ok_or_else(|| inconsistent("a stored verifier key is malformed"))?;
    let supersede = rules(&connection)?.ok_or_else(|| inconsistent("leaf 0 does not state the rules"))?;
    if store::last_entry(&connection)? != head.size.checked_sub(1) {
        return Err(inconsistent("it holds more or fewer leaves than its head says"));
    }
    let tree = tree(&connection, head.size, &head.root)?
        .ok_or_else(|| inconsistent("the right edge does not give the root"))?;
    let cosigned = cosigned(&connection, options, cosigners, &keys, head.size)?;
    let (map, states) = states(&connection, &head, &tree.edge, &cosigned)?;
    if tree.last != (Leaf::Index { index: head.size - 1, count: map.len(), root: map.root() }) {
        return Err(inconsistent("the tag map is not the one of the last index leaf"));
    }
    if !keys.have_signed(&head) {
        return Err(inconsistent("the checkpoint is not signed by the log's key"));
    }
    let key = keys.signer(options)?;
    let guard = guard(options, &connection, &head, &keys)?;
    // A rollback outweighs everything else: it says that the database is not to be believed about absence.
    let (writable, read_only) = match (guard, key) {
        (Err(read_only), _) => (None, Some(read_only)),
        // A log that has ended needs its key no more.
        (Ok(_), Err(_)) if tree.closed => (None, Some(ReadOnly::Closed)),
        (Ok(_), Err(read_only)) => (None, Some(read_only)),
        (Ok(mut guard), Ok(signer)) => {
            keys.adopt(&connection, &mut head, &signer)?;
            guard.adopt(identity(keys.own()), Mark { size: head.size, root: head.root })?;
            (Some((signer, guard)), tree.closed.then_some(ReadOnly::Closed))
        }
    };
    let tip = Tip {
        frontier: tree.frontier,
        edge: tree.edge.clone(),
        map: map.clone(),
        last_time: tree.last_time,
        closed: tree.closed,
    };
    let newest = Arc::new(Signed {
        note: keys.own_lines(&head.note)?.into(),
        size: head.size,
        root: head.root,
        map,
        before: tree.before,
        time: tree.last_time,
        edge: tree.edge,
    });
    let [cosigned, audited] = cosigned.map(|found| {
        let (row, cosignatures) = found?;
        let reached = states.iter().chain([&newest]).find(|state| state.size == row.size)?;
        Some((Arc::clone(reached), cosignatures::lines(&cosignatures)))
    });
    let row = store::checkpoint(&connection, head.size)?.filter(|row| keys.have_signed_row(row));
    let lines = match row {
        Some(row) => cosignatures::of_checkpoint(&connection, &head.origin, &row, cosigners)?,
        None => Vec::new(),
    };
    let newest = (newest, cosignatures::lines(&lines));
    Ok(Recovered { connection, keys, supersede, tip, newest, cosigned, audited, writable, read_only })
}

/// The newest stored checkpoints that satisfy the policies of witnesses and of auditors. One that has to be published
/// is looked for from the beginning; audited ones are never newer than what is published.
fn cosigned(
    connection: &Connection,
    options: &Options,
    cosigners: &[VerifierKey],
    keys: &Keys,
    size: u64,
) -> Result<[Option<Found>; 2], Error> {
    let publication = &options.publication;
    let in_reach = size.saturating_sub(WORTH_REACHING);
    let find = |policy: &Option<Policy>, sizes| match policy {
        None => Ok(None),
        Some(policy) => newest_satisfying(connection, policy, cosigners, keys, sizes),
    };
    let from = if publication.is_immediate() { in_reach } else { 0 };
    let cosigned = find(&publication.witnesses, from..=size)?;
    let published =
        if publication.is_immediate() { size } else { cosigned.as_ref().map_or(0, |(row, _)| row.size) };
    let audited = find(&publication.auditors, in_reach..=published)?;
    Ok([cosigned, audited])
}

/// The map of the head, and the states of the log at those of the `cosigned` checkpoints that are older. All share what
/// their maps have in common.
fn states(
    connection: &Connection,
    head: &HeadRow,
    edge: &Edge,
    cosigned: &[Option<Found>; 2],
) -> Result<(TagMap, Vec<Arc<Signed>>), Error> {
    let mut rows: Vec<&CheckpointRow> = cosigned.iter().flatten().map(|(row, _)| row).collect();
    rows.retain(|row| row.size < head.size);
    rows.sort_by_key(|row| row.size);
    rows.dedup_by_key(|row| row.size);
    let Some((oldest, newer)) = rows.split_first() else {
        return Ok((map(connection, edge, head.size)?, Vec::new()));
    };
    let map = map(connection, edge, oldest.size)?;
    let tree = tree(connection, oldest.size, &oldest.root)?;
    let index = Leaf::Index { index: oldest.size - 1, count: map.len(), root: map.root() };
    let tree = tree.filter(|tree| tree.last == index);
    let tree = tree.ok_or_else(|| corrupt(format!("the log at the cosigned size {}", oldest.size)))?;
    let mut states = vec![Arc::new(Signed {
        note: oldest.note.as_str().into(),
        size: oldest.size,
        root: oldest.root,
        map,
        before: tree.before,
        time: tree.last_time,
        edge: tree.edge,
    })];
    let head = CheckpointRow { size: head.size, root: head.root, note: String::new() };
    let mut newest = None;
    for row in newer.iter().copied().chain([&head]) {
        if let Some(from) = states.last() {
            let state = advance(connection, from, row)?;
            if row.size == head.size {
                newest = Some(state.map);
            } else {
                states.push(Arc::new(state));
            }
        }
    }
    Ok((newest.ok_or_else(|| corrupt("the head"))?, states))
}

/// What leaf 0 says; `None` when it is no leaf 0.
pub(crate) fn rules(connection: &Connection) -> Result<Option<SupersedeRule>, Error> {
    let leaf = store::entry(connection, 0)?.and_then(|leaf| Leaf::parse(&leaf).ok());
    Ok(match leaf {
        Some(Leaf::Log { supersede, .. }) => Some(supersede),
        _ => None,
    })
}

/// The tree at `size`, read from full tiles and from the leaves after them.
pub(crate) fn edge_at(connection: &Connection, size: u64) -> Result<Edge, Error> {
    Edge::load(size, |level, index, width| {
        let from = index * u64::from(TILE_WIDTH);
        let mut hashes = Vec::with_capacity(usize::from(TILE_WIDTH));
        if level == 0 {
            store::entries(connection, from, from + width as u64, |_, leaf| {
                hashes.push(leaf_hash(leaf));
                Ok::<(), Error>(())
            })?;
            return Ok(hashes);
        }
        for child in from..from + width as u64 {
            let tile = store::tile(connection, level - 1, child)?;
            let tile = tile.as_deref().and_then(edge::hashes);
            let tile = tile.filter(|tile| tile.len() == usize::from(TILE_WIDTH));
            let tile = tile.ok_or_else(|| corrupt(format!("tile {}/{child}", level - 1)))?;
            hashes.push(perfect_root(&tile));
        }
        Ok(hashes)
    })
}

struct Tree {
    before: Frontier,
    frontier: Frontier,
    edge: Edge,
    last: Leaf,
    last_time: u64,
    closed: bool,
}

/// The tree of `size` and `root`; `None` when the database holds another one.
fn tree(connection: &Connection, size: u64, root: &Hash) -> Result<Option<Tree>, Error> {
    let Some(last) = size.checked_sub(1).filter(|last| *last > 0) else { return Ok(None) };
    let mut edge = edge_at(connection, last)?;
    let (Ok(before), Some(bytes)) = (edge.frontier(), store::entry(connection, last)?) else {
        return Ok(None);
    };
    let mut full = Vec::new();
    edge.push(leaf_hash(&bytes), &mut full);
    for tile in full {
        if store::tile(connection, tile.level, tile.index)? != Some(tile.data) {
            return Ok(None);
        }
    }
    let mut frontier = before.clone();
    frontier.push(leaf_hash(&bytes));
    let Ok(leaf) = Leaf::parse(&bytes) else { return Ok(None) };
    if frontier.root() != *root {
        return Ok(None);
    }
    let (last_time, closed) = ending(connection, last)?;
    Ok(Some(Tree { before, frontier, edge, last: leaf, last_time, closed }))
}

/// Time of the last leaf that has one, and whether it is a `close`. Every leaf but `log`, `index` and unknown kinds
/// has a time, so this looks at one or two leaves.
fn ending(connection: &Connection, last: u64) -> Result<(u64, bool), Error> {
    for index in (1..last).rev() {
        let leaf = store::entry(connection, index)?.and_then(|leaf| Leaf::parse(&leaf).ok());
        let leaf = leaf.ok_or_else(|| corrupt(format!("leaf {index}")))?;
        if let Some(time) = leaf.time() {
            return Ok((time, matches!(leaf, Leaf::Close { .. })));
        }
    }
    Ok((0, false))
}

/// The map at `size`: all rows of `tags`, those that have changed since put back, with the leaf hashes of the tiles.
fn map(connection: &Connection, edge: &Edge, size: u64) -> Result<TagMap, Error> {
    let hashes = leaf_hashes(connection, edge)?;
    let mut failed = None;
    let map = store::with_tags(connection, Order::Key, |rows| {
        TagMap::from_sorted(std::iter::from_fn(|| {
            loop {
                let (key, row) = rows.next()?;
                // A row beyond the head is wrong whatever the map of an older size says.
                let current = value(&hashes, row.index);
                let value = match current.and_then(|_| place_at(connection, &key, row, size)) {
                    Ok(None) => continue,
                    Ok(Some(index)) => value(&hashes, index),
                    Err(error) => Err(error),
                };
                return value.map(|value| (key, value)).map_err(|error| failed = Some(error)).ok();
            }
        }))
    })?;
    failed.map_or(Ok(map), Err)
}

fn value(hashes: &[[u8; 32]], index: u64) -> Result<MapValue, Error> {
    let hash = usize::try_from(index).ok().and_then(|index| hashes.get(index));
    let hash = hash.ok_or_else(|| corrupt(format!("a tag's row, which points to leaf {index},")))?;
    Ok(MapValue { index, leaf_hash: Hash::from_bytes(*hash) })
}

/// Hashes of all leaves.
fn leaf_hashes(connection: &Connection, edge: &Edge) -> Result<Vec<[u8; 32]>, Error> {
    let size = usize::try_from(edge.size()).unwrap_or(usize::MAX);
    let mut hashes: Vec<[u8; 32]> = Vec::with_capacity(size);
    store::tiles(connection, 0, 0, |index, data| {
        let (tile, rest) = data.as_chunks::<32>();
        if tile.len() != usize::from(TILE_WIDTH) || !rest.is_empty() || index * 256 != hashes.len() as u64 {
            return Err(corrupt(format!("tile 0/{index}")));
        }
        hashes.extend_from_slice(tile);
        Ok(())
    })?;
    hashes.extend(edge.partial(0).iter().map(|hash| *hash.as_bytes()));
    Ok(hashes)
}

/// Where the current leaf of `key` was when the log had `size` leaves; `None` when it had none yet.
fn place_at(connection: &Connection, key: &TagKey, row: TagRow, size: u64) -> Result<Option<u64>, Error> {
    if row.index < size {
        return Ok(Some(row.index));
    }
    for index in store::changes(connection, key)?.into_iter().rev().filter(|index| *index < size) {
        let leaf = store::entry(connection, index)?.and_then(|leaf| Leaf::parse(&leaf).ok());
        if leaf.ok_or_else(|| corrupt(format!("leaf {index}")))?.current().is_some() {
            return Ok(Some(index));
        }
    }
    Ok(Some(row.first).filter(|first| *first < size))
}

/// Opens the guard and compares it with the head. A guard that is behind is the normal end of a crash and is caught up,
/// after the tree that it remembers was found in ours.
fn guard(
    options: &Options,
    connection: &Connection,
    head: &HeadRow,
    keys: &Keys,
) -> Result<Result<Guard, ReadOnly>, OpenError> {
    let (mut guard, mark) = match Guard::open(&options.guard_path(), &keys.identities()) {
        Ok(opened) => opened,
        Err(GuardError::Missing { path }) => return Ok(Err(ReadOnly::GuardMissing { path })),
        Err(GuardError::Damaged { path }) => return Ok(Err(ReadOnly::GuardDamaged { path })),
        Err(error) => return Err(error.into()),
    };
    if mark.size > head.size {
        return Ok(Err(ReadOnly::RolledBack { head: head.size, guard: mark.size }));
    }
    let frontier = edge_at(connection, mark.size)?.frontier();
    if frontier.map(|frontier| frontier.root()).ok() != Some(mark.root) {
        return Ok(Err(ReadOnly::Forked { size: mark.size }));
    }
    if mark.size < head.size {
        guard.write(Mark { size: head.size, root: head.root })?;
    }
    Ok(Ok(guard))
}
