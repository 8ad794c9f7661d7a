//! The log and its proofs as a stranger gets them.

use taglog::{Leaf, Replay};
use tlog::{EntriesId, SignedCheckpoint, TileId, VerifierKey, decode_entries, leaf_hash, tiles_of_size};

use crate::place::{Place, Running, START, tag_name};

/// Downloads the whole log and believes nothing of it.
async fn audit(service: &Running) -> Vec<Leaf> {
    let key: VerifierKey = service.get("/log/vkey").await.text().trim_end().parse().unwrap();
    let reply = service.get("/log/checkpoint").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    let signed: SignedCheckpoint = reply.text().parse().unwrap();
    let checkpoint = signed.verify(&key).unwrap().clone();
    let mut frontier = tlog::Frontier::new();
    let mut replay = Replay::new(u64::try_from(START).unwrap());
    let mut leaves = Vec::new();
    for tile in tiles_of_size(checkpoint.size) {
        let reply = service.get(&format!("/log/{tile}")).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("application/octet-stream")),
            "{tile}"
        );
        assert_eq!(reply.body.len(), usize::from(tile.width) * 32);
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
        if tile.level > 0 {
            continue;
        }
        let id = EntriesId { index: tile.index, width: tile.width };
        let bundle = service.get(&format!("/log/{id}")).await;
        for (place, entry) in decode_entries(&bundle.body, tile.width).unwrap().into_iter().enumerate() {
            assert_eq!(reply.body[place * 32..place * 32 + 32], *leaf_hash(entry).as_ref());
            frontier.push(leaf_hash(entry));
            replay.leaf(entry).unwrap();
            leaves.push(Leaf::parse(entry).unwrap());
        }
    }
    replay.published(checkpoint.size).unwrap();
    assert_eq!(frontier.root(), checkpoint.root);
    leaves
}

#[tokio::test]
async fn a_new_log_has_its_rules_and_the_index_of_nothing() {
    let place = Place::new().await;
    let service = place.start().await;
    let leaves = audit(&service).await;
    assert_eq!(leaves.iter().map(Leaf::kind).collect::<Vec<_>>(), ["log", "index"]);
    let checkpoint = service.get("/log/checkpoint").await;
    assert!(checkpoint.text().starts_with("tlog.example/log\n2\n"), "{}", checkpoint.text());
}

#[tokio::test]
async fn everything_that_was_served_is_in_the_log_that_a_stranger_reads() {
    let place = Place::new().await;
    let service = place.start().await;
    for number in 0..150 {
        place.push("team/app", &format!("v{number}"));
        let reply = service.pull("team/app", &format!("v{number}")).await;
        let index: usize = reply.header("tlog-logindex").unwrap().parse().unwrap();
        if number % 50 == 0 {
            let leaves = audit(&service).await;
            let Leaf::Tag(record) = &leaves[index] else { panic!("{:?}", leaves[index]) };
            assert_eq!(Some(&*record.digest.to_string()), reply.header("docker-content-digest"));
        }
    }
    // Full tiles exist.
    assert!(audit(&service).await.len() > 256);
}

#[tokio::test]
async fn a_proof_shows_presence_and_absence() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let key = service.ledger.verifier_key().clone();
    for path in ["/proof/corp.alt/team/app:v1", "/proof/corp.alt/team/app%3Av1"] {
        let proof = service.get(path).await;
        assert_eq!((proof.status, proof.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        let verified = taglog::verify(proof.text(), &tag_name("corp.alt/team/app:v1"), &key).unwrap();
        let (index, leaf) = verified.current.unwrap();
        assert_eq!((index, leaf.current().unwrap().2.to_string()), (2, image.digest.clone()));
    }
    let absent = service.get("/proof/alpine:3.20").await;
    let verified = taglog::verify(absent.text(), &tag_name("alpine:3.20"), &key).unwrap();
    assert_eq!((absent.status, verified.current), (200, None));
    for wrong in ["/proof/Alpine:3", "/proof/", &format!("/proof/alpine@sha256:{}", "0".repeat(64))] {
        let reply = service.get(wrong).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (400, Some("text/plain; charset=utf-8")),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_proof_right_after_a_first_pull_is_never_an_absence() {
    let place = Place::new().await;
    let service = place.start().await;
    for number in 0..30 {
        place.push("team/app", &format!("v{number}"));
        service.pull("team/app", &format!("v{number}")).await;
        let proof = service.get(&format!("/proof/corp.alt/team/app:v{number}")).await;
        let tag = tag_name(&format!("corp.alt/team/app:v{number}"));
        let verified = taglog::verify(proof.text(), &tag, service.ledger.verifier_key()).unwrap();
        assert!(verified.current.is_some());
    }
}

#[tokio::test]
async fn tiles_that_the_log_does_not_have_are_404() {
    let place = Place::new().await;
    let service = place.start().await;
    for path in [
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/0/000.p/3",
        "tile/8/0/000",
        "tile/entries/001",
        "tile/0/0",
        "x",
        "tile/64/000.p/1",
    ] {
        assert_eq!(service.get(&format!("/log/{path}")).await.status, 404, "{path}");
    }
    for width in [1, 2] {
        let id = TileId { level: 0, index: 0, width };
        assert_eq!(service.get(&format!("/log/{id}")).await.status, 200);
    }
}
