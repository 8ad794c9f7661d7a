//! Every statement on the tables of `ledger.db`, one function each, typed.
//! It must not know when something is written (`batch`) or whether what was read can be believed (whoever asks).

mod cosigned;

use bytes::Bytes;
use oci::{ManifestType, Name, Sha256Digest};
use rusqlite::{Connection, OptionalExtension, params};
use taglog::TagKey;
use tlog::Hash;

pub(crate) use self::cosigned::{
    CheckpointRow, all_cosignatures, change_keys, checkpoint, checkpoints, cosignatures, insert_checkpoint,
    insert_cosignature, log_keys, prune_checkpoints,
};
use crate::error::{Doing, Error};
use crate::evidence::{Evidence, Pending};

/// The one row of `head`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) origin: String,
    pub(crate) vkey: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
}

/// A row of `tags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TagRow {
    /// The key's current leaf.
    pub(crate) index: u64,
    /// Its first leaf of any kind that the map can point to.
    pub(crate) first: u64,
    /// Whether one of its leaves is a `tag` leaf.
    pub(crate) had_tag: bool,
}

/// A row of `manifests`, not yet believed.
#[derive(Debug)]
pub(crate) struct ManifestRow {
    pub(crate) media_type: ManifestType,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn head(connection: &Connection) -> Result<HeadRow, Error> {
    let row = connection
        .query_row("SELECT origin, vkey, size, root, note FROM head WHERE id = 1", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?, row.get(4)?))
        })
        .optional()
        .doing("read the head")?;
    let (origin, vkey, size, root, note) = row.ok_or_else(|| corrupt("the head"))?;
    Ok(HeadRow { origin, vkey, size: unsigned(size, "the head")?, root: hash(&root, "the head")?, note })
}

pub(crate) fn insert_head(connection: &Connection, head: &HeadRow) -> rusqlite::Result<()> {
    let size = signed(head.size);
    let values = params![head.origin, head.vkey, size, head.root.as_bytes(), head.note];
    connection.execute("INSERT INTO head VALUES (1, ?, ?, ?, ?, ?)", values).map(drop)
}

/// Moves the head from `old` to `size`; false when the head is not at `old`.
pub(crate) fn advance_head(
    connection: &Connection,
    old: u64,
    size: u64,
    root: &Hash,
    note: &str,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE head SET size = ?, root = ?, note = ? WHERE id = 1 AND size = ?";
    let values = params![signed(size), root.as_bytes(), note, signed(old)];
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

pub(crate) fn entry(connection: &Connection, index: u64) -> Result<Option<Vec<u8>>, Error> {
    connection
        .prepare_cached("SELECT leaf FROM entries WHERE idx = ?")
        .and_then(|mut read| read.query_row([signed(index)], |row| row.get(0)).optional())
        .doing("read a leaf")
}

/// Calls `each` with the leaves `from..to` in order; an index that is missing is corruption.
pub(crate) fn entries<E: From<Error>>(
    connection: &Connection,
    from: u64,
    to: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let doing = "read leaves";
    let mut read = connection
        .prepare_cached("SELECT idx, leaf FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx")
        .doing(doing)?;
    let mut rows = read.query([signed(from), signed(to)]).doing(doing)?;
    let mut expected = from;
    while let Some(row) = rows.next().doing(doing)? {
        let index = unsigned(row.get(0).doing(doing)?, "a leaf")?;
        if index != expected {
            break;
        }
        let leaf = row.get_ref(1).doing(doing)?.as_blob().map_err(|_| corrupt(format!("leaf {index}")))?;
        each(index, leaf)?;
        expected += 1;
    }
    if expected < to {
        return Err(corrupt(format!("leaf {expected}")).into());
    }
    Ok(())
}

/// Index of the last row of `entries`.
pub(crate) fn last_entry(connection: &Connection) -> Result<Option<u64>, Error> {
    let last: Option<i64> = connection
        .query_row("SELECT max(idx) FROM entries", (), |row| row.get(0))
        .doing("read the last leaf")?;
    last.map(|index| unsigned(index, "the last leaf")).transpose()
}

pub(crate) fn insert_entry(connection: &Connection, index: u64, leaf: &[u8]) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached("INSERT INTO entries VALUES (?, ?)")?;
    write.execute(params![signed(index), leaf]).map(drop)
}

/// The bytes of a full tile.
pub(crate) fn tile(connection: &Connection, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
    connection
        .prepare_cached("SELECT data FROM tiles WHERE level = ? AND idx = ?")
        .and_then(|mut read| read.query_row(params![level, signed(index)], |row| row.get(0)).optional())
        .doing("read a tile")
}

/// Calls `each` with every full tile of `level` from index `from` on, in order.
pub(crate) fn tiles<E: From<Error>>(
    connection: &Connection,
    level: u8,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let doing = "read tiles";
    let mut read = connection
        .prepare_cached("SELECT idx, data FROM tiles WHERE level = ? AND idx >= ? ORDER BY idx")
        .doing(doing)?;
    let mut rows = read.query(params![level, signed(from)]).doing(doing)?;
    while let Some(row) = rows.next().doing(doing)? {
        let index = unsigned(row.get(0).doing(doing)?, "a tile")?;
        let data =
            row.get_ref(1).doing(doing)?.as_blob().map_err(|_| corrupt(format!("tile {level}/{index}")))?;
        each(index, data)?;
    }
    Ok(())
}

pub(crate) fn insert_tile(
    connection: &Connection,
    level: u8,
    index: u64,
    data: &[u8],
) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached("INSERT INTO tiles VALUES (?, ?, ?)")?;
    write.execute(params![level, signed(index), data]).map(drop)
}

pub(crate) fn tag(connection: &Connection, key: &TagKey) -> Result<Option<TagRow>, Error> {
    let row = connection
        .prepare_cached("SELECT idx, first_idx, had_tag FROM tags WHERE key = ?")
        .and_then(|mut read| {
            read.query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .doing("read a tag")?;
    row.map(|(index, first, had_tag)| {
        let what = "the row of a tag";
        Ok(TagRow { index: unsigned(index, what)?, first: unsigned(first, what)?, had_tag })
    })
    .transpose()
}

/// In which order rows of `tags` come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By key, as a map is built.
    Key,
    /// By the place of the current leaf.
    Place,
}

/// Hands every row of `tags` to `take`; an error while reading ends the rows and is returned.
pub(crate) fn with_tags<T>(
    connection: &Connection,
    order: Order,
    take: impl FnOnce(&mut dyn Iterator<Item = (TagKey, TagRow)>) -> T,
) -> Result<T, Error> {
    let doing = "read all tags";
    let sql = match order {
        Order::Key => "SELECT key, idx, first_idx, had_tag FROM tags ORDER BY key",
        Order::Place => "SELECT key, idx, first_idx, had_tag FROM tags ORDER BY idx",
    };
    let mut read = connection.prepare(sql).doing(doing)?;
    let mut rows = read.query(()).doing(doing)?;
    let mut failed = None;
    let taken = take(&mut std::iter::from_fn(|| match rows.next() {
        Ok(None) => None,
        Ok(Some(row)) => tag_row(row).map_err(|error| failed = Some(error)).ok(),
        Err(source) => {
            failed = Some(Error::Store { doing, source });
            None
        }
    }));
    failed.map_or(Ok(taken), Err)
}

fn tag_row(row: &rusqlite::Row<'_>) -> Result<(TagKey, TagRow), Error> {
    let (doing, what) = ("read all tags", "the row of a tag");
    let key = row.get_ref(0).doing(doing)?.as_blob().map_err(|_| corrupt(what))?;
    let key = TagKey::from_bytes(key.try_into().map_err(|_| corrupt(what))?);
    let index = unsigned(row.get(1).doing(doing)?, what)?;
    let first = unsigned(row.get(2).doing(doing)?, what)?;
    Ok((key, TagRow { index, first, had_tag: row.get(3).doing(doing)? }))
}

/// Claims `key`; a key that is there already is a constraint violation: this is what decides first-seen.
pub(crate) fn insert_tag(connection: &Connection, key: &TagKey, row: TagRow) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached("INSERT INTO tags VALUES (?, ?, ?, ?)")?;
    write.execute(params![key.as_bytes(), signed(row.index), signed(row.first), row.had_tag]).map(drop)
}

/// Points `key` at its next leaf; false when the key is not there.
pub(crate) fn update_tag(connection: &Connection, key: &TagKey, row: TagRow) -> rusqlite::Result<bool> {
    let mut write = connection.prepare_cached("UPDATE tags SET idx = ?, had_tag = ? WHERE key = ?")?;
    Ok(write.execute(params![signed(row.index), row.had_tag, key.as_bytes()])? == 1)
}

/// Indices of the leaves of `key` after its first, `moved` ones included, ascending.
pub(crate) fn changes(connection: &Connection, key: &TagKey) -> Result<Vec<u64>, Error> {
    let found: Vec<i64> = connection
        .prepare_cached("SELECT idx FROM changes WHERE key = ? ORDER BY idx")
        .and_then(|mut read| read.query_map([key.as_bytes()], |row| row.get(0))?.collect())
        .doing("read the history of a tag")?;
    found.into_iter().map(|index| unsigned(index, "the history of a tag")).collect()
}

pub(crate) fn insert_change(connection: &Connection, key: &TagKey, index: u64) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached("INSERT INTO changes VALUES (?, ?)")?;
    write.execute(params![key.as_bytes(), signed(index)]).map(drop)
}

/// Notes a move; false when this very move was noted before.
pub(crate) fn insert_move(
    connection: &Connection,
    key: &TagKey,
    recorded: &Sha256Digest,
    seen: &Sha256Digest,
) -> rusqlite::Result<bool> {
    let mut write = connection.prepare_cached("INSERT OR IGNORE INTO moves VALUES (?, ?, ?)")?;
    Ok(write.execute(params![key.as_bytes(), recorded.as_bytes(), seen.as_bytes()])? == 1)
}

pub(crate) fn is_moved(
    connection: &Connection,
    key: &TagKey,
    recorded: &Sha256Digest,
    seen: &Sha256Digest,
) -> Result<bool, Error> {
    connection
        .prepare_cached("SELECT 1 FROM moves WHERE key = ? AND recorded = ? AND seen = ?")
        .and_then(|mut read| read.exists(params![key.as_bytes(), recorded.as_bytes(), seen.as_bytes()]))
        .doing("read the moves of a tag")
}

/// The manifest `digest`, if it was fetched under `name`.
pub(crate) fn manifest(
    connection: &Connection,
    name: &Name,
    digest: &Sha256Digest,
) -> Result<Option<ManifestRow>, Error> {
    let row: Option<(String, Vec<u8>)> = connection
        .prepare_cached(
            "SELECT media_type, bytes FROM manifests JOIN manifest_names USING (digest)
             WHERE digest = ? AND name = ? AND fetched = 1",
        )
        .and_then(|mut read| {
            read.query_row(params![digest.as_bytes(), name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .doing("read a manifest")?;
    row.map(|(media_type, bytes)| {
        let media_type =
            ManifestType::parse(&media_type).ok_or_else(|| corrupt(format!("the manifest `{digest}`")))?;
        Ok(ManifestRow { media_type, bytes })
    })
    .transpose()
}

/// What is known of `digest` under `name`: nothing, named by an index kept under it, or fetched under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unknown,
    Named,
    Fetched,
}

pub(crate) fn standing(
    connection: &Connection,
    name: &Name,
    digest: &Sha256Digest,
) -> Result<Standing, Error> {
    let fetched: Option<bool> = connection
        .prepare_cached("SELECT fetched FROM manifest_names WHERE digest = ? AND name = ?")
        .and_then(|mut read| {
            read.query_row(params![digest.as_bytes(), name.as_str()], |row| row.get(0)).optional()
        })
        .doing("read the names of a manifest")?;
    Ok(match fetched {
        None => Standing::Unknown,
        Some(false) => Standing::Named,
        Some(true) => Standing::Fetched,
    })
}

/// The earliest leaf that recorded `digest` under `name`, or an index that names it, as far as that was noted.
pub(crate) fn first_index(
    connection: &Connection,
    name: &Name,
    digest: &Sha256Digest,
) -> Result<Option<u64>, Error> {
    let found: Option<Option<i64>> = connection
        .prepare_cached("SELECT idx FROM manifest_names WHERE digest = ? AND name = ?")
        .and_then(|mut read| {
            read.query_row(params![digest.as_bytes(), name.as_str()], |row| row.get(0)).optional()
        })
        .doing("read the first record of a manifest")?;
    found.flatten().map(|index| unsigned(index, "the first record of a manifest")).transpose()
}

/// Bytes to keep.
pub(crate) struct Kept<'a> {
    pub(crate) name: &'a Name,
    pub(crate) digest: &'a Sha256Digest,
    pub(crate) media_type: ManifestType,
    pub(crate) bytes: &'a [u8],
    /// Those that it names, whose bytes are kept once they pass through.
    pub(crate) children: &'a [Sha256Digest],
}

/// Keeps the bytes of a manifest, once, and lets them be served under its name. `index` is the leaf that records it; what
/// was noted of it before stays.
pub(crate) fn insert_manifest(
    connection: &Connection,
    kept: &Kept<'_>,
    index: Option<u64>,
    now: u64,
) -> rusqlite::Result<()> {
    let Kept { name, digest, media_type, bytes, children } = kept;
    connection
        .prepare_cached(
            "INSERT INTO manifests (digest, media_type, bytes, kept) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![digest.as_bytes(), media_type.as_str(), bytes, signed(now)])?;
    let first: Option<i64> = connection
        .prepare_cached(
            "INSERT INTO manifest_names VALUES (?, ?, 1, ?)
             ON CONFLICT DO UPDATE SET fetched = 1, idx = coalesce(idx, excluded.idx) RETURNING idx",
        )?
        .query_row(params![digest.as_bytes(), name.as_str(), index.map(signed)], |row| row.get(0))?;
    let first = first.and_then(|first| u64::try_from(first).ok());
    children.iter().try_for_each(|child| insert_named(connection, name, child, first))
}

/// Notes that the leaf at `index`, or an index kept under `name` which it recorded, names `digest`: its bytes are kept once
/// they pass through.
pub(crate) fn insert_named(
    connection: &Connection,
    name: &Name,
    digest: &Sha256Digest,
    index: Option<u64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO manifest_names VALUES (?, ?, 0, ?)
             ON CONFLICT DO UPDATE SET idx = excluded.idx WHERE idx IS NULL",
        )?
        .execute(params![digest.as_bytes(), name.as_str(), index.map(signed)])
        .map(drop)
}

/// What is about to be recorded of `key`.
pub(crate) fn pending(connection: &Connection, key: &TagKey) -> Result<Option<Pending>, Error> {
    let row: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT digest, prepared FROM pending WHERE key = ?")
        .and_then(|mut read| {
            read.query_row([key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("read what is about to be recorded")?;
    row.map(|(digest, prepared)| {
        let digest: [u8; 32] =
            digest.try_into().map_err(|_| corrupt("a digest that is about to be recorded"))?;
        Ok(Pending { digest: Sha256Digest::from_bytes(digest), prepared: prepared.into() })
    })
    .transpose()
}

/// Puts it in the place of whatever was there.
pub(crate) fn put_pending(connection: &Connection, key: &TagKey, pending: &Pending) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO pending VALUES (?, ?, ?)")?
        .execute(params![key.as_bytes(), pending.digest.as_bytes(), &pending.prepared[..]])
        .map(drop)
}

pub(crate) fn delete_pending(connection: &Connection, key: &TagKey) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM pending WHERE key = ?")?.execute([key.as_bytes()]).map(drop)
}

/// The document about the record in the leaf at `index`.
pub(crate) fn evidence(connection: &Connection, index: u64) -> Result<Option<Bytes>, Error> {
    let document: Option<Vec<u8>> = connection
        .prepare_cached("SELECT document FROM evidence WHERE idx = ?")
        .and_then(|mut read| read.query_row([signed(index)], |row| row.get(0)).optional())
        .doing("read the evidence of a record")?;
    Ok(document.map(Bytes::from))
}

/// Leaves whose evidence has this id, newest first.
pub(crate) fn evidenced_by(connection: &Connection, id: &[u8; 32]) -> Result<Vec<u64>, Error> {
    let found: Vec<i64> = connection
        .prepare_cached("SELECT idx FROM evidence_ids WHERE id = ? ORDER BY idx DESC LIMIT 100")
        .and_then(|mut read| read.query_map([&id[..]], |row| row.get(0))?.collect())
        .doing("read the evidence of a record")?;
    found.into_iter().map(|index| unsigned(index, "the evidence of a record")).collect()
}

pub(crate) fn insert_evidence(
    connection: &Connection,
    index: u64,
    evidence: &Evidence,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO evidence VALUES (?, ?)")?
        .execute(params![signed(index), &evidence.document[..]])?;
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO evidence_ids VALUES (?, ?)")?;
    evidence.ids.iter().try_for_each(|id| insert.execute(params![&id[..], signed(index)]).map(drop))
}

/// Calls `each` with every kept manifest: the digest it is kept under, and its bytes.
pub(crate) fn manifests<E: From<Error>>(
    connection: &Connection,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let doing = "read manifests";
    let mut read = connection.prepare("SELECT digest, bytes FROM manifests ORDER BY id").doing(doing)?;
    let mut rows = read.query(()).doing(doing)?;
    while let Some(row) = rows.next().doing(doing)? {
        let blob = |column| row.get_ref(column).doing(doing)?.as_blob().map_err(|_| corrupt("a manifest"));
        each(blob(0)?, blob(1)?)?;
    }
    Ok(())
}

/// Rows of a table, whose name is one of ours.
pub(crate) fn count(connection: &Connection, table: &'static str) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM {table}");
    let count = connection.query_row(&sql, (), |row| row.get(0)).doing("count rows")?;
    unsigned(count, "a number of rows")
}

/// An error that names what cannot be believed.
pub(crate) fn corrupt(what: impl Into<String>) -> Error {
    Error::Corrupt { what: what.into() }
}

fn hash(bytes: &[u8], what: &str) -> Result<Hash, Error> {
    bytes.try_into().map(Hash::from_bytes).map_err(|_| corrupt(what))
}

fn unsigned(value: i64, what: &str) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| corrupt(what))
}

/// SQLite's integers are signed; what is stored here counts leaves, bytes and seconds and stays far below 2^63.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
