//! Tiles and entry bundles of the published tree, any width it has had. Full tiles come from the database and are
//! compared with the level above, leaves with their hashes; partial tiles are prefixes of the current ones.
//! It must not know HTTP; nothing beyond the published size is ever given out.

use bytes::Bytes;
use tlog::{EntriesId, Hash, TILE_WIDTH, TileId, encode_entry, leaf_hash};

use crate::edge::{self, perfect_root};
use crate::error::Error;
use crate::lookup;
use crate::published::Published;
use crate::readers::Readers;
use crate::record::Entry;
use crate::store::{self, corrupt};

/// The tile `id`; `None` for one that the published tree does not have.
pub(crate) fn tile(published: &Published, readers: &Readers, id: TileId) -> Result<Option<Bytes>, Error> {
    let hashes = hashes(published, readers, id.level, id.index, usize::from(id.width))?;
    Ok(hashes.map(|hashes| edge::bytes(&hashes).into()))
}

/// The entry bundle `id`; `None` for one that the published tree does not have.
pub(crate) fn entries(
    published: &Published,
    readers: &Readers,
    id: EntriesId,
) -> Result<Option<Bytes>, Error> {
    let Some(expected) = hashes(published, readers, 0, id.index, usize::from(id.width))? else {
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

/// The leaf at `index`, which the published tree must have.
pub(crate) fn leaf(published: &Published, readers: &Readers, index: u64) -> Result<Entry, Error> {
    let (tile, at) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
    let at = usize::try_from(at).unwrap_or(0);
    let hashes = hashes(published, readers, 0, tile, at + 1)?;
    let expected = hashes.as_ref().and_then(|hashes| hashes.last());
    let expected = expected.ok_or_else(|| corrupt(format!("leaf {index}")))?;
    readers.with(|connection| lookup::entry(connection, index, expected))
}

/// The first `width` hashes of a tile.
fn hashes(
    published: &Published,
    readers: &Readers,
    level: u8,
    index: u64,
    width: usize,
) -> Result<Option<Vec<Hash>>, Error> {
    let edge = &published.edge;
    let full = edge.full_tiles(level);
    if index > full || !(1..=usize::from(TILE_WIDTH)).contains(&width) {
        return Ok(None);
    }
    if index == full {
        return Ok(edge.partial(level).get(..width).map(<[Hash]>::to_vec));
    }
    let mut hashes = full_tile(readers, level, index)?;
    let (parent, at) = (index / u64::from(TILE_WIDTH), index % u64::from(TILE_WIDTH));
    let at = usize::try_from(at).unwrap_or(0);
    let above = level + 1;
    let expected = if parent < edge.full_tiles(above) {
        full_tile(readers, above, parent)?.get(at).copied()
    } else {
        edge.partial(above).get(at).copied()
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
