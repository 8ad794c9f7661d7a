//! Records that are logged in Rekor before they are served.

use std::time::Duration;

use oci::Sha256Digest;
use server::admin::{self, Command};
use server::config::{Config, Flags};
use sigstore::{Action, Statement};
use taglog::Reason;
use testkit::sigstore::{Fault, Sigstore};
use testkit::wire::Reply;

use crate::place::{Place, error, tag_name};
use crate::sigstore_place::{believes_others, elsewhere, public, table};

fn of_rekor(reply: &Reply) -> (Option<&str>, Option<&str>) {
    (reply.header("tlog-log"), reply.header("tlog-uuid"))
}

#[tokio::test]
async fn a_first_pull_is_logged_and_the_originals_headers_speak_of_rekor() {
    for (version, log) in [(1, "rekor.example"), (2, "rekor2.example")] {
        let (place, services) = public("", version).await;
        let service = place.start().await;
        let image = place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body), (200, &image.manifest), "{}", reply.text());
        assert_eq!(reply.header("tlog-first-seen"), Some("true"));
        assert_eq!(reply.header("tlog-log"), Some(log));
        assert_eq!(reply.header("tlog-integratedtime"), Some("2023-11-14T22:13:20Z"));
        assert_eq!(reply.header("tlog-proof"), Some("https://tlog.example/proof/corp.alt/team/app:v1"));
        if version == 1 {
            assert_eq!(reply.header("tlog-uuid"), Some(&*services.rekor().ids()[0]));
            assert_eq!(reply.header("tlog-logindex"), Some("100"));
        }
    }
}

#[tokio::test]
async fn recorded_tags_need_no_call_to_sigstore_also_after_a_restart() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let first = service.pull("team/app", "v1").await;
    let before = services.requests();
    for _ in 0..10 {
        assert_eq!(of_rekor(&service.pull("team/app", "v1").await), of_rekor(&first));
    }
    service.stop().await;
    let service = place.start().await;
    for _ in 0..10 {
        assert_eq!(service.pull("team/app", "v1").await.status, 200);
    }
    assert_eq!(services.requests(), before);
}

#[tokio::test]
async fn who_pulls_is_not_told_which_file_of_ours_is_missing() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    std::fs::remove_file(services.path("token")).unwrap();
    place.push("team/app", "v1");
    let (refused, ready) = (service.pull("team/app", "v1").await, service.get("/readyz").await);
    assert_eq!(refused.status, 503);
    for told in [refused.text(), ready.text()] {
        assert!(told.contains("the operator's log says w") && !told.contains("/token"), "{told}");
    }
    let told = admin::readiness(&place.config().unwrap()).await;
    let page = told.unwrap().unwrap().page;
    assert!(page.contains(&services.path("token").display().to_string()), "{page}");
}

#[tokio::test]
async fn while_rekor_is_away_new_tags_wait_and_recorded_ones_do_not() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    services.fault(Fault::Unavailable(u32::MAX));
    let new = place.push("team/app", "v2");
    let reply = service.pull("team/app", "v2").await;
    assert_eq!((reply.status, &*error(&reply).0), (503, "UNAVAILABLE"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert!(service.get("/readyz").await.text().contains("Rekor"));
    services.heal();
    assert_eq!(service.pull("team/app", "v2").await.body, new.manifest);
}

#[tokio::test]
async fn what_was_begun_goes_on_after_a_restart_with_the_same_entry_and_the_same_digest() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    // Signed and kept, but not logged: the entry's answer and all that follow are lost.
    services.fault(Fault::WrongProof);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    assert_eq!(services.rekor().size(), 1);
    service.stop().await;
    services.heal();
    let moved = place.push("team/app", "v1");
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 403, "it was to mean {} before it moved: {}", first.digest, reply.text());
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*first.digest));
    assert_eq!(reply.header("tlog-upstream-digest"), Some(&*moved.digest));
    assert_eq!(services.rekor().size(), 1, "the same entry");
}

#[tokio::test]
async fn anything_that_does_not_hold_is_no_record_and_is_not_served() {
    for fault in [
        Fault::NoSct,
        Fault::OtherChain,
        Fault::OtherIdentity,
        Fault::ForeignSet,
        Fault::ForeignCheckpoint,
        Fault::OtherTree,
        Fault::AlteredBody,
        Fault::ForeignTimestamp,
    ] {
        let (place, services) = public("", 1).await;
        let service = place.start().await;
        place.push("team/app", "v1");
        if fault == Fault::OtherIdentity {
            // So that it is known who is expected.
            place.push("team/app", "known");
            assert_eq!(service.pull("team/app", "known").await.status, 200);
            place.clock.advance(Duration::from_secs(600));
        }
        services.fault(fault);
        let reply = service.pull("team/app", "v1").await;
        assert_eq!(reply.status, 503, "{fault:?}: {}", reply.text());
        let tag = tag_name("corp.alt/team/app:v1");
        let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
        assert!(record.is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_second_instance_adopts_what_the_first_recorded() {
    let (place, services) = public("store_attestation = true", 1).await;
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let second = elsewhere(&place, "second").await;
    let same = second.pull("team/app", "v1").await;
    assert_eq!((same.status, &same.body), (200, &first.manifest));
    assert_eq!(same.header("tlog-first-seen"), None, "somebody saw it before");
    let size = services.rekor().size();
    place.push("team/app", "v1");
    let third = elsewhere(&place, "third").await;
    let moved = third.pull("team/app", "v1").await;
    assert_eq!(moved.status, 403);
    assert_eq!(moved.header("tlog-recorded-digest"), Some(&*first.digest));
    assert_eq!(services.rekor().size(), size, "nothing new was logged");
}

#[tokio::test]
async fn a_record_of_another_digest_that_cannot_be_read_refuses_the_tag() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    let (code, message) = error(&reply);
    assert_eq!((reply.status, &*code), (403, "DENIED"));
    assert!(message.contains(&services.rekor().ids()[0]), "{message}");
}

#[tokio::test]
async fn strangers_in_the_index_do_not_slow_a_pull_beyond_its_budget() {
    let (place, services) = public("search_entries = 20", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    services.rekor().flood("corp.alt/team/app:v1", 20);
    assert_eq!(
        service.pull("team/app", "v1").await.status,
        503,
        "20 of strangers and one of ours are too many"
    );
    place.push("team/app", "v2");
    services.rekor().flood("corp.alt/team/app:v2", 19);
    assert_eq!(service.pull("team/app", "v2").await.status, 200);
}

#[tokio::test]
async fn stock_tools_find_the_bundle_by_referrers_and_by_name() {
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let bundle = service.get("/bundle/corp.alt/team/app:v1").await;
    assert_eq!(bundle.header("content-type"), Some("application/vnd.dev.sigstore.bundle.v0.3+json"));
    let path = format!("/v2/corp.alt/team/app/referrers/{}", image.digest);
    let list = service.get(&path).await.json();
    let [descriptor] = list["manifests"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(descriptor["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert_eq!(
        descriptor["annotations"]["dev.sigstore.bundle.predicateType"],
        "https://tlogistry.dev/tag-record/v1"
    );
    let digest = descriptor["digest"].as_str().unwrap();
    let manifest = service.pull("team/app", digest).await;
    assert_eq!(manifest.status, 200);
    assert_eq!(descriptor["size"], manifest.body.len());
    let parsed = manifest.json();
    assert_eq!(parsed["subject"]["digest"], image.digest);
    for blob in [&parsed["config"], &parsed["layers"][0]] {
        let digest = blob["digest"].as_str().unwrap();
        let reply = service.get(&format!("/v2/corp.alt/team/app/blobs/{digest}")).await;
        assert_eq!((reply.status, testkit::sha256_digest(&reply.body)), (200, digest.to_owned()));
    }
    let layer = parsed["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(service.get(&format!("/v2/corp.alt/team/app/blobs/{layer}")).await.body, bundle.body);
    let other = format!("{path}?artifactType=application%2Fspdx%2Bjson");
    assert_eq!(service.get(&other).await.json()["manifests"].as_array().unwrap().len(), 0);
    let pae = Sha256Digest::from_bytes(statement(&image.digest).pae_hash()).to_string();
    let by_hash = service.get(&format!("/bundle/pae/{}", pae.strip_prefix("sha256:").unwrap())).await;
    assert_eq!(by_hash.body, bundle.body);
    for none in ["/bundle/corp.alt/team/app:v2", "/bundle/pae/00", &format!("/bundle/pae/{}", "0".repeat(64))]
    {
        assert_eq!(service.get(none).await.status, 404, "{none}");
    }
    // Under another name there is nothing of it.
    assert_ne!(service.pull("team/other", digest).await.status, 200);
}

fn statement(digest: &str) -> Statement {
    Statement {
        reference: "corp.alt/team/app:v1".to_owned(),
        digest: Sha256Digest::parse(digest).unwrap(),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        sequence: 0,
        previous: None,
        action: Action::FirstSeen,
        log_origin: Some("tlog.example/log".to_owned()),
    }
}

#[tokio::test]
async fn a_re_pin_is_logged_as_the_statement_that_follows_and_adopted_elsewhere() {
    let (place, _services) = public("store_attestation = true", 1).await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    let command = Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(&new.digest).unwrap(),
        reason: Reason::parse("rebuilt").unwrap(),
    };
    admin::run(&place.config().unwrap(), command).await.unwrap();
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.header("tlog-integratedtime")), (200, Some("2023-11-14T22:14:20Z")));
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &new.manifest), "not {}: {}", old.digest, reply.text());
}

#[tokio::test]
async fn what_needs_credentials_moves_by_design_or_is_said_not_to_be_is_not_logged() {
    for (more, logged) in [
        ("username = \"ci\"\npassword = \"hunter2\"", 0),
        ("username = \"ci\"\npassword = \"hunter2\"\nsigstore = true", 1),
        ("sigstore = false", 0),
        ("[[policy]]\nmatch = \"**\"\naction = \"observe\"", 0),
        ("", 1),
    ] {
        let place = Place::new().await;
        let services = Sigstore::start(place.directory.path(), &place.clock);
        let place = place.tables(more).tables(&table(&services, "", 1));
        let service = place.start().await;
        place.push("team/app", "v1");
        assert_eq!(service.pull("team/app", "v1").await.status, 200, "{more}");
        assert_eq!(services.rekor().size(), logged, "{more}");
    }
}

#[tokio::test]
async fn a_service_without_a_disk_proves_by_bundles_and_shows_no_log() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let path = place.directory.path().join("ephemeral.toml");
    let text = |mode: &str| {
        format!(
            "listen = \"127.0.0.1:0\"\npublic_url = \"https://tlog.example\"\ndata_dir = \"ephemeral\"\nrecheck_timeout = \"1h\"\n\
             [limits]\nmin_free = 0\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n{}",
            place.registry.url(),
            table(&services, "store_attestation = true", 1).replace("per-tag", mode)
        )
    };
    let load = |mode: &str| {
        std::fs::write(&path, text(mode)).unwrap();
        Config::load(Flags { config: Some(path.clone()), ..Flags::default() }, &|_| None)
    };
    assert!(load("off").unwrap_err().to_string().contains("ephemeral"));
    let config = load("per-tag").unwrap();
    assert!(config.warnings().iter().any(|warning| warning.contains("one instance only")));
    let data = config.data_dir.clone();
    let service = place.start_with(config, place.surroundings()).await;
    let image = place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.header("tlog-log")), (200, Some("rekor.example")));
    assert_eq!(reply.header("tlog-proof"), None);
    for path in ["/log/checkpoint", "/proof/corp.alt/team/app:v1", "/", "/t/corp.alt/team/app:v1"] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
    assert_eq!(service.get("/bundle/corp.alt/team/app:v1").await.status, 200);
    service.stop().await;
    assert!(!data.exists(), "it goes with the process");
    // The next process knows nothing, and finds it again.
    place.push("team/app", "v1");
    let service = place.start_with(load("per-tag").unwrap(), place.surroundings()).await;
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.header("tlog-recorded-digest")), (403, Some(&*image.digest)));
    service.stop().await;
}

#[tokio::test]
async fn checkpoints_are_logged_where_that_is_the_mode() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let tables = table(&services, "", 1).replace("per-tag", "anchor");
    let place = place.tables(&tables);
    let service = place.start().await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.header("tlog-log")), (200, Some("tlog.example/log")));
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while services.rekor().size() == 0 {
        assert!(std::time::Instant::now() < until, "no checkpoint is logged");
        tokio::task::yield_now().await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_bundle_that_fails_its_check_is_not_spoken_of_and_the_tag_is_served_all_the_same() {
    let (_place, service, image, _others) = believes_others().await;
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    assert_eq!(reply.header("tlog-log"), Some("tlog.example/log"), "our own log's word");
}
