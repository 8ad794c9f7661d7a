//! The end of a log and what continues it: nothing follows a `close`, its last checkpoint can still be cosigned, the
//! successor holds every current record, and a key is changed without anybody losing sight of the log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::audit::Auditor;
use crate::cosigners::{cosigned_by, names_on, two_of_three};
use crate::place::{
    ORIGIN, Place, START, close, freeze, image, index, keep, key, moved, numbered, observe, record,
    supersede, tag_name, thaw,
};
use ledger::{
    AppendError, Appended, CreateError, Fault, Ledger, NotRecorded, OpenError, Options, Point, ReadOnly,
    fsck, make_next_key,
};
use taglog::{Leaf, SupersedeRule};
use tlog::{KeyAlgorithm, SigningKey};

fn is_closed<T>(answer: &Result<T, AppendError>) -> bool {
    matches!(answer, Err(AppendError::ReadOnly(ReadOnly::Closed)))
}

#[tokio::test]
async fn nothing_follows_a_close_but_its_index() {
    let place = Place::new();
    let ledger = place.open();
    let mut auditor = Auditor::default();
    ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
    let closed = ledger.append(close()).await.unwrap();
    assert!(matches!(closed, Appended::Closed { index: 4, time: START }), "{closed:?}");
    for _ in 0..2 {
        assert_eq!(ledger.read_only(), Some(&ReadOnly::Closed));
        assert!(is_closed(&ledger.append(freeze(&numbered(1), &image("1"))).await));
        assert!(is_closed(&ledger.append(moved(&numbered(0), &image("0"), &image("1"))).await));
        assert!(is_closed(&ledger.append(close()).await));
        assert!(!ledger.health().is_ready());
    }
    let audited = auditor.audit(&ledger);
    assert_eq!(audited.size, 6);
    assert!(matches!(audited.leaves[4], Leaf::Close { .. }));
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.read_only(), Some(&ReadOnly::Closed));
    assert!(is_closed(&ledger.append(freeze(&numbered(1), &image("1"))).await));
    assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_some());
    auditor.audit(&ledger);
    drop(ledger);
    assert!(fsck(&place.options(), |_| ()).unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_submitted_together_with_a_close_is_before_it_or_refused() {
    let place = Place::new();
    let ledger = place.open();
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let submission = if i == 50 { close() } else { freeze(&numbered(i), &image("one")) };
            let ledger = ledger.clone();
            tokio::spawn(async move { (i, ledger.append(submission).await) })
        })
        .collect();
    for task in tasks {
        let (i, answer) = task.await.unwrap();
        let recorded = ledger.lookup(&key(&numbered(i))).unwrap().is_some();
        assert!(i == 50 || recorded != is_closed(&answer), "{i}: {answer:?}");
    }
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_close_that_was_not_committed_closes_nothing() {
    let place = Place::new();
    let ledger = place.open();
    place.fail(Point::Commit, Fault::Full);
    assert!(matches!(ledger.append(close()).await, Err(AppendError::Store(_))));
    assert!(ledger.read_only().is_none());
    assert!(matches!(ledger.append(freeze(&numbered(0), &image("0"))).await, Ok(Appended::Recorded(_))));
    place.fail(Point::Guard, Fault::Lost);
    assert!(matches!(ledger.append(close()).await, Err(AppendError::Store(_))));
    // It is in the store by now, and the next batch finds it there.
    assert!(is_closed(&ledger.append(freeze(&numbered(1), &image("1"))).await));
    assert_eq!(ledger.read_only(), Some(&ReadOnly::Closed));
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn the_last_checkpoint_of_a_closed_log_can_still_be_cosigned() {
    let mut place = Place::new();
    place.publication = two_of_three();
    {
        let ledger = place.open();
        ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
        ledger.append(close()).await.unwrap();
        assert!(ledger.published().is_err());
        let signed = ledger.signed().borrow().clone();
        cosigned_by(&ledger, &signed, &["w1"]).await;
    }
    let ledger = place.open();
    let signed = ledger.signed().borrow().clone();
    cosigned_by(&ledger, &signed, &["w2"]).await;
    assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w2"]);
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_closed_log_still_keeps_manifests_of_its_records() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, child) = (numbered(0), image("child"));
    ledger.append(freeze(&tag, &index(&[&child]))).await.unwrap();
    ledger.append(close()).await.unwrap();
    assert!(matches!(ledger.append(keep(&tag, &child)).await, Ok(Appended::Kept)));
    assert!(ledger.manifest(&tag.name, &child.digest()).unwrap().is_some());
    let stranger = ledger.append(keep(&tag, &image("stranger"))).await;
    assert!(matches!(stranger, Ok(Appended::NotRecorded(NotRecorded::NotWanted))));
}

/// Rule I bounds how many leaves may lie between two index leaves, also where a log begins with many.
#[tokio::test]
async fn a_successor_of_many_records_has_an_index_leaf_among_them() {
    let (place, next) = (Place::new(), Place::empty());
    let ledger = place.open();
    let tasks: Vec<_> = (0..1_030)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&numbered(i), &image("the same")));
            tokio::spawn(async move { ledger.append(submission).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    ledger.append(close()).await.unwrap();
    let options = second(&next);
    Ledger::init_successor(&options, &ledger, |_, _| ()).unwrap();
    let audited = Auditor::default().audit(&Ledger::open(options).unwrap());
    let indexes = audited.leaves.iter().filter(|leaf| matches!(leaf, Leaf::Index { .. })).count();
    assert_eq!((audited.leaves.len(), indexes), (1 + 1 + 1_030 + 2, 3));
}

#[tokio::test]
async fn a_successor_continues_with_every_current_record() {
    for rule in [SupersedeRule::Operator, SupersedeRule::Never] {
        let (place, mut next) = (Place::new(), Place::empty());
        next.supersede = rule;
        let ledger = place.open();
        let (child, grandchild) = (image("child"), image("grandchild"));
        let middle = index(&[&grandchild]);
        let top = index(&[&child, &middle]);
        let with_children = tag_name("ghcr.io/org/multi", "v1");
        for submission in [
            freeze(&numbered(0), &image("frozen")),
            freeze(&with_children, &top),
            keep(&with_children, &middle),
            keep(&with_children, &grandchild),
            freeze(&numbered(1), &image("old")),
            freeze(&numbered(2), &image("thawed")),
            observe(&numbered(3), &image("seen 1")),
            freeze(&numbered(4), &image("thawed too")),
            moved(&numbered(0), &image("frozen"), &image("elsewhere")),
        ] {
            ledger.append(submission).await.unwrap();
        }
        place.wait(1000);
        for submission in [
            supersede(&numbered(1), &image("old"), &image("new")),
            thaw(&numbered(2), &image("thawed")),
            observe(&numbered(3), &image("seen 2")),
            thaw(&numbered(4), &image("thawed too")),
            observe(&numbered(4), &image("moved on")),
        ] {
            ledger.append(submission).await.unwrap();
        }
        let early = Ledger::init_successor(&second(&next), &ledger, |_, _| ());
        assert!(matches!(early, Err(CreateError::NotClosed { .. })), "{early:?}");
        ledger.append(close()).await.unwrap();
        next.clock.store(
            place.clock.load(std::sync::atomic::Ordering::SeqCst) + 5,
            std::sync::atomic::Ordering::SeqCst,
        );

        let options = second(&next);
        let mut calls = Vec::new();
        let made =
            Ledger::init_successor(&options, &ledger, |done, total| calls.push((done, total))).unwrap();
        assert_eq!((calls.first(), calls.last()), (Some(&(0, 6)), Some(&(6, 6))));
        let successor = Ledger::open(options.clone()).unwrap();
        assert_eq!(successor.verifier_key(), &made);

        let audited = Auditor::default().audit(&successor);
        let end = ledger.published().unwrap();
        let Leaf::Log { supersede, previous: Some(previous) } = &audited.leaves[0] else { panic!() };
        assert_eq!((*supersede, previous.origin.as_str()), (rule, ORIGIN));
        assert_eq!((previous.size, previous.root), (end.size, end.root));
        for i in 0..5 {
            let key = key(&numbered(i));
            let (before, after) =
                (ledger.lookup(&key).unwrap().unwrap(), successor.lookup(&key).unwrap().unwrap());
            assert_eq!(before.digest(), after.digest(), "{i}");
            assert_eq!((before.is_frozen(), before.time()), (after.is_frozen(), after.time()), "{i}");
            assert!(successor.manifest(&numbered(i).name, &after.digest()).unwrap().is_some(), "{i}");
        }
        let kinds =
            |i: usize| audited.of(&numbered(i)).iter().map(|leaf| leaf.kind().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (kinds(0), kinds(1), kinds(3)),
            (vec!["tag".to_owned()], vec!["tag".to_owned()], vec!["seen".to_owned()])
        );
        let thawed: &[&str] = if rule == SupersedeRule::Operator { &["tag", "thaw"] } else { &["seen"] };
        assert_eq!(
            (kinds(2), kinds(4)),
            (
                thawed.iter().map(ToString::to_string).collect(),
                thawed.iter().map(ToString::to_string).collect()
            )
        );
        // Children come along as far as they were kept; one that was not is still wanted.
        for manifest in [&top, &middle, &grandchild] {
            assert!(successor.manifest(&with_children.name, &manifest.digest()).unwrap().is_some());
        }
        assert!(successor.wants_manifest(&with_children.name, &child.digest()).unwrap());

        // What was thawed stays observed where the rules can say so; otherwise the policy decides anew.
        let again = record(successor.append(freeze(&numbered(2), &image("later"))).await.unwrap());
        assert_eq!(again.is_frozen(), rule == SupersedeRule::Never);
        assert!(matches!(
            successor.append(freeze(&numbered(0), &image("later"))).await,
            Ok(Appended::Existing(_))
        ));
        Auditor::default().audit(&successor);
        drop(successor);
        assert!(fsck(&options, |_| ()).unwrap().is_sound());
    }
}

#[tokio::test]
async fn a_successor_of_an_empty_log_has_size_2_and_needs_a_directory_of_its_own() {
    let (place, next) = (Place::new(), Place::empty());
    let ledger = place.open();
    ledger.append(close()).await.unwrap();
    assert!(matches!(Ledger::init_successor(&second(&place), &ledger, |_, _| ()), Err(CreateError::Lock(_))));
    let same_name = Ledger::init_successor(&next.options(), &ledger, |_, _| ());
    assert!(matches!(same_name, Err(CreateError::SameName { .. })), "{same_name:?}");
    Ledger::init_successor(&second(&next), &ledger, |_, _| ()).unwrap();
    assert_eq!(Auditor::default().audit(&Ledger::open(second(&next)).unwrap()).size, 2);
    let again = Ledger::init_successor(&second(&next), &ledger, |_, _| ());
    assert!(matches!(again, Err(CreateError::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn many_records_are_carried_over() {
    let (place, next) = (Place::new(), Place::empty());
    let ledger = place.open();
    for i in 0..600 {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
    ledger.append(close()).await.unwrap();
    Ledger::init_successor(&second(&next), &ledger, |_, _| ()).unwrap();
    let successor = Ledger::open(second(&next)).unwrap();
    assert_eq!(Auditor::default().audit(&successor).size, 603);
    let made = successor.append(freeze(&numbered(700), &image("new"))).await;
    assert!(matches!(made, Ok(Appended::Recorded(_))));
    Auditor::default().audit(&successor);
}

/// A log of another name.
fn second(place: &Place) -> Options {
    Options { origin: Some("tlog.example/second".to_owned()), ..place.options() }
}

#[tokio::test]
async fn a_closed_log_needs_its_key_no_more() {
    let (place, next) = (Place::new(), Place::empty());
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
    ledger.append(close()).await.unwrap();
    drop(ledger);
    fs::remove_file(place.data().join("log.key")).unwrap();
    let ledger = place.open();
    assert_eq!(ledger.read_only(), Some(&ReadOnly::Closed));
    assert!(is_closed(&ledger.append(keep(&numbered(0), &image("0"))).await));
    Ledger::init_successor(&second(&next), &ledger, |_, _| ()).unwrap();
    drop(ledger);
    fs::remove_file(place.data().join("guard")).unwrap();
    let ledger = place.open();
    assert!(matches!(ledger.read_only(), Some(ReadOnly::GuardMissing { .. })));
}

#[tokio::test]
async fn a_second_key_is_made_for_the_log_that_is_there_and_never_over_another() {
    let place = Place::new();
    let ledger = place.open();
    assert!(matches!(make_next_key(&place.options()), Err(CreateError::NextKeyUnset)));
    let path = place.directory.path().join("next.key");
    let with = |path: &std::path::Path| Options { next_key_file: Some(path.to_owned()), ..place.options() };
    // Beside the running server.
    let made = make_next_key(&Options { origin: None, ..with(&path) }).unwrap();
    assert_eq!(made.name(), ORIGIN);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = make_next_key(&with(&path));
    assert!(matches!(again, Err(CreateError::KeyExists { .. })), "{again:?}");
    let nowhere = make_next_key(&with(&path.join("below")));
    assert!(matches!(nowhere, Err(CreateError::File { .. })), "{nowhere:?}");
    let other = Options { origin: Some("other.example/log".to_owned()), ..with(&place.data().join("next")) };
    let other = make_next_key(&other);
    assert!(matches!(other, Err(CreateError::Open(OpenError::OriginDiffers { .. }))), "{other:?}");
    let empty = make_next_key(&Options { next_key_file: Some(path.clone()), ..Place::empty().options() });
    assert!(matches!(empty, Err(CreateError::Open(OpenError::NoLog { .. }))), "{empty:?}");
    drop(ledger);
    let ledger = Ledger::open(with(&path)).unwrap();
    assert_eq!(ledger.verifier_keys()[1], made);
}

/// Writes a new key for the log and returns where.
fn another_key(place: &Place, name: &str, seed: u8) -> std::path::PathBuf {
    let path = place.directory.path().join(format!("{seed}.key"));
    let key = SigningKey::from_seed(name, KeyAlgorithm::Ed25519, &[seed; 32]).unwrap();
    fs::write(&path, key.to_private_form() + "\n").unwrap();
    path
}

#[tokio::test]
async fn a_planned_key_change_is_accepted_by_whoever_trusts_either_key() {
    let place = Place::new();
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
    let old = ledger.verifier_key().clone();
    let mut auditor = Auditor::default();
    auditor.audit(&ledger);
    drop(ledger);

    let next = another_key(&place, ORIGIN, 9);
    // A key that the log does not know yet cannot take the place of its own.
    let unknown = Options { key_file: Some(next.clone()), ..place.options() };
    assert!(matches!(Ledger::open(unknown.clone()), Err(OpenError::OtherKey { .. })));

    let both = Options { next_key_file: Some(next.clone()), ..place.options() };
    let ledger = Ledger::open(both.clone()).unwrap();
    let [first, second] = &ledger.verifier_keys()[..] else { panic!("{:?}", ledger.verifier_keys()) };
    assert_eq!((first, ledger.verifier_key()), (&old, &old));
    let check = |ledger: &Ledger, tag| {
        for key in [first, second] {
            let proof = ledger.tag_proof(&tag).unwrap();
            assert!(taglog::verify(&proof, &tag, key).unwrap().current.is_some());
        }
    };
    check(&ledger, numbered(0));
    ledger.append(freeze(&numbered(1), &image("1"))).await.unwrap();
    check(&ledger, numbered(1));
    auditor.audit(&ledger);
    drop(ledger);
    assert!(fsck(&both, |_| ()).unwrap().is_sound());

    // The new key takes its place; the old one is retired.
    let ledger = Ledger::open(unknown.clone()).unwrap();
    assert_eq!(ledger.verifier_key(), second);
    check(&ledger, numbered(1));
    ledger.append(freeze(&numbered(2), &image("2"))).await.unwrap();
    let proof = ledger.tag_proof(&numbered(2)).unwrap();
    assert!(taglog::verify(&proof, &numbered(2), second).is_ok());
    assert!(taglog::verify(&proof, &numbered(2), first).is_err());
    auditor.audit(&ledger);
    drop(ledger);
    assert!(fsck(&unknown, |_| ()).unwrap().is_sound());
    assert!(Ledger::open(unknown).unwrap().read_only().is_none(), "the guard has followed");
}

#[tokio::test]
async fn a_second_key_must_be_there_and_of_this_log() {
    let place = Place::new();
    let with = |path| Options { next_key_file: Some(path), ..place.options() };
    let other = with(another_key(&place, "other.example/log", 8));
    assert!(matches!(Ledger::open(other), Err(OpenError::OtherKey { .. })));
    let missing = Ledger::open(with(place.directory.path().join("missing"))).unwrap();
    assert!(matches!(missing.read_only(), Some(ReadOnly::KeyMissing { .. })));
    drop(missing);
    let own = Ledger::open(with(place.data().join("log.key"))).unwrap();
    assert_eq!(own.verifier_keys().len(), 1, "the same key twice is one key");
}

#[tokio::test]
async fn a_checkpoint_cosigned_before_a_key_change_is_still_published_after_it() {
    let mut place = Place::new();
    place.publication = two_of_three();
    let next = another_key(&place, ORIGIN, 9);
    {
        let ledger = place.open();
        ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
        let signed = ledger.signed().borrow().clone();
        cosigned_by(&ledger, &signed, &["w1", "w2"]).await;
        ledger.append(freeze(&numbered(1), &image("1"))).await.unwrap();
    }
    drop(Ledger::open(Options { next_key_file: Some(next.clone()), ..place.options() }).unwrap());
    let ledger = Ledger::open(Options { key_file: Some(next), ..place.options() }).unwrap();
    let published = ledger.published().unwrap();
    assert_eq!((published.size, names_on(&published.note)), (4, vec!["w1".to_owned(), "w2".to_owned()]));
    assert!(ledger.health().is_ready());
    let signed = ledger.signed().borrow().clone();
    cosigned_by(&ledger, &signed, &["w1", "w2"]).await;
    Auditor::default().audit(&ledger);
}

/// Whoever has the retired key, and no other, must not be able to stop the log for good.
#[tokio::test]
async fn a_retired_key_proves_nothing_about_what_came_after_it() {
    let place = Place::new();
    let next = another_key(&place, ORIGIN, 9);
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("0"))).await.unwrap();
    drop(ledger);
    let stolen = fs::read_to_string(place.data().join("log.key")).unwrap();
    let stolen: SigningKey = SigningKey::from_private_form(stolen.trim()).unwrap();
    drop(Ledger::open(Options { next_key_file: Some(next.clone()), ..place.options() }).unwrap());
    let ledger = Ledger::open(Options { key_file: Some(next), ..place.options() }).unwrap();
    ledger.append(freeze(&numbered(1), &image("1"))).await.unwrap();
    let invented = tlog::Checkpoint { origin: ORIGIN.to_owned(), size: 1_000, root: tlog::Hash::of("x") };
    let invented = invented.sign(&stolen).unwrap();
    assert_eq!(ledger.confront(&invented).unwrap(), None);
    ledger.append(freeze(&numbered(2), &image("2"))).await.unwrap();
}
