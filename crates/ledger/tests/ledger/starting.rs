//! What the start finds: everything as it was left, parts that are missing, a store that was rolled back, bytes that were
//! edited. A log is never begun anew over the remains of another, and nothing is signed on doubt.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::audit::Auditor;
use crate::place::{ORIGIN, Place, freeze, image, key, moved, numbered, observe, supersede};
use ledger::{
    AppendError, Appended, CreateError, Error, Finding, Ledger, LockError, OpenError, Options, ReadOnly,
    fsck, presence,
};
use rusqlite::Connection;
use tlog::{EntriesId, TileId};

async fn filled(place: &Place, tags: std::ops::Range<usize>) {
    let ledger = place.open();
    for i in tags {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
    ledger.close().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn edit(place: &Place, sql: &str) {
    let connection = Connection::open(place.data().join("ledger.db")).unwrap();
    assert!(connection.execute(sql, ()).unwrap() > 0, "{sql} changed nothing");
}

async fn is_read_only(ledger: &Ledger) -> bool {
    let size = ledger.published().unwrap().size;
    let refused = ledger.append(freeze(&numbered(999), &image("new"))).await;
    matches!(refused, Err(AppendError::ReadOnly(_)))
        && ledger.published().unwrap().size == size
        && !ledger.health().is_ready()
}

#[tokio::test]
async fn everything_recorded_is_there_after_a_restart() {
    let place = Place::new();
    let mut auditor = Auditor::default();
    for round in 0..4 {
        let ledger = place.open();
        auditor.audit(&ledger);
        for i in round * 100..(round + 1) * 100 {
            ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
            assert!(ledger.lookup(&key(&numbered(i))).unwrap().is_some());
        }
        auditor.audit(&ledger);
    }
    let ledger = place.open();
    for i in 0..400 {
        let record = ledger.lookup(&key(&numbered(i))).unwrap().unwrap();
        assert_eq!(record.digest(), image(&format!("{i}")).digest());
        assert!(ledger.manifest(&numbered(i).name, &record.digest()).unwrap().is_some());
    }
    drop(ledger);
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.tags, report.manifests, report.leaves), (400, 400, 802));
}

#[test]
fn a_new_log_keeps_its_key_and_store_to_this_user() {
    let place = Place::new();
    for file in ["log.key", "ledger.db", "guard", "lock"] {
        let mode = fs::metadata(place.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let key = fs::read_to_string(place.data().join("log.key")).unwrap();
    assert!(key.starts_with("PRIVATE+KEY+tlog.example/log+"));
}

#[test]
fn a_log_needs_a_name_that_a_key_can_carry() {
    let place = Place::empty();
    let named = |origin: Option<&str>| Options { origin: origin.map(str::to_owned), ..place.options() };
    assert!(matches!(Ledger::init(&named(None)), Err(CreateError::OriginMissing)));
    let long = "a".repeat(256);
    for origin in ["", "a b", "a+b", "ä", "a\nb", &long] {
        assert!(matches!(Ledger::init(&named(Some(origin))), Err(CreateError::Origin { .. })), "{origin}");
    }
    assert!(presence(&place.options()).is_none());
}

#[test]
fn creation_refuses_any_remains_of_another_log() {
    for file in ["log.key", "ledger.db", "guard"] {
        let place = Place::empty();
        fs::create_dir(place.data()).unwrap();
        fs::write(place.data().join(file), b"remains").unwrap();
        let error = Ledger::init(&place.options()).unwrap_err();
        assert!(matches!(&error, CreateError::Exists { path } if path.ends_with(file)), "{error}");
        assert_eq!(fs::read(place.data().join(file)).unwrap(), b"remains");
        assert_eq!(fs::read_dir(place.data()).unwrap().count(), 2, "only the lock was added");
    }
}

#[test]
fn an_interrupted_creation_can_be_repeated() {
    let place = Place::empty();
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("ledger.db.unfinished"), b"half").unwrap();
    Ledger::init(&place.options()).unwrap();
    Auditor::default().audit(&place.open());
}

#[test]
fn a_creation_interrupted_before_its_last_step_is_nothing_of_a_log() {
    for (key, guard) in [("gone", "whole"), ("gone", "blank"), ("blank", "whole"), ("whole", "whole")] {
        let case = format!("key {key}, guard {guard}");
        let place = Place::new();
        let data = place.data();
        fs::rename(data.join("ledger.db"), data.join("ledger.db.unfinished")).unwrap();
        for (file, state) in [("log.key", key), ("guard", guard)] {
            match state {
                "gone" => fs::remove_file(data.join(file)).unwrap(),
                "blank" => fs::write(data.join(file), b"").unwrap(),
                _ => {}
            }
        }
        assert!(matches!(Ledger::open(place.options()), Err(OpenError::NoLog { .. })), "{case}");
        assert!(presence(&place.options()).is_none(), "{case}");
        Ledger::init(&place.options()).unwrap();
        Auditor::default().audit(&place.open());
    }
}

#[test]
fn an_unfinished_database_beside_the_key_or_guard_of_a_log_excuses_nothing() {
    let (place, other) = (Place::new(), Place::new());
    fs::rename(other.data().join("ledger.db"), place.data().join("ledger.db.unfinished")).unwrap();
    fs::remove_file(place.data().join("ledger.db")).unwrap();
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::DatabaseMissing { .. })));
    for file in ["guard", "log.key"] {
        assert!(matches!(Ledger::init(&place.options()), Err(CreateError::Exists { .. })), "without {file}");
        fs::remove_file(place.data().join(file)).unwrap();
    }
    Ledger::init(&place.options()).unwrap();
}

#[test]
fn an_unmounted_volume_is_no_new_log() {
    let place = Place::new();
    let elsewhere = place.directory.path().join("keys");
    fs::create_dir(&elsewhere).unwrap();
    for file in ["log.key", "guard"] {
        fs::rename(place.data().join(file), elsewhere.join(file)).unwrap();
    }
    let (key_file, guard_file) = (Some(elsewhere.join("log.key")), Some(elsewhere.join("guard")));
    let options = Options { key_file, guard_file, ..place.options() };
    Auditor::default().audit(&Ledger::open(options.clone()).unwrap());
    fs::remove_dir_all(place.data()).unwrap();
    for _ in 0..2 {
        let error = Ledger::open(options.clone()).unwrap_err();
        assert!(matches!(error, OpenError::DatabaseMissing { .. }), "{error}");
        assert!(error.to_string().contains("mounted"), "{error}");
        assert!(matches!(Ledger::init(&options), Err(CreateError::Exists { .. })));
    }
}

#[test]
fn an_empty_directory_has_no_log_to_open() {
    let place = Place::empty();
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::NoLog { .. })));
    assert!(matches!(fsck(&place.options(), |_| ()), Err(OpenError::Lock(_) | OpenError::NoLog { .. })));
    fs::create_dir(place.data()).unwrap();
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::NoLog { .. })));
}

#[tokio::test]
async fn a_second_handle_on_the_directory_is_refused_and_names_the_process() {
    let place = Place::new();
    let ledger = place.open();
    let error = Ledger::open(place.options()).unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(error, OpenError::Lock(LockError::Held { process: Some(id), .. }) if id == own),
        "{error}"
    );
    assert!(matches!(fsck(&place.options(), |_| ()), Err(OpenError::Lock(_))));
    let clone = ledger.clone();
    drop(ledger);
    assert!(Ledger::open(place.options()).is_err(), "a clone still holds the lock");
    drop(clone);
    place.open();
}

#[tokio::test]
async fn the_name_of_a_log_is_fixed_when_it_is_made() {
    let place = Place::new();
    let options = Options { origin: Some("other.example/log".to_owned()), ..place.options() };
    let error = Ledger::open(options.clone()).unwrap_err();
    assert!(matches!(&error, OpenError::OriginDiffers { stored, .. } if stored == ORIGIN), "{error}");
    assert_eq!(Ledger::open(Options { origin: None, ..options }).unwrap().origin(), ORIGIN);
}

#[tokio::test]
async fn without_its_key_the_log_serves_and_records_nothing() {
    let place = Place::new();
    filled(&place, 0..10).await;
    fs::remove_file(place.data().join("log.key")).unwrap();
    let ledger = place.open();
    assert!(matches!(ledger.read_only(), Some(ReadOnly::KeyMissing { .. })));
    assert!(is_read_only(&ledger).await);
    Auditor::default().audit(&ledger);
    assert!(!place.data().join("log.key").exists(), "no new key is made");
}

#[tokio::test]
async fn with_the_key_of_another_log_it_is_not_opened() {
    let (place, other) = (Place::new(), Place::new());
    fs::copy(other.data().join("log.key"), place.data().join("log.key")).unwrap();
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::OtherKey { .. })));
    fs::write(place.data().join("log.key"), "no key\n").unwrap();
    let error = Ledger::open(place.options()).unwrap_err();
    assert!(matches!(error, OpenError::Key(_)), "{error}");
}

#[tokio::test]
async fn without_its_guard_or_with_a_damaged_one_the_log_signs_nothing() {
    let place = Place::new();
    filled(&place, 0..10).await;
    let guard = place.data().join("guard");
    fs::write(&guard, vec![7; 8192]).unwrap();
    let ledger = place.open();
    assert!(matches!(ledger.read_only(), Some(ReadOnly::GuardDamaged { .. })));
    assert!(is_read_only(&ledger).await);
    drop(ledger);
    fs::remove_file(&guard).unwrap();
    let ledger = place.open();
    assert!(matches!(ledger.read_only(), Some(ReadOnly::GuardMissing { .. })));
    assert!(is_read_only(&ledger).await);
    Auditor::default().audit(&ledger);
    assert!(!guard.exists(), "no new guard is made");
}

#[tokio::test]
async fn the_guard_of_another_log_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    fs::copy(other.data().join("guard"), place.data().join("guard")).unwrap();
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::Guard(_))));
}

#[tokio::test]
async fn a_database_rolled_back_to_an_older_copy_is_read_only_and_proves_nothing() {
    let place = Place::new();
    filled(&place, 0..10).await;
    let old = place.directory.path().join("old");
    copy(&place.data(), &old);
    filled(&place, 10..20).await;
    fs::copy(old.join("ledger.db"), place.data().join("ledger.db")).unwrap();
    for _ in 0..2 {
        let ledger = place.open();
        assert_eq!(ledger.read_only(), Some(&ReadOnly::RolledBack { head: 22, guard: 42 }));
        assert!(ledger.read_only().unwrap().to_string().contains("tlogistry restore --from"));
        assert!(is_read_only(&ledger).await);
        assert!(ledger.lookup(&key(&numbered(3))).unwrap().is_some());
        assert!(matches!(ledger.tag_proof(&numbered(15)), Err(Error::ReadOnly(_))), "absence would be a lie");
        assert!(matches!(ledger.repository_proof(&numbered(15).name), Err(Error::ReadOnly(_))));
    }
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(matches!(report.findings[..], [Finding::Guard(_)]), "{:?}", report.findings);
}

#[tokio::test]
async fn a_database_that_grew_another_way_after_a_rollback_is_found_out() {
    let place = Place::new();
    filled(&place, 0..10).await;
    let old = place.directory.path().join("old");
    copy(&place.data(), &old);
    filled(&place, 10..12).await;
    let guard = fs::read(place.data().join("guard")).unwrap();
    // The older copy, with its own older guard, records other tags: as many, then more than were lost.
    for tags in [12..14, 14..20] {
        copy(&old, &place.data());
        filled(&place, tags).await;
        copy(&place.data(), &old);
        fs::write(place.data().join("guard"), &guard).unwrap();
        let ledger = place.open();
        assert_eq!(ledger.read_only(), Some(&ReadOnly::Forked { size: 26 }));
        assert!(is_read_only(&ledger).await);
    }
}

#[tokio::test]
async fn a_guard_behind_the_head_is_caught_up() {
    let place = Place::new();
    filled(&place, 0..3).await;
    let guard = fs::read(place.data().join("guard")).unwrap();
    filled(&place, 3..6).await;
    fs::write(place.data().join("guard"), &guard).unwrap();
    drop(place.open());
    assert_ne!(fs::read(place.data().join("guard")).unwrap(), guard);
    assert!(fsck(&place.options(), |_| ()).unwrap().is_sound());
}

#[tokio::test]
async fn a_truncated_database_is_refused() {
    let place = Place::new();
    filled(&place, 0..200).await;
    let path = place.data().join("ledger.db");
    let whole = fs::read(&path).unwrap();
    for keep in [0, 100, whole.len() / 2, whole.len() - 4096] {
        fs::write(&path, &whole[..keep]).unwrap();
        match Ledger::open(place.options()) {
            Err(error) => assert!(!matches!(error, OpenError::NoLog { .. }), "{keep}: {error}"),
            Ok(_) => assert!(!fsck(&place.options(), |_| ()).unwrap().is_sound(), "{keep}"),
        }
    }
}

#[tokio::test]
async fn a_write_ahead_log_that_was_lost_is_a_rollback() {
    let place = Place::new();
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("one"))).await.unwrap();
    // Copied while running: the last batch is only in the write-ahead log.
    let copied = place.directory.path().join("copied");
    copy(&place.data(), &copied);
    drop(ledger);
    let options = Options { data_dir: copied.clone(), ..place.options() };
    Auditor::default().audit(&Ledger::open(options.clone()).unwrap());
    let copied_again = place.directory.path().join("again");
    let _ = fs::remove_dir_all(&copied);
    drop(place.open());
    copy(&place.data(), &copied_again);
    assert!(Ledger::open(Options { data_dir: copied_again, ..options }).is_ok());
}

#[tokio::test]
async fn an_edited_record_is_corrupt_and_never_absent() {
    let place = Place::new();
    filled(&place, 0..10).await;
    edit(&place, "UPDATE entries SET leaf = CAST(replace(leaf, 'time 17', 'time 16') AS BLOB) WHERE idx = 2");
    // Leaf 2 is not in a full tile, so the right edge shows it at the start.
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::Inconsistent { .. })));
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(!report.is_sound());
}

#[tokio::test]
async fn an_edited_leaf_under_a_full_tile_is_found_when_it_is_read() {
    let place = Place::new();
    filled(&place, 0..200).await;
    edit(&place, "UPDATE entries SET leaf = CAST(replace(leaf, 'time 17', 'time 16') AS BLOB) WHERE idx = 2");
    let ledger = place.open();
    let tag = numbered(0);
    assert!(matches!(ledger.lookup(&key(&tag)), Err(Error::Corrupt { .. })));
    assert!(matches!(ledger.tag_proof(&tag), Err(Error::Corrupt { .. })));
    assert!(matches!(ledger.repository_proof(&tag.name), Err(Error::Corrupt { .. })));
    assert!(matches!(ledger.history(&key(&tag)), Err(Error::Corrupt { .. })));
    assert!(matches!(ledger.entries(EntriesId { index: 0, width: 256 }), Err(Error::Corrupt { .. })));
    // The other tags are not drawn into it.
    assert!(ledger.lookup(&key(&numbered(1))).unwrap().is_some());
    let refused = ledger.append(freeze(&tag, &image("0"))).await;
    assert!(matches!(refused, Err(AppendError::Store(_))), "{refused:?}");
    let made = ledger.append(freeze(&numbered(500), &image("new"))).await;
    assert!(matches!(made, Ok(Appended::Recorded(_))));
    assert!(ledger.statistics().corrupt_reads >= 4);
    drop(ledger);
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(report.findings.contains(&Finding::Tile { level: 0, index: 0 }), "{:?}", report.findings);
}

#[tokio::test]
async fn an_edited_tile_is_found_when_it_is_read_and_at_the_start() {
    let place = Place::new();
    filled(&place, 0..300).await;
    // The hash of an index leaf, which the map does not hold.
    edit(
        &place,
        "UPDATE tiles SET data = CAST(substr(data, 1, 32) || zeroblob(32) || substr(data, 65) AS BLOB) WHERE level = 0 AND idx = 0",
    );
    let opened = Ledger::open(place.options());
    assert!(matches!(opened, Err(OpenError::Inconsistent { .. })), "the edge above it is not the root's");
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(report.findings.contains(&Finding::Tile { level: 0, index: 0 }), "{:?}", report.findings);
}

#[tokio::test]
async fn a_tile_edited_while_running_is_not_served() {
    let place = Place::new();
    filled(&place, 0..300).await;
    let ledger = place.open();
    let id = TileId { level: 0, index: 1, width: 256 };
    assert!(ledger.tile(id).unwrap().is_some());
    edit(&place, "UPDATE tiles SET data = zeroblob(8192) WHERE level = 0 AND idx = 1");
    assert!(matches!(ledger.tile(id), Err(Error::Corrupt { .. })));
    assert!(matches!(ledger.entries(EntriesId { index: 1, width: 5 }), Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn an_edited_manifest_is_corrupt_and_the_record_stands() {
    let place = Place::new();
    filled(&place, 0..10).await;
    edit(&place, "UPDATE manifests SET bytes = CAST('{}' AS BLOB) WHERE id = 1");
    let ledger = place.open();
    let (tag, digest) = (numbered(0), image("0").digest());
    assert!(matches!(ledger.manifest(&tag.name, &digest), Err(Error::Corrupt { .. })));
    assert_eq!(ledger.lookup(&key(&tag)).unwrap().unwrap().digest(), digest);
    drop(ledger);
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert_eq!(report.findings, [Finding::Manifest(digest.to_string())]);
}

#[tokio::test]
async fn rows_that_contradict_the_leaves_are_refused_or_found() {
    let refused_at_start = [
        "DELETE FROM tags WHERE idx = 2",
        "UPDATE tags SET idx = 3 WHERE idx = 2",
        "UPDATE tags SET idx = 100000 WHERE idx = 2",
        "UPDATE head SET size = size - 2",
        "UPDATE head SET root = zeroblob(32)",
        "UPDATE head SET note = replace(note, 'tlog.example', 'tlog.invalid')",
        "DELETE FROM head",
        "DELETE FROM entries WHERE idx = (SELECT max(idx) FROM entries)",
        "DELETE FROM entries WHERE idx = 0",
        "INSERT INTO entries SELECT max(idx) + 1, leaf FROM entries",
    ];
    for sql in refused_at_start {
        let place = Place::new();
        filled(&place, 0..5).await;
        edit(&place, sql);
        let opened = Ledger::open(place.options());
        assert!(
            matches!(&opened, Err(OpenError::Inconsistent { .. } | OpenError::Store(Error::Corrupt { .. }))),
            "{sql}: {opened:?}"
        );
        assert!(opened.unwrap_err().to_string().contains("tlogistry fsck"), "{sql}");
        assert!(
            fsck(&place.options(), |_| ()).is_ok_and(|report| !report.is_sound())
                || sql == "DELETE FROM head"
        );
    }
    let found_by_fsck = [
        "UPDATE tags SET had_tag = 0 WHERE idx = 2",
        "UPDATE tags SET first_idx = 4 WHERE idx = 2",
        "DELETE FROM changes",
        "DELETE FROM moves",
        "INSERT INTO moves VALUES (zeroblob(64), zeroblob(32), zeroblob(32))",
        "INSERT INTO changes VALUES (zeroblob(64), 2)",
        "INSERT INTO tiles VALUES (0, 0, zeroblob(8192))",
    ];
    for sql in found_by_fsck {
        let place = Place::new();
        filled(&place, 0..5).await;
        let ledger = place.open();
        ledger.append(moved(&numbered(1), &image("1"), &image("other"))).await.unwrap();
        ledger.append(supersede(&numbered(2), &image("2"), &image("new"))).await.unwrap();
        ledger.append(observe(&numbered(7), &image("7"))).await.unwrap();
        drop(ledger);
        assert!(fsck(&place.options(), |_| ()).unwrap().is_sound());
        edit(&place, sql);
        assert!(!fsck(&place.options(), |_| ()).unwrap().is_sound(), "{sql}");
    }
}

#[tokio::test]
async fn fsck_reports_its_progress_and_a_missing_key_and_guard() {
    let place = Place::new();
    filled(&place, 0..10).await;
    let mut stages = Vec::new();
    let report = fsck(&place.options(), |progress| {
        assert!(progress.done <= progress.total);
        stages.push(progress.stage);
    });
    assert!(report.unwrap().is_sound());
    assert_eq!(stages.len(), 4);
    fs::remove_file(place.data().join("guard")).unwrap();
    fs::remove_file(place.data().join("log.key")).unwrap();
    let report = fsck(&place.options(), |_| ()).unwrap();
    assert!(matches!(report.findings[..], [Finding::Guard(_), Finding::Key(_)]), "{:?}", report.findings);
}

#[tokio::test]
async fn a_newer_database_is_refused_by_this_program() {
    let place = Place::new();
    edit_version(&place, 99);
    let error = Ledger::open(place.options()).unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
}

fn edit_version(place: &Place, version: i32) {
    let connection = Connection::open(place.data().join("ledger.db")).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
}

#[tokio::test]
async fn a_backup_of_the_running_store_opens_as_the_log_it_was() {
    let place = Place::new();
    let ledger = place.open();
    let mut auditor = Auditor::default();
    for i in 0..20 {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
    auditor.audit(&ledger);
    let restored = place.directory.path().join("restored");
    fs::create_dir(&restored).unwrap();
    let backup = restored.join("ledger.db");
    ledger.backup(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(ledger.backup(&backup).is_err(), "a file is never overwritten");
    let from_beside = place.directory.path().join("from-beside.db");
    ledger::backup(&place.options(), &from_beside).unwrap();
    assert_eq!(fs::read(&from_beside).unwrap(), fs::read(&backup).unwrap(), "the open log is no obstacle");
    for file in ["guard", "log.key"] {
        fs::copy(place.data().join(file), restored.join(file)).unwrap();
    }
    let copy = Ledger::open(Options { data_dir: restored.clone(), ..place.options() }).unwrap();
    assert!(copy.read_only().is_none());
    auditor.audit(&copy);
    drop(copy);
    // A backup that has become old is a rollback, and is treated as one.
    ledger.append(freeze(&numbered(20), &image("20"))).await.unwrap();
    fs::copy(place.data().join("guard"), restored.join("guard")).unwrap();
    let copy = Ledger::open(Options { data_dir: restored, ..place.options() }).unwrap();
    assert!(copy.read_only().unwrap().is_rollback());
}
