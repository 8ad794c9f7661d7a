//! Every step of the write path made to fail, before and after it had its effect. Whatever happens: what was answered is
//! there after a restart, no key has two `tag` leaves, and no checkpoint that was seen is ever taken back.

use crate::audit::Auditor;
use crate::place::{Place, freeze, image, key, numbered};
use ledger::{AppendError, Appended, Fault, Ledger, Point};

/// What a fault must lead to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The append fails, the next one works, the ledger goes on.
    Recovers,
    /// The ledger ends the process.
    Ends,
}

/// Step, fault, outcome, and whether the submission is on disk after a restart that nothing preceded.
const TABLE: &[(Point, Fault, Outcome, bool)] = &[
    (Point::Begin, Fault::Full, Outcome::Recovers, false),
    (Point::Begin, Fault::Lost, Outcome::Recovers, false),
    (Point::Write, Fault::Full, Outcome::Recovers, false),
    (Point::Write, Fault::Lost, Outcome::Recovers, false),
    (Point::Commit, Fault::Full, Outcome::Recovers, false),
    (Point::Commit, Fault::Lost, Outcome::Ends, false),
    (Point::Commit, Fault::Persisted, Outcome::Ends, true),
    (Point::Guard, Fault::Lost, Outcome::Recovers, true),
    (Point::Guard, Fault::Persisted, Outcome::Recovers, true),
    (Point::Publish, Fault::Lost, Outcome::Ends, true),
];

async fn begun(place: &Place) -> Ledger {
    let ledger = place.open();
    ledger.append(freeze(&numbered(0), &image("before"))).await.unwrap();
    ledger
}

#[tokio::test]
async fn a_fault_at_any_step_loses_no_answer_and_forks_nothing() {
    for (point, fault, outcome, persists) in TABLE.iter().copied() {
        let case = format!("{fault:?} at {point:?}");
        let place = Place::new();
        let mut auditor = Auditor::default();
        let ledger = begun(&place).await;
        auditor.audit(&ledger);

        place.fail(point, fault);
        let failed = ledger.append(freeze(&numbered(1), &image("during"))).await;
        assert!(failed.is_err(), "{case}: {failed:?}");
        // Nothing of the failed batch has left the process.
        assert_eq!(ledger.published().unwrap().size, 4, "{case}");
        assert!(ledger.lookup(&key(&numbered(1))).unwrap().is_none(), "{case}");
        assert!(!ledger.health().is_ready(), "{case}");
        assert!(matches!(ledger.append_again().await, expected if expected == outcome), "{case}");
        assert_eq!(place.fatal.lock().unwrap().len(), usize::from(outcome == Outcome::Ends), "{case}");
        auditor.audit(&ledger);
        assert_eq!(ledger.health().is_ready(), outcome == Outcome::Recovers, "{case}");
        drop(ledger);

        let ledger = place.open();
        assert!(ledger.read_only().is_none(), "{case}");
        auditor.audit(&ledger);
        assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_some(), "{case}");
        assert_eq!(ledger.lookup(&key(&numbered(1))).unwrap().is_some(), persists, "{case}");
        // Who asks again gets the record, old or new, and never a second leaf.
        let again = ledger.append(freeze(&numbered(1), &image("after"))).await.unwrap();
        assert_eq!(matches!(again, Appended::Existing(_)), persists, "{case}: {again:?}");
        let audited = auditor.audit(&ledger);
        assert_eq!(audited.of(&numbered(1)).len(), 1, "{case}");
        drop(ledger);
        let report = ledger::fsck(&place.options(), |_| ()).unwrap();
        assert!(report.is_sound(), "{case}: {:?}", report.findings);
    }
}

#[tokio::test]
async fn a_crash_right_after_each_step_is_recovered_from() {
    for (point, fault, _, persists) in TABLE.iter().copied() {
        let case = format!("{fault:?} at {point:?}");
        let place = Place::new();
        let mut auditor = Auditor::default();
        let ledger = begun(&place).await;
        auditor.audit(&ledger);
        place.fail(point, fault);
        assert!(ledger.append(freeze(&numbered(1), &image("during"))).await.is_err(), "{case}");
        drop(ledger);
        let ledger = place.open();
        assert_eq!(ledger.lookup(&key(&numbered(1))).unwrap().is_some(), persists, "{case}");
        auditor.audit(&ledger);
    }
}

#[tokio::test]
async fn a_guard_that_fails_again_and_again_publishes_nothing_until_it_is_written() {
    let place = Place::new();
    let ledger = begun(&place).await;
    for _ in 0..3 {
        place.fail(Point::Guard, Fault::Lost);
    }
    for _ in 0..3 {
        let failed = ledger.append(freeze(&numbered(1), &image("during"))).await;
        assert!(matches!(failed, Err(AppendError::Store(_))), "{failed:?}");
        assert_eq!(ledger.published().unwrap().size, 4);
    }
    let found = ledger.append(freeze(&numbered(1), &image("after"))).await.unwrap();
    assert!(matches!(found, Appended::Existing(_)), "{found:?}");
    assert_eq!(ledger.statistics().failed_batches, 3);
    let audited = Auditor::default().audit(&ledger);
    assert_eq!((audited.size, audited.of(&numbered(1)).len()), (6, 1));
}

#[tokio::test]
async fn a_full_disk_spends_no_budget() {
    let mut place = Place::new();
    place.limits.new_records_per_upstream_per_day = 2;
    let ledger = begun(&place).await;
    for point in [Point::Write, Point::Commit, Point::Begin, Point::Commit] {
        place.fail(point, Fault::Full);
        assert!(ledger.append(freeze(&numbered(1), &image("one"))).await.is_err());
    }
    ledger.append(freeze(&numbered(1), &image("one"))).await.unwrap();
    assert!(matches!(
        ledger.append(freeze(&numbered(2), &image("one"))).await,
        Err(AppendError::Budget { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_batch_fails_all_its_submissions_and_each_may_come_again() {
    let place = Place::new();
    let ledger = begun(&place).await;
    let mut auditor = Auditor::default();
    for round in 0..5 {
        place.fail(Point::Commit, Fault::Full);
        let tasks: Vec<_> = (0..40)
            .map(|i| {
                let submission = freeze(&numbered(1 + round * 40 + i), &image("one"));
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    while let Err(error) = ledger.append(submission.clone()).await {
                        assert!(matches!(error, AppendError::Store(_)), "{error}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        auditor.audit(&ledger);
    }
    assert!(place.fatal.lock().unwrap().is_empty());
}

/// A second append after a fault, and what it shows.
trait AppendAgain {
    async fn append_again(&self) -> Outcome;
}

impl AppendAgain for Ledger {
    async fn append_again(&self) -> Outcome {
        match self.append(freeze(&numbered(7), &image("next"))).await {
            Ok(Appended::Recorded(_)) => Outcome::Recovers,
            Err(AppendError::Stopped) => Outcome::Ends,
            other => panic!("{other:?}"),
        }
    }
}
