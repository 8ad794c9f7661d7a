//! One signed tree, read from a source: every tile and leaf that it gives is known to belong to the
//! checkpoint.
//!
//! From the right edge downwards, so that a file which does not belong is found at once, together
//! with everything that shows it.

mod authenticated;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use tlog::{
    Checkpoint, EntriesId, Hash, Node, SignedCheckpoint, TILE_WIDTH, TileId, decode_entries,
    prove_consistency, prove_inclusion,
};

pub(crate) use self::authenticated::{Authenticated, Contradiction, bundle_at, edge_of};
use self::authenticated::{frontier_of, tile_of};
use crate::Error;
use crate::cache::Cache;
use crate::evidence::{File, Finding};
use crate::source::{MAX_BUNDLE, Source};

/// A signed tree and the place that its files are read from.
#[derive(Debug)]
pub struct Tree {
    source: Source,
    cache: Option<Cache>,
    signed: SignedCheckpoint,
    tiles: Authenticated,
    /// The bundle that was read last.
    last: Option<Bundle>,
}

/// Files of one bundle as they came, to be authenticated.
#[derive(Debug)]
pub(crate) struct Fetched {
    id: EntriesId,
    /// Nothing for the partial one, which is at hand with the edge.
    tile: Option<Kept>,
    bundle: Kept,
}

/// Bytes, and whether they are from our own copy.
#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    is_ours: bool,
}

/// The leaves of one bundle, which belong to the tree.
#[derive(Clone, Debug)]
pub struct Bundle {
    first: u64,
    width: u16,
    bytes: Bytes,
}

impl Bundle {
    /// The leaves with their places in the log.
    pub fn leaves(&self) -> impl Iterator<Item = (u64, &[u8])> {
        // Decoding was checked when the bundle was authenticated.
        let leaves = decode_entries(&self.bytes, self.width).unwrap_or_default();
        (self.first..).zip(leaves)
    }
}

/// All bundles of a tree, in order.
pub struct Bundles<'a> {
    tree: &'a mut Tree,
    fetched: BoxStream<'static, Result<Fetched, Error>>,
}

impl Bundles<'_> {
    /// The next one; `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`Tree::bundle`].
    pub async fn next(&mut self) -> Result<Option<Bundle>, Error> {
        match self.fetched.next().await {
            Some(fetched) => self.tree.authenticate(fetched?).await.map(Some),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Bundles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bundles").field(&self.tree).finish()
    }
}

impl Tree {
    /// Reads the right edge of the tree that a checkpoint commits to. Whether the checkpoint is
    /// signed by whom it should be is the caller's matter.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Fault`] where the files do not give the root.
    pub async fn open(
        source: &Source,
        cache: Option<&Cache>,
        signed: &SignedCheckpoint,
    ) -> Result<Self, Error> {
        let checkpoint = signed.checkpoint();
        let mut edge = Vec::new();
        for id in edge_of(checkpoint.size) {
            edge.push((id, source.tile(id).await?));
        }
        let tiles = Authenticated::new(checkpoint, edge.iter().map(|(_, bytes)| bytes.clone()));
        let tiles = tiles.map_err(|why| {
            let files = edge.iter().map(|(id, bytes)| File::new(id.to_string(), bytes));
            Finding::files(signed, files.collect(), why.0)
        })?;
        Ok(Self { source: source.clone(), cache: cache.cloned(), signed: signed.clone(), tiles, last: None })
    }

    /// What the tree was authenticated against.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.signed.checkpoint()
    }

    /// The same, as signed.
    pub fn signed(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// Where it is read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How many bundles the tree has.
    pub fn bundles(&self) -> u64 {
        self.checkpoint().size.div_ceil(u64::from(TILE_WIDTH))
    }

    /// The leaves of one bundle.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Fault`] where tile or bundle do not belong to the tree.
    pub async fn bundle(&mut self, index: u64) -> Result<Bundle, Error> {
        if index >= self.bundles() {
            let size = self.checkpoint().size;
            return Err(self.malformed(tlog::Error::OutsideTree { index, size }));
        }
        let first = index * u64::from(TILE_WIDTH);
        if let Some(last) = self.last.as_ref().filter(|last| last.first == first) {
            return Ok(last.clone());
        }
        let fetched = self.fetcher().fetch(index).await?;
        let bundle = self.authenticate(fetched).await?;
        self.last = Some(bundle.clone());
        Ok(bundle)
    }

    /// All bundles from the first on, so many of them fetched ahead of the one that is asked for.
    pub fn all(&mut self, ahead: usize) -> Bundles<'_> {
        let fetched = self.fetcher().ahead(0..self.bundles(), ahead).boxed();
        Bundles { tree: self, fetched }
    }

    /// What fetches ahead, apart from the tree.
    pub(crate) fn fetcher(&self) -> Fetcher {
        Fetcher { source: self.source.clone(), cache: self.cache.clone(), size: self.checkpoint().size }
    }

    /// Takes what was fetched, if it belongs to the tree.
    pub(crate) async fn authenticate(&mut self, fetched: Fetched) -> Result<Bundle, Error> {
        let Fetched { id, tile, bundle } = fetched;
        if let Some(tile) = tile {
            let tile_id = TileId { level: 0, index: id.index, width: id.width };
            self.require(tile_of_parent(tile_id, self.checkpoint().size)).await?;
            self.admit(tile_id, tile).await?;
        }
        let bundle = self.check(id, bundle).await?;
        Ok(Bundle { first: id.index * u64::from(TILE_WIDTH), width: id.width, bytes: bundle })
    }

    /// One leaf.
    ///
    /// # Errors
    ///
    /// As [`Tree::bundle`], and [`tlog::Error::OutsideTree`].
    pub async fn leaf(&mut self, index: u64) -> Result<Vec<u8>, Error> {
        let size = self.checkpoint().size;
        let outside = tlog::Error::OutsideTree { index, size };
        if index >= size {
            return Err(self.malformed(outside));
        }
        let bundle = self.bundle(index / u64::from(TILE_WIDTH)).await?;
        let leaf = bundle.leaves().find(|(at, _)| *at == index).map(|(_, leaf)| leaf.to_vec());
        leaf.ok_or_else(|| self.malformed(outside))
    }

    /// The root of the first `size` leaves.
    ///
    /// # Errors
    ///
    /// As [`Tree::bundle`], and [`tlog::Error::OutsideTree`] for a size beyond the tree.
    pub async fn root_at(&mut self, size: u64) -> Result<Hash, Error> {
        let own = self.checkpoint().size;
        if size > own {
            return Err(self.malformed(tlog::Error::OutsideTree { index: size, size: own }));
        }
        let hashes = self.hashes(frontier_of(size).collect()).await?;
        let hashes = hashes.into_iter().map(|(_, hash)| hash).collect();
        let frontier = tlog::Frontier::from_parts(size, hashes).map_err(|error| self.malformed(error))?;
        Ok(frontier.root())
    }

    /// The proof that the tree begins with its own first `size` leaves.
    ///
    /// # Errors
    ///
    /// As [`Tree::root_at`].
    pub async fn consistency(&mut self, size: u64) -> Result<Vec<Hash>, Error> {
        let own = self.checkpoint().size;
        self.prove(|read| prove_consistency(size, own, &mut |node| read(node))).await
    }

    /// The proof that the leaf at `index` is in the tree.
    ///
    /// # Errors
    ///
    /// As [`Tree::root_at`].
    pub async fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, Error> {
        self.inclusion_at(index, self.checkpoint().size).await
    }

    /// The proof that the leaf at `index` is in the tree of the first `size` leaves.
    ///
    /// # Errors
    ///
    /// As [`Tree::root_at`].
    pub async fn inclusion_at(&mut self, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        self.prove(|read| prove_inclusion(index, size, &mut |node| read(node))).await
    }

    /// Makes a proof: once to learn which hashes it takes, once with them.
    async fn prove(
        &mut self,
        mut proof: impl FnMut(&mut dyn FnMut(Node) -> Result<Hash, tlog::Error>) -> Result<Vec<Hash>, tlog::Error>,
    ) -> Result<Vec<Hash>, Error> {
        let mut nodes = Vec::new();
        let learned = proof(&mut |node| {
            nodes.push(node);
            Ok(Hash::EMPTY)
        });
        learned.map_err(|error| self.malformed(error))?;
        let mut hashes = self.hashes(nodes).await?.into_iter();
        let proof = proof(&mut |node| match hashes.next() {
            Some((of, hash)) if of == node => Ok(hash),
            _ => Err(tlog::Error::OutsideTree { index: node.index, size: 0 }),
        });
        proof.map_err(|error| self.malformed(error))
    }

    async fn hashes(&mut self, nodes: Vec<Node>) -> Result<Vec<(Node, Hash)>, Error> {
        let mut hashes = Vec::with_capacity(nodes.len());
        for node in nodes {
            self.require(tile_of(node, self.checkpoint().size)).await?;
            let hash = self.tiles.hash(node).transpose().map_err(|error| self.malformed(error))?;
            let hash = hash.ok_or_else(|| self.not_at_hand(tile_of(node, self.checkpoint().size)))?;
            hashes.push((node, hash));
        }
        Ok(hashes)
    }

    /// Makes sure that a tile is at hand, with those above it.
    async fn require(&mut self, id: TileId) -> Result<(), Error> {
        let mut wanted = Vec::new();
        let mut at = id;
        while self.tiles.tile(at).is_none() {
            wanted.push(at);
            at = tile_of_parent(at, self.checkpoint().size);
            if at.level > 7 {
                return Err(self.not_at_hand(id));
            }
        }
        for id in wanted.into_iter().rev() {
            let tile = self.fetcher().tile(id).await?;
            self.admit(id, tile).await?;
        }
        Ok(())
    }

    /// Takes a full tile whose parent is at hand; a spoilt copy of our own is fetched again.
    async fn admit(&mut self, id: TileId, tile: Kept) -> Result<(), Error> {
        let mut tile = tile;
        loop {
            match self.tiles.admit(id, &tile.bytes) {
                None => return Err(self.not_at_hand(id)),
                Some(Ok(())) => break,
                Some(Err(why)) if tile.is_ours => {
                    tracing::warn!(tile = %id, why = why.0, "our own copy is spoilt; it is fetched again");
                    tile = Kept { bytes: self.source.tile(id).await?, is_ours: false };
                }
                Some(Err(why)) => return Err(self.caught(id, &id.to_string(), &tile.bytes, why).into()),
            }
        }
        self.keep(&id.to_string(), &tile).await
    }

    async fn check(&mut self, id: EntriesId, bundle: Kept) -> Result<Bytes, Error> {
        let mut bundle = bundle;
        let tile_id = TileId { level: 0, index: id.index, width: id.width };
        loop {
            match self.tiles.check(id, &bundle.bytes) {
                None => return Err(self.not_at_hand(tile_id)),
                Some(Ok(())) => break,
                Some(Err(why)) if bundle.is_ours => {
                    tracing::warn!(bundle = %id, why = why.0, "our own copy is spoilt; it is fetched again");
                    bundle = Kept { bytes: self.source.entries(id).await?, is_ours: false };
                }
                Some(Err(why)) => {
                    return Err(self.caught(tile_id, &id.to_string(), &bundle.bytes, why).into());
                }
            }
        }
        if id.width == TILE_WIDTH {
            self.keep(&id.to_string(), &bundle).await?;
        }
        Ok(bundle.bytes)
    }

    async fn keep(&self, path: &str, kept: &Kept) -> Result<(), Error> {
        match &self.cache {
            Some(cache) if !kept.is_ours => cache.keep(path, &kept.bytes).await,
            _ => Ok(()),
        }
    }

    /// Everything that shows a file not to belong to the tree.
    fn caught(&self, below: TileId, path: &str, bytes: &Bytes, why: Contradiction) -> Finding {
        let edge = self.tiles.edge().map(|(id, bytes)| File::new(id.to_string(), bytes));
        let above = self.tiles.above(below.level, below.index);
        let above = above.into_iter().map(|(id, bytes)| File::new(id.to_string(), bytes));
        let tile = self.tiles.tile(below).filter(|_| below.width == TILE_WIDTH && below.to_string() != path);
        let tile = tile.map(|bytes| File::new(below.to_string(), bytes));
        let files = edge.chain(above).chain(tile).chain([File::new(path.to_owned(), bytes)]).collect();
        Finding::files(&self.signed, files, why.0)
    }

    fn malformed(&self, source: tlog::Error) -> Error {
        Error::Malformed { place: self.source.place(""), source }
    }

    /// Cannot be, as every tile above was asked for first.
    fn not_at_hand(&self, id: TileId) -> Error {
        Error::Missing { place: self.source.place(&id.to_string()) }
    }
}

/// Fetches files of a tree that are authenticated later.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    source: Source,
    cache: Option<Cache>,
    size: u64,
}

impl Fetcher {
    /// Bundles in order, so many of them at the same time.
    pub(crate) fn ahead(
        self,
        bundles: Range<u64>,
        count: usize,
    ) -> impl Stream<Item = Result<Fetched, Error>> + Send + Unpin {
        let fetched = stream::iter(bundles).map(move |index| {
            let fetcher = self.clone();
            async move { fetcher.fetch(index).await }
        });
        Box::pin(fetched.buffered(count.max(1)))
    }

    /// A bundle and its tile.
    pub(crate) async fn fetch(&self, index: u64) -> Result<Fetched, Error> {
        let id = bundle_at(index, self.size);
        let tile = match id.width {
            TILE_WIDTH => Some(self.tile(TileId { level: 0, index, width: id.width }).await?),
            _ => None,
        };
        Ok(Fetched { id, tile, bundle: self.entries(id).await? })
    }

    async fn tile(&self, id: TileId) -> Result<Kept, Error> {
        if let Some(bytes) = self.ours(id.width, &id.to_string(), usize::from(TILE_WIDTH) * 32).await? {
            return Ok(Kept { bytes, is_ours: true });
        }
        Ok(Kept { bytes: self.source.tile(id).await?, is_ours: false })
    }

    async fn entries(&self, id: EntriesId) -> Result<Kept, Error> {
        if let Some(bytes) = self.ours(id.width, &id.to_string(), MAX_BUNDLE).await? {
            return Ok(Kept { bytes, is_ours: true });
        }
        Ok(Kept { bytes: self.source.entries(id).await?, is_ours: false })
    }

    async fn ours(&self, width: u16, path: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        match &self.cache {
            Some(cache) if width == TILE_WIDTH => match cache.read(path, limit).await {
                // Spoilt, so fetched again like any other that is.
                Err(Error::TooLarge { .. }) => Ok(None),
                answer => answer,
            },
            _ => Ok(None),
        }
    }
}

/// The tile that holds a tile's own hash.
fn tile_of_parent(id: TileId, size: u64) -> TileId {
    tile_of(Node { level: (id.level + 1).saturating_mul(8), index: id.index }, size)
}
