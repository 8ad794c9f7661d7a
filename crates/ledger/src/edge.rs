//! The right edge of the tree as tiles: the hashes of the one partial tile of each level.
//! Everything left of it is full tiles, which never change. It must not know where tiles are kept.

use tlog::{Frontier, Hash, TILE_WIDTH, node_hash};

/// A tile that has just become full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FullTile {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) data: Vec<u8>,
}

/// Partial tiles of a tree of `size` leaves, from level 0 up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves whose partial tile of each level is `partial(level, index, width)`.
    pub(crate) fn load<E>(
        size: u64,
        mut partial: impl FnMut(u8, u64, usize) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut levels = Vec::new();
        let mut remaining = size;
        let mut level = 0;
        while remaining > 0 {
            let width = usize::try_from(remaining % u64::from(TILE_WIDTH)).unwrap_or(0);
            let index = remaining / u64::from(TILE_WIDTH);
            levels.push(if width == 0 { Vec::new() } else { partial(level, index, width)? });
            remaining = index;
            level += 1;
        }
        Ok(Self { size, levels })
    }

    /// Appends a leaf; tiles that become full are added to `full`, lowest level first.
    pub(crate) fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        let mut index = self.size / u64::from(TILE_WIDTH);
        for level in 0.. {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(usize::from(TILE_WIDTH)));
            }
            let Some(tile) = self.levels.get_mut(usize::from(level)) else { return };
            tile.push(hash);
            if tile.len() < usize::from(TILE_WIDTH) {
                return;
            }
            hash = perfect_root(tile);
            full.push(FullTile { level, index: index - 1, data: bytes(tile) });
            tile.clear();
            index /= u64::from(TILE_WIDTH);
        }
    }

    /// Hashes of the partial tile of `level`; empty where the level has none.
    pub(crate) fn partial(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// Number of full tiles of `level`.
    pub(crate) fn full_tiles(&self, level: u8) -> u64 {
        self.size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees that make up the tree, the largest first.
    pub(crate) fn subtrees(&self) -> Vec<Hash> {
        let mut roots = Vec::new();
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let width = 1 << rest.len().ilog2();
                let (subtree, after) = rest.split_at(width);
                roots.push(perfect_root(subtree));
                rest = after;
            }
        }
        roots
    }

    /// The same edge as a frontier, which appends and proves.
    pub(crate) fn frontier(&self) -> Result<Frontier, tlog::Error> {
        Frontier::from_parts(self.size, self.subtrees())
    }
}

/// Root over the hashes of a perfect subtree; their number is a power of two.
pub(crate) fn perfect_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?))).collect();
    }
    row.first().copied().unwrap_or(Hash::EMPTY)
}

/// The hashes of a tile one after the other, as they are served.
pub(crate) fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes in the bytes of a tile; `None` when they do not divide evenly.
pub(crate) fn hashes(data: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = data.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tlog::leaf_hash;

    use super::*;

    #[test]
    fn the_edge_of_every_size_agrees_with_a_frontier_and_with_its_own_tiles() {
        let mut edge = Edge::default();
        let mut frontier = Frontier::new();
        let mut full = Vec::new();
        for size in 1..=70_000_u64 {
            let leaf = leaf_hash(&size.to_be_bytes());
            edge.push(leaf, &mut full);
            frontier.push(leaf);
            if size % 251 == 0 || size % 256 < 2 || size > 69_990 {
                assert_eq!(edge.frontier().unwrap().root(), frontier.root(), "size {size}");
                assert_eq!(edge.subtrees(), frontier.hashes());
            }
        }
        let tiles: HashMap<_, _> =
            full.into_iter().map(|tile| ((tile.level, tile.index), tile.data)).collect();
        assert_eq!(tiles.len(), 273 + 1);
        assert_eq!((edge.full_tiles(0), edge.full_tiles(1), edge.full_tiles(2)), (273, 1, 0));
        let loaded = Edge::load(70_000, |level, index, width| {
            let hashes = if level == 0 {
                (0..width).map(|i| leaf_hash(&(index * 256 + i as u64 + 1).to_be_bytes())).collect()
            } else {
                let child = |i| perfect_root(&hashes(&tiles[&(level - 1, index * 256 + i as u64)]).unwrap());
                (0..width).map(child).collect()
            };
            Ok::<Vec<Hash>, ()>(hashes)
        });
        let loaded = loaded.unwrap();
        assert_eq!(loaded.subtrees(), edge.subtrees());
        for level in 0..4 {
            assert_eq!(loaded.partial(level), edge.partial(level));
        }
    }
}
