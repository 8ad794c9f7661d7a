//! A Merkle tree by its definition: all hashes of all levels.

use tlog::{
    EntriesId, Frontier, Hash, Node, TILE_WIDTH, TileId, encode_entry, node_hash, prove_inclusion,
    tiles_of_size,
};

pub(crate) struct Forest {
    /// Hashes of perfect subtrees, by level.
    levels: Vec<Vec<Hash>>,
}

impl Forest {
    pub(crate) fn of(leaves: &[Hash]) -> Self {
        let mut levels = vec![leaves.to_vec()];
        while levels.last().is_some_and(|level| level.len() > 1) {
            let level = levels.last().unwrap();
            levels.push(level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect());
        }
        Self { levels }
    }

    pub(crate) fn root(&self) -> Hash {
        let mut frontier = Frontier::new();
        self.levels[0].iter().for_each(|leaf| frontier.push(*leaf));
        frontier.root()
    }

    pub(crate) fn inclusion(&self, index: u64) -> Vec<Hash> {
        let mut read =
            |node: Node| Ok::<_, tlog::Error>(self.levels[node.level as usize][node.index as usize]);
        prove_inclusion(index, self.levels[0].len() as u64, &mut read).unwrap()
    }

    pub(crate) fn tiles(&self) -> Vec<(String, Vec<u8>)> {
        let tiles = tiles_of_size(self.levels[0].len() as u64);
        tiles
            .map(|id: TileId| {
                let from = id.index as usize * TILE_WIDTH as usize;
                let hashes = &self.levels[id.level as usize * 8][from..from + id.width as usize];
                (id.to_string(), hashes.iter().flat_map(|hash| *hash.as_bytes()).collect())
            })
            .collect()
    }
}

pub(crate) fn bundles(leaves: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let bundles = (0..).zip(leaves.chunks(TILE_WIDTH as usize));
    bundles
        .map(|(index, leaves)| {
            let mut bundle = Vec::new();
            leaves.iter().for_each(|leaf| encode_entry(&mut bundle, leaf).unwrap());
            (EntriesId { index, width: leaves.len() as u16 }.to_string(), bundle)
        })
        .collect()
}
