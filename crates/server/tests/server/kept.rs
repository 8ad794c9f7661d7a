//! What is kept of a record in public: checked when it is loaded, shown where the log is, and signed again where its
//! certificate ended before it was logged.

use std::time::Duration;

use ledger::{Evidence, ManifestBytes, Observation, Submission};
use testkit::sigstore::Fault;

use crate::place::tag_name;
use crate::sigstore_place::{elsewhere, public, table};

/// As if the rows of two stores had been exchanged.
#[tokio::test]
async fn a_bundle_about_another_digest_of_the_tag_is_not_spoken_of() {
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.header("tlog-log"), Some("rekor.example"));
    let tag = tag_name("corp.alt/team/app:v1");
    let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap().unwrap();
    let document = service.ledger.evidence(record.index()).unwrap().unwrap();

    let second = elsewhere(&place, "second").await;
    let image = place.push("team/app", "v1");
    let submission = Box::new(Submission::Record(Observation {
        freeze: true,
        name: tag.name,
        tag: tag.tag,
        manifest: ManifestBytes::new(image.manifest.clone(), None).unwrap(),
        upstream_date: None,
        client: None,
        upstream: "corp.alt".to_owned(),
    }));
    let evidence = Evidence { ids: Vec::new(), document };
    second.ledger.append(Submission::Evidenced { submission, evidence }).await.unwrap();
    place.push("team/app", "v2");
    assert_eq!(second.pull("team/app", "v2").await.status, 200, "so that it is known who signs");
    let reply = second.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("tlog-log"), Some("tlog.example/log"), "our own log's word");
}

#[tokio::test]
async fn what_is_kept_has_its_timestamp_whatever_the_index_gave_back() {
    for more in ["", "store_attestation = true"] {
        let (place, _services) = public(more, 1).await;
        let service = place.start().await;
        place.push("team/app", "v1");
        assert_eq!(service.pull("team/app", "v1").await.status, 200);
        let bundle = service.get("/bundle/corp.alt/team/app:v1").await.json();
        let timestamps = &bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"];
        assert_eq!(timestamps.as_array().unwrap().len(), 1, "{more}");
    }
}

#[tokio::test]
async fn bundles_are_not_shown_where_the_log_is_not() {
    let (place, _services) = public("", 1).await;
    let place = place.keys("public = false");
    let service = place.start().await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.header("tlog-log")), (200, Some("rekor.example")));
    for path in ["/bundle/corp.alt/team/app:v1", &format!("/bundle/pae/{}", "0".repeat(64))] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        assert!(reply.text().contains("not public"), "{path}: {}", reply.text());
    }
}

/// What was signed and never logged, because the shard took nothing any more.
#[tokio::test]
async fn what_was_not_logged_before_its_certificate_ended_is_signed_again_for_the_same_digest() {
    let (mut place, services) = public("", 2).await;
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    services.fault(Fault::Frozen);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    service.stop().await;
    services.heal();
    assert_eq!((services.tiles(), services.certificates()), (0, 1));

    place.clock.advance(Duration::from_secs(601));
    place.tables = table(&services, "", 1);
    let moved = place.push("team/app", "v1");
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 403, "it was to mean {}: {}", first.digest, reply.text());
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*first.digest));
    assert_eq!(reply.header("tlog-upstream-digest"), Some(&*moved.digest));
    assert_eq!((services.rekor().size(), services.certificates()), (1, 2));
    place.registry.move_tag("team/app", "v1", &first.digest);
    assert_eq!(service.pull("team/app", "v1").await.header("tlog-log"), Some("rekor.example"));
}
