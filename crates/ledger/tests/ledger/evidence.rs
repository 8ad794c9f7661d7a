//! Documents about records, and tags that are about to be recorded.

use bytes::Bytes;
use ledger::{
    AppendError, Appended, Budget, Evidence, MAX_EVIDENCE, MAX_PREPARED, Observation, Pending, Submission,
};
use oci::TagName;

use crate::audit::Auditor;
use crate::place::{Place, START, freeze, image, key, numbered, observation, observe, record, supersede};

fn evidence(text: &str) -> Evidence {
    Evidence { ids: vec![[7; 32], [6; 32]], document: Bytes::copy_from_slice(text.as_bytes()) }
}

fn evidenced(submission: Submission, text: &str) -> Submission {
    Submission::Evidenced { submission: Box::new(submission), evidence: evidence(text) }
}

fn pend(tag: &TagName, prepared: &'static str, replaces: Option<&'static str>) -> Submission {
    begin(freeze(tag, &image(prepared)), prepared, replaces)
}

fn begin(submission: Submission, prepared: &'static str, replaces: Option<&'static str>) -> Submission {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let (submission, replaces) = (Box::new(submission), replaces.map(bytes));
    Submission::Pend { submission, prepared: bytes(prepared), replaces }
}

fn pending(appended: Appended) -> Pending {
    let Appended::Pending(pending) = appended else { panic!("{appended:?}") };
    pending
}

#[tokio::test]
async fn a_record_and_its_document_are_made_together_and_survive_a_restart() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, manifest) = (numbered(0), image("one"));
    let made = record(ledger.append(evidenced(freeze(&tag, &manifest), "bundle")).await.unwrap());
    ledger.close().await;
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.evidence(made.index()).unwrap().unwrap(), "bundle");
    for (id, found) in [(7, vec![made.index()]), (6, vec![made.index()]), (8, vec![])] {
        assert_eq!(ledger.evidenced_by(&[id; 32]).unwrap(), found);
    }
    assert_eq!(ledger.entry(made.index()).unwrap().unwrap(), *made.entry());
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn whoever_is_late_with_a_record_keeps_no_document() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, manifest) = (numbered(0), image("one"));
    let made = record(ledger.append(freeze(&tag, &manifest)).await.unwrap());
    let late = ledger.append(evidenced(freeze(&tag, &image("two")), "bundle")).await.unwrap();
    assert!(matches!(late, Appended::Existing(record) if record.index() == made.index()));
    assert_eq!(ledger.evidence(made.index()).unwrap(), None);
    let large = "x".repeat(MAX_EVIDENCE + 1);
    let refused = ledger.append(evidenced(freeze(&numbered(1), &manifest), &large)).await.unwrap_err();
    assert!(matches!(refused, AppendError::EvidenceTooLarge), "{refused}");
}

#[tokio::test]
async fn who_comes_first_decides_what_a_pending_tag_will_mean_over_a_restart() {
    let place = Place::new();
    let ledger = place.open();
    let tag = numbered(0);
    let first = pending(ledger.append(pend(&tag, "first", None)).await.unwrap());
    let second = pending(ledger.append(pend(&tag, "second", None)).await.unwrap());
    assert_eq!(first, second);
    ledger.close().await;
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.pending(&key(&tag)).unwrap().unwrap(), first);
    let again = pending(ledger.append(pend(&tag, "third", Some("second"))).await.unwrap());
    assert_eq!(again, first, "only what is there can be replaced");
    let replaced = pending(ledger.append(pend(&tag, "third", Some("first"))).await.unwrap());
    assert_eq!(replaced.prepared, "third");
    assert!(ledger.lookup(&key(&tag)).unwrap().is_none(), "it is in no log yet");
    assert_eq!(Auditor::default().audit(&ledger).size, 2);
    ledger.append(evidenced(freeze(&tag, &image("third")), "bundle")).await.unwrap();
    assert_eq!(ledger.pending(&key(&tag)).unwrap(), None);
    let late = ledger.append(pend(&tag, "fourth", None)).await.unwrap();
    assert!(matches!(late, Appended::Existing(_)));
}

#[tokio::test]
async fn what_is_begun_is_refused_and_charged_where_its_record_would_be() {
    let mut place = Place::new();
    place.limits.new_records_per_client_per_day = 2;
    place.limits.manifest_bytes_per_day = image("a").bytes().len() as u64;
    let ledger = place.open();
    let by = |i: usize, content: &str, date: Option<i64>| {
        let client = Some("192.0.2.1".parse().unwrap());
        let seen = observation(&numbered(i), &image(content), true);
        Submission::Record(Observation { client, upstream_date: date, ..seen })
    };
    let year = i64::try_from(START).unwrap() - 365 * 86_400;
    let refused = ledger.append(begin(by(0, "a", Some(year)), "a", None)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Clock(_)), "{refused}");
    pending(ledger.append(begin(by(0, "a", None), "a", None)).await.unwrap());
    // Signed anew it is a further entry in public, of the same bytes, which are kept meanwhile.
    pending(ledger.append(begin(by(0, "a", None), "anew", Some("a"))).await.unwrap());
    for (i, prepared, replaces) in [(1, "b", None), (0, "again", Some("anew"))] {
        let refused = ledger.append(begin(by(i, "a", None), prepared, replaces)).await.unwrap_err();
        assert!(matches!(refused, AppendError::Budget { budget: Budget::Client, .. }), "{refused}");
    }
    assert!(ledger.manifest(&numbered(0).name, &image("a").digest()).unwrap().is_some());
    record(ledger.append(evidenced(by(0, "a", None), "bundle")).await.unwrap());
    let large = Bytes::from(vec![b'x'; MAX_PREPARED + 1]);
    let too_large = Submission::Pend {
        submission: Box::new(freeze(&numbered(2), &image("c"))),
        prepared: large,
        replaces: None,
    };
    let refused = ledger.append(too_large).await.unwrap_err();
    assert!(matches!(refused, AppendError::PreparedTooLarge), "{refused}");
}

#[tokio::test]
async fn nothing_else_is_recorded_of_what_is_about_to_be() {
    let place = Place::new();
    let ledger = place.open();
    let tag = numbered(0);
    pending(ledger.append(pend(&tag, "first", None)).await.unwrap());
    for other in [freeze(&tag, &image("second")), observe(&tag, &image("second"))] {
        let refused = ledger.append(other).await.unwrap_err();
        assert!(matches!(refused, AppendError::Begun { .. }), "{refused}");
    }
    record(ledger.append(freeze(&tag, &image("first"))).await.unwrap());
    assert_eq!(ledger.pending(&key(&tag)).unwrap(), None);
    // What was said in public decides.
    let tag = numbered(1);
    pending(ledger.append(pend(&tag, "first", None)).await.unwrap());
    let made = record(ledger.append(evidenced(freeze(&tag, &image("second")), "bundle")).await.unwrap());
    assert_eq!(made.digest(), image("second").digest());
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn a_re_pin_is_begun_only_where_the_log_would_take_it() {
    let place = Place::new();
    let ledger = place.open();
    let (tag, seen) = (numbered(0), numbered(1));
    let (old, new) = (image("old"), image("new"));
    ledger.append(freeze(&tag, &old)).await.unwrap();
    ledger.append(observe(&seen, &old)).await.unwrap();
    for wrong in [supersede(&seen, &old, &new), supersede(&tag, &new, &old), supersede(&tag, &old, &old)] {
        let refused = ledger.append(begin(wrong, "new", None)).await.unwrap_err();
        assert!(matches!(refused, AppendError::NotCurrent { .. }), "{refused}");
    }
    let begun = pending(ledger.append(begin(supersede(&tag, &old, &new), "new", None)).await.unwrap());
    assert_eq!(begun.digest, new.digest());
    record(ledger.append(evidenced(supersede(&tag, &old, &new), "bundle")).await.unwrap());
    assert_eq!(ledger.pending(&key(&tag)).unwrap(), None);
}
