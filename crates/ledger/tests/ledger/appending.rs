//! What becomes of submissions: first sight, races, moves, re-pins, thawing, time and budgets. After each step an
//! outsider re-reads the whole log.

use std::net::IpAddr;
use std::time::Duration;

use crate::audit::Auditor;
use crate::place::{
    Place, START, freeze, image, index, keep, key, moved, numbered, observation, observe, record, supersede,
    tag_name, thaw,
};
use ledger::{
    AppendError, Appended, Budget, Budgets, ClockError, Ledger, ManifestBytes, NotRecorded, Submission,
};
use oci::TagName;
use taglog::{Leaf, SupersedeRule};

#[tokio::test]
async fn a_new_log_has_size_2_and_no_tag() {
    let place = Place::new();
    let ledger = place.open();
    let audited = Auditor::default().audit(&ledger);
    assert_eq!(audited.size, 2);
    assert!(matches!(audited.leaves[0], Leaf::Log { supersede: SupersedeRule::Operator, .. }));
    assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_none());
    assert!(ledger.history(&key(&numbered(0))).unwrap().is_empty());
    assert!(ledger.health().is_ready(), "{:?}", ledger.health());
}

#[tokio::test]
async fn the_first_sight_of_a_frozen_tag_is_recorded_with_its_manifest() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, manifest) = (numbered(0), image("one"));
    let made = ledger.append(freeze(&tag, &manifest)).await.unwrap();
    assert!(matches!(made, Appended::Recorded(_)));
    let made = record(made);
    assert_eq!(
        (made.index(), made.digest(), made.time(), made.is_frozen()),
        (2, manifest.digest(), START, true)
    );
    assert_eq!(made.manifest(), Some((manifest.media_type(), manifest.bytes().len() as u64)));
    assert_eq!(ledger.lookup(&key(&tag)).unwrap().unwrap(), made);
    let stored = ledger.manifest(&tag.name, &manifest.digest()).unwrap().unwrap();
    assert_eq!((&stored.bytes, stored.media_type), (manifest.bytes(), manifest.media_type()));
    assert_eq!(Auditor::default().audit(&ledger).size, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_first_sights_of_one_tag_make_one_leaf_and_all_get_the_winner() {
    let place = Place::new();
    let ledger = place.open();
    let tag = numbered(0);
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&tag, &image(&format!("racer {}", i % 7))));
            tokio::spawn(async move { ledger.append(submission).await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        made.push(task.await.unwrap());
    }
    let winners = made.iter().filter(|made| matches!(made, Appended::Recorded(_))).count();
    assert_eq!(winners, 1);
    let winner = ledger.lookup(&key(&tag)).unwrap().unwrap();
    assert!(made.into_iter().all(|made| record(made) == winner));
    assert_eq!(Auditor::default().audit(&ledger).of(&tag).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tags_at_once_are_all_recorded_and_provable() {
    let place = Place::new();
    let ledger = place.open();
    let mut auditor = Auditor::default();
    auditor.audit(&ledger);
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&numbered(i), &image(&format!("{i}"))));
            tokio::spawn(async move { ledger.append(submission).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Appended::Recorded(_)));
    }
    let audited = auditor.audit(&ledger);
    assert_eq!(audited.leaves.iter().filter(|leaf| matches!(leaf, Leaf::Tag(_))).count(), 1000);
    assert_eq!(ledger.statistics().leaves, audited.size - 2);
    ledger.close().await;
    drop(ledger);
    auditor.audit(&place.open());
}

#[tokio::test]
async fn a_recorded_tag_appends_nothing_whatever_is_served_for_it() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, first) = (numbered(0), image("one"));
    let made = record(ledger.append(freeze(&tag, &first)).await.unwrap());
    for submission in [freeze(&tag, &first), freeze(&tag, &image("two")), observe(&tag, &image("two"))] {
        let again = ledger.append(submission).await.unwrap();
        assert!(matches!(&again, Appended::Existing(record) if *record == made), "{again:?}");
    }
    assert_eq!(ledger.published().unwrap().size, 4);
    assert!(ledger.manifest(&tag.name, &image("two").digest()).unwrap().is_none());
}

#[tokio::test]
async fn an_observed_tag_is_recorded_at_each_change_and_never_repeats_a_digest() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, one, two) = (numbered(0), image("one"), image("two"));
    assert!(matches!(ledger.append(observe(&tag, &one)).await.unwrap(), Appended::Recorded(_)));
    assert!(matches!(ledger.append(observe(&tag, &one)).await.unwrap(), Appended::Existing(_)));
    assert!(matches!(ledger.append(observe(&tag, &two)).await.unwrap(), Appended::Recorded(_)));
    assert!(matches!(ledger.append(observe(&tag, &one)).await.unwrap(), Appended::Recorded(_)));
    let audited = Auditor::default().audit(&ledger);
    assert_eq!(audited.of(&tag).len(), 3);
    assert!(!ledger.lookup(&key(&tag)).unwrap().unwrap().is_frozen());
}

#[tokio::test]
async fn freezing_an_observed_tag_makes_its_one_tag_leaf() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, one, two) = (numbered(0), image("one"), image("two"));
    ledger.append(observe(&tag, &one)).await.unwrap();
    let made = ledger.append(freeze(&tag, &two)).await.unwrap();
    assert!(matches!(made, Appended::Recorded(_)));
    assert!(record(made).is_frozen());
    assert!(matches!(ledger.append(observe(&tag, &one)).await.unwrap(), Appended::Existing(_)));
    let audited = Auditor::default().audit(&ledger);
    assert!(matches!(audited.of(&tag)[..], [Leaf::Seen(_), Leaf::Tag(_)]));
}

#[tokio::test]
async fn a_move_is_recorded_once_and_only_for_the_frozen_digest() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, one, two, three) = (numbered(0), image("one"), image("two"), image("three"));
    let not_wanted = |made| matches!(made, Appended::NotRecorded(NotRecorded::NotWanted));
    assert!(not_wanted(ledger.append(moved(&tag, &one, &two)).await.unwrap()), "an unknown tag");
    ledger.append(freeze(&tag, &one)).await.unwrap();
    assert!(matches!(ledger.append(moved(&tag, &one, &two)).await.unwrap(), Appended::Evidence { index: 4 }));
    let again = ledger.append(moved(&tag, &one, &two)).await.unwrap();
    assert!(matches!(again, Appended::NotRecorded(NotRecorded::Already)));
    assert!(not_wanted(ledger.append(moved(&tag, &two, &three)).await.unwrap()), "another recorded digest");
    assert!(not_wanted(ledger.append(moved(&tag, &one, &one)).await.unwrap()), "no move at all");
    assert!(matches!(ledger.append(moved(&tag, &one, &three)).await.unwrap(), Appended::Evidence { .. }));
    assert_eq!(ledger.lookup(&key(&tag)).unwrap().unwrap().digest(), one.digest());
    let audited = Auditor::default().audit(&ledger);
    assert!(matches!(audited.of(&tag)[..], [Leaf::Tag(_), Leaf::Moved { .. }, Leaf::Moved { .. }]));
}

#[tokio::test]
async fn an_operator_re_pins_and_thaws_only_by_the_current_digest() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, one, two, three) = (numbered(0), image("one"), image("two"), image("three"));
    let refused = |made| matches!(made, Err(AppendError::NotCurrent { .. }));
    assert!(refused(ledger.append(supersede(&tag, &one, &two)).await), "an unknown tag");
    ledger.append(freeze(&tag, &one)).await.unwrap();
    assert!(refused(ledger.append(supersede(&tag, &two, &three)).await));
    assert!(refused(ledger.append(supersede(&tag, &one, &one)).await));
    assert!(refused(ledger.append(thaw(&tag, &two)).await));
    let pinned = record(ledger.append(supersede(&tag, &one, &two)).await.unwrap());
    assert_eq!((pinned.digest(), pinned.is_frozen()), (two.digest(), true));
    assert!(ledger.manifest(&tag.name, &two.digest()).unwrap().is_some());
    let thawed = record(ledger.append(thaw(&tag, &two)).await.unwrap());
    assert_eq!((thawed.digest(), thawed.is_frozen()), (two.digest(), false));
    assert!(refused(ledger.append(thaw(&tag, &two)).await), "thawed already");
    // A thawed tag is observed whatever the policy says; there is no second `tag` leaf.
    assert!(matches!(ledger.append(freeze(&tag, &two)).await.unwrap(), Appended::Existing(_)));
    let seen = record(ledger.append(freeze(&tag, &three)).await.unwrap());
    assert_eq!((seen.digest(), seen.is_frozen()), (three.digest(), false));
    // Frozen again, even at the digest it has.
    assert!(record(ledger.append(supersede(&tag, &three, &three)).await.unwrap()).is_frozen());
    let audited = Auditor::default().audit(&ledger);
    assert!(matches!(
        audited.of(&tag)[..],
        [Leaf::Tag(_), Leaf::Supersede { .. }, Leaf::Thaw { .. }, Leaf::Seen(_), Leaf::Supersede { .. }]
    ));
}

#[tokio::test]
async fn an_observed_tag_that_was_never_frozen_cannot_be_superseded() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, one, two) = (numbered(0), image("one"), image("two"));
    ledger.append(observe(&tag, &one)).await.unwrap();
    let made = ledger.append(supersede(&tag, &one, &two)).await;
    assert!(matches!(made, Err(AppendError::NotCurrent { current: Some(_), .. })));
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_log_made_with_never_lets_no_operator_change_a_record() {
    let mut place = Place::empty();
    place.supersede = SupersedeRule::Never;
    Ledger::init(&place.options()).unwrap();
    // The configuration of a later day does not change what leaf 0 says.
    place.supersede = SupersedeRule::Operator;
    let ledger = place.open();
    let (tag, one, two) = (numbered(0), image("one"), image("two"));
    ledger.append(freeze(&tag, &one)).await.unwrap();
    assert!(matches!(ledger.append(supersede(&tag, &one, &two)).await, Err(AppendError::Forbidden)));
    assert!(matches!(ledger.append(thaw(&tag, &one)).await, Err(AppendError::Forbidden)));
    assert_eq!(ledger.supersede_rule(), SupersedeRule::Never);
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn manifests_are_served_only_under_the_name_they_were_fetched_for() {
    let place = Place::new();
    let ledger = place.open();
    let (mine, theirs) = (tag_name("ghcr.io/me/app", "v1"), tag_name("ghcr.io/them/secret", "v1"));
    let child = image("child");
    // My index names a manifest of theirs; that alone must not show me its bytes.
    ledger.append(freeze(&theirs, &child)).await.unwrap();
    ledger.append(freeze(&mine, &index(&[&child]))).await.unwrap();
    assert!(ledger.manifest(&mine.name, &child.digest()).unwrap().is_none());
    assert!(ledger.manifest(&theirs.name, &child.digest()).unwrap().is_some());
    assert!(matches!(ledger.append(keep(&mine, &child)).await.unwrap(), Appended::Kept));
    assert!(ledger.manifest(&mine.name, &child.digest()).unwrap().is_some());
}

#[tokio::test]
async fn a_passing_manifest_is_kept_only_if_a_kept_index_names_it() {
    let place = Place::new();
    let ledger = place.open();
    let tag = numbered(0);
    let (grandchild, stranger) = (image("grandchild"), image("stranger"));
    let child = index(&[&grandchild]);
    ledger.append(freeze(&tag, &index(&[&child]))).await.unwrap();
    let size = ledger.published().unwrap().size;
    let outcome = |made| match made {
        Appended::Kept => None,
        Appended::NotRecorded(why) => Some(why),
        other => panic!("{other:?}"),
    };
    let not_wanted = Some(NotRecorded::NotWanted);
    assert_eq!(outcome(ledger.append(keep(&tag, &stranger)).await.unwrap()), not_wanted);
    assert_eq!(
        outcome(ledger.append(keep(&tag, &grandchild)).await.unwrap()),
        not_wanted,
        "its parent comes first"
    );
    assert_eq!(outcome(ledger.append(keep(&tag, &child)).await.unwrap()), None);
    assert_eq!(outcome(ledger.append(keep(&tag, &child)).await.unwrap()), Some(NotRecorded::Already));
    assert_eq!(outcome(ledger.append(keep(&tag, &grandchild)).await.unwrap()), None);
    assert_eq!(ledger.published().unwrap().size, size, "keeping a manifest appends no leaf");
    ledger.close().await;
    drop(ledger);
    assert!(place.open().manifest(&tag.name, &grandchild.digest()).unwrap().is_some());
}

#[tokio::test]
async fn only_a_named_manifest_that_is_not_kept_is_wanted() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, other) = (tag_name("ghcr.io/me/app", "v1"), tag_name("ghcr.io/them/app", "v1"));
    let (child, stranger) = (image("child"), image("stranger"));
    let parent = index(&[&child]);
    let wants = |tag: &TagName, manifest: &ManifestBytes| {
        ledger.wants_manifest(&tag.name, &manifest.digest()).unwrap()
    };
    assert!(!wants(&tag, &child), "nothing is recorded yet");
    ledger.append(freeze(&tag, &parent)).await.unwrap();
    assert!(wants(&tag, &child));
    assert!(!wants(&tag, &stranger) && !wants(&tag, &parent));
    assert!(!wants(&other, &child), "named under another name only");
    ledger.append(keep(&tag, &child)).await.unwrap();
    assert!(!wants(&tag, &child));
    assert!(ledger.manifest(&tag.name, &child.digest()).unwrap().is_some());
    assert!(!wants(&tag, &child));
}

#[tokio::test]
async fn time_never_decreases_while_the_clock_is_a_little_behind() {
    let place = Place::new();
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("one"))).await.unwrap();
    place.clock.store(START - 300, std::sync::atomic::Ordering::SeqCst);
    let made = record(ledger.append(freeze(&numbered(1), &image("two"))).await.unwrap());
    assert_eq!(made.time(), START);
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_clock_far_behind_the_last_leaf_records_nothing_and_is_not_ready() {
    let place = Place::new();
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("one"))).await.unwrap();
    place.clock.store(START - 301, std::sync::atomic::Ordering::SeqCst);
    let refused = ledger.append(freeze(&numbered(1), &image("two"))).await;
    assert!(matches!(refused, Err(AppendError::Clock(ClockError::Behind { .. }))), "{refused:?}");
    assert!(matches!(ledger.append(freeze(&numbered(0), &image("one"))).await, Ok(Appended::Existing(_))));
    assert!(!ledger.health().is_ready());
    drop(ledger);
    let ledger = place.open();
    assert!(!ledger.health().is_ready(), "the last leaf's time outlives the process");
    let refused = ledger.append(freeze(&numbered(1), &image("two"))).await;
    assert!(matches!(refused, Err(AppendError::Clock(ClockError::Behind { .. }))), "{refused:?}");
}

#[tokio::test]
async fn an_upstream_date_a_day_away_records_nothing_until_one_agrees() {
    let place = Place::new();
    let ledger = place.open();
    let dated = |i, date| {
        Submission::Record(ledger::Observation {
            upstream_date: Some(date),
            upstream: "corp.alt".to_owned(),
            ..observation(&numbered(i), &image("one"), true)
        })
    };
    let now = i64::try_from(START).unwrap();
    for date in [now - 86_401, now + 86_401, i64::MIN] {
        let made = ledger.append(dated(0, date)).await;
        assert!(matches!(made, Err(AppendError::Clock(ClockError::FarFromUpstream { .. }))), "{made:?}");
        assert!(!ledger.health().is_ready());
    }
    assert!(matches!(ledger.append(dated(0, now - 86_400)).await, Ok(Appended::Recorded(_))));
    assert!(ledger.health().is_ready());
}

#[tokio::test]
async fn a_registry_of_anybodys_choice_does_not_make_the_ledger_unready_with_its_date() {
    let place = Place::new();
    let ledger = place.open();
    let dated = Submission::Record(ledger::Observation {
        upstream_date: Some(0),
        ..observation(&numbered(0), &image("one"), true)
    });
    let made = ledger.append(dated).await;
    assert!(matches!(made, Err(AppendError::Clock(ClockError::FarFromUpstream { .. }))), "{made:?}");
    assert!(ledger.health().is_ready());
}

#[tokio::test]
async fn a_client_beyond_its_budget_gets_no_new_tag_but_every_recorded_one() {
    let mut place = Place::new();
    place.limits = Budgets { new_records_per_client_per_day: 2, ..Budgets::UNLIMITED };
    let ledger = place.open();
    let client: IpAddr = "192.0.2.7".parse().unwrap();
    let by = |i| {
        Submission::Record(ledger::Observation {
            client: Some(client),
            ..observation(&numbered(i), &image("one"), true)
        })
    };
    ledger.append(by(0)).await.unwrap();
    ledger.append(by(1)).await.unwrap();
    let made = ledger.append(by(2)).await;
    let Err(AppendError::Budget { budget: Budget::Client, limit: 2, retry_after }) = made else {
        panic!("{made:?}");
    };
    assert!(matches!(ledger.append(by(1)).await, Ok(Appended::Existing(_))));
    place.wait(retry_after.as_secs());
    assert!(retry_after <= Duration::from_secs(86_400));
    assert!(matches!(ledger.append(by(2)).await, Ok(Appended::Recorded(_))));
}

#[tokio::test]
async fn an_upstream_beyond_its_budget_gets_no_new_tag() {
    let mut place = Place::new();
    place.limits = Budgets { new_records_per_upstream_per_day: 1, ..Budgets::UNLIMITED };
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("one"))).await.unwrap();
    let made = ledger.append(freeze(&numbered(1), &image("one"))).await;
    assert!(matches!(made, Err(AppendError::Budget { budget: Budget::Upstream, .. })));
}

#[tokio::test]
async fn manifests_beyond_the_days_bytes_are_not_recorded() {
    let mut place = Place::new();
    let manifest = image("one");
    place.limits =
        Budgets { manifest_bytes_per_day: manifest.bytes().len() as u64 * 2, ..Budgets::UNLIMITED };
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("one"))).await.unwrap();
    ledger.append(freeze(&numbered(1), &image("two"))).await.unwrap();
    let made = ledger.append(freeze(&numbered(2), &image("six"))).await;
    assert!(matches!(made, Err(AppendError::Budget { budget: Budget::ManifestBytes, .. })));
    assert_eq!(ledger.published().unwrap().size, 6);
}

#[tokio::test]
async fn moves_beyond_the_budget_are_counted_and_not_recorded() {
    let mut place = Place::new();
    place.limits = Budgets { moved_per_tag_per_day: 2, ..Budgets::UNLIMITED };
    let ledger = place.open();
    let (tag, one) = (numbered(0), image("one"));
    ledger.append(freeze(&tag, &one)).await.unwrap();
    for i in 0..5 {
        let made = ledger.append(moved(&tag, &one, &image(&format!("other {i}")))).await.unwrap();
        assert_eq!(matches!(made, Appended::Evidence { .. }), i < 2, "{made:?}");
        assert_eq!(matches!(made, Appended::NotRecorded(NotRecorded::Budget)), i >= 2, "{made:?}");
    }
    assert_eq!(ledger.statistics().unrecorded_moves, 3);
    assert_eq!(Auditor::default().audit(&ledger).of(&tag).len(), 3);
}

#[tokio::test]
async fn changes_of_an_observed_tag_beyond_the_budget_are_refused() {
    let mut place = Place::new();
    place.limits = Budgets { seen_per_tag_per_day: 2, ..Budgets::UNLIMITED };
    let ledger = place.open();
    let tag = numbered(0);
    for i in 0..3 {
        ledger.append(observe(&tag, &image(&format!("{i}")))).await.unwrap();
    }
    let made = ledger.append(observe(&tag, &image("3"))).await;
    assert!(matches!(made, Err(AppendError::Budget { budget: Budget::Seen, .. })));
}

#[tokio::test]
async fn below_min_free_nothing_new_is_recorded_and_everything_recorded_is_served() {
    let mut place = Place::new();
    place.limits = Budgets { min_free: 1000, ..Budgets::UNLIMITED };
    let ledger = place.open();
    let (tag, one) = (numbered(0), image("one"));
    ledger.append(freeze(&tag, &one)).await.unwrap();
    place.free.store(999, std::sync::atomic::Ordering::SeqCst);
    let made = ledger.append(freeze(&numbered(1), &one)).await;
    assert!(matches!(made, Err(AppendError::DiskFull { free: 999, min_free: 1000 })));
    let made = ledger.append(moved(&tag, &one, &image("two"))).await.unwrap();
    assert!(matches!(made, Appended::NotRecorded(NotRecorded::DiskFull)));
    assert!(matches!(ledger.append(freeze(&tag, &one)).await, Ok(Appended::Existing(_))));
    assert!(ledger.lookup(&key(&tag)).unwrap().is_some());
    assert_eq!(ledger.health().disk_too_full, Some(999));
    place.free.store(1000, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(ledger.append(freeze(&numbered(1), &one)).await, Ok(Appended::Recorded(_))));
    assert!(ledger.health().is_ready());
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_recorded_all_the_same() {
    let place = Place::new();
    let ledger = place.open();
    let tag = numbered(0);
    {
        let mut append = Box::pin(ledger.append(freeze(&tag, &image("one"))));
        // Polled once, then dropped.
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(append.as_mut().poll(context).is_ready()));
        polled.await;
    }
    ledger.close().await;
    assert!(ledger.lookup(&key(&tag)).unwrap().is_some());
}

#[tokio::test]
async fn closing_finishes_what_was_taken_and_takes_nothing_more() {
    let place = Place::new();
    let ledger = place.open();
    let waiting: Vec<_> = (0..50)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&numbered(i), &image("one")));
            tokio::spawn(async move { ledger.append(submission).await })
        })
        .collect();
    tokio::task::yield_now().await;
    ledger.close().await;
    ledger.close().await;
    for (i, task) in waiting.into_iter().enumerate() {
        let recorded = ledger.lookup(&key(&numbered(i))).unwrap().is_some();
        match task.await.unwrap() {
            Ok(_) => assert!(recorded),
            Err(error) => assert!(matches!(error, AppendError::Stopped) && !recorded, "{error}"),
        }
    }
    assert!(matches!(ledger.append(freeze(&numbered(99), &image("one"))).await, Err(AppendError::Stopped)));
    assert!(!ledger.health().is_ready());
    let wal = place.data().join("ledger.db-wal");
    assert!(std::fs::metadata(wal).map_or(0, |wal| wal.len()) == 0, "the write-ahead log was folded in");
}

#[tokio::test]
async fn a_full_queue_is_busy_and_loses_nothing() {
    let place = Place::new();
    let ledger = Ledger::open(ledger::Options { queue: 1, ..place.options() }).unwrap();
    let waiting: Vec<_> = (0..500)
        .map(|i| {
            let (ledger, submission) = (ledger.clone(), freeze(&numbered(i), &image("one")));
            tokio::spawn(async move { ledger.append(submission).await })
        })
        .collect();
    let mut busy = 0;
    for (i, task) in waiting.into_iter().enumerate() {
        let recorded = match task.await.unwrap() {
            Ok(_) => true,
            Err(AppendError::Busy { retry_after }) => {
                assert!(!retry_after.is_zero());
                busy += 1;
                false
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(ledger.lookup(&key(&numbered(i))).unwrap().is_some(), recorded);
    }
    assert!(busy > 0);
    Auditor::default().audit(&ledger);
}
