//! Checks everything in a data directory: every leaf, every tile, the map by full replay, every row, every manifest,
//! head, signature, guard and key. It changes nothing and must not stop at the first thing that is wrong.

use std::fmt;

use oci::Sha256Digest;
use rusqlite::Connection;
use taglog::{Leaf, Replay, TagKey};
use tlog::{Checkpoint, SignatureLine, leaf_hash};

use crate::cosignatures;
use crate::creation::{absent, presence};
use crate::edge::{Edge, FullTile};
use crate::error::{Doing, Error, OpenError};
use crate::guard::Guard;
use crate::keys::Keys;
use crate::lock::DirectoryLock;
use crate::options::Options;
use crate::record::{Entry, Recorded};
use crate::recovery::edge_at;
use crate::schema::{self, Access};
use crate::store::{self, HeadRow, Order, TagRow};

/// Findings listed; more of them are only counted.
const LISTED: usize = 1000;
/// Rows between two calls of the progress function.
const STEP: u64 = 4096;

/// What `fsck` looks at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Pages of the database file.
    Pages,
    /// Leaves, tiles and rules.
    Leaves,
    /// Rows of tags and their history.
    Tags,
    /// Kept manifests.
    Manifests,
}

/// How far `fsck` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being looked at.
    pub stage: Stage,
    /// Rows done.
    pub done: u64,
    /// Rows in all.
    pub total: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// SQLite's own check of the file.
    Pages(String),
    /// The head row does not agree with the leaves.
    Head(String),
    /// The stored checkpoint is not the head's, or not signed by the log.
    Signature,
    /// A leaf is missing, or there are more than the head says.
    Leaf(u64),
    /// A full tile is missing, superfluous or not what the leaves give.
    Tile {
        /// Its level.
        level: u8,
        /// Its index.
        index: u64,
    },
    /// There are more tiles than the size gives.
    SuperfluousTiles(u64),
    /// A rule of the log is broken at this leaf.
    Rule(String),
    /// The row of a tag is not what its leaves say.
    Tag {
        /// The leaf the row points to.
        index: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The number of rows of a table is not what the leaves give.
    Rows {
        /// The table.
        table: &'static str,
        /// Rows in it.
        found: u64,
        /// Rows the leaves give.
        expected: u64,
    },
    /// A kept manifest does not hash to its digest.
    Manifest(String),
    /// A cosigned checkpoint of this size is not one that the log signed.
    Checkpoint(u64),
    /// A cosignature does not verify, or is of no checkpoint.
    Cosignature {
        /// Size of its checkpoint.
        size: u64,
        /// Whose it is, by its own word.
        cosigner: String,
    },
    /// The guard is missing, damaged, of another log, or remembers another tree.
    Guard(String),
    /// The key is missing, malformed or of another log.
    Key(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(why) => write!(f, "the database file: {why}"),
            Self::Head(why) => write!(f, "the head: {why}"),
            Self::Signature => f.write_str("the checkpoint is not the head's, or the log did not sign it"),
            Self::Leaf(index) => write!(f, "leaf {index} is missing, unreadable or beyond the head"),
            Self::Tile { level, index } => write!(f, "tile {level}/{index} is not what the leaves give"),
            Self::SuperfluousTiles(count) => write!(f, "{count} tiles are beyond the head"),
            Self::Rule(why) => write!(f, "a rule of the log is broken: {why}"),
            Self::Tag { index, why } => write!(f, "the row of the tag at leaf {index}: {why}"),
            Self::Rows { table, found, expected } => {
                write!(f, "table `{table}` has {found} rows, the leaves give {expected}")
            }
            Self::Manifest(digest) => write!(f, "the manifest `{digest}` does not hash to its digest"),
            Self::Checkpoint(size) => {
                write!(f, "the log signed no checkpoint as the stored one of size {size}")
            }
            Self::Cosignature { size, cosigner } => {
                write!(f, "the cosignature of `{cosigner}` over the checkpoint of size {size} is not valid")
            }
            Self::Guard(why) | Self::Key(why) => f.write_str(why),
        }
    }
}

/// What `fsck` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Leaves checked.
    pub leaves: u64,
    /// Tags in the replayed map.
    pub tags: u64,
    /// Manifests hashed.
    pub manifests: u64,
    /// What is wrong, at most a thousand of them.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub unlisted: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }
}

/// Checks the data directory of `options`, which no server may have open. `progress` is called now and then.
///
/// # Errors
/// What makes checking impossible: the directory is in use, there is no database, it is not ours or newer, or SQLite
/// cannot read it at all.
pub fn fsck(options: &Options, mut progress: impl FnMut(Progress)) -> Result<Report, OpenError> {
    let _lock = DirectoryLock::acquire(&options.data_dir)?;
    if !presence(options).database {
        return Err(absent(options));
    }
    let path = options.database_path();
    let connection = schema::connect(&path, Access::Write)?;
    schema::migrate(&connection, &path, schema::MIGRATIONS)?;
    let mut report = Report::default();
    progress(Progress { stage: Stage::Pages, done: 0, total: 1 });
    pages(&connection, &mut report)?;
    let head = store::head(&connection)?;
    let replayed = leaves(&connection, &head, options, &mut report, &mut progress)?;
    tags(&connection, &replayed, &mut report, &mut progress)?;
    manifests(&connection, &mut report, &mut progress)?;
    match Keys::stored(&connection, &head)? {
        None => report.add(Finding::Head("a verifier key is malformed".to_owned())),
        Some(keys) => {
            if !keys.have_signed(&head) {
                report.add(Finding::Signature);
            }
            checkpoints(&connection, &head, &keys, &replayed, options, &mut report)?;
            guard(&connection, &head, &keys, options, &mut report);
            // A closed log signs nothing more; its key may be destroyed.
            if !replayed.replay.is_closed() {
                key(&keys, options, &mut report);
            }
        }
    }
    Ok(report)
}

fn pages(connection: &Connection, report: &mut Report) -> Result<(), Error> {
    let doing = "check its pages";
    let mut check = connection.prepare("PRAGMA integrity_check(100)").doing(doing)?;
    let mut rows = check.query(()).doing(doing)?;
    while let Some(row) = rows.next().doing(doing)? {
        let line: String = row.get(0).doing(doing)?;
        if line != "ok" {
            report.add(Finding::Pages(line));
        }
    }
    Ok(())
}

/// What the leaves say.
struct Replayed {
    replay: Replay,
    /// Whether the replay got to the last leaf.
    complete: bool,
    /// Leaves that speak of a tag, `moved` included.
    of_tags: u64,
    moves: u64,
}

fn leaves(
    connection: &Connection,
    head: &HeadRow,
    options: &Options,
    report: &mut Report,
    progress: &mut impl FnMut(Progress),
) -> Result<Replayed, Error> {
    let mut replayed =
        Replayed { replay: Replay::new(options.clock.now()), complete: true, of_tags: 0, moves: 0 };
    let mut edge = Edge::default();
    let mut full = Vec::new();
    let mut tiles = 0;
    let read = store::entries(connection, 0, head.size, |index, bytes| {
        if index.is_multiple_of(STEP) {
            progress(Progress { stage: Stage::Leaves, done: index, total: head.size });
        }
        edge.push(leaf_hash(bytes), &mut full);
        tiles += full.len() as u64;
        for tile in full.drain(..) {
            check_tile(connection, &tile, report)?;
        }
        if replayed.complete
            && let Err(broken) = replayed.replay.leaf(bytes)
        {
            replayed.complete = false;
            report.add(Finding::Rule(broken.to_string()));
        }
        match Leaf::parse(bytes) {
            Ok(Leaf::Moved { name, tag, recorded, seen, .. }) => {
                replayed.of_tags += 1;
                replayed.moves += 1;
                if !store::is_moved(connection, &TagKey::of(&name, &tag), &recorded, &seen)? {
                    report.add(Finding::Tag { index, why: "its `moved` leaf has no row" });
                }
            }
            Ok(Leaf::Tag(_) | Leaf::Seen(_) | Leaf::Supersede { .. } | Leaf::Thaw { .. }) => {
                replayed.of_tags += 1;
            }
            Ok(_) => {}
            Err(_) => report.add(Finding::Leaf(index)),
        }
        Ok::<(), Error>(())
    });
    match read {
        Ok(()) => {}
        Err(Error::Corrupt { .. }) => report.add(Finding::Leaf(edge.size())),
        Err(error) => return Err(error),
    }
    report.leaves = edge.size();
    if store::last_entry(connection)? != head.size.checked_sub(1) {
        report.add(Finding::Leaf(head.size));
    }
    if edge.frontier().map(|frontier| frontier.root()).ok() != Some(head.root) {
        report.add(Finding::Head("its root is not the root of the leaves".to_owned()));
    }
    if replayed.complete
        && let Err(broken) = replayed.replay.published(head.size)
    {
        report.add(Finding::Rule(broken.to_string()));
    }
    let stored = store::count(connection, "tiles")?;
    if stored > tiles {
        report.add(Finding::SuperfluousTiles(stored - tiles));
    }
    Ok(replayed)
}

fn check_tile(connection: &Connection, tile: &FullTile, report: &mut Report) -> Result<(), Error> {
    if store::tile(connection, tile.level, tile.index)?.as_ref() != Some(&tile.data) {
        report.add(Finding::Tile { level: tile.level, index: tile.index });
    }
    Ok(())
}

/// Each row of `tags` against the replayed map and against the leaves of its key.
fn tags(
    connection: &Connection,
    replayed: &Replayed,
    report: &mut Report,
    progress: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let total = store::count(connection, "tags")?;
    let expected = replayed.replay.map().len();
    report.tags = expected;
    let mut done = 0;
    store::with_tags(connection, Order::Key, |rows| {
        for (key, row) in rows {
            if done % STEP == 0 {
                progress(Progress { stage: Stage::Tags, done, total });
            }
            done += 1;
            let replayed_to = replayed.replay.map().get(&key).map(|value| value.index);
            let wrong = if replayed.complete && replayed_to != Some(row.index) {
                Some("it is not what the replayed map says")
            } else {
                check_tag(connection, &key, row)?
            };
            if let Some(why) = wrong {
                report.add(Finding::Tag { index: row.index, why });
            }
        }
        Ok::<(), Error>(())
    })??;
    if replayed.complete {
        let changes = replayed.of_tags.saturating_sub(expected);
        for (table, expected) in [("tags", expected), ("changes", changes), ("moves", replayed.moves)] {
            let found = store::count(connection, table)?;
            if found != expected {
                report.add(Finding::Rows { table, found, expected });
            }
        }
    }
    Ok(())
}

/// What is wrong with the row of `key`, judged by the leaves that its history names.
fn check_tag(connection: &Connection, key: &TagKey, row: TagRow) -> Result<Option<&'static str>, Error> {
    let (mut had_tag, mut current) = (false, None);
    for index in std::iter::once(row.first).chain(store::changes(connection, key)?) {
        if current.is_some_and(|before| before >= index) {
            return Ok(Some("its history is not in order"));
        }
        let Some(bytes) = store::entry(connection, index)? else {
            return Ok(Some("its history names a leaf that is missing"));
        };
        let Ok(leaf) = Leaf::parse(&bytes) else {
            return Ok(Some("its history names a leaf that is malformed"));
        };
        if let Leaf::Moved { name, tag, .. } = &leaf {
            if TagKey::of(name, tag) != *key {
                return Ok(Some("its history names a leaf of another tag"));
            }
            continue;
        }
        had_tag |= matches!(leaf, Leaf::Tag(_));
        let entry = Entry { index, leaf_hash: leaf_hash(&bytes), bytes: bytes.into(), leaf };
        if Recorded::of(entry).is_none_or(|record| record.key() != key) {
            return Ok(Some("its history names a leaf of another tag"));
        }
        current = Some(index);
    }
    Ok(if current != Some(row.index) {
        Some("it does not point to the newest leaf of its history")
    } else if had_tag != row.had_tag {
        Some("whether it was ever frozen is not what its leaves say")
    } else {
        None
    })
}

fn manifests(
    connection: &Connection,
    report: &mut Report,
    progress: &mut impl FnMut(Progress),
) -> Result<(), Error> {
    let total = store::count(connection, "manifests")?;
    store::manifests(connection, |digest, bytes| {
        if report.manifests.is_multiple_of(STEP) {
            progress(Progress { stage: Stage::Manifests, done: report.manifests, total });
        }
        report.manifests += 1;
        if Sha256Digest::of(bytes).as_bytes().as_slice() != digest {
            let named = <[u8; 32]>::try_from(digest).map(Sha256Digest::from_bytes);
            let named = named.map_or_else(|_| "of malformed digest".to_owned(), |digest| digest.to_string());
            report.add(Finding::Manifest(named));
        }
        Ok::<(), Error>(())
    })
}

/// Each cosigned checkpoint against the leaves, each of its cosignatures against the keys of the policies.
fn checkpoints(
    connection: &Connection,
    head: &HeadRow,
    keys: &Keys,
    replayed: &Replayed,
    options: &Options,
    report: &mut Report,
) -> Result<(), OpenError> {
    let cosigners = options.publication.cosigners()?;
    let sizes = store::checkpoints(connection)?;
    for size in &sizes {
        let Some(row) = store::checkpoint(connection, *size)? else { continue };
        let there = *size <= head.size && replayed.replay.published(*size).is_ok();
        let root =
            if there { edge_at(connection, *size)?.frontier().map(|tree| tree.root()).ok() } else { None };
        if root != Some(row.root) || !keys.have_signed_row(&row) {
            report.add(Finding::Checkpoint(*size));
        }
    }
    for (size, cosigner, line) in store::all_cosignatures(connection)? {
        let row = if sizes.contains(&size) { store::checkpoint(connection, size)? } else { None };
        let checkpoint =
            row.map(|row| Checkpoint { origin: head.origin.clone(), size: row.size, root: row.root });
        let line: Option<SignatureLine> = line.parse().ok();
        let stands = match checkpoint.zip(line) {
            None => false,
            // A line of somebody whom no policy names any more cannot be judged, and counts for nothing.
            Some((checkpoint, line)) => {
                cosignatures::verify(&checkpoint, &[line], &cosigners)?.1.refused.is_empty()
            }
        };
        if !stands {
            report.add(Finding::Cosignature { size, cosigner });
        }
    }
    Ok(())
}

fn guard(connection: &Connection, head: &HeadRow, keys: &Keys, options: &Options, report: &mut Report) {
    let mark = match Guard::open(&options.guard_path(), &keys.identities()) {
        Ok((_, mark)) => mark,
        Err(error) => return report.add(Finding::Guard(error.to_string())),
    };
    if mark.size > head.size {
        let why = format!("the guard remembers {} leaves, the database holds {}", mark.size, head.size);
        return report.add(Finding::Guard(why));
    }
    let frontier = edge_at(connection, mark.size).ok().and_then(|edge| edge.frontier().ok());
    if frontier.map(|frontier| frontier.root()) != Some(mark.root) {
        let why = format!("the guard remembers another tree of {} leaves", mark.size);
        report.add(Finding::Guard(why));
    }
}

fn key(keys: &Keys, options: &Options, report: &mut Report) {
    match keys.signer(options) {
        Err(error) => report.add(Finding::Key(error.to_string())),
        Ok(Err(read_only)) => report.add(Finding::Key(read_only.to_string())),
        Ok(Ok(_)) => {}
    }
}
