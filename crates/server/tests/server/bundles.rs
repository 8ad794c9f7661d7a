//! Bundles: to whom they are shown, and what cannot hide them.

use std::sync::Arc;
use std::time::Duration;

use testkit::Quirk;
use testkit::sigstore::Sigstore;

use crate::place::{Place, tag_name};
use crate::sigstore_place::{believes_others, between, public, said, table};

#[tokio::test]
async fn nobody_can_push_a_bundle_out_of_the_list_of_referrers_with_tags_of_their_own() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let path = format!("/v2/corp.alt/team/app/referrers/{}", image.digest);
    assert_eq!(service.get(&path).await.json()["manifests"].as_array().unwrap().len(), 1);
    for number in 0..100 {
        place.registry.push_image("stranger/copy", &format!("t{number}"), &image);
        assert_eq!(service.pull("stranger/copy", &format!("t{number}")).await.status, 200);
    }
    let list = service.get(&path).await.json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1, "{list}; {} entries", services.rekor().size());
}

#[tokio::test]
async fn a_bundle_that_fails_its_check_is_not_shown() {
    let (_place, service, _image, _others) = believes_others().await;
    assert_eq!(service.pull("team/app", "v1").await.header("tlog-log"), Some("tlog.example/log"));
    assert_ne!(service.get("/bundle/corp.alt/team/app:v1").await.status, 200);
}

#[tokio::test]
async fn a_bundle_of_another_tag_is_not_spoken_of_with_this_one() {
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let first = service.pull("team/app", "v1").await;
    let tag = tag_name("corp.alt/team/app:v1");
    let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap().unwrap();
    let document = service.ledger.evidence(record.index()).unwrap().unwrap();
    // As if the rows of the store had been exchanged: the same image under another tag.
    place.registry.push_image("team/app", "v2", &image);
    let other = tag_name("corp.alt/team/app:v2");
    let submission = ledger::Submission::Evidenced {
        submission: Box::new(ledger::Submission::Record(ledger::Observation {
            freeze: true,
            name: other.name,
            tag: other.tag,
            manifest: ledger::ManifestBytes::new(image.manifest.clone(), None).unwrap(),
            upstream_date: None,
            client: None,
            upstream: "corp.alt".to_owned(),
        })),
        evidence: ledger::Evidence { ids: Vec::new(), document },
    };
    service.ledger.append(submission).await.unwrap();
    let second = service.pull("team/app", "v2").await;
    assert_eq!(second.status, 200);
    assert_ne!(second.header("tlog-uuid"), first.header("tlog-uuid"), "it is the entry of v1");
}

#[tokio::test]
async fn what_is_anchored_can_be_had_by_a_stranger() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let tables = table(&services, "", 2).replace("per-tag", "anchor");
    let place = place.tables(&tables);
    let service = place.start().await;
    let checkpoint = service.get("/log/checkpoint").await;
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let newest = loop {
        let newest = service.get("/bundle/checkpoint").await;
        if newest.status == 200 {
            break newest;
        }
        assert!(std::time::Instant::now() < until, "no checkpoint is logged");
        tokio::task::yield_now().await;
    };
    // The hash that Rekor v2 has is all that a monitor has to ask by.
    let url: serde_json::Value =
        serde_json::from_slice(&std::fs::read(services.path("signing_config.2.json")).unwrap()).unwrap();
    let url = url["rekorTlogUrls"][0]["url"].as_str().unwrap().to_owned();
    let entries = testkit::wire::get(&format!("{url}/api/v2/tile/entries/000.p/1")).await;
    let body: serde_json::Value = serde_json::from_slice(&entries.body[2..]).unwrap();
    let digest = body["spec"]["hashedRekordV002"]["data"]["digest"].as_str().unwrap().to_owned();
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.decode(digest).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let shown = service.get(&format!("/bundle/pae/{hex}")).await;
    assert_eq!(
        (shown.status, &shown.body),
        (200, &newest.body),
        "{}; the checkpoint: {}",
        said(&shown),
        checkpoint.text()
    );
}

#[tokio::test]
async fn a_refusal_names_nothing_of_the_inside() {
    let (place, services) = public("", 1).await;
    let hook = |_: &str, path: &str, _: &[u8]| {
        path.starts_with("/api/v1/log").then(|| (400, b"host db-7.internal: role rekor_rw denied".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    let ready = service.get("/readyz").await;
    let all = format!("{}\n{}", reply.text(), ready.text());
    assert!(!all.contains("db-7.internal") && !all.contains("http://127.0.0.1"), "{all}");
}

#[tokio::test]
async fn our_bundle_is_listed_also_where_upstream_does_not_want_to_list_anything() {
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.registry.quirk_when(testkit::When::kind(testkit::Kind::Referrers), Quirk::Status(500));
    let list = service.get(&format!("/v2/corp.alt/team/app/referrers/{}", image.digest)).await;
    assert_eq!(list.status, 200, "{}", said(&list));
}

#[tokio::test]
async fn our_bundle_is_served_where_blobs_are_not() {
    let (place, _services) = public("", 1).await;
    let place = place.keys("blobs = \"deny\"");
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let list = service.get(&format!("/v2/corp.alt/team/app/referrers/{}", image.digest)).await.json();
    let manifest = service.pull("team/app", list["manifests"][0]["digest"].as_str().unwrap()).await.json();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{layer}")).await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
}
