//! Documents about records, and tags that are about to be recorded.

use bytes::Bytes;
use ledger::{AppendError, Appended, Evidence, MAX_EVIDENCE, Pending, Submission};
use oci::TagName;

use crate::audit::Auditor;
use crate::place::{Place, freeze, image, key, numbered, record};

fn evidence(text: &str) -> Evidence {
    Evidence { ids: vec![[7; 32], [6; 32]], document: Bytes::copy_from_slice(text.as_bytes()) }
}

fn evidenced(submission: Submission, text: &str) -> Submission {
    Submission::Evidenced { submission: Box::new(submission), evidence: evidence(text) }
}

fn pend(tag: &TagName, prepared: &'static str, replaces: Option<&'static str>) -> Submission {
    let pending =
        Pending { digest: image(prepared).digest(), prepared: Bytes::from_static(prepared.as_bytes()) };
    let replaces = replaces.map(|text| Bytes::from_static(text.as_bytes()));
    Submission::Pend { name: tag.name.clone(), tag: tag.tag.clone(), pending, replaces }
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
