//! Tiles and entry bundles, and their paths (C2SP tlog-tiles).
//!
//! A tile holds up to 256 hashes of one level; a bundle the leaves under a level-0 tile.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Hash, Node, decimal, node_hash};

/// Hashes in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Bytes of one leaf, at most: what a bundle's length prefix can say.
pub const MAX_ENTRY: usize = 65_535;
/// Tree levels that one tile spans.
const TILE_HEIGHT: u8 = 8;
/// Highest tile level of the specification.
const MAX_LEVEL: u8 = 63;

/// `tile/<level>/<index>[.p/<width>]`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TileId {
    /// 0 holds hashes of leaves.
    pub level: u8,
    /// From the left, from 0.
    pub index: u64,
    /// Hashes in it, 1 to 256.
    pub width: u16,
}

/// `tile/entries/<index>[.p/<width>]`
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EntriesId {
    /// From the left, from 0.
    pub index: u64,
    /// Leaves in it, 1 to 256.
    pub width: u16,
}

/// Every tile that a tree of `size` has, with the width that it has then; level by level.
pub fn tiles_of_size(size: u64) -> impl Iterator<Item = TileId> {
    (0..=7_u8).flat_map(move |level| {
        let hashes = size >> (u32::from(TILE_HEIGHT) * u32::from(level));
        let full = hashes / u64::from(TILE_WIDTH);
        let rest = u16::try_from(hashes % u64::from(TILE_WIDTH)).unwrap_or_default();
        let partial = (rest > 0).then_some(TileId { level, index: full, width: rest });
        (0..full).map(move |index| TileId { level, index, width: TILE_WIDTH }).chain(partial)
    })
}

impl TileId {
    /// The tile that holds what a perfect subtree's hash is computed from, and the place of the
    /// subtree's first hash in it.
    pub fn of_node(node: Node) -> (u8, u64, usize) {
        let within = node.level % TILE_HEIGHT;
        let first = node.index << within;
        let width = u64::from(TILE_WIDTH);
        (node.level / TILE_HEIGHT, first / width, usize::try_from(first % width).unwrap_or_default())
    }
}

/// Hash of a perfect subtree out of its tile's bytes, as [`TileId::of_node`] finds it.
///
/// # Errors
///
/// [`Error::Length`] for a tile too short to hold it.
pub fn node_in_tile(node: Node, tile: &[u8]) -> Result<Hash, Error> {
    let (_, _, first) = TileId::of_node(node);
    let count = 1_usize << (node.level % TILE_HEIGHT);
    let short = || Error::Length { what: "a tile", found: tile.len(), expected: (first + count) * 32 };
    let bytes = tile.get(first * 32..(first + count) * 32).ok_or_else(short)?;
    let mut hashes: Vec<Hash> = bytes.chunks_exact(32).map(Hash::try_from).collect::<Result<_, _>>()?;
    while hashes.len() > 1 {
        hashes = hashes
            .chunks_exact(2)
            .filter_map(|pair| pair.first().zip(pair.last()))
            .map(|(left, right)| node_hash(left, right))
            .collect();
    }
    hashes.first().copied().ok_or_else(short)
}

/// Adds one leaf to a bundle.
///
/// # Errors
///
/// [`Error::Length`] for a leaf longer than [`MAX_ENTRY`].
pub fn encode_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(entry.len()).map_err(|_long| Error::Length {
        what: "a leaf",
        found: entry.len(),
        expected: MAX_ENTRY,
    })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The leaves of a bundle, which has to hold exactly `width` of them.
///
/// # Errors
///
/// [`Error::Format`] for a bundle that is cut short or goes on.
pub fn decode_entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, Error> {
    let wrong = |why: &str| Error::format("entry bundle", why);
    let mut rest = bundle;
    let mut entries = Vec::with_capacity(usize::from(width));
    for _entry in 0..width {
        let (length, after) =
            rest.split_first_chunk::<2>().ok_or_else(|| wrong("it ends within a length"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or_else(|| wrong("it ends within a leaf"))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(wrong("it goes on after its last leaf")) }
}

impl FromStr for TileId {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        let parse = || {
            let rest = path.strip_prefix("tile/")?;
            let (level, rest) = rest.split_once('/')?;
            let level = u8::try_from(decimal(level)?).ok().filter(|level| *level <= MAX_LEVEL)?;
            let (index, width) = index_and_width(rest)?;
            Some(Self { level, index, width })
        };
        parse().ok_or_else(|| path_error(path))
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_index_and_width(f, self.index, self.width)
    }
}

impl FromStr for EntriesId {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        let parse = || {
            let (index, width) = index_and_width(path.strip_prefix("tile/entries/")?)?;
            Some(Self { index, width })
        };
        parse().ok_or_else(|| path_error(path))
    }
}

impl fmt::Display for EntriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_index_and_width(f, self.index, self.width)
    }
}

/// `x001/x234/067` or `x001/x234/067.p/5`, in the one spelling that printing gives.
fn index_and_width(path: &str) -> Option<(u64, u16)> {
    let (groups, width) = match path.split_once(".p/") {
        None => (path, TILE_WIDTH),
        Some((groups, width)) => {
            let width = u16::try_from(decimal(width)?).ok()?;
            (groups, Some(width).filter(|width| (1..TILE_WIDTH).contains(width))?)
        }
    };
    let mut index = 0_u64;
    let mut groups = groups.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if first && groups.peek().is_some() && digits == "000" {
            return None;
        }
        first = false;
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    Some((index, width))
}

fn write_index_and_width(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut groups = vec![index % 1_000];
    let mut rest = index / 1_000;
    while rest > 0 {
        groups.push(rest % 1_000);
        rest /= 1_000;
    }
    for (place, group) in groups.iter().enumerate().rev() {
        if place == 0 { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
    }
    if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

fn path_error(path: &str) -> Error {
    Error::TilePath(path.chars().take(120).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proof::tests::{leaves, root_by_definition};

    #[test]
    fn the_paths_of_the_specification_parse_and_print() {
        for path in [
            "tile/15/x455/667",
            "tile/15/x123/x456/789.p/41",
            "tile/0/x001/x234/067",
            "tile/0/000",
            "tile/63/000.p/1",
        ] {
            assert_eq!(path.parse::<TileId>().unwrap().to_string(), path);
        }
        for path in ["tile/entries/x123/x456/789", "tile/entries/000.p/255"] {
            assert_eq!(path.parse::<EntriesId>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for path in [
            "tile/00/000",
            "tile/64/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/",
            "tile//000",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/-01",
            "tile/0/x184/x467/x440/x737/x095/x516/150",
            "tile/entries/000",
            "tile/0/٠٠٠",
        ] {
            assert!(path.parse::<TileId>().is_err(), "{path}");
        }
        assert!("tile/0/000".parse::<EntriesId>().is_err());
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_specification() {
        let tiles: Vec<_> = tiles_of_size(70_000).collect();
        let count = |level, full| {
            tiles.iter().filter(|tile| tile.level == level && (tile.width == 256) == full).count()
        };
        assert_eq!((count(0, true), count(1, true)), (273, 1));
        let partial =
            |level| tiles.iter().find(|tile| tile.level == level && tile.width < 256).map(|tile| tile.width);
        assert_eq!((partial(0), partial(1), partial(2)), (Some(112), Some(17), Some(1)));
        let tiles: Vec<_> = tiles_of_size(256).map(|tile| tile.to_string()).collect();
        assert_eq!(tiles, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(tiles_of_size(0).count(), 0);
    }

    #[test]
    fn a_subtree_is_found_in_its_tile() {
        let leaves = leaves(1024);
        let tile = |index: usize| {
            leaves[index * 256..(index + 1) * 256]
                .iter()
                .flat_map(|hash| *hash.as_bytes())
                .collect::<Vec<_>>()
        };
        for node in [Node { level: 0, index: 700 }, Node { level: 3, index: 70 }, Node { level: 7, index: 7 }]
        {
            let (level, index, _) = TileId::of_node(node);
            assert_eq!(level, 0);
            let width = 1_usize << node.level;
            let start = node.index as usize * width;
            assert_eq!(
                node_in_tile(node, &tile(index as usize)).unwrap(),
                root_by_definition(&leaves[start..start + width])
            );
        }
        assert_eq!(TileId::of_node(Node { level: 8, index: 3 }), (1, 0, 3));
        assert!(node_in_tile(Node { level: 0, index: 5 }, &[0; 64]).is_err());
    }

    proptest! {
        #[test]
        fn paths_parse_and_print(level in 0_u8..=63, index: u64, width in 1_u16..=256) {
            let tile = TileId { level, index, width };
            prop_assert_eq!(tile.to_string().parse::<TileId>().unwrap(), tile);
            let entries = EntriesId { index, width };
            prop_assert_eq!(entries.to_string().parse::<EntriesId>().unwrap(), entries);
        }

        #[test]
        fn what_parses_is_what_prints(path in "tile/[0-9]{1,2}/(x[0-9]{3}/){0,2}[0-9]{1,4}(\\.p/[0-9]{1,3})?") {
            if let Ok(tile) = path.parse::<TileId>() {
                prop_assert_eq!(tile.to_string(), path);
            }
        }

        #[test]
        fn bundles_give_back_their_leaves(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
            let mut bundle = Vec::new();
            entries.iter().for_each(|entry| encode_entry(&mut bundle, entry).unwrap());
            let width = entries.len() as u16;
            prop_assert_eq!(decode_entries(&bundle, width).unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert!(decode_entries(&bundle[..bundle.len() - 1], width).is_err());
            prop_assert!(decode_entries(&bundle, width + 1).is_err());
            prop_assert!(decode_entries(&bundle, width - 1).is_err());
        }
    }
}
