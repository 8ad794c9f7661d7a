//! Tiles, entry bundles and consistency proofs of one tree, any width it has had. Full tiles come from the database and
//! are compared with the level above, leaves with their hashes; partial tiles are prefixes of the current ones.
//! It must not know HTTP, or which tree may be shown; nothing beyond the tree it is given is ever given out.

use bytes::Bytes;
use tlog::{
    EntriesId, Hash, Node, TILE_WIDTH, TileId, encode_entry, leaf_hash, prove_consistency, prove_inclusion,
};

use crate::edge::{self, Edge, perfect_root};
use crate::error::Error;
use crate::lookup;
use crate::readers::Readers;
use crate::record::Entry;
use crate::store::{self, corrupt};

/// Tree levels that one tile spans.
const TILE_HEIGHT: u8 = 8;

/// The tile `id`; `None` for one that the tree does not have.
pub(crate) fn tile(tree: &Edge, readers: &Readers, id: TileId) -> Result<Option<Bytes>, Error> {
    let hashes = hashes(tree, readers, id.level, id.index, usize::from(id.width))?;
    Ok(hashes.map(|hashes| edge::bytes(&hashes).into()))
}

/// The entry bundle `id`; `None` for one that the tree does not have.
pub(crate) fn entries(tree: &Edge, readers: &Readers, id: EntriesId) -> Result<Option<Bytes>, Error> {
    let Some(expected) = hashes(tree, readers, 0, id.index, usize::from(id.width))? else {
        return Ok(None);
    };
    let from = id.index * u64::from(TILE_WIDTH);
    let mut bundle = Vec::new();
    readers.with(|connection| {
        let mut expected = expected.iter();
        store::entries(connection, from, from + u64::from(id.width), |index, leaf| {
            let wrong = || corrupt(format!("leaf {index}"));
            if expected.next() != Some(&leaf_hash(leaf)) {
                return Err(wrong());
            }
            encode_entry(&mut bundle, leaf).map_err(|_| wrong())
        })
    })?;
    Ok(Some(bundle.into()))
}

/// The leaf at `index`, which the tree must have.
pub(crate) fn leaf(tree: &Edge, readers: &Readers, index: u64) -> Result<Entry, Error> {
    let (tile, at) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
    let at = usize::try_from(at).unwrap_or(0);
    let hashes = hashes(tree, readers, 0, tile, at + 1)?;
    let expected = hashes.as_ref().and_then(|hashes| hashes.last());
    let expected = expected.ok_or_else(|| corrupt(format!("leaf {index}")))?;
    readers.with(|connection| lookup::entry(connection, index, expected))
}

/// The proof that the tree has the leaf at `index`.
pub(crate) fn inclusion_proof(tree: &Edge, readers: &Readers, index: u64) -> Result<Vec<Hash>, Error> {
    prove_inclusion(index, tree.size(), &mut |node| subtree(tree, readers, node))
}

/// The proof that the tree of `new` leaves begins with that of `old`.
pub(crate) fn consistency_proof(
    tree: &Edge,
    readers: &Readers,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, Error> {
    if new > tree.size() {
        return Err(tlog::Error::OutsideTree { index: new, size: tree.size() }.into());
    }
    prove_consistency(old, new, &mut |node| subtree(tree, readers, node))
}

/// The same tree when it had `size` leaves, which it must have had.
pub(crate) fn earlier(tree: &Edge, readers: &Readers, size: u64) -> Result<Edge, Error> {
    Edge::load(size, |level, index, width| {
        let hashes = hashes(tree, readers, level, index, width)?;
        hashes.ok_or_else(|| corrupt(format!("tile {level}/{index}")))
    })
}

/// Hash of a perfect subtree.
fn subtree(tree: &Edge, readers: &Readers, node: Node) -> Result<Hash, Error> {
    let (level, index, first) = TileId::of_node(node);
    let end = first + (1 << (node.level % TILE_HEIGHT));
    let hashes = hashes(tree, readers, level, index, end)?;
    let subtree = hashes.as_deref().and_then(|hashes| hashes.get(first..end));
    subtree.map(perfect_root).ok_or_else(|| corrupt(format!("tile {level}/{index}")))
}

/// The first `width` hashes of a tile.
fn hashes(
    tree: &Edge,
    readers: &Readers,
    level: u8,
    index: u64,
    width: usize,
) -> Result<Option<Vec<Hash>>, Error> {
    let full = tree.full_tiles(level);
    if index > full || !(1..=usize::from(TILE_WIDTH)).contains(&width) {
        return Ok(None);
    }
    if index == full {
        return Ok(tree.partial(level).get(..width).map(<[Hash]>::to_vec));
    }
    let mut hashes = full_tile(readers, level, index)?;
    let (parent, at) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
    let at = usize::try_from(at).unwrap_or(0);
    let above = level + 1;
    let expected = if parent < tree.full_tiles(above) {
        full_tile(readers, above, parent)?.get(at).copied()
    } else {
        tree.partial(above).get(at).copied()
    };
    if expected != Some(perfect_root(&hashes)) {
        return Err(corrupt(format!("tile {level}/{index}")));
    }
    hashes.truncate(width);
    Ok(Some(hashes))
}

fn full_tile(readers: &Readers, level: u8, index: u64) -> Result<Vec<Hash>, Error> {
    let data = readers.with(|connection| store::tile(connection, level, index))?;
    data.as_deref()
        .and_then(edge::hashes)
        .filter(|hashes| hashes.len() == usize::from(TILE_WIDTH))
        .ok_or_else(|| corrupt(format!("tile {level}/{index}")))
}
