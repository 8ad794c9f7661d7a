//! Which files belong to a signed tree: the right edge against the root, a full tile against the one
//! above it, a bundle against its tile.
//!
//! Pure, so that what was found over the network can be found again in an evidence file.

use std::collections::BTreeMap;

use bytes::Bytes;
use tlog::{
    Checkpoint, EntriesId, Frontier, Hash, Node, TILE_WIDTH, TileId, decode_entries, leaf_hash, node_in_tile,
};

/// Tile levels of any tree.
const LEVELS: u8 = 8;

/// The tiles of one tree that are known to belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    size: u64,
    /// The partial tiles, which alone give the root.
    edge: BTreeMap<u8, Bytes>,
    /// The full tile of each level that was admitted last, each below the one above it: enough for
    /// reading in order, and for showing where a tile belongs.
    recent: BTreeMap<u8, (u64, Bytes)>,
}

/// What a file is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Contradiction(pub(crate) String);

/// The partial tiles of a tree: one at most for each level.
pub(crate) fn edge_of(size: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS).filter_map(move |level| {
        let (index, width) = last_tile(size, level);
        (width > 0).then_some(TileId { level, index, width })
    })
}

/// The subtrees that make up a tree, largest first.
pub(crate) fn frontier_of(size: u64) -> impl Iterator<Item = Node> {
    (0..64_u8)
        .rev()
        .filter(move |level| size >> level & 1 == 1)
        .map(move |level| Node { level, index: (size >> level) - 1 })
}

/// The tile that holds a node in the tree of `size`.
pub(crate) fn tile_of(node: Node, size: u64) -> TileId {
    let (level, index, _) = TileId::of_node(node);
    let (last, width) = last_tile(size, level);
    TileId { level, index, width: if index < last { TILE_WIDTH } else { width } }
}

/// The bundle at `index` of the tree of `size`.
pub(crate) fn bundle_at(index: u64, size: u64) -> EntriesId {
    let (last, width) = last_tile(size, 0);
    EntriesId { index, width: if index < last { TILE_WIDTH } else { width } }
}

/// How many full tiles a level has, and the width of the partial one behind them.
fn last_tile(size: u64, level: u8) -> (u64, u16) {
    // A path may name a level that no tree has.
    let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
    let width = u64::from(TILE_WIDTH);
    (hashes / width, u16::try_from(hashes % width).unwrap_or_default())
}

impl Authenticated {
    /// Takes the partial tiles of a tree, in the order of [`edge_of`], if they give the root.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        edge: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, Contradiction> {
        let size = checkpoint.size;
        let edge: Vec<_> = edge_of(size).zip(edge).collect();
        let wrong = edge.iter().find(|(id, bytes)| bytes.len() != usize::from(id.width) * 32);
        if let Some((id, bytes)) = wrong {
            return Err(Contradiction(format!("`{id}` is {} bytes long", bytes.len())));
        }
        let edge = edge.into_iter().map(|(id, bytes)| (id.level, bytes)).collect();
        let tree = Self { size, edge, recent: BTreeMap::new() };
        let root = tree.root_at(size).map_err(|_short| Contradiction("a tile is too short".to_owned()))?;
        match root {
            Some(root) if root == checkpoint.root => Ok(tree),
            Some(root) => Err(Contradiction(format!(
                "the right edge of the tree gives root {root}, the checkpoint of size {size} says {}",
                checkpoint.root
            ))),
            None => Err(Contradiction("a tile of the right edge is missing".to_owned())),
        }
    }

    /// Takes a full tile if it gives the hash that the tile above holds. `None`: the tile above is
    /// not at hand.
    pub(crate) fn admit(&mut self, id: TileId, bytes: &Bytes) -> Option<Result<(), Contradiction>> {
        let node = Node { level: (id.level + 1).checked_mul(8)?, index: id.index };
        let expected = self.hash(node)?.ok()?;
        let whole = Node { level: 7, index: 0 };
        let halves = [whole, Node { index: 1, ..whole }].map(|half| node_in_tile(half, bytes));
        let computed = match halves {
            [Ok(left), Ok(right)] if bytes.len() == usize::from(TILE_WIDTH) * 32 => {
                tlog::node_hash(&left, &right)
            }
            _ => return Some(Err(Contradiction(format!("`{id}` is {} bytes long", bytes.len())))),
        };
        if computed != expected {
            return Some(Err(Contradiction(format!("`{id}` hashes to {computed}, the tree has {expected}"))));
        }
        let is_below = |level: u8, index: u64| {
            index.checked_shr(8 * u32::from(id.level.saturating_sub(level))) == Some(id.index)
        };
        self.recent.retain(|level, (index, _)| *level >= id.level || is_below(*level, *index));
        self.recent.insert(id.level, (id.index, bytes.clone()));
        Some(Ok(()))
    }

    /// Checks that a bundle holds exactly the leaves of its tile. `None`: the tile is not at hand.
    pub(crate) fn check(&self, id: EntriesId, bundle: &[u8]) -> Option<Result<(), Contradiction>> {
        let tile = self.tile(TileId { level: 0, index: id.index, width: id.width })?;
        Some(check_bundle(id, tile, bundle))
    }

    /// A tile that was admitted.
    pub(crate) fn tile(&self, id: TileId) -> Option<&Bytes> {
        if id.width < TILE_WIDTH {
            return self.edge.get(&id.level).filter(|_| tile_is_edge(id, self.size));
        }
        self.recent.get(&id.level).filter(|(index, _)| *index == id.index).map(|(_, bytes)| bytes)
    }

    /// The root of the first `size` leaves; `None`: a tile is not at hand.
    pub(crate) fn root_at(&self, size: u64) -> Result<Option<Hash>, tlog::Error> {
        let hashes: Option<Result<Vec<Hash>, _>> = frontier_of(size).map(|node| self.hash(node)).collect();
        hashes.transpose()?.map(|hashes| Ok(Frontier::from_parts(size, hashes)?.root())).transpose()
    }

    /// A subtree's hash; `None`: its tile is not at hand.
    pub(crate) fn hash(&self, node: Node) -> Option<Result<Hash, tlog::Error>> {
        Some(node_in_tile(node, self.tile(tile_of(node, self.size))?))
    }

    /// The tiles of the right edge, with their names.
    pub(crate) fn edge(&self) -> impl Iterator<Item = (TileId, &Bytes)> {
        edge_of(self.size).filter_map(|id| Some((id, self.edge.get(&id.level)?)))
    }

    /// The full tiles at hand above `level` on the way from a tile to the edge, highest first.
    pub(crate) fn above(&self, level: u8, index: u64) -> Vec<(TileId, &Bytes)> {
        let above = (level + 1..LEVELS).map_while(|at| {
            let id = TileId { level: at, index: index >> (8 * u32::from(at - level)), width: TILE_WIDTH };
            Some((id, self.tile(id)?))
        });
        let mut tiles: Vec<_> = above.collect();
        tiles.reverse();
        tiles
    }
}

fn tile_is_edge(id: TileId, size: u64) -> bool {
    last_tile(size, id.level) == (id.index, id.width)
}

fn check_bundle(id: EntriesId, tile: &[u8], bundle: &[u8]) -> Result<(), Contradiction> {
    let entries =
        decode_entries(bundle, id.width).map_err(|error| Contradiction(format!("`{id}`: {error}")))?;
    let first = id.index * u64::from(TILE_WIDTH);
    for ((at, entry), expected) in (first..).zip(entries).zip(tile.chunks_exact(32)) {
        let computed = leaf_hash(entry);
        if computed.as_bytes() != expected {
            return Err(Contradiction(format!(
                "leaf {at} of `{id}` hashes to {computed}, which is not its tile's"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_is_what_is_not_full() {
        let widths = |size| edge_of(size).map(|id| (id.level, id.index, id.width)).collect::<Vec<_>>();
        assert_eq!(widths(0), []);
        assert_eq!(widths(5), [(0, 0, 5)]);
        assert_eq!(widths(256), [(1, 0, 1)]);
        assert_eq!(widths(70_000), [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(widths(u64::MAX).len(), 8);
    }

    #[test]
    fn a_tree_is_the_sum_of_its_subtrees() {
        for size in [0, 1, 2, 3, 255, 256, 257, 70_000, u64::MAX] {
            let leaves: u128 = frontier_of(size).map(|node| 1_u128 << node.level).sum();
            assert_eq!(leaves, u128::from(size));
        }
    }

    /// A tile of 256 equal hashes, and its own hash.
    fn uniform(hash: Hash) -> (Bytes, Hash) {
        let bytes: Bytes = hash.as_bytes().repeat(256).into();
        let mut root = hash;
        (0..8).for_each(|_level| root = tlog::node_hash(&root, &root));
        (bytes, root)
    }

    #[test]
    fn what_is_at_hand_shows_where_each_tile_belongs() {
        let (leaves, first) = uniform(leaf_hash(b"x"));
        let (middle, second) = uniform(first);
        let (upper, third) = uniform(second);
        let size = 2 << 24;
        let origin = "a.example/log".to_owned();
        let checkpoint = Checkpoint { origin, size, root: tlog::node_hash(&third, &third) };
        let edge: Bytes = third.as_bytes().repeat(2).into();
        let mut tree = Authenticated::new(&checkpoint, [edge]).unwrap();
        let tile = |level, index| TileId { level, index, width: TILE_WIDTH };
        assert_eq!(tree.admit(tile(0, 0), &leaves), None);
        for (id, bytes) in [(tile(2, 1), &upper), (tile(1, 300), &middle), (tile(0, 300 * 256), &leaves)] {
            assert_eq!(tree.admit(id, bytes), Some(Ok(())), "{id}");
        }
        let above: Vec<TileId> = tree.above(0, 300 * 256).into_iter().map(|(id, _)| id).collect();
        assert_eq!(above, [tile(2, 1), tile(1, 300)]);
        // Another tile of the upper level takes those below its predecessor with it.
        assert_eq!(tree.admit(tile(2, 0), &upper), Some(Ok(())));
        assert_eq!(tree.tile(tile(1, 300)), None);
        assert_eq!(tree.admit(tile(0, 300 * 256), &leaves), None);
        assert!(matches!(tree.admit(tile(1, 3), &leaves), Some(Err(_))));
    }
}
