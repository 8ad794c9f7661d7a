//! The statements on cosigned checkpoints and on the keys of the log.
//! It must not know whether a line or key can be believed (`cosignatures`, `keys`).

use rusqlite::{Connection, OptionalExtension, params};
use tlog::Hash;

use super::{HeadRow, hash, signed, unsigned};
use crate::error::{Doing, Error};

/// A row of `checkpoints`: what was cosigned, with the log's own signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointRow {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
}

/// Keys that sign besides the head's own, or did so before.
pub(crate) fn log_keys(connection: &Connection) -> Result<Vec<String>, Error> {
    connection
        .prepare_cached("SELECT vkey FROM log_keys ORDER BY vkey")
        .and_then(|mut read| read.query_map((), |row| row.get(0))?.collect())
        .doing("read the keys of the log")
}

/// Stores key and note of `head`, whose size and root stay, and the other keys; in a transaction of its own.
pub(crate) fn change_keys(
    connection: &Connection,
    head: &HeadRow,
    others: &[String],
) -> rusqlite::Result<()> {
    let change = rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    let values = params![head.vkey, head.note, signed(head.size), head.root.as_bytes()];
    change.execute("UPDATE head SET vkey = ?, note = ? WHERE id = 1 AND size = ? AND root = ?", values)?;
    change.execute("DELETE FROM log_keys", ())?;
    for key in others {
        change.execute("INSERT INTO log_keys VALUES (?)", [key])?;
    }
    change.commit()
}

/// Sizes of all stored checkpoints, ascending.
pub(crate) fn checkpoints(connection: &Connection) -> Result<Vec<u64>, Error> {
    let doing = "read the cosigned checkpoints";
    let mut read = connection.prepare_cached("SELECT size FROM checkpoints ORDER BY size").doing(doing)?;
    let sizes: Vec<i64> = read.query_map((), |row| row.get(0)).and_then(Iterator::collect).doing(doing)?;
    sizes.into_iter().map(|size| unsigned(size, "a cosigned checkpoint")).collect()
}

pub(crate) fn checkpoint(connection: &Connection, size: u64) -> Result<Option<CheckpointRow>, Error> {
    let row: Option<(Vec<u8>, String)> = connection
        .prepare_cached("SELECT root, note FROM checkpoints WHERE size = ?")
        .and_then(|mut read| read.query_row([signed(size)], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .doing("read a cosigned checkpoint")?;
    row.map(|(root, note)| Ok(CheckpointRow { size, root: hash(&root, "a cosigned checkpoint")?, note }))
        .transpose()
}

pub(crate) fn insert_checkpoint(connection: &Connection, row: &CheckpointRow) -> rusqlite::Result<()> {
    let sql = "INSERT INTO checkpoints VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET root = excluded.root, note = excluded.note";
    let values = params![signed(row.size), row.root.as_bytes(), row.note];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// The signature lines over the checkpoint of `size`.
pub(crate) fn cosignatures(connection: &Connection, size: u64) -> Result<Vec<String>, Error> {
    connection
        .prepare_cached("SELECT line FROM cosignatures WHERE size = ? ORDER BY cosigner")
        .and_then(|mut read| read.query_map([signed(size)], |row| row.get(0))?.collect())
        .doing("read cosignatures")
}

/// Size, cosigner and line of every cosignature.
pub(crate) fn all_cosignatures(connection: &Connection) -> Result<Vec<(u64, String, String)>, Error> {
    let doing = "read cosignatures";
    let mut read = connection
        .prepare("SELECT size, cosigner, line FROM cosignatures ORDER BY size, cosigner")
        .doing(doing)?;
    let rows: Vec<(i64, String, String)> = read
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect)
        .doing(doing)?;
    rows.into_iter()
        .map(|(size, cosigner, line)| Ok((unsigned(size, "a cosignature")?, cosigner, line)))
        .collect()
}

/// Keeps the newest line of each cosigner; whether this is a newer one.
pub(crate) fn insert_cosignature(
    connection: &Connection,
    size: u64,
    cosigner: &str,
    time: u64,
    line: &str,
) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO cosignatures VALUES (?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET time = excluded.time, line = excluded.line WHERE excluded.time > time";
    connection
        .prepare_cached(sql)?
        .execute(params![signed(size), cosigner, signed(time), line])
        .map(|rows| rows > 0)
}

/// Forgets the cosignatures of checkpoints below `from`, and of all but the newest `most`, but never those of `kept`.
pub(crate) fn prune_checkpoints(
    connection: &Connection,
    from: u64,
    most: u32,
    kept: [u64; 2],
) -> rusqlite::Result<()> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT size FROM checkpoints ORDER BY size DESC LIMIT 1 OFFSET ?")?
        .query_row([most.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    let from = signed(from).max(first.unwrap_or(0));
    let [a, b] = kept.map(signed);
    for table in ["checkpoints", "cosignatures"] {
        let sql = format!("DELETE FROM {table} WHERE size < ? AND size NOT IN (?, ?)");
        connection.prepare_cached(&sql)?.execute([from, a, b])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn cosignatures_of_no_use_are_forgotten_and_those_shown_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let connection = schema::create(&directory.path().join("ledger.db")).unwrap();
        let left = |from, most, kept| {
            for size in 1..=10 {
                let row = CheckpointRow { size, root: Hash::EMPTY, note: String::new() };
                insert_checkpoint(&connection, &row).unwrap();
                insert_cosignature(&connection, size, "w", 1, "line").unwrap();
            }
            prune_checkpoints(&connection, from, most, kept).unwrap();
            let sizes = checkpoints(&connection).unwrap();
            let cosigned: Vec<u64> =
                all_cosignatures(&connection).unwrap().into_iter().map(|(size, ..)| size).collect();
            assert_eq!(sizes, cosigned);
            sizes
        };
        assert_eq!(left(0, 100, [0, 0]).len(), 10);
        assert_eq!(left(8, 100, [0, 0]), [8, 9, 10]);
        assert_eq!(left(0, 2, [0, 0]), [9, 10]);
        assert_eq!(left(6, 2, [3, 1]), [1, 3, 9, 10]);
    }

    #[test]
    fn the_newest_line_of_a_cosigner_stays() {
        let directory = tempfile::tempdir().unwrap();
        let connection = schema::create(&directory.path().join("ledger.db")).unwrap();
        for (time, line) in [(5, "five"), (7, "seven"), (6, "six")] {
            assert_eq!(insert_cosignature(&connection, 4, "w", time, line).unwrap(), time != 6);
        }
        assert!(!insert_cosignature(&connection, 4, "w", 7, "again").unwrap());
        assert_eq!(cosignatures(&connection, 4).unwrap(), ["seven"]);
    }
}
