//! Cosigning what was audited, and handing the cosignature in.

use audit::cosign::{STATEMENT, cosign, submit};
use audit::history::Audited;
use audit::verify::{Freshness, History, Proof, Settings};
use audit::{Answer, Error, Trust, audit, verify};
use oci::Reference;
use taglog::SupersedeRule;
use tlog::{KeyAlgorithm, SignedCheckpoint, SigningKey, verify_cosignature};

use crate::auditing::{nowhere, settings};
use crate::simulator::{Directory, Log, NOW, Receiver, cosigner, impatient, name, tag_of};

async fn audited(log: &Log) -> Audited {
    let state = Directory::empty();
    audit(&settings(Directory::of(log).source(), &log.key(), state.path()), nowhere).await.unwrap()
}

#[tokio::test]
async fn an_audited_tree_is_cosigned_at_exactly_its_size() {
    let log = Log::sample(40, SupersedeRule::Never);
    let auditor = cosigner("auditor.example/x", 21);
    let cosigned = cosign(&audited(&log).await, &auditor, NOW).unwrap();
    let signed: SignedCheckpoint = cosigned.note().to_string().parse().unwrap();
    assert_eq!(signed.verify(&log.key()).unwrap().size, log.size());
    assert_eq!(verify_cosignature(signed.note(), &auditor.verifier()).unwrap(), NOW);
    // Only what the collector needs: the log's own line and ours.
    assert_eq!(signed.note().signatures().len(), 2);
    assert!(cosigned.line().to_string().starts_with("— auditor.example/x "));
    assert!(STATEMENT.contains("all of history"));
}

#[tokio::test]
async fn a_key_that_is_no_auditors_does_not_cosign() {
    let log = Log::sample(4, SupersedeRule::Never);
    let audited = audited(&log).await;
    let of_log = SigningKey::from_seed("auditor.example/x", KeyAlgorithm::Ed25519, &[21; 32]).unwrap();
    assert!(matches!(cosign(&audited, &of_log, NOW), Err(Error::Cosigner { .. })));
    let same_key = cosigner("auditor.example/x", 1);
    let error = cosign(&audited, &same_key, NOW).unwrap_err();
    assert!(matches!(&error, Error::Cosigner { .. }), "{error}");
}

#[tokio::test]
async fn a_cosignature_is_handed_in_and_makes_history_audited() {
    let mut log = Log::sample(40, SupersedeRule::Never);
    let auditor = cosigner("auditor.example/x", 21);
    let cosigned = cosign(&audited(&log).await, &auditor, NOW).unwrap();
    let receiver = Receiver::start();
    receiver.answer(&[(503, "later"), (200, "")]);
    submit(&cosigned, &receiver.url("/log"), &impatient()).await.unwrap();
    let posted = receiver.posted();
    assert_eq!((posted.len(), posted[1].path.as_str()), (2, "/log/cosignature"));
    assert_eq!(posted[1].header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(posted[1].body, cosigned.note().to_string());

    log.cosigners.push((auditor.clone(), NOW));
    let policy = format!(
        "log {}\nwitness x {}\ngroup auditors any x\nquorum auditors\n",
        log.key(),
        auditor.verifier()
    );
    let settings = Settings {
        reference: Reference::parse(&format!("{}:v0", name(0))).unwrap(),
        proof: Proof::Saved { text: log.proof(&tag_of(name(0), "v0")), log: None },
        trust: Trust::of_policy(&policy).unwrap(),
        max_age: None,
        allow_superseded: false,
        allow_observed: false,
        state: None,
        now: NOW + 5,
    };
    let report = verify(&settings).await.unwrap();
    assert_eq!(report.history, History::Audited { by: vec!["x".to_owned()] });
    assert_eq!(report.freshness, Freshness::At { time: NOW, age: 5 });
}

#[tokio::test]
async fn a_refusal_of_the_collector_is_an_error_that_says_why() {
    let log = Log::sample(4, SupersedeRule::Never);
    let cosigned = cosign(&audited(&log).await, &cosigner("auditor.example/x", 21), NOW).unwrap();
    let receiver = Receiver::start();
    receiver.answer(&[(403, "this key is not collected\nmore")]);
    let error = submit(&cosigned, &receiver.url("/log/"), &impatient()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Status { status: 403, message, .. } if message == "this key is not collected")
    );
    assert_eq!((error.answer(), receiver.posted().len()), (Answer::None, 1));
    // A redirect would turn into a GET, whose answer says nothing.
    receiver.answer(&[(302, "")]);
    let error = submit(&cosigned, &receiver.url("/log"), &impatient()).await.unwrap_err();
    assert!(matches!(error, Error::Status { status: 302, .. }), "{error}");
}
