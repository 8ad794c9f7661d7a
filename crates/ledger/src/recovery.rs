//! What is checked before a log is used again: key, right edge, map, own signature, rollback guard (design §4).
//! What fails a check is refused; what is only incomplete is opened read-only. It must not change the log: the only
//! thing written is the guard, when it is behind.

use rusqlite::Connection;
use taglog::{Leaf, MapValue, SupersedeRule, TagMap};
use tlog::{Frontier, Hash, SignedCheckpoint, TILE_WIDTH, VerifierKey, leaf_hash};

use crate::batch::Tip;
use crate::creation::{absent, presence};
use crate::edge::{self, Edge, perfect_root};
use crate::error::{Error, OpenError, ReadOnly};
use crate::guard::{Guard, GuardError, Mark};
use crate::options::Options;
use crate::published::Published;
use crate::schema::{self, Access};
use crate::signer::Signer;
use crate::store::{self, HeadRow, corrupt};

/// A log that holds together.
pub(crate) struct Recovered {
    pub(crate) connection: Connection,
    pub(crate) verifier: VerifierKey,
    pub(crate) supersede: SupersedeRule,
    pub(crate) tip: Tip,
    pub(crate) published: Published,
    /// What signing needs, or why nothing may be signed.
    pub(crate) writable: Result<(Signer, Guard), ReadOnly>,
}

/// Opens the database and runs every check of the start.
pub(crate) fn recover(options: &Options) -> Result<Recovered, OpenError> {
    let path = options.database_path();
    if !presence(options).database {
        return Err(absent(options));
    }
    let connection = schema::connect(&path, Access::Write)?;
    schema::migrate(&connection, &path, schema::MIGRATIONS)?;
    let head = store::head(&connection)?;
    if let Some(configured) = options.origin.as_ref().filter(|origin| **origin != head.origin) {
        return Err(OpenError::OriginDiffers { stored: head.origin, configured: configured.clone() });
    }
    let inconsistent = |why: &str| OpenError::Inconsistent { path: path.clone(), why: why.to_owned() };
    let verifier: VerifierKey =
        head.vkey.parse().map_err(|_| inconsistent("the stored verifier key is malformed"))?;
    let supersede = rules(&connection)?.ok_or_else(|| inconsistent("leaf 0 does not state the rules"))?;
    let tree =
        tree(&connection, &head)?.ok_or_else(|| inconsistent("the right edge does not give the root"))?;
    let map = map(&connection, &tree.edge)?;
    if tree.last != (Leaf::Index { index: head.size - 1, count: map.len(), root: map.root() }) {
        return Err(inconsistent("the tag map is not the one of the last index leaf"));
    }
    if !is_signed(&head, &verifier) {
        return Err(inconsistent("the checkpoint is not signed by the log's key"));
    }
    let key = signer(options, &verifier)?;
    let guard = guard(options, &connection, &head, &verifier)?;
    // A rollback outweighs everything else: it says that the database is not to be believed about absence.
    let writable = match (guard, key) {
        (Err(read_only), _) | (Ok(_), Err(read_only)) => Err(read_only),
        (Ok(_), Ok(_)) if tree.closed => Err(ReadOnly::Closed),
        (Ok(guard), Ok(signer)) => Ok((signer, guard)),
    };
    let published = Published {
        note: head.note.into(),
        size: head.size,
        root: head.root,
        map: map.clone(),
        before: tree.before,
        time: tree.last_time,
        edge: tree.edge.clone(),
    };
    let tip = Tip { frontier: tree.frontier, edge: tree.edge, map, last_time: tree.last_time };
    Ok(Recovered { connection, verifier, supersede, tip, published, writable })
}

/// What leaf 0 says; `None` when it is no leaf 0.
pub(crate) fn rules(connection: &Connection) -> Result<Option<SupersedeRule>, Error> {
    let leaf = store::entry(connection, 0)?.and_then(|leaf| Leaf::parse(&leaf).ok());
    Ok(match leaf {
        Some(Leaf::Log { supersede, .. }) => Some(supersede),
        _ => None,
    })
}

/// Whether the stored checkpoint is the one of the head, signed by the log.
pub(crate) fn is_signed(head: &HeadRow, verifier: &VerifierKey) -> bool {
    head.origin == verifier.name()
        && head.note.parse::<SignedCheckpoint>().is_ok_and(|signed| {
            signed
                .verify(verifier)
                .is_ok_and(|checkpoint| (checkpoint.size, checkpoint.root) == (head.size, head.root))
        })
}

/// SHA-256 of the verifier key: which log a guard belongs to.
pub(crate) fn identity(verifier: &VerifierKey) -> Hash {
    Hash::of(verifier.to_string())
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

/// The tree of the head; `None` when the database holds another one.
fn tree(connection: &Connection, head: &HeadRow) -> Result<Option<Tree>, Error> {
    let Some(last) = head.size.checked_sub(1).filter(|last| *last > 0) else { return Ok(None) };
    if store::last_entry(connection)? != Some(last) {
        return Ok(None);
    }
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
    if frontier.root() != head.root {
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

/// The map of all rows of `tags`, with the leaf hashes of the tiles.
fn map(connection: &Connection, edge: &Edge) -> Result<TagMap, Error> {
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
    let mut beyond = None;
    let map = store::with_tags(connection, |rows| {
        TagMap::from_sorted(rows.map_while(|(key, row)| {
            let hash = usize::try_from(row.index).ok().and_then(|index| hashes.get(index));
            if hash.is_none() {
                beyond = Some(row.index);
            }
            Some((key, MapValue { index: row.index, leaf_hash: Hash::from_bytes(*hash?) }))
        }))
    })?;
    match beyond {
        Some(index) => Err(corrupt(format!("a tag's row, which points to leaf {index},"))),
        None => Ok(map),
    }
}

fn signer(options: &Options, verifier: &VerifierKey) -> Result<Result<Signer, ReadOnly>, OpenError> {
    let path = options.key_path();
    let Some(signer) = Signer::read(&path)? else {
        return Ok(Err(ReadOnly::KeyMissing { path }));
    };
    if signer.verifier() != *verifier {
        return Err(OpenError::OtherKey { path, expected: verifier.to_string() });
    }
    Ok(Ok(signer))
}

/// Opens the guard and compares it with the head. A guard that is behind is the normal end of a crash and is caught up,
/// after the tree that it remembers was found in ours.
fn guard(
    options: &Options,
    connection: &Connection,
    head: &HeadRow,
    verifier: &VerifierKey,
) -> Result<Result<Guard, ReadOnly>, OpenError> {
    let (mut guard, mark) = match Guard::open(&options.guard_path(), identity(verifier)) {
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
