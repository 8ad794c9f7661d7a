//! A data directory rebuilt from an export: the same log to the last row, checked leaf by leaf, and never one that would
//! have two histories.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rusqlite::Connection;

use crate::audit::Auditor;
use crate::cosigners::{cosigned_by, names_on, two_of_three};
use crate::place::{
    Place, close, freeze, image, index, keep, key, moved, numbered, observe, supersede, thaw,
};
use ledger::{
    AppendError, Appended, Ledger, LostGuard, Options, ReadOnly, RestoreError, Restored, SourceError,
    exported_checkpoint, exported_leaves, fsck, restore,
};
use tlog::{KeyAlgorithm, SigningKey};

/// A log with something of everything, exported; the place and the directory of the export.
async fn exported(place: &Place) -> PathBuf {
    let ledger = place.open();
    for i in 0..140 {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
    for submission in [
        freeze(&numbered(200), &index(&[&image("child")])),
        observe(&numbered(201), &image("a")),
        observe(&numbered(201), &image("b")),
        moved(&numbered(1), &image("1"), &image("elsewhere")),
        supersede(&numbered(1), &image("1"), &image("new")),
        thaw(&numbered(2), &image("2")),
        observe(&numbered(2), &image("moving")),
        supersede(&numbered(2), &image("moving"), &image("moving")),
        freeze(&numbered(201), &image("c")),
    ] {
        ledger.append(submission).await.unwrap();
    }
    let to = place.directory.path().join("export");
    ledger.export(&to, |_, _| ()).unwrap();
    ledger.close().await;
    to
}

fn from(options: &Options, export: &std::path::Path) -> Result<Restored, RestoreError> {
    let checkpoint = exported_checkpoint(export).unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    restore(options, LostGuard::Refuse, &checkpoint, exported_leaves(export, size), |_, _| ())
}

/// All rows of the tables that the log decides.
fn rows(place: &Place) -> Vec<String> {
    let connection = Connection::open(place.data().join("ledger.db")).unwrap();
    let tables = [
        "SELECT idx, hex(leaf) FROM entries ORDER BY 1",
        "SELECT level || '/' || idx, hex(data) FROM tiles ORDER BY 1",
        "SELECT idx || '/' || first_idx || '/' || had_tag, hex(key) FROM tags ORDER BY 1",
        "SELECT idx, hex(key) FROM changes ORDER BY 1",
        "SELECT hex(key) || hex(recorded), hex(seen) FROM moves ORDER BY 1",
        "SELECT size || vkey || origin || hex(root), note FROM head",
    ];
    let mut all = Vec::new();
    for sql in tables {
        let mut read = connection.prepare(sql).unwrap();
        let rows = read.query_map((), |row| {
            Ok(format!("{:?} {}", row.get::<_, rusqlite::types::Value>(0)?, row.get::<_, String>(1)?))
        });
        all.extend(rows.unwrap().map(Result::unwrap));
    }
    all
}

fn lose_database(place: &Place) {
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _not_there = fs::remove_file(place.data().join(file));
    }
}

#[tokio::test]
async fn a_restored_log_is_the_same_to_the_last_row_and_goes_on() {
    let place = Place::new();
    let export = exported(&place).await;
    let mut auditor = Auditor::default();
    auditor.audit(&place.open());
    let before = rows(&place);
    lose_database(&place);
    let mut calls = Vec::new();
    let checkpoint = exported_checkpoint(&export).unwrap();
    let restored = restore(
        &place.options(),
        LostGuard::Refuse,
        &checkpoint,
        exported_leaves(&export, 300),
        |done, total| {
            calls.push((done, total));
        },
    );
    let restored = restored.unwrap();
    assert_eq!((restored.size, restored.tags), (300, 142));
    assert_eq!(calls.last(), Some(&(300, 300)));
    assert_eq!(rows(&place), before);
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);

    let ledger = place.open();
    assert!(ledger.read_only().is_none());
    auditor.audit(&ledger);
    // Records stand without their manifests, which are kept again once they pass through.
    let (tag, manifest) = (numbered(7), image("7"));
    assert_eq!(ledger.lookup(&key(&tag)).unwrap().unwrap().digest(), manifest.digest());
    assert!(ledger.manifest(&tag.name, &manifest.digest()).unwrap().is_none());
    assert!(ledger.wants_manifest(&tag.name, &manifest.digest()).unwrap());
    assert!(matches!(ledger.append(keep(&tag, &manifest)).await, Ok(Appended::Kept)));
    assert_eq!(ledger.manifest(&tag.name, &manifest.digest()).unwrap().unwrap().bytes, *manifest.bytes());
    assert!(!ledger.wants_manifest(&tag.name, &manifest.digest()).unwrap());
    // So are those that a record meant before, and those that an index names once it is back.
    let (parent, child) = (index(&[&image("child")]), image("child"));
    assert!(ledger.wants_manifest(&numbered(1).name, &image("1").digest()).unwrap());
    assert!(!ledger.wants_manifest(&numbered(200).name, &child.digest()).unwrap());
    assert!(matches!(ledger.append(freeze(&numbered(200), &parent)).await, Ok(Appended::Existing(_))));
    assert!(ledger.manifest(&numbered(200).name, &parent.digest()).unwrap().is_some());
    assert!(ledger.wants_manifest(&numbered(200).name, &child.digest()).unwrap());

    assert!(matches!(ledger.append(freeze(&numbered(7), &image("other"))).await, Ok(Appended::Existing(_))));
    assert!(matches!(ledger.append(freeze(&numbered(500), &image("new"))).await, Ok(Appended::Recorded(_))));
    auditor.audit(&ledger);
}

#[tokio::test]
async fn a_lost_or_damaged_guard_is_made_again_only_if_that_is_wished_and_an_intact_one_is_heeded() {
    let place = Place::new();
    place.open().append(freeze(&numbered(0), &image("0"))).await.unwrap();
    let guard = place.data().join("guard");
    let older = fs::read(&guard).unwrap();
    let export = exported(&place).await;
    for state in ["lost", "damaged", "intact", "behind"] {
        lose_database(&place);
        match state {
            "lost" => fs::remove_file(&guard).unwrap(),
            "damaged" => fs::write(&guard, b"nonsense").unwrap(),
            "behind" => fs::write(&guard, &older).unwrap(),
            _ => {}
        }
        let unguarded = matches!(state, "lost" | "damaged");
        if unguarded {
            let refused = from(&place.options(), &export).unwrap_err();
            assert!(matches!(refused, RestoreError::Unguarded(_)), "{refused}");
            assert!(!place.data().join("ledger.db").exists());
            assert_eq!(fs::read(&guard).ok().as_deref(), (state == "damaged").then_some(&b"nonsense"[..]));
        }
        let checkpoint = exported_checkpoint(&export).unwrap();
        let leaves = exported_leaves(&export, 300);
        let restored = restore(&place.options(), LostGuard::Replace, &checkpoint, leaves, |_, _| ()).unwrap();
        assert_eq!(restored.unguarded, unguarded, "{state}");
        let ledger = place.open();
        assert!(ledger.read_only().is_none(), "{state}: {:?}", ledger.read_only());
        assert_eq!(ledger.published().unwrap().size, 300, "{state}");
        drop(ledger);
        assert!(fsck(&place.options(), |_| ()).unwrap().is_sound(), "{state}");
    }
}

#[tokio::test]
async fn a_copy_older_than_the_guard_is_refused() {
    let place = Place::new();
    let export = exported(&place).await;
    let ledger = place.open();
    ledger.append(freeze(&numbered(500), &image("new"))).await.unwrap();
    drop(ledger);
    lose_database(&place);
    let refused = from(&place.options(), &export).unwrap_err();
    assert!(matches!(refused, RestoreError::Older { found: 300, guard: 302 }), "{refused}");
    assert!(!place.data().join("ledger.db").exists());
}

#[tokio::test]
async fn a_copy_of_another_history_is_refused() {
    let place = Place::new();
    let copy = place.directory.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
    ledger.backup(&copy.join("ledger.db")).unwrap();
    for file in ["guard", "log.key"] {
        fs::copy(place.data().join(file), copy.join(file)).unwrap();
    }
    ledger.append(freeze(&numbered(1), &image("1"))).await.unwrap();
    drop(ledger);
    let other = Ledger::open(Options { data_dir: copy, ..place.options() }).unwrap();
    for i in 5..9 {
        other.append(freeze(&numbered(i), &image("1"))).await.unwrap();
    }
    let export = place.directory.path().join("export");
    other.export(&export, |_, _| ()).unwrap();
    lose_database(&place);
    let refused = from(&place.options(), &export).unwrap_err();
    assert!(matches!(refused, RestoreError::Forked { size: 6 }), "{refused}");
}

#[tokio::test]
async fn what_does_not_hold_together_is_not_restored() {
    let place = Place::new();
    let export = exported(&place).await;
    let exists = from(&place.options(), &export).unwrap_err();
    assert!(matches!(exists, RestoreError::Exists { .. }), "{exists}");
    lose_database(&place);
    // SQLite would take it for a part of the new database.
    let remains = place.data().join("ledger.db-wal");
    fs::write(&remains, b"").unwrap();
    let exists = from(&place.options(), &export).unwrap_err();
    assert!(matches!(&exists, RestoreError::Exists { path } if *path == remains), "{exists}");
    fs::remove_file(&remains).unwrap();
    let checkpoint = exported_checkpoint(&export).unwrap();
    let leaves = || exported_leaves(&export, 300).map(Result::unwrap).collect::<Vec<_>>();
    let with = |checkpoint: &str, leaves: Vec<Vec<u8>>| {
        restore(&place.options(), LostGuard::Refuse, checkpoint, leaves.into_iter().map(Ok), |_, _| ())
            .unwrap_err()
    };
    let mut short = leaves();
    short.pop();
    assert!(matches!(with(&checkpoint, short), RestoreError::Short { found: 299, expected: 300 }));
    let mut swapped = leaves();
    swapped.swap(2, 4);
    assert!(matches!(with(&checkpoint, swapped), RestoreError::Rule(_)));
    let mut other = leaves();
    other[2] = String::from_utf8(other[2].clone()).unwrap().replace("size ", "size 1").into_bytes();
    // The map over it is another, which its index leaf says.
    assert!(matches!(with(&checkpoint, other), RestoreError::Rule(_)));
    let forged = checkpoint.replace("\n300\n", "\n302\n");
    assert!(matches!(with(&forged, leaves()), RestoreError::Checkpoint(_)));
    assert!(matches!(with("nonsense", leaves()), RestoreError::Checkpoint(_)));
    let broken =
        (0..300).map(|i| if i == 9 { Err(SourceError::from("gone")) } else { Ok(leaves()[i].clone()) });
    let broken =
        restore(&place.options(), LostGuard::Refuse, &checkpoint, broken.take(12), |_, _| ()).unwrap_err();
    assert!(matches!(broken, RestoreError::Source { index: 9, .. }), "{broken}");
    let named = Options { origin: Some("other.example/log".to_owned()), ..place.options() };
    assert!(matches!(from(&named, &export), Err(RestoreError::OriginDiffers { .. })));
    let ledger_key = fs::read(place.data().join("log.key")).unwrap();
    let stranger = SigningKey::from_seed("tlog.example/log", KeyAlgorithm::Ed25519, &[5; 32]).unwrap();
    fs::write(place.data().join("log.key"), stranger.to_private_form()).unwrap();
    assert!(matches!(from(&place.options(), &export), Err(RestoreError::Checkpoint(_))));
    fs::remove_file(place.data().join("log.key")).unwrap();
    assert!(matches!(from(&place.options(), &export), Err(RestoreError::KeyMissing { .. })));
    assert!(!place.data().join("ledger.db").exists());
    fs::write(place.data().join("log.key"), ledger_key).unwrap();
    from(&place.options(), &export).unwrap();
    Auditor::default().audit(&place.open());
}

#[tokio::test]
async fn a_restored_log_that_demands_cosignatures_is_published_as_it_was() {
    let mut place = Place::new();
    place.publication = two_of_three();
    let export = place.directory.path().join("export");
    {
        let ledger = place.open();
        ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
        let signed = ledger.signed().borrow().clone();
        cosigned_by(&ledger, &signed, &["w1", "w3"]).await;
        ledger.export(&export, |_, _| ()).unwrap();
    }
    lose_database(&place);
    from(&place.options(), &export).unwrap();
    let ledger = place.open();
    assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w3"]);
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_closed_log_is_restored_as_closed() {
    let place = Place::new();
    let export = place.directory.path().join("export");
    {
        let ledger = place.open();
        ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
        ledger.append(close()).await.unwrap();
        ledger.export(&export, |_, _| ()).unwrap();
    }
    lose_database(&place);
    from(&place.options(), &export).unwrap();
    let ledger = place.open();
    assert_eq!(ledger.read_only(), Some(&ReadOnly::Closed));
    let refused = ledger.append(freeze(&numbered(1), &image("1"))).await;
    assert!(matches!(refused, Err(AppendError::ReadOnly(ReadOnly::Closed))));
    // Its manifests are still kept as they pass, so that it can be served and continued.
    assert!(matches!(ledger.append(keep(&numbered(0), &image("0"))).await, Ok(Appended::Kept)));
    let next = Place::empty();
    let second = Options { origin: Some("tlog.example/second".to_owned()), ..next.options() };
    Ledger::init_successor(&second, &ledger, |_, _| ()).unwrap();
    let successor = Ledger::open(second).unwrap();
    assert!(successor.manifest(&numbered(0).name, &image("0").digest()).unwrap().is_some());
}

#[tokio::test]
async fn an_interrupted_restore_can_be_repeated() {
    let place = Place::new();
    let export = exported(&place).await;
    lose_database(&place);
    fs::write(place.data().join("ledger.db.unfinished"), b"half").unwrap();
    fs::write(place.data().join("ledger.db.unfinished-journal"), b"half").unwrap();
    from(&place.options(), &export).unwrap();
    Auditor::default().audit(&place.open());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_a_bundle_is_found(at: prop::sample::Index, bit in 0_u32..8, second: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let export = {
                let ledger = place.open();
                for i in 0..6 {
                    ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
                }
                let to = place.directory.path().join("export");
                ledger.export(&to, |_, _| ()).unwrap();
                to
            };
            lose_database(&place);
            let file = if second { "checkpoint" } else { "tile/entries/000.p/14" };
            let mut bytes = fs::read(export.join(file)).unwrap();
            // The last line of the checkpoint is noise that nobody can check.
            let length = if second { bytes.windows(8).position(|part| part == " grease.".as_bytes()).unwrap() - 4 } else { bytes.len() };
            let at = at.index(length);
            bytes[at] ^= 1 << bit;
            fs::write(export.join(file), bytes).unwrap();
            let text = fs::read(export.join("checkpoint")).unwrap();
            let Ok(text) = String::from_utf8(text) else { return };
            let refused = restore(&place.options(), LostGuard::Refuse, &text, exported_leaves(&export, 14), |_, _| ());
            assert!(refused.is_err(), "{at}.{bit}");
        });
    }
}
