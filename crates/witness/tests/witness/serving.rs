//! Our witness from outside: every status of the specification, and what it keeps.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::wire::{Request, get, send_raw};
use tlog::{
    AddCheckpoint, Checkpoint, Hash, KeyAlgorithm, Note, SignatureLine, SigningKey, verify_cosignature,
};
use witness::server::Error;
use witness::{Client, create, serve};

use crate::fake::grease;
use crate::log::{Log, ORIGIN};
use crate::running::{Place, Running, START, verifier};

/// Submits what the log says it is, through the real client.
async fn submit(running: &Running, log: &Log, size: u64, known: u64) -> u64 {
    let checkpoint = log.checkpoint(size);
    let client = Client::new(Client::TIMEOUT).unwrap();
    let cosigned = client.submit(&running.witness(), &checkpoint, known, log.prover(size)).await.unwrap();
    let mut note = checkpoint.into_note();
    note.push(cosigned.line);
    assert_eq!(verify_cosignature(&note, &verifier()), Ok(cosigned.time));
    cosigned.time
}

#[tokio::test]
async fn a_log_grows_from_nothing_through_the_real_client() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    let mut known = 0;
    for (size, clock) in [(0, START), (1, START + 5), (3, START + 5), (5, START + 9), (70, START + 9)] {
        place.clock.set(clock);
        assert_eq!(i64::try_from(submit(&running, &log, size, known).await).unwrap(), clock);
        known = size;
    }
    // One that has forgotten where the witness stands finds its way.
    submit(&running, &log, 80, 0).await;
    submit(&running, &log, 90, 3).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn each_wrong_request_gets_its_status_and_changes_nothing() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    let good = log.request(1, 3).to_string();
    assert_eq!(running.add(&log.request(0, 1)).await.status, 200);
    let proof = log.prove(1, 3);
    let with =
        |old, proof: &[Hash], note: Note| AddCheckpoint::new(old, proof.to_vec(), note).unwrap().to_string();
    let note = |size| log.checkpoint(size).into_note();
    let stranger = SigningKey::from_seed(ORIGIN, KeyAlgorithm::Ed25519, &[9; 32]).unwrap();
    let signed_by = |key: &SigningKey, origin: &str| {
        let mut note = Note::unsigned(
            Checkpoint { origin: origin.to_owned(), ..log.checkpoint(3).checkpoint().clone() }.to_string(),
        )
        .unwrap();
        note.sign(key).unwrap();
        note
    };
    let mut spoilt = note(3);
    spoilt.push(SignatureLine::new(ORIGIN, log.key().verifier().id(), vec![7; 64]).unwrap());
    let mut both = signed_by(&stranger, ORIGIN);
    both.sign(log.key()).unwrap();
    for (what, body, status) in [
        ("another log", with(1, &proof, signed_by(log.key(), "b.example/log")), 404),
        ("a key that is not trusted", with(1, &proof, signed_by(&stranger, ORIGIN)), 403),
        (
            "a signature that does not verify",
            good.replacen(&format!("\n{ORIGIN}\n3"), &format!("\n{ORIGIN}\n2"), 1),
            403,
        ),
        ("one good signature and a wrong one", with(1, &proof, spoilt), 403),
        ("an old size above the checkpoint's", with(4, &[], note(3)), 400),
        ("no proof", with(1, &[], note(3)), 422),
        ("a proof that is cut", with(1, &proof[..1], note(3)), 422),
        ("a proof of something else", with(1, &log.prove(1, 4), note(3)), 422),
        ("a proof with one hash more", with(1, &[proof.clone(), vec![Hash::EMPTY]].concat(), note(3)), 422),
        ("another root of the same size", Log::forked_at(0, "other").request(1, 1).to_string(), 422),
        ("another history", Log::forked_at(0, "other").request(1, 3).to_string(), 422),
        ("no note", "old 1\n\n".to_owned(), 400),
        ("a note without signatures", good.split("\n\n—").next().unwrap().to_owned() + "\n", 400),
        ("no old size", good.replacen("old 1\n", "", 1), 400),
        ("another spelling of the old size", good.replacen("old 1", "old 01", 1), 400),
        ("another end of lines", good.replace('\n', "\r\n"), 400),
        ("64 hashes", good.replacen('\n', &format!("\n{}", format!("{}\n", Hash::EMPTY).repeat(62)), 1), 400),
        ("nothing", String::new(), 400),
        ("NUL", "\0".repeat(100), 400),
    ] {
        let reply = running.post(body).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
    }
    assert_eq!(running.post(vec![0xff; 9]).await.status, 400);
    assert_eq!(running.monitored(ORIGIN).await.text().lines().nth(1), Some("1"));
    assert_eq!(running.add(&AddCheckpoint::new(1, proof, both).unwrap()).await.status, 200);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_conflict_names_the_size_in_its_own_media_type() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    assert_eq!(running.add(&log.request(1, 3)).await.text(), "0\n");
    assert_eq!(running.add(&log.request(0, 5)).await.status, 200);
    for (old, new) in [(0, 3), (0, 5), (3, 5), (0, 9), (4, 9), (7, 9), (9, 9)] {
        let reply = running.add(&log.request(old, new)).await;
        assert_eq!((reply.status, reply.text()), (409, "5\n"), "{old} to {new}");
        assert_eq!(reply.header("content-type"), Some("text/x.tlog.size"));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_empty_tree_has_one_root_only() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    let wrong = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: Hash::of(b"x") };
    let wrong = AddCheckpoint::new(0, vec![], wrong.sign(log.key()).unwrap().into_note()).unwrap();
    assert_eq!(running.add(&wrong).await.status, 422);
    for (old, new) in [(0, 0), (0, 0), (0, 2)] {
        assert_eq!(running.add(&log.request(old, new)).await.status, 200);
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn the_same_checkpoint_again_gets_a_newer_time_and_never_an_older_one() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    assert_eq!(submit(&running, &log, 3, 0).await, 1_800_000_000);
    place.clock.advance(Duration::from_secs(600));
    assert_eq!(submit(&running, &log, 3, 3).await, 1_800_000_600);
    place.clock.set(START + 590);
    assert_eq!(submit(&running, &log, 3, 3).await, 1_800_000_600);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_cosigned_by_a_clock_that_cannot_be_right() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    for clock in [0, 1_000_000_000, 5_000_000_000] {
        place.clock.set(clock);
        assert_eq!(running.add(&log.request(0, 3)).await.status, 503);
    }
    place.clock.set(START);
    assert_eq!(running.add(&log.request(0, 3)).await.status, 200);
    place.clock.set(START - 3600);
    assert_eq!(running.add(&log.request(3, 5)).await.status, 503);
    assert_eq!(running.monitored(ORIGIN).await.text().lines().nth(1), Some("3"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn lines_of_strangers_are_neither_minded_nor_kept_and_extensions_are_signed_along() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    let text = format!("{}an extension\n", log.checkpoint(3).checkpoint());
    let mut note = Note::unsigned(text).unwrap();
    note.sign(log.key()).unwrap();
    let noisy: Note = format!("{note}{}", grease(40)).parse().unwrap();
    let request = AddCheckpoint::new(0, vec![], noisy).unwrap();
    let reply = running.add(&request).await;
    let cosigned: Note = format!("{note}{}", reply.text()).parse().unwrap();
    assert_eq!(verify_cosignature(&cosigned, &verifier()), Ok(1_800_000_000));
    assert_eq!(running.monitored(ORIGIN).await.text(), cosigned.to_string());
    running.stop().await.unwrap();
}

#[tokio::test]
async fn each_log_stands_by_itself() {
    let (mut place, log) = (Place::new(), Log::new());
    let other = SigningKey::from_seed("b.example/log", KeyAlgorithm::Ed25519, &[5; 32]).unwrap();
    place
        .logs
        .push(witness::server::Log { origin: "b.example/log".to_owned(), keys: vec![other.verifier()] });
    let running = place.start().await;
    assert_eq!(running.add(&log.request(0, 5)).await.status, 200);
    let theirs = Checkpoint { origin: "b.example/log".to_owned(), ..log.checkpoint(3).checkpoint().clone() };
    let theirs = AddCheckpoint::new(0, vec![], theirs.sign(&other).unwrap().into_note()).unwrap();
    assert_eq!(running.add(&theirs).await.status, 200);
    assert_eq!(running.monitored(ORIGIN).await.text().lines().nth(1), Some("5"));
    assert_eq!(running.monitored("b.example/log").await.text().lines().nth(1), Some("3"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_cosigned_is_known_after_a_restart() {
    let (place, log) = (Place::new(), Log::new());
    let running = place.start().await;
    submit(&running, &log, 5, 0).await;
    let kept = running.monitored(ORIGIN).await;
    running.stop().await.unwrap();
    place.clock.set(START - 100);
    let running = place.start().await;
    assert_eq!(running.monitored(ORIGIN).await.body, kept.body);
    assert_eq!(running.add(&log.request(0, 9)).await.text(), "5\n");
    assert_eq!(submit(&running, &log, 9, 5).await, 1_800_000_000);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_witness_never_begins_anew_by_itself() {
    let place = Place::new();
    for path in [place.database(), place.key_file()] {
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).unwrap();
        assert!(serve(place.settings().await, async {}).await.is_err());
        assert!(!path.exists());
        let exists = create(&place.database(), &place.key_file(), "w").unwrap_err();
        assert!(matches!(exists, Error::Exists { .. }), "{exists}");
        std::fs::rename(&aside, &path).unwrap();
    }
    serve(place.settings().await, async {}).await.unwrap();
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_briefly() {
    let place = Place::new();
    let running = place.start().await;
    let live = get(&running.url("/livez")).await;
    assert_eq!((live.status, live.text()), (200, "ok\n"));
    assert_eq!(running.monitored(ORIGIN).await.status, 404);
    let upper = format!("/{}/checkpoint", Hash::of(ORIGIN).to_hex().to_uppercase());
    for path in ["/", "/checkpoint", "/0/checkpoint", "/metrics", "/add-checkpoint/", &upper] {
        assert_eq!(get(&running.url(path)).await.status, 404, "{path}");
    }
    let monitored = format!("/{}/checkpoint", Hash::of(ORIGIN).to_hex());
    for (method, path, allow) in [("GET", "/add-checkpoint", "POST"), ("POST", &monitored, "GET, HEAD")] {
        let reply = Request::new(method, &running.url(path)).send().await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn bodies_and_headers_are_bounded() {
    let place = Place::new();
    let running = place.start().await;
    assert_eq!(running.post(vec![b'a'; AddCheckpoint::MAX_BYTES]).await.status, 400);
    assert_eq!(running.post(vec![b'a'; AddCheckpoint::MAX_BYTES + 1]).await.status, 413);
    let many = "A: b\r\n".repeat(100);
    let answer =
        send_raw(running.address, format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()).await;
    assert!(String::from_utf8(answer.unwrap()).unwrap().starts_with("HTTP/1.1 431"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn one_that_sends_slowly_is_not_waited_for() {
    let place = Place::new();
    let running = place.start().await;
    // From here on time passes only while everybody waits.
    tokio::time::pause();
    let body = "POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nold 0\n";
    let answer = slow(running.address, body).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let answer = slow(running.address, "POST /add-checkpoint HTTP/1.1\r\nHost:").await;
    assert!(!answer.contains("200"), "{answer}");
    tokio::time::resume();
    running.stop().await.unwrap();
}

/// Sends this much and no more, and gives what comes until the other side closes.
async fn slow(address: SocketAddr, bytes: &str) -> String {
    String::from_utf8(send_raw(address, bytes.as_bytes()).await.unwrap()).unwrap()
}
