//! What a hostile reader expects of records in public, and finds not to hold. Each test states what should be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use oci::Sha256Digest;
use server::admin::{self, Command};
use server::config::{Config, Flags};
use taglog::Reason;
use testkit::sigstore::{Fault, Sigstore};
use testkit::wire::{Reply, Request};
use testkit::{Image, Quirk};

use crate::place::{Place, Running, tag_name};

fn table(services: &Sigstore, more: &str, version: u32) -> String {
    let path = |name: &str| services.path(name).display().to_string();
    format!(
        "[sigstore]\nmode = \"per-tag\"\ntoken_file = \"{}\"\ntrusted_root = \"{}\"\nsigning_config = \"{}\"\n{more}",
        path("token"),
        path("trusted_root.json"),
        path(&format!("signing_config.{version}.json"))
    )
}

async fn public(more: &str, version: u32) -> (Place, Sigstore) {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let tables = table(&services, more, version);
    (place.tables(&tables), services)
}

async fn elsewhere(place: &Place, name: &str) -> Running {
    let config = std::fs::read_to_string(place.directory.path().join("config.toml")).unwrap();
    let data = place.directory.path().join(name);
    let config = config.replace(&place.data_dir().display().to_string(), &data.display().to_string());
    let path = place.directory.path().join(format!("{name}.toml"));
    std::fs::write(&path, config).unwrap();
    let config = Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap();
    place.start_with(config, place.surroundings()).await
}

/// What a service in between makes of a request: `None` passes it on.
type Hook = dyn Fn(&str, &str, &[u8]) -> Option<(u16, Vec<u8>)> + Send + Sync;

/// A service between ours and the real one; `key` of the signing configuration leads to it from now on.
async fn between(services: &Sigstore, key: &str, hook: Arc<Hook>) {
    rewritten(services, 1, key, hook, Arc::new(|_: &str, body: &[u8]| body.to_vec())).await;
}

/// What it makes of an answer.
type Rewrite = dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync;

async fn rewritten(services: &Sigstore, version: u32, key: &str, hook: Arc<Hook>, rewrite: Arc<Rewrite>) {
    let path = services.path(&format!("signing_config.{version}.json"));
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let target = config[key][0]["url"].as_str().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    config[key][0]["url"] = format!("http://{}", listener.local_addr().unwrap()).into();
    std::fs::write(&path, config.to_string()).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (hook, target, rewrite) = (Arc::clone(&hook), target.clone(), Arc::clone(&rewrite));
            let service = service_fn(move |request: HttpRequest<Incoming>| {
                let (hook, target, rewrite) = (Arc::clone(&hook), target.clone(), Arc::clone(&rewrite));
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let path = parts.uri.path().to_owned();
                    if let Some((status, body)) = hook(parts.method.as_str(), &path, &body) {
                        let mut answer = Response::new(Full::new(Bytes::from(body)));
                        *answer.status_mut() = status.try_into().unwrap();
                        return Ok::<_, hyper::Error>(answer);
                    }
                    let request = Request::new(parts.method.as_str(), &format!("{target}{path}")).body(body);
                    let reply = request.send().await;
                    let mut answer = Response::new(Full::new(Bytes::from(rewrite(&path, &reply.body))));
                    *answer.status_mut() = reply.status.try_into().unwrap();
                    for name in ["location", "x-log-index"] {
                        if let Some(value) = reply.headers.get(name) {
                            answer.headers_mut().insert(name, value.clone());
                        }
                    }
                    Ok(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
}

fn said(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.text().chars().take(400).collect::<String>())
}

// --- what is signed is pended and logged before it is known to be good, and never signed anew

#[tokio::test]
async fn what_fulcio_or_the_timestamp_authority_got_wrong_once_does_not_cost_the_tag() {
    let mut bricked = Vec::new();
    for fault in [
        Fault::NoSct,
        Fault::ForeignSct,
        Fault::OtherChain,
        Fault::ForeignTimestamp,
        Fault::OtherImprint,
        Fault::LateTimestamp,
    ] {
        let (place, services) = public("", 1).await;
        let service = place.start().await;
        place.push("team/app", "v1");
        services.fault(fault);
        assert_eq!(service.pull("team/app", "v1").await.status, 503);
        services.heal();
        let mut last = String::new();
        for _ in 0..4 {
            place.clock.advance(Duration::from_secs(3600));
            last = said(&service.pull("team/app", "v1").await);
        }
        if !last.starts_with("200") {
            bricked.push(format!("{fault:?} ({} entries in Rekor): {last}", services.rekor().size()));
        }
    }
    assert!(bricked.is_empty(), "{bricked:#?}");
}

#[tokio::test]
async fn a_certificate_that_fails_its_check_does_not_cost_all_tags_of_eight_minutes() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    services.fault(Fault::NoSct);
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    // Fulcio is right again at once.
    services.heal();
    place.push("team/app", "v2");
    let reply = service.pull("team/app", "v2").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
}

#[tokio::test]
async fn an_entry_that_rekor_made_after_the_certificate_ended_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let clock = place.clock.clone();
    let slow = std::sync::atomic::AtomicBool::new(true);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        if method == "POST"
            && path == "/api/v1/log/entries"
            && slow.swap(false, std::sync::atomic::Ordering::SeqCst)
        {
            clock.advance(Duration::from_secs(601));
        }
        None
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let mut last = said(&service.pull("team/app", "v1").await);
    for _ in 0..4 {
        place.clock.advance(Duration::from_secs(3600));
        last = said(&service.pull("team/app", "v1").await);
    }
    assert!(last.starts_with("200"), "{last}");
}

#[tokio::test]
async fn a_timestamp_that_is_too_large_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let big = std::sync::atomic::AtomicBool::new(true);
    let hook = move |_: &str, _: &str, _: &[u8]| {
        big.swap(false, std::sync::atomic::Ordering::SeqCst).then(|| (200, vec![7_u8; 60_000]))
    };
    between(&services, "tsaUrls", Arc::new(hook)).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let first = said(&service.pull("team/app", "v1").await);
    let mut last = String::new();
    for _ in 0..4 {
        place.clock.advance(Duration::from_secs(3600));
        last = said(&service.pull("team/app", "v1").await);
    }
    assert!(last.starts_with("200"), "first: {first}\nlast: {last}");
}

#[tokio::test]
async fn a_digest_that_upstream_collected_while_rekor_was_away_does_not_cost_the_tag() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    // Rekor takes nothing, and has logged nothing.
    let down = Arc::new(std::sync::atomic::AtomicBool::new(true));
    drop(service);
    let is_down = Arc::clone(&down);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        let create = method == "POST" && path == "/api/v1/log/entries";
        (create && is_down.load(std::sync::atomic::Ordering::SeqCst)).then(|| (400, b"no".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = elsewhere(&place, "other").await;
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    assert_eq!(services.rekor().size(), 0);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    place.push("team/app", "v1");
    place.registry.delete("team/app", &old.digest);
    let reply = service.pull("team/app", "v1").await;
    let tag = tag_name("corp.alt/team/app:v1");
    let pinned = service.ledger.pending(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap();
    let statement = format!("{} entries in Rekor, pending: {}", services.rekor().size(), pinned.is_some());
    assert!(reply.status == 200 || reply.status == 403, "{statement}; {}", said(&reply));
}

// --- budgets

#[tokio::test]
async fn a_client_beyond_its_budget_writes_nothing_to_rekor() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let place = place.tables(&format!(
        "{}\n[limits]\nmin_free = 0\nnew_records_per_client_per_day = 1\n",
        table(&services, "", 1)
    ));
    let service = place.start().await;
    let mut statuses = Vec::new();
    for number in 0..6 {
        let tag = format!("v{number}");
        place.push("team/app", &tag);
        statuses.push(service.pull("team/app", &tag).await.status);
    }
    assert_eq!(services.rekor().size(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_registry_whose_clock_is_wrong_writes_nothing_to_rekor() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    place.registry.quirk(Quirk::Date("Wed, 01 Jan 2020 00:00:00 GMT".to_owned()));
    let mut statuses = Vec::new();
    for number in 0..5 {
        let tag = format!("v{number}");
        place.push("team/app", &tag);
        statuses.push(service.pull("team/app", &tag).await.status);
    }
    assert_eq!(services.rekor().size(), 0, "{statuses:?}");
}

// --- referrers

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

// --- without an index there is no memory

fn ephemeral(place: &Place, services: &Sigstore, version: u32) -> Config {
    let path = place.directory.path().join("ephemeral.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://tlog.example\"\ndata_dir = \"ephemeral\"\nrecheck_timeout = \"1h\"\n\
         [limits]\nmin_free = 0\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n{}",
        place.registry.url(),
        table(services, "store_attestation = true", version)
    );
    std::fs::write(&path, text).unwrap();
    Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap()
}

async fn moved_over_a_restart(version: u32, fault: Option<Fault>) -> String {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let service = place.start_with(ephemeral(&place, &services, version), place.surroundings()).await;
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    service.stop().await;
    if let Some(fault) = fault {
        services.fault(fault);
    }
    place.push("team/app", "v1");
    let config = ephemeral(&place, &services, version);
    let warned = config.warnings().join(" | ");
    let service = place.start_with(config, place.surroundings()).await;
    let reply = service.pull("team/app", "v1").await;
    let told =
        format!("{} first-seen={:?}; warnings: {warned}", reply.status, reply.header("tlog-first-seen"));
    service.stop().await;
    told
}

#[tokio::test]
async fn an_ephemeral_service_in_front_of_a_rekor_without_an_index_records_nothing_anew() {
    let v2 = moved_over_a_restart(2, None).await;
    let no_index = moved_over_a_restart(1, Some(Fault::NoIndex)).await;
    assert!(!v2.starts_with("200") && !no_index.starts_with("200"), "v2: {v2}\nno index: {no_index}");
}

// --- what is frozen is in Rekor, and only that

#[tokio::test]
async fn an_observed_tag_that_a_policy_freezes_is_logged_as_well() {
    let (mut place, services) = public("", 1).await;
    let tables = place.tables.clone();
    place.tables = format!("{tables}\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.tables = tables;
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    let tag = tag_name("corp.alt/team/app:v1");
    let record = service.ledger.lookup(&taglog::TagKey::of(&tag.name, &tag.tag)).unwrap().unwrap();
    assert!(record.is_frozen());
    assert_eq!(
        (services.rekor().size(), reply.header("tlog-log")),
        (1, Some("rekor.example")),
        "{}",
        said(&reply)
    );
}

#[tokio::test]
async fn a_re_pin_that_the_log_refuses_is_not_logged_in_public() {
    let (mut place, services) = public("", 1).await;
    let tables = place.tables.clone();
    place.tables = format!("{tables}\n[[policy]]\nmatch = \"**\"\naction = \"observe\"\n");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let command = Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(&new.digest).unwrap(),
        reason: Reason::parse("rebuilt").unwrap(),
    };
    let outcome = admin::run(&place.config().unwrap(), command).await;
    assert!(outcome.is_err(), "an observed tag is not re-pinned");
    assert_eq!(services.rekor().size(), 0, "{}", outcome.unwrap_err());
    drop(service);
}

#[tokio::test]
async fn what_was_said_in_public_and_is_pending_still_pins_when_the_mode_changes() {
    let (mut place, services) = public("", 1).await;
    let service = place.start().await;
    let first = place.push("team/app", "v1");
    services.fault(Fault::WrongProof);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    service.stop().await;
    place.push("team/app", "v1");
    place.tables = String::new();
    let service = place.start().await;
    let reply = service.pull("team/app", "v1").await;
    assert_ne!(
        reply.status,
        200,
        "Rekor has {} ({} entries): {}",
        first.digest,
        services.rekor().size(),
        said(&reply)
    );
}

// --- what is kept is checked when it is loaded

#[tokio::test]
async fn a_bundle_that_fails_its_check_is_not_shown() {
    let (mut place, services) = public("", 1).await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    drop(services);
    let other = tempfile::tempdir().unwrap();
    let others = Sigstore::start(other.path(), &place.clock);
    place.tables = table(&others, "", 1);
    let service = place.start().await;
    place.push("team/app", "v2");
    assert_eq!(service.pull("team/app", "v2").await.status, 200, "so that it is known who signs");
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

// --- what is adopted

#[tokio::test]
async fn a_digest_that_was_superseded_in_public_is_not_adopted_because_the_re_pin_cannot_be_read() {
    let mut adopted = Vec::new();
    for (more, fault) in [("", None), ("store_attestation = true", Some(Fault::NoAttestation))] {
        let (place, services) = public(more, 1).await;
        let service = place.start().await;
        let bad = place.push("team/app", "v1");
        service.pull("team/app", "v1").await;
        let good = place.push("team/app", "v1");
        place.clock.advance(Duration::from_secs(60));
        let command = Command::Supersede {
            tag: tag_name("corp.alt/team/app:v1"),
            digest: Sha256Digest::parse(&good.digest).unwrap(),
            reason: Reason::parse("the first one was malicious").unwrap(),
        };
        admin::run(&place.config().unwrap(), command).await.unwrap();
        // Upstream serves the bad one again.
        place.registry.move_tag("team/app", "v1", &bad.digest);
        assert_eq!(service.pull("team/app", "v1").await.status, 403);
        if let Some(fault) = fault {
            services.fault(fault);
        }
        let second = elsewhere(&place, "second").await;
        let reply = second.pull("team/app", "v1").await;
        if reply.status == 200 {
            adopted.push(format!(
                "{more:?} {fault:?}: 200 with the superseded digest: {}",
                reply.header("docker-content-digest") == Some(&*bad.digest)
            ));
        }
    }
    assert!(adopted.is_empty(), "{adopted:#?}");
}

#[tokio::test]
async fn a_log_of_another_name_and_the_same_identity_does_not_refuse_its_neighbours_tags() {
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let config = std::fs::read_to_string(place.directory.path().join("config.toml")).unwrap();
    let config = config
        .replace(
            &place.data_dir().display().to_string(),
            &place.directory.path().join("next").display().to_string(),
        )
        .replace("https://tlog.example", "https://next.example");
    let path = place.directory.path().join("next.toml");
    std::fs::write(&path, config).unwrap();
    let config = Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap();
    let next = place.start_with(config, place.surroundings()).await;
    let reply = next.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest), "upstream never moved: {}", said(&reply));
}

#[tokio::test]
async fn a_service_whose_identity_was_renamed_does_not_record_its_tags_anew() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let service = place.start_with(ephemeral(&place, &services, 1), place.surroundings()).await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    place.push("team/app", "v1");
    services.identity("renamed@example.test");
    let service = place.start_with(ephemeral(&place, &services, 1), place.surroundings()).await;
    let reply = service.pull("team/app", "v1").await;
    let first = reply.header("tlog-first-seen").map(str::to_owned);
    assert_ne!((reply.status, first.as_deref()), (200, Some("true")));
    service.stop().await;
}

#[tokio::test]
async fn the_earliest_record_decides_also_where_it_says_what_ours_says() {
    let (place, services) = public("store_attestation = true", 1).await;
    // The index is late for the third instance's first look.
    let a = place.push("team/app", "v1");
    let first = place.start().await;
    assert_eq!(first.pull("team/app", "v1").await.status, 200);
    place.clock.advance(Duration::from_secs(5));
    // A second one, which the index told nothing, records another digest.
    let b = place.push("team/app", "v1");
    let looks = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&looks);
    let hook = move |_: &str, path: &str, _: &[u8]| {
        let look = path == "/api/v1/index/retrieve";
        (look && counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 < 2)
            .then(|| (200, b"[]".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
    place.clock.advance(Duration::from_secs(5));
    // The third sees nothing at first, says what the first said, and then sees all.
    place.registry.move_tag("team/app", "v1", &a.digest);
    looks.store(1, std::sync::atomic::Ordering::SeqCst);
    let third = elsewhere(&place, "third").await;
    let reply = third.pull("team/app", "v1").await;
    let recorded = reply.header("tlog-recorded-digest").map(str::to_owned);
    assert_eq!(recorded.as_deref(), Some(&*a.digest), "it adopted {}: {}", b.digest, said(&reply));
    assert_eq!(reply.header("tlog-first-seen"), None, "somebody saw it before");
}

#[tokio::test]
async fn a_statement_that_was_kept_late_can_still_be_read_elsewhere() {
    let (place, services) = public("store_attestation = true", 1).await;
    let creates = std::sync::atomic::AtomicU64::new(0);
    let hook = move |method: &str, path: &str, _: &[u8]| {
        let create = method == "POST" && path == "/api/v1/log/entries";
        // The second entry, which keeps the statement, is not taken at first.
        (create && creates.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1)
            .then(|| (400, b"no".to_vec()))
    };
    between(&services, "rekorTlogUrls", Arc::new(hook)).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    place.clock.advance(Duration::from_secs(3600));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
    place.push("team/app", "v1");
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(reply.header("tlog-recorded-digest"), Some(&*image.digest), "{}", said(&reply));
}

// --- deployment

#[tokio::test]
async fn what_terraform_deploys_has_room_for_a_record() {
    let (mut place, _services) = public("", 1).await;
    place.tables = format!("{}\n[limits]\n", place.tables);
    let surroundings = server::Surroundings {
        // Cloud Run: 512 MiB of memory, which is the disk.
        free_space: ledger::FreeSpace::new(|_| Ok(512 << 20)),
        ..place.surroundings()
    };
    let service = place.start_in(surroundings).await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
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
    while services.tiles() == 0 {
        assert!(std::time::Instant::now() < until, "no checkpoint is logged");
        tokio::task::yield_now().await;
    }
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
    assert_eq!(shown.status, 200, "{}; the checkpoint: {}", said(&shown), checkpoint.text());
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
async fn the_same_image_under_many_names_is_found_by_its_own() {
    // A control for the test above: other images do not matter.
    let (place, _services) = public("", 1).await;
    let service = place.start().await;
    let image = Image::unique();
    place.registry.push_image("team/app", "v1", &image);
    service.pull("team/app", "v1").await;
    let list = service.get(&format!("/v2/corp.alt/team/app/referrers/{}", image.digest)).await.json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1);
}

// --- re-pins

fn supersede(digest: &str, reason: &str) -> Command {
    Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(digest).unwrap(),
        reason: Reason::parse(reason).unwrap(),
    }
}

#[tokio::test]
async fn a_re_pin_is_followed_also_where_the_bundle_before_it_is_lost() {
    // As after `restore` from an export, `init --successor-of`, or a change of identity.
    let (place, _services) = public("store_attestation = true", 1).await;
    let service = place.start().await;
    let bad = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    let script =
        "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM evidence'); c.commit()";
    let database = place.data_dir().join("ledger.db");
    let done = std::process::Command::new("python3").args(["-c", script]).arg(database).status().unwrap();
    assert!(done.success());
    let service = place.start().await;
    let good = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    admin::run(&place.config().unwrap(), supersede(&good.digest, "the first was malicious")).await.unwrap();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(
        reply.header("tlog-recorded-digest"),
        Some(&*good.digest),
        "not {}: {}",
        bad.digest,
        said(&reply)
    );
}

#[tokio::test]
async fn a_re_pin_that_our_log_never_had_does_not_win_elsewhere_over_the_one_that_it_has() {
    let (place, services) = public("store_attestation = true", 1).await;
    let free = Arc::new(std::sync::atomic::AtomicU64::new(u64::MAX));
    let now_free = Arc::clone(&free);
    let mut place = place;
    place.tables = format!("{}\n[limits]\nmin_free = 1000\n", place.tables);
    let surroundings = server::Surroundings {
        free_space: ledger::FreeSpace::new(move |_| Ok(now_free.load(std::sync::atomic::Ordering::SeqCst))),
        ..place.surroundings()
    };
    let service = place.start_in(surroundings).await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let b = place.push("team/app", "v1");
    place.clock.advance(Duration::from_secs(60));
    // The disk is full, or the process ends between the two.
    free.store(0, std::sync::atomic::Ordering::SeqCst);
    let before = services.rekor().size();
    assert!(admin::run(&place.config().unwrap(), supersede(&b.digest, "by mistake")).await.is_err());
    let logged = services.rekor().size() - before;
    free.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    place.clock.advance(Duration::from_secs(60));
    let c = place.push("team/app", "v1");
    admin::run(&place.config().unwrap(), supersede(&c.digest, "the right one")).await.unwrap();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let second = elsewhere(&place, "second").await;
    let reply = second.pull("team/app", "v1").await;
    assert_eq!(
        reply.header("tlog-recorded-digest"),
        Some(&*c.digest),
        "{logged} entries of the refused command; b is {}: {}",
        b.digest,
        said(&reply)
    );
}

#[tokio::test]
async fn a_tag_that_is_pending_for_ever_can_be_set_right_by_its_operator() {
    let (place, services) = public("", 1).await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    services.fault(Fault::ForeignTimestamp);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    services.heal();
    let new = place.push("team/app", "v1");
    for digest in [&image.digest, &new.digest] {
        let outcome = admin::run(&place.config().unwrap(), supersede(digest, "stuck")).await;
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

// --- what a lying Rekor can put into what we publish

#[tokio::test]
async fn what_rekor_adds_to_its_answer_is_not_published_by_us() {
    let (place, services) = public("", 2).await;
    let rewrite = |path: &str, body: &[u8]| {
        if path != "/api/v2/log/entries" {
            return body.to_vec();
        }
        let mut entry: serde_json::Value = serde_json::from_slice(body).unwrap();
        entry["notInTheSchema"] = "junk ".repeat(150_000).into();
        entry.to_string().into_bytes()
    };
    rewritten(&services, 2, "rekorTlogUrls", Arc::new(|_: &str, _: &str, _: &[u8]| None), Arc::new(rewrite))
        .await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    let bundle = service.get("/bundle/corp.alt/team/app:v1").await;
    let junk = bundle.status == 200 && bundle.text().contains("notInTheSchema");
    assert!(!junk, "{}: a bundle of {} bytes", reply.status, bundle.body.len());
}

#[tokio::test]
async fn a_checkpoint_with_thousands_of_signatures_is_not_kept() {
    let (place, services) = public("", 1).await;
    let rewrite = |path: &str, body: &[u8]| {
        if path != "/api/v1/log/entries" {
            return body.to_vec();
        }
        let mut answer: serde_json::Value = serde_json::from_slice(body).unwrap();
        for entry in answer.as_object_mut().unwrap().values_mut() {
            let place = &mut entry["verification"]["inclusionProof"]["checkpoint"];
            let text = place.as_str().unwrap().to_owned();
            *place = format!("{text}{}", "\u{2014} junk.example AAAAAAAAAAAA\n".repeat(20_000)).into();
        }
        answer.to_string().into_bytes()
    };
    rewritten(&services, 1, "rekorTlogUrls", Arc::new(|_: &str, _: &str, _: &[u8]| None), Arc::new(rewrite))
        .await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    let bundle = service.get("/bundle/corp.alt/team/app:v1").await;
    assert!(
        bundle.body.len() < 64 * 1024,
        "{}: a bundle of {} bytes is kept",
        reply.status,
        bundle.body.len()
    );
}

// --- referrers that somebody else decides about

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

// --- the folder that is thrown away

/// Run alone: tests of one process share the folder, which is what it shows.
#[tokio::test]
#[ignore = "shares its folder with other tests"]
async fn a_folder_that_somebody_else_made_is_not_taken_for_ones_own() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    // Somebody on the same machine guesses the process id.
    let planted = std::env::temp_dir().join(format!("tlogistry-{}", std::process::id()));
    let text = format!(
        "listen = \"127.0.0.1:0\"\npublic_url = \"https://tlog.example\"\ndata_dir = \"{}\"\n[limits]\nmin_free = 0\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n",
        planted.display(),
        place.registry.url()
    );
    let path = place.directory.path().join("planted.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(Flags { config: Some(path), ..Flags::default() }, &|_| None).unwrap();
    let attacker = place.start_with(config, place.surroundings()).await;
    let evil = place.push("team/app", "v1");
    attacker.pull("team/app", "v1").await;
    attacker.stop().await;
    let good = place.push("team/app", "v1");
    let service = place.start_with(ephemeral(&place, &services, 1), place.surroundings()).await;
    let reply = service.pull("team/app", "v1").await;
    let recorded = reply.header("tlog-recorded-digest").map(str::to_owned);
    service.stop().await;
    assert_eq!(recorded.as_deref(), Some(&*good.digest), "planted: {}", evil.digest);
}
