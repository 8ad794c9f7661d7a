//! The log as static files: the same bytes as the ledger serves, brought up to date without rewriting what never changes,
//! and never over another log or another history.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audit::Auditor;
use crate::cosigners::{cosigned_by, names_on, two_of_three};
use crate::place::{Place, freeze, image, numbered};
use ledger::{
    Error, ExportError, Fault, Ledger, Options, Point, ReadOnly, export, exported_checkpoint, exported_leaves,
};
use tlog::{EntriesId, SignedCheckpoint, TILE_WIDTH, tiles_of_size};

async fn recorded(ledger: &Ledger, tags: std::ops::Range<usize>) {
    for i in tags {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
}

/// Every file that the checkpoint in `directory` needs, against what the ledger serves. Returns its size.
fn check(ledger: &Ledger, directory: &Path) -> u64 {
    let signed: SignedCheckpoint = exported_checkpoint(directory).unwrap().parse().unwrap();
    let size = signed.verify(ledger.verifier_key()).unwrap().size;
    let vkey = fs::read_to_string(directory.join("vkey")).unwrap();
    assert_eq!(vkey, format!("{}\n", ledger.verifier_key()));
    for tile in tiles_of_size(size) {
        let file = fs::read(directory.join(tile.to_string())).unwrap();
        assert_eq!(file, ledger.tile(tile).unwrap().unwrap(), "{tile}");
        if tile.level == 0 {
            let id = EntriesId { index: tile.index, width: tile.width };
            let file = fs::read(directory.join(id.to_string())).unwrap();
            assert_eq!(file, ledger.entries(id).unwrap().unwrap(), "{id}");
        }
    }
    assert_eq!(exported_leaves(directory, size).map(Result::unwrap).count() as u64, size);
    size
}

/// All files below `directory`, with their times of change.
fn files(directory: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let (mut found, mut waiting) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                found.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn an_export_is_what_the_ledger_serves() {
    let place = Place::new();
    let ledger = place.open();
    let to = place.directory.path().join("export/log");
    let mut calls = Vec::new();
    for tags in [0..0, 0..1, 1..140, 140..300] {
        recorded(&ledger, tags).await;
        let exported = ledger.export(&to, |done, total| calls.push((done, total))).unwrap();
        assert_eq!(exported.size, check(&ledger, &to));
        assert!(calls.iter().all(|(done, total)| done <= total));
        assert!(files(&to).iter().all(|(path, _)| !path.to_string_lossy().contains("unfinished")));
    }
}

#[tokio::test]
async fn an_export_writes_only_what_is_new_and_drops_superseded_partial_tiles() {
    let place = Place::new();
    let ledger = place.open();
    let to = place.directory.path().join("log");
    recorded(&ledger, 0..140).await;
    let first = ledger.export(&to, |_, _| ()).unwrap();
    assert_eq!((first.size, first.written, first.compared), (282, 5, 0));
    let again = ledger.export(&to, |_, _| ()).unwrap();
    assert_eq!((again.written, again.compared), (0, 3), "partial files are looked at again");
    let before = files(&to);
    recorded(&ledger, 140..256).await;
    let second = ledger.export(&to, |_, _| ()).unwrap();
    assert_eq!((second.size, second.compared), (514, 0));
    check(&ledger, &to);
    let after = files(&to);
    for (path, changed) in &before {
        let now = after.iter().find(|(now, _)| now == path);
        let path = path.strip_prefix(&to).unwrap().to_string_lossy().into_owned();
        match path.as_str() {
            "checkpoint" | "vkey" => assert!(now.is_some()),
            "tile/0/001.p/26" | "tile/entries/001.p/26" => assert!(now.is_none(), "{path} is superseded"),
            _ => assert_eq!(now.map(|(_, at)| at), Some(changed), "{path} was written again"),
        }
    }
    // Leaves of an older checkpoint are found in the full bundle, where its partial one has gone.
    assert_eq!(exported_leaves(&to, first.size).map(Result::unwrap).count() as u64, first.size);
}

#[tokio::test]
async fn an_interrupted_export_is_taken_up_again() {
    let place = Place::new();
    let ledger = place.open();
    let to = place.directory.path().join("log");
    recorded(&ledger, 0..140).await;
    ledger.export(&to, |_, _| ()).unwrap();
    fs::remove_file(to.join("checkpoint")).unwrap();
    fs::remove_file(to.join("tile/1/000.p/1")).unwrap();
    fs::write(to.join("tile/1/000.p/1.unfinished"), b"half a ti").unwrap();
    fs::write(to.join("checkpoint.unfinished"), b"tlog.example").unwrap();
    let exported = ledger.export(&to, |_, _| ()).unwrap();
    assert_eq!((exported.written, exported.compared), (1, 4));
    check(&ledger, &to);
}

#[tokio::test]
async fn nothing_is_exported_over_files_that_differ() {
    let place = Place::new();
    let ledger = place.open();
    let to = place.directory.path().join("log");
    recorded(&ledger, 0..3).await;
    ledger.export(&to, |_, _| ()).unwrap();
    let checkpoint = exported_checkpoint(&to).unwrap();
    recorded(&ledger, 3..6).await;
    let path = to.join("tile/entries/000.p/14");
    fs::write(&path, b"something else").unwrap();
    let refused = ledger.export(&to, |_, _| ()).unwrap_err();
    assert!(matches!(&refused, ExportError::Differs { path: at } if *at == path), "{refused}");
    assert_eq!(exported_checkpoint(&to).unwrap(), checkpoint, "it still is the log that it was");
}

#[tokio::test]
async fn nothing_is_exported_over_another_log_or_another_history() {
    let (place, other) = (Place::new(), Place::new());
    let to = place.directory.path().join("log");
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let copy = place.directory.path().join("copy");
    fs::create_dir(&copy).unwrap();
    ledger.backup(&copy.join("ledger.db")).unwrap();
    for file in ["guard", "log.key"] {
        fs::copy(place.data().join(file), copy.join(file)).unwrap();
    }
    recorded(&ledger, 3..6).await;
    ledger.export(&to, |_, _| ()).unwrap();
    let exported = exported_checkpoint(&to).unwrap();
    assert!(matches!(other.open().export(&to, |_, _| ()), Err(ExportError::Foreign { .. })));
    // The older copy, with its own guard, knows nothing of what came after it.
    let older = Ledger::open(Options { data_dir: copy, ..place.options() }).unwrap();
    let refused = older.export(&to, |_, _| ());
    assert!(matches!(refused, Err(ExportError::Ahead { there: 14, here: 8, .. })), "{refused:?}");
    recorded(&older, 10..20).await;
    assert!(matches!(older.export(&to, |_, _| ()), Err(ExportError::Forked { .. })));
    fs::write(to.join("checkpoint"), "nonsense").unwrap();
    assert!(matches!(ledger.export(&to, |_, _| ()), Err(ExportError::Foreign { .. })));
    fs::write(to.join("checkpoint"), &exported).unwrap();
    ledger.export(&to, |_, _| ()).unwrap();
    check(&ledger, &to);
}

#[tokio::test]
async fn two_exports_into_one_directory_do_not_mix() {
    let place = Place::new();
    let ledger = place.open();
    let to = place.directory.path().join("log");
    fs::create_dir(&to).unwrap();
    let held = fs::File::open(&to).unwrap();
    held.try_lock().unwrap();
    assert!(matches!(ledger.export(&to, |_, _| ()), Err(ExportError::Busy { .. })));
    drop(held);
    ledger.export(&to, |_, _| ()).unwrap();
}

#[tokio::test]
async fn a_log_is_exported_while_a_server_has_it_open_and_after() {
    let place = Place::new();
    let to = place.directory.path().join("log");
    let ledger = place.open();
    for tags in [0..5, 5..140] {
        recorded(&ledger, tags).await;
        let exported = export(&place.options(), &to, |_, _| ()).unwrap();
        assert_eq!(exported.size, ledger.published().unwrap().size);
        assert_eq!(check(&ledger, &to), exported.size);
    }
    ledger.close().await;
    drop(ledger);
    let exported = export(&place.options(), &to, |_, _| ()).unwrap();
    assert_eq!(exported.written, 0);
    check(&place.open(), &to);
}

#[tokio::test]
async fn only_what_is_published_is_exported() {
    let mut place = Place::new();
    place.publication = two_of_three();
    let to = place.directory.path().join("log");
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    for refused in [ledger.export(&to, |_, _| ()), export(&place.options(), &to, |_, _| ())] {
        assert!(matches!(refused, Err(ExportError::Read(Error::NothingPublished))), "{refused:?}");
    }
    let signed = ledger.signed().borrow().clone();
    cosigned_by(&ledger, &signed, &["w1", "w2"]).await;
    recorded(&ledger, 3..6).await;
    for exported in [ledger.export(&to, |_, _| ()), export(&place.options(), &to, |_, _| ())] {
        assert_eq!(exported.unwrap().size, signed.size);
        assert_eq!(names_on(&exported_checkpoint(&to).unwrap()), ["w1", "w2"]);
        assert_eq!(check(&ledger, &to), signed.size);
    }
}

#[tokio::test]
async fn what_has_not_reached_the_guard_or_was_rolled_back_is_not_exported() {
    let place = Place::new();
    let to = place.directory.path().join("log");
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let old = fs::read(place.data().join("guard")).unwrap();
    place.fail(Point::Guard, Fault::Lost);
    assert!(ledger.append(freeze(&numbered(3), &image("3"))).await.is_err());
    drop(ledger);
    assert!(matches!(export(&place.options(), &to, |_, _| ()), Err(ExportError::Unguarded)));
    let ledger = place.open();
    let copy = place.directory.path().join("copy.db");
    ledger.backup(&copy).unwrap();
    recorded(&ledger, 4..6).await;
    drop(ledger);
    export(&place.options(), &to, |_, _| ()).unwrap();
    assert_ne!(fs::read(place.data().join("guard")).unwrap(), old);
    fs::copy(&copy, place.data().join("ledger.db")).unwrap();
    let refused = export(&place.options(), &to, |_, _| ());
    assert!(matches!(refused, Err(ExportError::ReadOnly(ReadOnly::RolledBack { .. }))), "{refused:?}");
    let ledger = place.open();
    assert!(matches!(ledger.export(&to, |_, _| ()), Err(ExportError::Read(Error::ReadOnly(_)))));
}

#[test]
fn an_empty_directory_has_nothing_to_export() {
    let place = Place::empty();
    let to = place.directory.path().join("log");
    assert!(matches!(export(&place.options(), &to, |_, _| ()), Err(ExportError::Open(_))));
    assert!(!to.exists());
}

#[tokio::test]
async fn an_export_of_several_full_tiles_of_a_level_is_whole() {
    let place = Place::new();
    let ledger = place.open();
    let tasks: Vec<_> = (0..3000)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&numbered(i), &image("one")));
            tokio::spawn(async move { ledger.append(submission).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let to = place.directory.path().join("log");
    let exported = ledger.export(&to, |_, _| ()).unwrap();
    assert!(exported.size > 10 * u64::from(TILE_WIDTH));
    assert_eq!(check(&ledger, &to), exported.size);
    Auditor::default().audit(&ledger);
}
