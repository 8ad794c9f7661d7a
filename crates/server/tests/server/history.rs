//! What a tag was and when, in the formats that tools read.

use std::time::Duration;

use oci::Sha256Digest;
use server::admin::{self, Command};
use taglog::Reason;
use testkit::wire::Reply;
use testkit::{Image, Index, Kind, Quirk};

use crate::place::{Place, Running, START, error, tag_name};

const OBSERVE: &str = "[[policy]]\nmatch = \"corp.alt/team/*:latest\"\naction = \"observe\"";
const HOUR: Duration = Duration::from_secs(3_600);

/// Three digests of one observed tag, an hour apart; and a public log.
async fn with_history() -> (Place, Running, Vec<Image>) {
    let place = Place::new().await.tables(OBSERVE);
    let service = place.start().await;
    let mut images = Vec::new();
    for _ in 0..3 {
        images.push(place.push("team/app", "latest"));
        assert_eq!(service.pull("team/app", "latest").await.status, 200);
        place.clock.advance(HOUR);
    }
    (place, service, images)
}

async fn history(service: &Running, query: &str) -> Reply {
    service.get(&format!("/v2/corp.alt/team/app/_oci/tag-history/latest?{query}")).await
}

fn digests(reply: &Reply) -> Vec<String> {
    let manifests = reply.json()["manifests"].as_array().unwrap().clone();
    manifests.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
}

fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?;
    Some(link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned())
}

#[tokio::test]
async fn a_tags_history_is_an_index_newest_first_and_each_entry_is_proved() {
    let (place, service, images) = with_history().await;
    let asked = place.registry.total();
    let reply = history(&service, "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    let newest_first: Vec<_> = images.iter().rev().map(|image| image.digest.clone()).collect();
    assert_eq!(digests(&reply), newest_first);
    assert_eq!(next(&reply), None);
    let entry = reply.json()["manifests"][0].clone();
    let annotations = &entry["annotations"];
    assert_eq!(entry["size"], images[2].manifest.len());
    assert_eq!(annotations["org.opencontainers.distribution.tag.event"], "created");
    assert_eq!(annotations["org.opencontainers.distribution.tag.timestamp"], "2023-11-15T00:13:20Z");
    let proof = annotations["dev.tlogistry.log.proof"].as_str().unwrap();
    let path = proof.strip_prefix("https://tlog.example").unwrap();
    let proof: tlog::TlogProof = service.get(path).await.text().parse().unwrap();
    assert_eq!(annotations["dev.tlogistry.log.index"], proof.index.to_string());
    let leaf = proof.extra.unwrap();
    let text = String::from_utf8(leaf.clone()).unwrap();
    assert!(text.starts_with(&format!("seen corp.alt/team/app latest {}\n", images[2].digest)), "{text}");
    let checkpoint = proof.checkpoint.checkpoint();
    tlog::verify_inclusion(
        proof.index,
        checkpoint.size,
        tlog::leaf_hash(&leaf),
        checkpoint.root,
        &proof.hashes,
    )
    .unwrap();
    assert_eq!(place.registry.total(), asked, "upstream is not asked for a history");
}

#[tokio::test]
async fn a_history_is_read_page_by_page_and_in_parts() {
    let (_place, service, images) = with_history().await;
    let mut path = "/v2/corp.alt/team/app/_oci/tag-history/latest?n=1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = service.get(&path).await;
        assert_eq!(digests(&page).len(), 1);
        seen.extend(digests(&page));
        match next(&page) {
            Some(further) => path = further,
            None => break,
        }
    }
    let [first, second, third] = [0, 1, 2].map(|place: usize| images[place].digest.clone());
    assert_eq!(seen, [third.clone(), second.clone(), first.clone()]);
    for (query, expected) in [
        ("before=2023-11-14T23:13:20Z", vec![&first]),
        ("since=2023-11-14T23:13:20Z", vec![&third, &second]),
        ("since=2023-11-14T22:13:21Z&before=2023-11-15T00:13:20Z", vec![&second]),
        (&format!("digest={second}"), vec![&second]),
        (&format!("digest=sha256:{}", "0".repeat(64)), vec![]),
        ("n=0", vec![]),
    ] {
        let reply = history(&service, query).await;
        assert_eq!(digests(&reply).iter().collect::<Vec<_>>(), expected, "{query}");
        assert_eq!(next(&reply), None, "{query}");
    }
    for query in ["n=-1", "n=", "n=1&n=1", "before=yesterday", "since=", "digest=x"] {
        assert_eq!(history(&service, query).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn the_link_to_the_next_page_keeps_the_registry_that_ns_named() {
    let (_place, service, _) = with_history().await;
    let page = service.get("/v2/team/app/_oci/tag-history/latest?ns=corp.alt&n=2").await;
    let further = next(&page).unwrap();
    assert!(further.starts_with("/v2/team/app/_oci/tag-history/latest?n=2&below="), "{further}");
    assert_eq!(digests(&service.get(&further).await).len(), 1);
}

#[tokio::test]
async fn an_operators_re_pin_is_part_of_the_history_and_a_refused_move_is_not() {
    let place = Place::new().await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    let path = "/v2/corp.alt/team/app/_oci/tag-history/v1";
    assert_eq!(digests(&service.get(path).await), [&*old.digest]);
    let command = Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(&new.digest).unwrap(),
        reason: Reason::parse("rebuilt").unwrap(),
    };
    admin::run(&place.config().unwrap(), command).await.unwrap();
    let reply = service.get(path).await;
    assert_eq!(digests(&reply), [new.digest.clone(), old.digest]);
    assert_eq!(reply.json()["manifests"][0]["size"], new.manifest.len());
}

#[tokio::test]
async fn what_was_never_recorded_has_an_empty_history_and_records_nothing() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    for path in ["/v2/corp.alt/team/app/_oci/tag-history/v1", "/v2/corp.alt/no/such/_oci/tag-history/v1"] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, digests(&reply).len()), (200, 0));
    }
    let reply = service.get("/v2/corp.alt/team/app/_chainguard/history/v1").await;
    assert_eq!(reply.json(), serde_json::json!({"history": []}));
    assert_eq!((place.registry.total(), service.size()), (0, 2));
}

#[tokio::test]
async fn chainguards_format_is_oldest_first_and_within_a_span() {
    let (_place, service, images) = with_history().await;
    let path = "/v2/corp.alt/team/app/_chainguard/history/latest";
    let reply = service.get(path).await;
    let expected: Vec<_> = images
        .iter()
        .zip(["2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z", "2023-11-15T00:13:20Z"])
        .map(|(image, time)| serde_json::json!({"updateTimestamp": time, "digest": image.digest}))
        .collect();
    assert_eq!(reply.json(), serde_json::json!({"history": expected}));
    let reply = service.get(&format!("{path}?start=2023-11-14T23:00:00Z&end=2023-11-15")).await;
    assert_eq!(reply.json()["history"], serde_json::json!([expected[1]]));
    assert_eq!(service.get(&format!("{path}?start=now")).await.status, 400);
}

#[tokio::test]
async fn the_extensions_are_advertised() {
    let place = Place::new().await;
    let service = place.start().await;
    for path in ["/v2/_oci/ext/discover", "/v2/corp.alt/team/app/_oci/ext/discover"] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 200);
        let names: Vec<_> = reply.json()["extensions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|each| each["endpoints"].clone())
            .collect();
        assert_eq!(
            names,
            [serde_json::json!(["_oci/tag-history"]), serde_json::json!(["_chainguard/history"])]
        );
    }
}

#[tokio::test]
async fn a_denied_tag_has_no_history_here() {
    let place = Place::new().await.tables("[[policy]]\nmatch = \"corp.alt/evil/**\"\naction = \"deny\"");
    let service = place.start().await;
    for path in ["_oci/tag-history/v1", "_chainguard/history/v1"] {
        let reply = service.get(&format!("/v2/corp.alt/evil/app/{path}")).await;
        assert_eq!((reply.status, &*error(&reply).0), (403, "DENIED"));
    }
    assert_eq!(service.get("/api/v1/tags/corp.alt/evil/app").await.status, 403);
}

#[tokio::test]
async fn renovate_gets_each_recorded_tag_with_the_time_of_its_record() {
    let place = Place::new().await;
    let service = place.start().await;
    let mut expected = Vec::new();
    for (tag, time) in [("1.2.3", "2023-11-14T22:13:20Z"), ("1.2.4", "2023-11-14T23:13:20Z")] {
        let image = place.push("team/app", tag);
        service.pull("team/app", tag).await;
        place.clock.advance(HOUR);
        expected.push(serde_json::json!({"version": tag, "digest": image.digest, "releaseTimestamp": time}));
    }
    place.push("team/app", "never-pulled");
    let reply = service.get("/api/v1/tags/corp.alt/team/app").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json(), serde_json::json!({"releases": expected}));
    let none = service.get("/api/v1/tags/corp.alt/team/none").await;
    assert_eq!(none.json(), serde_json::json!({"releases": []}));
    assert_eq!(service.get("/api/v1/tags/corp.alt/Team/App").await.status, 400);
}

#[tokio::test]
async fn a_log_that_is_not_public_lists_no_tags() {
    let place = Place::new().await.keys("public = false");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    assert_eq!(service.get("/api/v1/tags/corp.alt/team/app").await.status, 404);
    let reply = service.get("/v2/corp.alt/team/app/_oci/tag-history/v1").await;
    let annotations = reply.json()["manifests"][0]["annotations"].clone();
    assert!(annotations.get("dev.tlogistry.log.proof").is_none(), "{annotations}");
}

/// What `get_tag_publication_details` of dependabot-core's `docker/update_checker.rb` asks for, step by step.
async fn published_at(service: &Running, tag: &str) -> Option<String> {
    let name = "/v2/corp.alt/team/app";
    let head = service.head(&format!("{name}/manifests/{tag}")).await;
    let mut digest = head.header("docker-content-digest").unwrap().to_owned();
    let manifest = service.get(&format!("{name}/manifests/{digest}")).await.json();
    if let Some(children) = manifest["manifests"].as_array() {
        digest = children[0]["digest"].as_str().unwrap().to_owned();
    }
    let blob = service.head(&format!("{name}/blobs/{digest}")).await;
    assert_eq!(blob.status, 200);
    blob.header("last-modified").map(str::to_owned)
}

#[tokio::test]
async fn dependabot_finds_the_time_of_the_first_record_of_an_image_and_of_an_index() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "image");
    let index = Index::unique();
    place.registry.push_index("team/app", "index", &index);
    for tag in ["image", "index"] {
        let reply = service.pull("team/app", tag).await;
        assert_eq!(reply.header("last-modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    }
    place.clock.advance(24 * HOUR);
    for tag in ["image", "index"] {
        assert_eq!(
            published_at(&service, tag).await.as_deref(),
            Some("Tue, 14 Nov 2023 22:13:20 GMT"),
            "{tag}"
        );
    }
    assert_eq!(START, 1_700_000_000);
}

#[tokio::test]
async fn a_manifest_that_we_hold_is_a_blob_while_upstream_is_gone() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.quirk(Quirk::Status(500));
    let path = format!("/v2/corp.alt/team/app/blobs/{}", image.digest);
    let reply = service.get(&path).await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert_eq!(place.registry.count("GET", Kind::Blob), 0);
    let elsewhere = service.get(&format!("/v2/corp.alt/team/other/blobs/{}", image.digest)).await;
    assert_ne!(elsewhere.status, 200, "only under the name that it was fetched for");
}

#[tokio::test]
async fn the_same_digest_under_a_second_tag_is_as_old_as_under_the_first() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.clock.advance(HOUR);
    place.registry.push_image("team/app", "v2", &image);
    service.pull("team/app", "v2").await;
    let reply = service.pull("team/app", &image.digest).await;
    assert_eq!(reply.header("last-modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
}
