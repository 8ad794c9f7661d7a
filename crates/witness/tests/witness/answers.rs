//! Every answer that a witness can give, and what the client makes of it.

use std::time::Duration;

use proptest::prelude::*;
use testkit::port::ReservedPort;
use tlog::{Note, cosign, verify_cosignature};
use witness::{Client, Cosigned, SubmitError, Witness};

use crate::fake::{Fake, Say, client, grease, key};
use crate::log::{Log, ORIGIN};

/// Submits size 8 to a fake called `w` that is believed to hold `known` leaves.
async fn submit(fake: &Fake, known: u64) -> Result<Cosigned, SubmitError> {
    let log = Log::new();
    client().submit(&fake.witness(), &log.checkpoint(8), known, log.prover(8)).await
}

async fn refused(script: impl IntoIterator<Item = Say>, requests: usize) -> SubmitError {
    let fake = Fake::new("w", script).await;
    let error = submit(&fake, 3).await.unwrap_err();
    assert_eq!(fake.requests().len(), requests, "{error}");
    error
}

#[tokio::test]
async fn a_cosignature_is_found_among_lines_of_strangers_and_verifies() {
    let fake = Fake::new("w", [Say::Cosign(1_800_000_000)]).await;
    let cosigned = submit(&fake, 3).await.unwrap();
    assert_eq!(cosigned.time, 1_800_000_000);
    let log = Log::new();
    let mut note: Note = log.checkpoint(8).into_note();
    note.push(cosigned.line);
    note.verify(&log.key().verifier()).unwrap();
    assert_eq!(verify_cosignature(&note, &key("w").verifier()).unwrap(), 1_800_000_000);
    assert_eq!(fake.requests(), [log.request(3, 8)]);
}

#[tokio::test]
async fn of_two_cosignatures_the_newer_one_counts() {
    let note = Log::new().checkpoint(8).into_note();
    let line = |time| cosign(&note, &key("w"), time).unwrap();
    let fake = Fake::new("w", [Say::status(200, format!("{}\n{}\n{}\n", line(5), line(7), line(6)))]).await;
    assert_eq!(submit(&fake, 3).await.unwrap(), Cosigned { line: line(7), time: 7 });
}

#[tokio::test]
async fn a_409_with_a_size_is_asked_again_with_a_proof_from_there() {
    for held in [1, 5, 8] {
        let fake = Fake::new("w", [Say::status(409, format!("{held}\n")), Say::Cosign(9)]).await;
        submit(&fake, 0).await.unwrap();
        let log = Log::new();
        assert_eq!(fake.requests(), [log.request(0, 8), log.request(held, 8)]);
    }
    let fake = Fake::new("w", [Say::status(409, "0\n"), Say::Cosign(9)]).await;
    submit(&fake, 3).await.unwrap();
    assert_eq!(fake.requests()[1], Log::new().request(0, 8));
}

#[tokio::test]
async fn sizes_that_change_each_time_end_after_three_requests() {
    let script = (4..20).map(|held| Say::status(409, format!("{held}\n")));
    assert!(matches!(refused(script, 3).await, SubmitError::Unsettled { held: 6 }));
}

#[tokio::test]
async fn a_larger_size_than_ours_is_an_outcome_of_its_own() {
    for held in ["9", "9\n", "18446744073709551615\n"] {
        let error = refused([Say::status(409, held)], 1).await;
        assert!(matches!(error, SubmitError::Ahead { held: 9 | u64::MAX, ours: 8 }), "{error}");
    }
}

#[tokio::test]
async fn a_409_without_a_size_to_go_on_from_is_final() {
    for body in ["", "\n", "03\n", "five\n", "-1\n", "4\n4\n", "18446744073709551616\n", "3\n", "<html>"] {
        assert!(matches!(refused([Say::status(409, body)], 1).await, SubmitError::Conflict), "{body:?}");
    }
}

#[tokio::test]
async fn every_other_status_is_one_outcome_after_one_request() {
    for (status, label) in [
        (400, "malformed"),
        (403, "untrusted"),
        (404, "unknown_log"),
        (422, "proof_refused"),
        (500, "unexpected_status"),
        (502, "unexpected_status"),
        (503, "unexpected_status"),
        (201, "unexpected_status"),
        (204, "unexpected_status"),
        (418, "unexpected_status"),
    ] {
        assert_eq!(refused([Say::status(status, "4\n")], 1).await.label(), label, "{status}");
    }
}

#[tokio::test]
async fn a_witness_that_is_too_busy_says_for_how_long() {
    for (value, seconds) in [("7", Some(7)), ("86400", Some(3600)), ("soon", None)] {
        let error = refused([Say::Header(429, "retry-after", value)], 1).await;
        let SubmitError::Busy { retry_after } = error else { panic!("{error}") };
        assert_eq!(retry_after, seconds.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Fake::new("w", [Say::Cosign(9)]).await;
    let location = String::leak(format!("{}/add-checkpoint", other.url()));
    for status in [301, 302, 307, 308] {
        let error = refused([Say::Header(status, "location", location)], 1).await;
        assert!(matches!(error, SubmitError::UnexpectedStatus { status: found } if found == status));
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_lying_cosignature_is_refused_even_beside_a_good_one() {
    let (log, witness) = (Log::new(), key("w"));
    let ours = log.checkpoint(8).into_note();
    let good = cosign(&ours, &witness, 9).unwrap();
    let other_size = cosign(log.checkpoint(7).note(), &witness, 9).unwrap();
    let fork = cosign(Log::forked_at(2, "other").checkpoint(8).note(), &witness, 9).unwrap();
    let timeless = cosign(&ours, &witness, 0).unwrap();
    let mut blob = good.signature().to_vec();
    blob[40] ^= 1;
    let flipped = tlog::SignatureLine::new("w", witness.verifier().id(), blob).unwrap();
    let short = tlog::SignatureLine::new("w", witness.verifier().id(), vec![1; 7]).unwrap();
    for lie in [other_size, fork, timeless, flipped, short] {
        for body in [format!("{lie}\n"), format!("{good}\n{lie}\n"), format!("{lie}\n{good}\n")] {
            assert!(matches!(refused([Say::status(200, body)], 1).await, SubmitError::Lied));
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_cosignature_of_the_configured_key_is_none() {
    let stranger = cosign(Log::new().checkpoint(8).note(), &key("stranger"), 9).unwrap();
    for body in [grease(64), format!("{stranger}\n")] {
        assert!(matches!(refused([Say::status(200, body)], 1).await, SubmitError::NotCosigned));
    }
}

#[tokio::test]
async fn garbage_is_refused_whatever_stands_beside_it() {
    let good = cosign(Log::new().checkpoint(8).note(), &key("w"), 9).unwrap();
    for body in [
        String::new(),
        "\n".to_owned(),
        "<html>".to_owned(),
        good.to_string(),
        format!("{good}\n\n"),
        format!("\n{good}\n"),
        format!("{good}\r\n"),
        format!("{good}\nok\n"),
        format!("{}{good}\n", grease(64)),
        Log::new().checkpoint(8).to_string(),
    ] {
        let error = refused([Say::status(200, body.clone())], 1).await;
        assert!(matches!(error, SubmitError::Garbage(_)), "{body:?}: {error}");
    }
    let error = refused([Say::status(200, vec![0xff; 9])], 1).await;
    assert!(matches!(error, SubmitError::NotUtf8));
}

#[tokio::test]
async fn no_more_is_read_than_an_answer_can_have() {
    for status in [200, 409] {
        let error = refused([Say::status(status, vec![b'1'; 300_000])], 1).await;
        assert!(matches!(error, SubmitError::TooLarge { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_witness_that_says_nothing_is_given_up() {
    let fake = Fake::new("w", [Say::Nothing]).await;
    let submission = submit(&fake, 3);
    let hung = async {
        fake.asked(1).await;
        tokio::time::pause();
        tokio::time::advance(Client::TIMEOUT).await;
    };
    let (outcome, ()) = tokio::join!(submission, hung);
    assert!(matches!(outcome, Err(SubmitError::TimedOut)));
}

#[tokio::test]
async fn the_time_of_a_submission_is_that_of_all_its_requests() {
    let fake = Fake::new("w", [Say::status(409, "4\n"), Say::Nothing]).await;
    let submission = submit(&fake, 3);
    let hung = async {
        fake.asked(2).await;
        tokio::time::pause();
        tokio::time::advance(Client::TIMEOUT).await;
    };
    let (outcome, ()) = tokio::join!(submission, hung);
    assert!(matches!(outcome, Err(SubmitError::TimedOut)));
}

#[tokio::test]
async fn a_witness_that_is_not_there_is_unreachable() {
    let (log, port) = (Log::new(), ReservedPort::new());
    let witness = Witness::new("w", key("w").verifier(), &port.url()).unwrap();
    let error = client().submit(&witness, &log.checkpoint(8), 3, log.prover(8)).await.unwrap_err();
    assert!(matches!(error, SubmitError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("http://"), "{error}");
}

#[tokio::test]
async fn no_proof_is_asked_for_where_none_is_needed() {
    let log = Log::new();
    let never = |old| -> Result<Vec<tlog::Hash>, String> { panic!("asked for a proof from {old}") };
    for known in [0, 8, 9] {
        let fake = Fake::new("w", [Say::Cosign(9)]).await;
        client().submit(&fake.witness(), &log.checkpoint(8), known, never).await.unwrap();
        assert_eq!(fake.requests()[0].old(), known.min(8));
    }
}

#[tokio::test]
async fn a_proof_that_cannot_be_made_ends_the_submission() {
    let fake = Fake::new("w", []).await;
    let log = Log::new();
    let broken = |_old| Err::<Vec<tlog::Hash>, _>("the disk is gone");
    let error = client().submit(&fake.witness(), &log.checkpoint(8), 3, broken).await.unwrap_err();
    assert!(
        matches!(&error, SubmitError::Proof { old: 3, source } if source.to_string() == "the disk is gone")
    );
    let long = |_old| Ok::<_, String>(vec![tlog::Hash::EMPTY; 64]);
    let error = client().submit(&fake.witness(), &log.checkpoint(8), 3, long).await.unwrap_err();
    assert!(matches!(error, SubmitError::Request(_)), "{error}");
    assert!(fake.requests().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_answer_that_is_not_a_cosignature_gives_one(answers in prop::collection::vec((200_u16..600, "([0-9]{1,3}\n?|.{0,40}\n?|— w [A-Za-z0-9+/]{8,120}\n)"), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fake = Fake::new("w", answers.into_iter().map(|(status, body)| Say::status(status, body))).await;
            prop_assert!(submit(&fake, 3).await.is_err());
            prop_assert!(fake.requests().len() <= 3);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_witness_is_asked_what_it_shows_of_a_log_and_only_a_checkpoint_is_one() {
    let checkpoint = Log::new().checkpoint(9);
    let script = [
        Say::status(200, checkpoint.to_string()),
        Say::status(404, "no checkpoint of this log was cosigned yet\n"),
        Say::status(200, "garbage"),
        Say::status(200, vec![b'x'; 300 * 1024]),
    ];
    let fake = Fake::new("w", script).await;
    let shown = async || client().shown(&fake.witness(), ORIGIN).await;
    assert_eq!(shown().await.unwrap(), checkpoint);
    assert!(matches!(shown().await, Err(SubmitError::UnexpectedStatus { status: 404 })));
    assert!(matches!(shown().await, Err(SubmitError::Garbage(_))));
    assert!(matches!(shown().await, Err(SubmitError::TooLarge { .. })));
}
