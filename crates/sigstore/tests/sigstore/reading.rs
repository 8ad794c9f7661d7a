//! Reading Rekor for what was signed in our name: a whole v2 log, or what v1 has of a tag.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore::monitor::{Part, Progress, State};
use sigstore::{Settings, Statement, TrustSource};
use testkit::sigstore::Fault;

use crate::place::{Place, REFERENCE, statement};

fn json(place: &Place, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(place.services.path(name)).unwrap()).unwrap()
}

fn rekor2(place: &Place) -> String {
    json(place, "signing_config.2.json")["rekorTlogUrls"][0]["url"].as_str().unwrap().to_owned()
}

/// Of the one log that was read.
fn size(state: &State) -> u64 {
    let logs: Vec<_> = state.logs.values().collect();
    assert!(logs.len() == 1 && logs[0].beyond.is_none(), "{state:?}");
    logs[0].proven.size
}

/// [18]: the log is the one that was read before, and longer.
#[tokio::test]
async fn every_entry_of_ours_is_found_once_over_restarts_and_past_a_full_tile() {
    let place = Place::v2();
    let signer = place.signer();
    let (mut state, mut hashes) = (State::default(), Vec::new());
    for round in 0..3 {
        for number in 0..100 {
            let statement = statement(&format!("{round} {number}"));
            signer.submit(&signer.sign(&statement).await.unwrap()).await.unwrap();
        }
        let mut progress = 0;
        let found = |signed| hashes.push(signed);
        place.signer().watch(&mut state, found, |done, _| progress = done).await.unwrap();
        assert_eq!((size(&state), progress), ((round + 1) * 100, (round + 1) * 100));
    }
    assert_eq!(hashes.len(), 300);
    let first: String = statement("0 0").pae_hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((hashes[0].index, &hashes[0].hash), (0, &first));
    assert!(hashes.iter().enumerate().all(|(index, signed)| signed.index == index as u64));
}

async fn somebody_else_signs(place: &Place) {
    place.services.identity("somebody@example.test");
    let stranger = place.signer();
    stranger.submit(&stranger.sign(&statement("a")).await.unwrap()).await.unwrap();
    place.services.identity(testkit::sigstore::IDENTITY);
}

#[tokio::test]
async fn what_others_signed_is_not_ours() {
    let place = Place::v2();
    somebody_else_signs(&place).await;
    let mut found = 0;
    place.signer().watch(&mut State::default(), |_| found += 1, |_, _| ()).await.unwrap();
    assert_eq!((found, place.services.tiles()), (0, 1));
}

/// Logs an entry with this certificate, signed by nobody: the fake does not look.
async fn log_by_hand(place: &Place, certificate: &str) {
    let proposed = serde_json::json!({ "hashedRekordRequestV002": { "digest": "AAAA", "signature": {
        "content": "AAAA",
        "verifier": { "x509Certificate": { "rawBytes": certificate }, "keyDetails": "PKIX_ECDSA_P256_SHA_256" },
    }}});
    let url = format!("{}/api/v2/log/entries", rekor2(place));
    let reply = testkit::wire::Request::new("POST", &url).body(proposed.to_string()).send().await;
    assert_eq!(reply.status, 201);
}

/// Rekor v2 takes entries of up to 64 KiB from anybody.
#[tokio::test]
async fn large_entries_of_a_stranger_do_not_blind_the_monitor() {
    let place = Place::v2();
    for number in 0..20 {
        log_by_hand(&place, &format!("{number:02}{}", "A".repeat(60_000))).await;
    }
    let signer = place.signer();
    signer.submit(&signer.sign(&statement("in our name")).await.unwrap()).await.unwrap();
    let mut found = 0;
    let watched = place.signer().watch(&mut State::default(), |_| found += 1, |_, _| ()).await;
    assert!(watched.is_ok() && found == 1, "found {found}: {:?}", watched.map_err(|error| error.to_string()));
}

/// Anybody can put our name into a certificate of their own making.
#[tokio::test]
async fn who_only_writes_our_name_into_a_certificate_does_not_raise_the_monitors_alarm() {
    let place = Place::v2();
    log_by_hand(&place, &STANDARD.encode(place.services.forged())).await;
    let mut found = Vec::new();
    place.signer().watch(&mut State::default(), |signed| found.push(signed), |_, _| ()).await.unwrap();
    assert!(found.is_empty() && place.services.tiles() == 1, "{found:?}");
}

#[tokio::test]
async fn a_log_that_was_shortened_changed_or_signed_by_somebody_else_is_refused() {
    let place = Place::v2();
    let signer = place.signer();
    for content in ["a", "b", "c"] {
        signer.submit(&signer.sign(&statement(content)).await.unwrap()).await.unwrap();
    }
    let mut state = State::default();
    signer.watch(&mut state, |_| (), |_, _| ()).await.unwrap();
    for (size, frontier) in [
        (4, state.logs.values().next().unwrap().proven.frontier.clone()),
        (2, vec!["00".repeat(32)]),
        (3, vec!["00".repeat(32), "11".repeat(32)]),
        (3, vec!["x".to_owned()]),
    ] {
        let proven = Part { size, frontier };
        let log = |id: &String| (id.clone(), Progress { proven: proven.clone(), beyond: None });
        let mut wrong = State { logs: state.logs.keys().map(log).collect() };
        assert!(signer.watch(&mut wrong, |_| (), |_, _| ()).await.is_err(), "{wrong:?}");
    }
    place.services.fault(Fault::ForeignCheckpoint);
    assert!(signer.watch(&mut state, |_| (), |_, _| ()).await.is_err());
}

#[tokio::test]
async fn a_rekor_1_alone_cannot_be_read_as_a_whole() {
    let place = Place::new();
    let mut root = json(&place, "trusted_root.json");
    root["tlogs"].as_array_mut().unwrap().truncate(1);
    let trust = TrustSource::Files {
        trusted_root: place.file("alone.json", &root.to_string()),
        signing_config: place.services.path("signing_config.1.json"),
    };
    let signer = place.with(Settings { trust, ..place.settings() });
    let error = signer.watch(&mut State::default(), |_| (), |_, _| ()).await.unwrap_err();
    assert!(error.to_string().contains("only a Rekor v2"), "{error}");
}

/// A shard lives for some months; the next one has another name, begins with nothing, and the last one is still believed.
#[tokio::test]
async fn every_shard_that_is_believed_is_read_and_each_goes_on_where_it_was() {
    let (last_year, this_year) = (Place::v2(), Place::v2());
    let old = last_year.signer();
    for content in ["a", "b", "c"] {
        old.submit(&old.sign(&statement(content)).await.unwrap()).await.unwrap();
    }
    let (mut state, mut found) = (State::default(), Vec::new());
    old.watch(&mut state, |signed| found.push(signed), |_, _| ()).await.unwrap();
    let new = this_year.signer();
    new.submit(&new.sign(&statement("d")).await.unwrap()).await.unwrap();
    new.watch(&mut state, |signed| found.push(signed), |_, _| ()).await.unwrap();
    assert_eq!((state.logs.len(), found.len()), (2, 4));
    old.submit(&old.sign(&statement("e")).await.unwrap()).await.unwrap();
    new.submit(&new.sign(&statement("f")).await.unwrap()).await.unwrap();
    let both = this_year.with(Settings { trust: both(&last_year, &this_year), ..this_year.settings() });
    both.watch(&mut state, |signed| found.push(signed), |_, _| ()).await.unwrap();
    let mut hashes: Vec<_> = found.iter().map(|signed| &signed.hash).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!((found.len(), hashes.len()), (6, 6));
}

/// Logs and authorities of both.
fn both(one: &Place, other: &Place) -> TrustSource {
    let merged = |name: &str, keys: &[&str]| {
        let (mut into, from) = (json(one, name), json(other, name));
        for key in keys {
            into[key].as_array_mut().unwrap().extend(from[key].as_array().unwrap().clone());
        }
        one.file(&format!("both.{name}"), &into.to_string())
    };
    TrustSource::Files {
        trusted_root: merged("trusted_root.json", &["tlogs", "ctlogs", "certificateAuthorities"]),
        signing_config: merged("signing_config.2.json", &["rekorTlogUrls"]),
    }
}

/// What is wrong with one log does not hide another, and is told.
#[tokio::test]
async fn a_log_that_cannot_be_read_does_not_hide_the_others() {
    let (broken, whole) = (Place::v2(), Place::v2());
    let signer = whole.signer();
    signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    broken.services.fault(Fault::ForeignCheckpoint);
    let both = whole.with(Settings { trust: both(&broken, &whole), ..whole.settings() });
    let mut found = 0;
    assert!(both.watch(&mut State::default(), |_| found += 1, |_, _| ()).await.is_err());
    assert_eq!(found, 1);
}

#[tokio::test]
async fn what_is_under_a_tag_and_was_never_published_is_found_in_any_logs_name() {
    let place = Place::new();
    let signer = place.signer();
    let elsewhere = Statement { log_origin: Some("other.example/log".to_owned()), ..statement("c") };
    let mut entries = Vec::new();
    for statement in [statement("a"), statement("b"), elsewhere.clone()] {
        let prepared =
            place.with(Settings { log_origin: None, ..place.settings() }).sign(&statement).await.unwrap();
        entries.push(signer.submit(&prepared).await.unwrap().entry);
    }
    let all = [statement("a"), statement("b"), elsewhere];
    assert_eq!(signer.unexplained(REFERENCE, &all).await.unwrap(), []);
    assert_eq!(signer.unexplained(REFERENCE, &all[..1]).await.unwrap(), entries[1..]);
    assert_eq!(signer.unexplained(REFERENCE, &[]).await.unwrap(), entries);
}

#[tokio::test]
async fn what_was_published_with_its_statement_kept_is_explained_by_one_statement() {
    let place = Place::new();
    let signer = place.attesting();
    signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    assert_eq!(signer.unexplained(REFERENCE, &[statement("a")]).await.unwrap(), []);
    assert!(!signer.unexplained(REFERENCE, &[statement("b")]).await.unwrap().is_empty());
}

#[tokio::test]
async fn under_a_tag_also_a_rekor_1_that_is_not_written_to_is_looked_at() {
    let place = Place::new();
    let signer = place.signer();
    let stolen = signer.submit(&signer.sign(&statement("a")).await.unwrap()).await.unwrap();
    let place = Place { version: 2, ..place };
    assert_eq!(place.signer().unexplained(REFERENCE, &[]).await.unwrap(), [stolen.entry]);
}

#[tokio::test]
async fn under_a_tag_strangers_are_not_us_and_a_log_without_an_index_says_so() {
    let place = Place::new();
    somebody_else_signs(&place).await;
    assert_eq!(place.signer().unexplained(REFERENCE, &[]).await.unwrap(), []);
    place.services.fault(Fault::NoIndex);
    let error = place.signer().unexplained(REFERENCE, &[]).await.unwrap_err();
    assert!(error.to_string().contains("read as a whole"), "{error}");
}
