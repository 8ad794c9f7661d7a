//! Auditors that bring their cosignatures, and strangers that bring something else.

use std::time::Duration;

use bytes::Bytes;
use testkit::wire::Reply;
use tlog::{Checkpoint, Hash, KeyAlgorithm, Note, Policy, SignedCheckpoint, SigningKey, cosign};

use crate::place::{Place, Running, START, tag_name};
use crate::witnesses::{Say, Witnessed, is_satisfied, strangers, until};

const APP: &str = "corp.alt/team/app";
const TIME: u64 = START.unsigned_abs();

fn auditor(name: &str) -> SigningKey {
    SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, Hash::of(name).as_bytes()).unwrap()
}

/// One of two is enough.
fn policy() -> String {
    let [a, b] = ["a.example", "b.example"].map(|name| auditor(name).verifier());
    format!("witness a {a}\nwitness b {b}\ngroup auditors any a b\nquorum auditors\n")
}

fn file(place: &Place) -> String {
    let file = place.directory.path().join("auditors.policy");
    std::fs::write(&file, policy()).unwrap();
    format!("auditors_file = \"{}\"\n", file.display())
}

async fn collecting() -> Place {
    let place = Place::new().await;
    let file = file(&place);
    place.tables(&format!("[log]\n{file}"))
}

async fn checkpoint(service: &Running) -> Note {
    let checkpoint: SignedCheckpoint = service.get("/log/checkpoint").await.text().parse().unwrap();
    checkpoint.into_note()
}

/// The note with the cosignature of an auditor.
fn by(name: &str, mut note: Note) -> Note {
    note.push(cosign(&note, &auditor(name), TIME).unwrap());
    note
}

/// A note that the auditor signed, over a checkpoint of its own making.
fn made_up(origin: &str, size: u64) -> String {
    let checkpoint = Checkpoint { origin: origin.to_owned(), size, root: Hash::of("another history") };
    by("a.example", Note::unsigned(checkpoint.to_string()).unwrap()).to_string()
}

async fn bring(service: &Running, body: impl Into<Bytes>) -> Reply {
    let reply = service.request("POST", "/log/cosignature").body(body).send().await;
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("x-request-id").is_some());
    assert_eq!(reply.body.is_empty(), reply.status == 200);
    reply
}

fn is_audited(note: &Note) -> bool {
    is_satisfied(&policy().parse::<Policy>().unwrap(), note)
}

#[tokio::test]
async fn what_an_auditor_has_cosigned_is_served_beside_what_is_newest() {
    let place = collecting().await;
    let service = place.start().await;
    let key = service.ledger.verifier_key().clone();
    place.push("team/app", "v1");
    place.push("team/app", "v2");
    service.pull("team/app", "v1").await;
    for path in ["/log/checkpoint?audited", &format!("/proof/{APP}:v1?audited")] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
    let audited = by("a.example", checkpoint(&service).await);
    for _ in 0..2 {
        assert_eq!(bring(&service, audited.to_string()).await.status, 200);
    }
    assert!(is_audited(&checkpoint(&service).await), "while it is the newest");

    service.pull("team/app", "v2").await;
    assert!(!is_audited(&checkpoint(&service).await));
    let old = service.get("/log/checkpoint?audited").await;
    let old: SignedCheckpoint = old.text().parse().unwrap();
    assert!(old.checkpoint().size == 4 && is_audited(old.note()));
    old.verify(&key).unwrap();
    assert_eq!(checkpoint(&service).await.text().lines().nth(1), Some("6"));

    let proof = service.get(&format!("/proof/{APP}:v1?audited")).await;
    let verified = taglog::verify(proof.text(), &tag_name(&format!("{APP}:v1")), &key).unwrap();
    assert!(verified.current.is_some() && is_audited(verified.checkpoint.note()));
    let newest = service.get(&format!("/proof/{APP}:v1")).await;
    let verified = taglog::verify(newest.text(), &tag_name(&format!("{APP}:v1")), &key).unwrap();
    assert!(verified.checkpoint.checkpoint().size == 6 && !is_audited(verified.checkpoint.note()));
    // Recorded since: there is no audited word on it, least of all absence.
    for path in [format!("/proof/{APP}:v2?audited"), format!("/log/tags/{APP}?audited")] {
        let refused = service.get(&path).await;
        assert!(refused.status == 503 && refused.header("retry-after").is_some(), "{}", refused.text());
    }
    assert_eq!(service.get(&format!("/proof/{APP}:v2")).await.status, 200);
    let absent = service.get(&format!("/proof/{APP}:nobody?audited")).await;
    let absent = taglog::verify(absent.text(), &tag_name(&format!("{APP}:nobody")), &key).unwrap();
    assert_eq!(absent.current, None);

    // An older one than that takes nothing back, and a restart keeps it.
    let second = by("b.example", checkpoint(&service).await);
    assert_eq!(bring(&service, second.to_string()).await.status, 200);
    assert_eq!(bring(&service, audited.to_string()).await.status, 200);
    service.stop().await;
    let service = place.start().await;
    let kept: SignedCheckpoint = service.get("/log/checkpoint?audited").await.text().parse().unwrap();
    assert!(kept.checkpoint().size == 6 && is_audited(kept.note()));
    assert_eq!(service.get(&format!("/log/tags/{APP}?audited")).await.status, 200);
}

#[tokio::test]
async fn what_is_no_cosignature_of_a_published_checkpoint_is_refused_and_changes_nothing() {
    let place = collecting().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let note = checkpoint(&service).await;
    let good = by("a.example", note.clone()).to_string();
    let origin = service.ledger.origin();
    for (what, body, status) in [
        ("a key that nobody named", by("c.example", note.clone()).to_string(), 403),
        ("no cosignature", note.to_string(), 403),
        ("the signature of another checkpoint", made_up(origin, 4), 403),
        ("a checkpoint of another log", made_up("other.example/log", 4), 404),
        ("a size that the log has not reached", made_up(origin, 5000), 404),
        ("a size between two checkpoints", made_up(origin, 3), 404),
        ("size 0", made_up(origin, 0), 404),
        ("a size beyond all numbers", made_up(origin, u64::MAX), 404),
        ("nothing", String::new(), 400),
        ("no note", "hello\n".to_owned(), 400),
        ("a cut note", good[..good.len() - 2].to_owned(), 400),
        ("too much", format!("{good}{}", "x".repeat(64 * 1024)), 400),
    ] {
        let refused = bring(&service, body).await;
        assert_eq!(refused.status, status, "{what}: {}", refused.text());
    }
    assert_eq!(bring(&service, vec![0xff; 100]).await.status, 400);
    assert_eq!(service.get("/log/checkpoint?audited").await.status, 404);
    assert_eq!(checkpoint(&service).await.text(), note.text());
    for (method, status) in [("GET", 404), ("PUT", 405), ("DELETE", 405)] {
        assert_eq!(service.request(method, "/log/cosignature").send().await.status, status, "{method}");
    }
    // Among lines of strangers it is found.
    assert_eq!(bring(&service, format!("{good}{}", strangers(20))).await.status, 200);
    assert!(is_audited(&checkpoint(&service).await));
}

#[tokio::test]
async fn where_nobody_is_collected_or_nothing_is_public_nothing_is_taken() {
    let closed = collecting().await.keys("public = false");
    for place in [Place::new().await, closed] {
        let service = place.start().await;
        let signed = service.ledger.signed().borrow().note.parse::<Note>().unwrap();
        let refused = bring(&service, by("a.example", signed).to_string()).await;
        assert_eq!(refused.status, 404, "{}", refused.text());
    }
}

#[tokio::test]
async fn what_only_witnesses_may_see_is_unknown_to_auditors() {
    let mut witnessed = Witnessed::demanded().await;
    let file = file(&witnessed.place);
    witnessed.place = witnessed.place.tables(&file);
    witnessed.place.cover_timeout = Duration::ZERO;
    let service = witnessed.place.start().await;
    until("the service is ready", async || service.get("/readyz").await.status == 200).await;
    witnessed.witness().say(Say::Nothing);
    witnessed.place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    let signed: Note = service.ledger.signed().borrow().note.parse().unwrap();
    let brought = by("a.example", signed).to_string();
    assert_eq!(bring(&service, brought.clone()).await.status, 404);
    witnessed.witness().say(Say::Truth);
    until("the tag is served", async || service.pull("team/app", "v1").await.status == 200).await;
    assert_eq!(bring(&service, brought).await.status, 200);
    let audited = service.get("/log/checkpoint?audited").await;
    assert!(witnessed.satisfied_by(audited.text()) && is_audited(&audited.text().parse().unwrap()));
}
