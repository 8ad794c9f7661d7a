//! Which checkpoint is published: what is demanded is there or nothing is, what was published is never taken back, and a
//! record that is not covered yet is never denied.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use tlog::{
    EntriesId, KeyAlgorithm, SignatureLine, SignedCheckpoint, SigningKey, TileId, verify_consistency,
};

use crate::audit::Auditor;
use crate::cosigners::{Cosigner, cosigned_by, names_on, policy, two_of_three};
use crate::place::{Place, freeze, image, key, moved, numbered, observe, record, supersede, thaw};
use ledger::{
    AppendError, Appended, CosignError, Cosigned, Error, Fault, Finding, Ledger, Mode, OpenError, Options,
    Point, Publication, Randomness, ReadOnly, Signed, fsck,
};

const NO_TIME: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(600);

fn demanding() -> Place {
    let mut place = Place::new();
    place.publication = two_of_three();
    place
}

fn newest(ledger: &Ledger) -> Arc<Signed> {
    Arc::clone(&ledger.signed().borrow())
}

async fn recorded(ledger: &Ledger, tags: std::ops::Range<usize>) {
    for i in tags {
        ledger.append(freeze(&numbered(i), &image(&format!("{i}")))).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_published_before_the_policy_is_satisfied() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let signed = newest(&ledger);
    let tile = TileId { level: 0, index: 0, width: 1 };
    for names in [&[][..], &["w1"]] {
        cosigned_by(&ledger, &signed, names).await;
        assert!(matches!(ledger.published(), Err(Error::NothingPublished)));
        assert!(matches!(ledger.tile(tile), Err(Error::NothingPublished)));
        assert!(matches!(ledger.entries(EntriesId { index: 0, width: 1 }), Err(Error::NothingPublished)));
        assert!(matches!(ledger.tag_proof(&numbered(0)), Err(Error::NothingPublished)));
        assert!(matches!(ledger.repository_proof(&numbered(0).name), Err(Error::NothingPublished)));
        assert!(matches!(ledger.history(&key(&numbered(0))), Err(Error::NothingPublished)));
        assert!(!ledger.health().is_ready());
        assert_eq!((ledger.health().size, ledger.health().newest), (0, signed.size));
    }
    assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_some(), "a recorded tag is served all the same");
    cosigned_by(&ledger, &signed, &["w2"]).await;
    assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w2"]);
    assert!(ledger.health().is_ready());
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn everything_is_served_at_the_published_size_and_nothing_uncovered_is_denied() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let first = newest(&ledger);
    cosigned_by(&ledger, &first, &["w1", "w2"]).await;
    let mut auditor = Auditor::default();
    auditor.audit(&ledger);

    recorded(&ledger, 3..6).await;
    ledger.append(supersede(&numbered(0), &image("0"), &image("new"))).await.unwrap();
    let published = ledger.published().unwrap();
    assert_eq!((published.size, newest(&ledger).size), (first.size, first.size + 8));
    let width = u16::try_from(first.size).unwrap();
    assert!(ledger.tile(TileId { level: 0, index: 0, width: width + 1 }).unwrap().is_none());
    assert!(ledger.entries(EntriesId { index: 0, width: width + 1 }).unwrap().is_none());
    assert!(matches!(ledger.tag_proof(&numbered(4)), Err(Error::NotYetPublished { .. })));
    assert!(matches!(ledger.repository_proof(&numbered(4).name), Err(Error::NotYetPublished { .. })));
    assert!(ledger.tag_proof(&numbered(99)).is_ok(), "what nobody recorded is absent");
    assert!(ledger.history(&key(&numbered(4))).unwrap().is_empty());
    assert_eq!(ledger.history(&key(&numbered(0))).unwrap().len(), 1);
    // The record means what the head says; the proof says what the published checkpoint says.
    assert_eq!(ledger.lookup(&key(&numbered(0))).unwrap().unwrap().digest(), image("new").digest());
    auditor.audit(&ledger);

    cosigned_by(&ledger, &newest(&ledger), &["w3", "w1"]).await;
    assert_eq!(ledger.published().unwrap().size, first.size + 8);
    assert_eq!(ledger.history(&key(&numbered(0))).unwrap().len(), 2);
    auditor.audit(&ledger);
}

#[tokio::test]
async fn cosignatures_that_come_while_the_log_goes_on_publish_what_they_are_of() {
    let place = demanding();
    let ledger = place.open();
    let mut auditor = Auditor::default();
    for round in 0..6 {
        let tag = numbered(round);
        recorded(&ledger, round * 50..(round + 1) * 50).await;
        let signed = newest(&ledger);
        ledger.append(freeze(&tag, &image("ignored"))).await.unwrap();
        ledger.append(thaw(&numbered(round * 50), &image(&format!("{}", round * 50)))).await.unwrap();
        ledger.append(observe(&numbered(round * 50), &image("moving"))).await.unwrap();
        cosigned_by(&ledger, &signed, &["w1", "w3"]).await;
        assert_eq!(ledger.published().unwrap().size, signed.size);
        auditor.audit(&ledger);
        // One that is older than what is published changes nothing.
        assert!(ledger.published().unwrap().size > 2);
        cosigned_by(&ledger, &signed, &["w2"]).await;
        assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w2", "w3"]);
    }
}

#[tokio::test]
async fn an_older_checkpoint_is_not_published_over_a_newer_one() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let older = newest(&ledger);
    recorded(&ledger, 3..6).await;
    cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
    let published = ledger.published().unwrap();
    cosigned_by(&ledger, &older, &["w1", "w2", "w3"]).await;
    assert_eq!(ledger.published().unwrap().note, published.note);
}

#[tokio::test]
async fn the_published_checkpoint_is_the_same_after_a_restart() {
    let place = demanding();
    let mut auditor = Auditor::default();
    let (published, newest_size) = {
        let ledger = place.open();
        recorded(&ledger, 0..300).await;
        ledger.append(observe(&numbered(400), &image("a"))).await.unwrap();
        ledger.append(moved(&numbered(1), &image("1"), &image("other"))).await.unwrap();
        cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
        // All of these would be seen if the map of the published size were not put back.
        ledger.append(supersede(&numbered(1), &image("1"), &image("new"))).await.unwrap();
        ledger.append(observe(&numbered(400), &image("b"))).await.unwrap();
        ledger.append(moved(&numbered(2), &image("2"), &image("other"))).await.unwrap();
        ledger.append(thaw(&numbered(2), &image("2"))).await.unwrap();
        recorded(&ledger, 500..600).await;
        cosigned_by(&ledger, &newest(&ledger), &["w3"]).await;
        auditor.audit(&ledger);
        (ledger.published().unwrap(), newest(&ledger).size)
    };
    for _ in 0..2 {
        let ledger = place.open();
        let again = ledger.published().unwrap();
        assert_eq!((again.size, again.root, again.time), (published.size, published.root, published.time));
        assert_eq!(again.map.root(), published.map.root());
        assert_eq!(names_on(&again.note), names_on(&published.note));
        assert_eq!(newest(&ledger).size, newest_size);
        auditor.audit(&ledger);
        assert!(matches!(ledger.tag_proof(&numbered(550)), Err(Error::NotYetPublished { .. })));
    }
    let ledger = place.open();
    cosigned_by(&ledger, &newest(&ledger), &["w1"]).await;
    assert_eq!(ledger.published().unwrap().size, newest_size, "the third witness had answered before");
    auditor.audit(&ledger);
}

#[tokio::test]
async fn only_lines_that_verify_count_and_one_liar_does_not_spoil_the_others() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..3).await;
    let signed = newest(&ledger);
    let note: SignedCheckpoint = signed.note.parse().unwrap();
    let lines = [
        Cosigner::new("w1").line(&signed),
        // A known name and key over another text.
        Cosigner::new("w2")
            .over("tlog.example/log\n9\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— x AAAAAAA=\n", 7),
        Cosigner::new("stranger").line(&signed),
        SignatureLine::new("w3", [1, 2, 3, 4], vec![0; 72]).unwrap(),
        note.note().signatures()[0].clone(),
    ];
    let outcome = ledger.add_cosignatures(signed.size, &lines).await.unwrap();
    assert_eq!(outcome, Cosigned { added: 1, unknown: 3, refused: vec!["w2".to_owned()] });
    assert!(ledger.published().is_err());
    let statistics = ledger.statistics();
    assert_eq!((statistics.cosignatures, statistics.refused_cosignatures), (1, 1));
    cosigned_by(&ledger, &signed, &["w3"]).await;
    assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w3"]);
}

#[tokio::test]
async fn a_newer_line_of_a_cosigner_takes_the_place_of_its_older_one() {
    let place = demanding();
    let ledger = place.open();
    let signed = newest(&ledger);
    cosigned_by(&ledger, &signed, &["w1", "w2"]).await;
    for time in [1_700_000_100, 1_700_000_050] {
        ledger.add_cosignatures(signed.size, &[Cosigner::new("w1").over(&signed.note, time)]).await.unwrap();
    }
    let published = ledger.published().unwrap();
    assert_eq!(names_on(&published.note), ["w1", "w2"]);
    let newest_line = Cosigner::new("w1").over(&signed.note, 1_700_000_100).to_string();
    assert!(published.note.contains(&newest_line), "{}", published.note);
}

#[tokio::test]
async fn only_sizes_that_were_signed_can_be_cosigned() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..2).await;
    let line = Cosigner::new("w1").line(&newest(&ledger));
    for size in [0, 1, 3, 5, 7, 1000, u64::MAX] {
        let refused = ledger.add_cosignatures(size, std::slice::from_ref(&line)).await;
        assert!(matches!(refused, Err(CosignError::NotSigned { .. })), "{size}: {refused:?}");
    }
    let outcome = ledger.add_cosignatures(4, &[line]).await.unwrap();
    assert_eq!(outcome.refused, ["w1"], "signed, but another size");
}

#[tokio::test]
async fn a_first_seen_answer_waits_for_a_covering_checkpoint() {
    let place = demanding();
    let ledger = place.open();
    let (tag, manifest) = (numbered(0), image("0"));
    let late = ledger.append_published(freeze(&tag, &manifest), NO_TIME).await;
    assert!(matches!(late, Err(AppendError::NotYetPublished { index: 2 })), "{late:?}");
    // The record stays and pins, and who comes again waits again.
    assert_eq!(ledger.lookup(&key(&tag)).unwrap().unwrap().digest(), manifest.digest());
    let again = ledger.append_published(freeze(&tag, &image("other")), NO_TIME).await;
    assert!(matches!(again, Err(AppendError::NotYetPublished { index: 2 })), "{again:?}");

    let waiting = {
        let (ledger, submission) = (ledger.clone(), freeze(&tag, &image("other")));
        tokio::spawn(async move { ledger.append_published(submission, LONG).await })
    };
    tokio::task::yield_now().await;
    cosigned_by(&ledger, &newest(&ledger), &["w2", "w3"]).await;
    let found = record(waiting.await.unwrap().unwrap());
    assert_eq!((found.index(), found.digest()), (2, manifest.digest()));
    assert!(ledger.tag_proof(&tag).is_ok());
    let covered = ledger.append_published(freeze(&tag, &manifest), NO_TIME).await;
    assert!(matches!(covered, Ok(Appended::Existing(_))), "{covered:?}");
}

#[tokio::test]
async fn without_a_demand_every_checkpoint_is_published_at_once_and_shows_what_it_has() {
    let mut place = Place::new();
    place.publication = Publication { mode: Mode::BestEffort, ..two_of_three() };
    let ledger = place.open();
    let made = ledger.append_published(freeze(&numbered(0), &image("0")), NO_TIME).await;
    assert!(matches!(made, Ok(Appended::Recorded(_))), "{made:?}");
    let first = newest(&ledger);
    cosigned_by(&ledger, &first, &["w1"]).await;
    assert_eq!(names_on(&ledger.published().unwrap().note), ["w1"]);
    assert!(ledger.cosigned().is_none(), "one is not enough");
    recorded(&ledger, 1..4).await;
    cosigned_by(&ledger, &first, &["w2"]).await;
    let published = ledger.published().unwrap();
    assert_eq!((published.size, names_on(&published.note)), (first.size + 6, Vec::new()));
    // What satisfies the policy is at hand beside it, with its proofs.
    let cosigned = ledger.cosigned().unwrap();
    assert_eq!(
        (cosigned.size, names_on(&cosigned.note)),
        (first.size, vec!["w1".to_owned(), "w2".to_owned()])
    );
    let proof = ledger.tag_proof_at(&cosigned, &numbered(0)).unwrap();
    let proved = taglog::verify(&proof, &numbered(0), ledger.verifier_key()).unwrap();
    assert_eq!(proved.checkpoint.checkpoint().size, first.size);
    assert!(matches!(ledger.tag_proof_at(&cosigned, &numbered(2)), Err(Error::NotYetPublished { .. })));
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.cosigned().unwrap().size, first.size);
    assert_eq!(ledger.published().unwrap().size, published.size);
    Auditor::default().audit(&ledger);
}

#[tokio::test]
async fn an_auditors_late_cosignature_makes_an_older_checkpoint_servable() {
    let mut place = demanding();
    place.publication.auditors = Some(policy(2, &["w1", "auditor"]));
    let mut auditor = Auditor::default();
    let audited = {
        let ledger = place.open();
        recorded(&ledger, 0..10).await;
        let first = newest(&ledger);
        cosigned_by(&ledger, &first, &["w1", "w2"]).await;
        recorded(&ledger, 10..20).await;
        ledger.append(supersede(&numbered(0), &image("0"), &image("new"))).await.unwrap();
        // Signed, but not published: an auditor cannot have seen it, and what it signs shows nothing.
        cosigned_by(&ledger, &newest(&ledger), &["auditor", "w1"]).await;
        assert!(ledger.audited().is_none());
        cosigned_by(&ledger, &newest(&ledger), &["w2"]).await;
        recorded(&ledger, 20..30).await;
        cosigned_by(&ledger, &first, &["auditor"]).await;
        let audited = ledger.audited().unwrap();
        assert_eq!(audited.size, newest(&ledger).size - 20, "the newest that has both");
        assert_eq!(names_on(&audited.note), ["auditor", "w1", "w2"]);
        assert_eq!(ledger.published().unwrap().size, audited.size);
        auditor.audit(&ledger);
        audited
    };
    let ledger = place.open();
    assert_eq!(ledger.audited().unwrap().size, audited.size);
    cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
    assert_eq!(ledger.audited().unwrap().size, audited.size, "the auditor is behind");
    let proof = ledger.tag_proof_at(&ledger.audited().unwrap(), &numbered(0)).unwrap();
    let proved = taglog::verify(&proof, &numbered(0), ledger.verifier_key()).unwrap();
    assert_eq!(names_on(&proved.checkpoint.to_string()), ["auditor", "w1", "w2"]);
    let proof = ledger.repository_proof_at(&ledger.audited().unwrap(), &numbered(99).name);
    assert!(matches!(proof, Err(Error::NotYetPublished { .. })) || proof.is_ok());
    auditor.audit(&ledger);
}

#[tokio::test]
async fn every_published_note_carries_noise_that_is_kept_nowhere() {
    let place = Place::new();
    let noise = |byte: u8| {
        Randomness::new(move |bytes| {
            bytes.fill(byte);
            true
        })
    };
    let with = |byte| Ledger::open(Options { randomness: noise(byte), ..place.options() }).unwrap();
    let ledger = with(1);
    recorded(&ledger, 0..1).await;
    let line =
        |byte: u8| SignatureLine::new("grease.invalid", [byte; 4], vec![byte; 16]).unwrap().to_string();
    assert!(ledger.published().unwrap().note.ends_with(&format!("{}\n", line(1))));
    assert!(!newest(&ledger).note.contains("grease"), "witnesses are spared it");
    drop(ledger);
    let note = with(2).published().unwrap().note.to_string();
    assert!(note.contains(&line(2)) && !note.contains(&line(1)), "{note}");
}

#[tokio::test]
async fn any_two_sizes_are_proved_consistent() {
    let place = Place::new();
    let ledger = place.open();
    let mut roots = vec![(newest(&ledger).size, newest(&ledger).root)];
    for i in 0..300 {
        recorded(&ledger, i..i + 1).await;
        roots.push((newest(&ledger).size, newest(&ledger).root));
    }
    for (old, old_root) in roots.iter().step_by(17) {
        for (new, new_root) in roots.iter().filter(|(new, _)| new >= old).step_by(13) {
            let proof = ledger.consistency_proof(*old, *new).unwrap();
            verify_consistency(*old, *old_root, *new, *new_root, &proof).unwrap();
        }
    }
    let (size, _) = roots[roots.len() - 1];
    assert!(ledger.consistency_proof(0, size).unwrap().is_empty());
    assert!(matches!(ledger.consistency_proof(1, size + 1), Err(Error::Tree(_))));
    assert!(matches!(ledger.consistency_proof(5, 4), Err(Error::Tree(_))));
}

#[tokio::test]
async fn nothing_is_signed_before_the_witnesses_confirm_that_nothing_is_missing() {
    let mut place = demanding();
    {
        let ledger = place.open();
        recorded(&ledger, 0..3).await;
        cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
    }
    place.hold = true;
    let ledger = place.open();
    let size = newest(&ledger).size;
    let refused = ledger.append(freeze(&numbered(3), &image("3"))).await;
    assert!(matches!(refused, Err(AppendError::Held { .. })), "{refused:?}");
    assert!(!ledger.health().is_ready());
    assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_some());
    assert!(ledger.tag_proof(&numbered(0)).is_ok(), "presence is not in doubt");
    assert!(matches!(ledger.tag_proof(&numbered(9)), Err(Error::Held)), "absence is");
    assert!(matches!(ledger.repository_proof(&numbered(0).name), Err(Error::Held)));
    ledger.release();
    assert_eq!(newest(&ledger).size, size);
    assert!(ledger.tag_proof(&numbered(9)).is_ok());
    assert!(matches!(ledger.append(freeze(&numbered(3), &image("3"))).await, Ok(Appended::Recorded(_))));
}

#[tokio::test]
async fn a_witness_that_has_seen_more_makes_the_ledger_read_only() {
    let mut place = Place::new();
    place.hold = true;
    for released in [false, true] {
        let ledger = place.open();
        if released {
            ledger.release();
        }
        let size = newest(&ledger).size;
        ledger.declare_rollback(size + 10);
        let expected = ReadOnly::RolledBack { head: size, guard: size + 10 };
        assert_eq!(ledger.read_only(), Some(&expected));
        let refused = ledger.append(freeze(&numbered(0), &image("0"))).await;
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))), "{refused:?}");
        assert!(matches!(ledger.tag_proof(&numbered(9)), Err(Error::ReadOnly(_))));
        let refused = ledger.add_cosignatures(size, &[Cosigner::new("w1").line(&newest(&ledger))]).await;
        assert!(refused.is_ok_and(|outcome| outcome.added == 0), "no policy, so nobody is known");
        assert_eq!(newest(&ledger).size, size);
    }
}

#[tokio::test]
async fn a_checkpoint_that_somebody_has_kept_proves_a_rollback_and_a_second_history() {
    let place = Place::new();
    let kept = |ledger: &Ledger| newest(ledger).note.parse::<SignedCheckpoint>().unwrap();
    let ledger = place.open();
    recorded(&ledger, 0..2).await;
    let (size, common) = (newest(&ledger).size, kept(&ledger));
    ledger.close().await;
    drop(ledger);
    let snapshot = |name: &str| {
        let directory = place.directory.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        for file in ["ledger.db", "guard", "log.key"] {
            std::fs::copy(place.data().join(file), directory.join(file)).unwrap();
        }
        directory
    };
    let copies = ["shorter", "as long", "longer"].map(snapshot);
    let ledger = place.open();
    recorded(&ledger, 2..3).await;
    let more = kept(&ledger);
    recorded(&ledger, 3..4).await;
    for honest in [&common, &more] {
        assert_eq!(ledger.confront(honest).unwrap(), None);
    }
    let stranger = SigningKey::from_seed(ledger.origin(), KeyAlgorithm::Ed25519, &[5; 32]).unwrap();
    let forged = more.checkpoint().clone().sign(&stranger).unwrap();
    let expected = [
        ReadOnly::RolledBack { head: size, guard: size + 2 },
        ReadOnly::Forked { size: size + 2 },
        ReadOnly::Forked { size: size + 2 },
    ];
    for ((data_dir, expected), others) in copies.into_iter().zip(expected).zip(0..) {
        let ledger = Ledger::open(Options { data_dir, ..place.options() }).unwrap();
        recorded(&ledger, 10..10 + others).await;
        for harmless in [&common, &forged] {
            assert_eq!(ledger.confront(harmless).unwrap(), None);
        }
        assert_eq!(ledger.read_only(), None);
        assert_eq!(ledger.confront(&more).unwrap().as_ref(), Some(&expected));
        assert_eq!(ledger.read_only(), Some(&expected));
        let refused = ledger.append(freeze(&numbered(20), &image("20"))).await;
        assert!(matches!(refused, Err(AppendError::ReadOnly(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_rollback_outweighs_that_the_log_is_closed() {
    let place = Place::new();
    let ledger = place.open();
    ledger.append(crate::place::close()).await.unwrap();
    assert!(ledger.tag_proof(&numbered(0)).is_ok());
    ledger.declare_rollback(9);
    assert_eq!(ledger.read_only(), Some(&ReadOnly::RolledBack { head: 4, guard: 9 }));
    assert!(matches!(ledger.tag_proof(&numbered(0)), Err(Error::ReadOnly(_))));
}

#[tokio::test]
async fn a_log_without_its_key_takes_no_cosignatures() {
    let place = demanding();
    recorded(&place.open(), 0..2).await;
    std::fs::remove_file(place.data().join("log.key")).unwrap();
    let ledger = place.open();
    let signed = newest(&ledger);
    let refused = ledger.add_cosignatures(signed.size, &[Cosigner::new("w1").line(&signed)]).await;
    assert!(matches!(refused, Err(CosignError::Append(AppendError::ReadOnly(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_rollback_refuses_what_waits_in_the_queue_and_further_cosignatures() {
    let place = demanding();
    let ledger = place.open();
    recorded(&ledger, 0..2).await;
    let signed = newest(&ledger);
    ledger.declare_rollback(1000);
    let line = Cosigner::new("w1").line(&signed);
    let refused = ledger.add_cosignatures(signed.size, &[line]).await;
    assert!(matches!(refused, Err(CosignError::Append(AppendError::ReadOnly(_)))), "{refused:?}");
    assert_eq!(newest(&ledger).size, signed.size);
}

#[tokio::test]
async fn cosignatures_that_cannot_be_stored_publish_nothing() {
    for (point, fault, ends) in [
        (Point::Begin, Fault::Full, false),
        (Point::Write, Fault::Lost, false),
        (Point::Commit, Fault::Full, false),
        (Point::Commit, Fault::Lost, true),
        (Point::Commit, Fault::Persisted, true),
    ] {
        let place = demanding();
        let ledger = place.open();
        recorded(&ledger, 0..2).await;
        let signed = newest(&ledger);
        cosigned_by(&ledger, &signed, &["w1"]).await;
        place.fail(point, fault);
        let failed = ledger.add_cosignatures(signed.size, &[Cosigner::new("w2").line(&signed)]).await;
        assert!(matches!(failed, Err(CosignError::Append(_))), "{point:?}: {failed:?}");
        assert!(ledger.published().is_err(), "{point:?}");
        assert_eq!(place.fatal.lock().unwrap().len(), usize::from(ends), "{point:?}");
        drop(ledger);
        let ledger = place.open();
        assert_eq!(ledger.published().is_ok(), fault == Fault::Persisted, "{point:?}");
        cosigned_by(&ledger, &signed, &["w2"]).await;
        assert_eq!(names_on(&ledger.published().unwrap().note), ["w1", "w2"], "{point:?}");
        Auditor::default().audit(&ledger);
    }
}

#[tokio::test]
async fn stored_cosignatures_are_not_believed() {
    let place = demanding();
    {
        let ledger = place.open();
        recorded(&ledger, 0..2).await;
        cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
        recorded(&ledger, 2..4).await;
        cosigned_by(&ledger, &newest(&ledger), &["w1"]).await;
    }
    assert!(fsck(&place.options(), |_| ()).unwrap().is_sound());
    let edits = [
        // The older signature of the second witness under the newer checkpoint.
        "INSERT INTO cosignatures SELECT 10, cosigner, time, line FROM cosignatures WHERE size = 6 AND cosigner LIKE 'w2%'",
        "UPDATE checkpoints SET root = zeroblob(32) WHERE size = 6",
        "UPDATE checkpoints SET note = replace(note, 'tlog.example', 'tlog.invalid') WHERE size = 6",
        "UPDATE cosignatures SET line = 'nonsense' WHERE size = 6",
        "DELETE FROM checkpoints WHERE size = 6",
    ];
    for (edit, published) in edits.into_iter().zip([Some(6), None, None, None, None]) {
        let backup = std::fs::read(place.data().join("ledger.db")).unwrap();
        let connection = Connection::open(place.data().join("ledger.db")).unwrap();
        assert!(connection.execute(edit, ()).unwrap() > 0, "{edit}");
        drop(connection);
        let ledger = place.open();
        assert_eq!(ledger.published().ok().map(|published| published.size), published, "{edit}");
        assert!(ledger.lookup(&key(&numbered(0))).unwrap().is_some(), "{edit}");
        drop(ledger);
        let findings = fsck(&place.options(), |_| ()).unwrap().findings;
        let found =
            |finding: &Finding| matches!(finding, Finding::Checkpoint(6) | Finding::Cosignature { .. });
        assert!(!findings.is_empty() && findings.iter().all(found), "{edit}: {findings:?}");
        std::fs::write(place.data().join("ledger.db"), backup).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_begins_to_demand_cosignatures_publishes_nothing_until_it_has_them() {
    let mut place = Place::new();
    recorded(&place.open(), 0..5).await;
    place.publication = two_of_three();
    let ledger = place.open();
    assert!(ledger.published().is_err());
    recorded(&ledger, 5..8).await;
    let signed = newest(&ledger);
    recorded(&ledger, 8..9).await;
    cosigned_by(&ledger, &signed, &["w1", "w2"]).await;
    assert_eq!(ledger.published().unwrap().size, signed.size);
    Auditor::default().audit(&ledger);
}

#[test]
fn policies_that_cannot_be_followed_are_refused_at_the_start() {
    let mut place = Place::new();
    place.publication.mode = Mode::Require;
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::Publication { .. })));
    let many: Vec<String> = (0..61).map(|i| format!("witness-{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    place.publication.witnesses = Some(policy(1, &many));
    assert!(matches!(Ledger::open(place.options()), Err(OpenError::Publication { .. })));
    place.publication.witnesses = Some("quorum none\n".parse().unwrap());
    Auditor::default().audit(&place.open());
}

#[tokio::test]
async fn a_database_of_the_first_version_is_migrated_and_goes_on() {
    let mut place = Place::new();
    recorded(&place.open(), 0..5).await;
    let path = place.data().join("ledger.db");
    let connection = Connection::open(&path).unwrap();
    // As the first version left it: no tables for cosignatures, and noise in the stored note.
    connection
        .execute_batch(
            "DROP TABLE checkpoints; DROP TABLE cosignatures; DROP TABLE log_keys;
             ALTER TABLE manifest_names DROP COLUMN idx; DROP TABLE evidence; DROP TABLE evidence_ids; DROP TABLE pending; PRAGMA user_version = 1;
             UPDATE head SET note = note || '— grease.invalid AAECAwQFBgc=' || char(10);",
        )
        .unwrap();
    drop(connection);
    place.publication = two_of_three();
    let ledger = place.open();
    assert!(place.data().join("ledger.db.before-migration-of-version-1").exists());
    assert!(!newest(&ledger).note.contains("grease"));
    recorded(&ledger, 5..6).await;
    cosigned_by(&ledger, &newest(&ledger), &["w1", "w2"]).await;
    Auditor::default().audit(&ledger);
    drop(ledger);
    assert!(fsck(&place.options(), |_| ()).unwrap().is_sound());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record {
        tag: usize,
        digest: usize,
        freezes: bool,
    },
    Supersede {
        tag: usize,
        old: usize,
        new: usize,
    },
    /// A witness or auditor answers for one of the checkpoints signed so far.
    Cosign {
        who: usize,
        which: usize,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (tag, digest) = (0..4_usize, 0..3_usize);
    let step = prop_oneof![
        4 => (tag.clone(), digest.clone(), any::<bool>())
            .prop_map(|(tag, digest, freezes)| Step::Record { tag, digest, freezes }),
        1 => (tag, digest.clone(), digest).prop_map(|(tag, old, new)| Step::Supersede { tag, old, new }),
        6 => (0..4_usize, 0..6_usize).prop_map(|(who, which)| Step::Cosign { who, which }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_published_always_satisfies_the_policy_and_never_goes_back(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut place = demanding();
            place.publication.auditors = Some(policy(1, &["auditor"]));
            let mut ledger = Some(place.open());
            let mut auditor = Auditor::default();
            let (mut signed, mut published, mut audited) = (vec![newest(ledger.as_ref().unwrap())], 0, 0);
            for step in steps {
                let open = ledger.as_ref().unwrap();
                match step {
                    Step::Record { tag, digest, freezes } => {
                        let (tag, manifest) = (numbered(tag), image(&format!("{digest}")));
                        let submission = if freezes { freeze(&tag, &manifest) } else { observe(&tag, &manifest) };
                        open.append(submission).await.unwrap();
                    }
                    Step::Supersede { tag, old, new } => {
                        let (old, new) = (image(&format!("{old}")), image(&format!("{new}")));
                        let _refused_or_not = open.append(supersede(&numbered(tag), &old, &new)).await;
                    }
                    Step::Cosign { who, which } => {
                        let signed = &signed[signed.len().saturating_sub(which + 1)];
                        cosigned_by(open, signed, &[["w1", "w2", "w3", "auditor"][who]]).await;
                    }
                    Step::Restart => {
                        drop(ledger.take());
                        ledger = Some(place.open());
                    }
                }
                let open = ledger.as_ref().unwrap();
                if newest(open).size > signed[signed.len() - 1].size {
                    signed.push(newest(open));
                }
                if let Ok(now) = open.published() {
                    let names = names_on(&now.note);
                    assert!(names.iter().filter(|name| name.starts_with('w')).count() >= 2, "{names:?}");
                    assert!(now.size >= published, "{step:?}");
                    published = now.size;
                } else {
                    assert_eq!(published, 0, "{step:?}");
                }
                if let Some(now) = open.audited() {
                    assert!(names_on(&now.note).contains(&"auditor".to_owned()));
                    assert!(now.size >= audited && now.size <= published, "{step:?}");
                    audited = now.size;
                }
            }
            if published > 0 {
                auditor.audit(ledger.as_ref().unwrap());
            }
            drop(ledger);
            let report = fsck(&place.options(), |_| ()).unwrap();
            assert!(report.is_sound(), "{:?}", report.findings);
        });
    }
}
