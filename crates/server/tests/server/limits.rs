//! Budgets, the disk and the clock.

use std::time::{Duration, Instant};

use testkit::{Gate, Image, Kind, Quirk};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::place::{Place, Running, START, error};

#[tokio::test]
async fn beyond_its_budget_a_client_gets_no_new_tags_and_keeps_the_recorded_ones() {
    let place = Place::new().await.tables("[limits]\nmin_free = 0\nnew_records_per_client_per_day = 2");
    let service = place.start().await;
    for tag in ["v1", "v2", "v3"] {
        place.push("team/app", tag);
    }
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.pull("team/app", "v2").await.status, 200);
    let refused = service.pull("team/app", "v3").await;
    let (code, message) = error(&refused);
    assert_eq!((refused.status, &*code), (429, "TOOMANYREQUESTS"));
    assert!(message.contains("new_records_per_client_per_day"), "{message}");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 1);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    place.clock.advance(Duration::from_secs(86_400));
    assert_eq!(service.pull("team/app", "v3").await.status, 200);
}

#[tokio::test]
async fn a_moved_tag_is_refused_beyond_the_budget_of_its_evidence() {
    let place = Place::new().await.tables("[limits]\nmin_free = 0\nmoved_per_tag_per_day = 1");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    for _ in 0..3 {
        place.push("team/app", "v1");
        assert_eq!(service.pull("team/app", "v1").await.status, 403);
    }
}

#[tokio::test]
async fn a_clock_that_went_back_records_nothing_new() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    place.push("team/app", "v2");
    service.pull("team/app", "v1").await;
    place.clock.set(START - 301);
    let refused = service.pull("team/app", "v2").await;
    assert_eq!((refused.status, &*error(&refused).0), (503, "UNAVAILABLE"));
    assert!(refused.header("retry-after").is_some());
    let ready = service.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("set the clock right"), "{}", ready.text());
    assert_eq!(service.get("/livez").await.status, 200);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
}

#[tokio::test]
async fn a_clock_a_day_away_from_upstreams_records_nothing_new() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let theirs = testkit::Clock::at(START + 86_401);
    place.registry.follow_clock(&theirs);
    assert_eq!(service.pull("team/app", "v1").await.status, 503);
    assert_eq!(service.get("/readyz").await.status, 503);
    theirs.set(START);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!(service.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_full_disk_keeps_new_tags_out_and_recorded_ones_in() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    let mut surroundings = place.surroundings();
    surroundings.free_space = ledger::FreeSpace::new(|_| Ok(1 << 20));
    let mut config = place.config().unwrap();
    config.limits.budgets.min_free = 1 << 30;
    let service = server::Service::start(config, surroundings).await.unwrap();
    let url = format!("http://{}/v2/corp.alt/team/app/manifests", service.address());
    let ready = format!("http://{}/readyz", service.address());
    tokio::spawn(service.run(std::future::pending()));
    place.push("team/app", "v2");
    assert_eq!(testkit::wire::get(&format!("{url}/v2")).await.status, 503);
    assert_eq!(testkit::wire::get(&format!("{url}/v1")).await.status, 200);
    let ready = testkit::wire::get(&ready).await;
    assert!(ready.status == 503 && ready.text().contains("bytes are free"), "{}", ready.text());
}

#[tokio::test]
async fn a_client_beyond_its_budget_does_not_spoil_the_pull_of_another_who_shares_its_question() {
    let place = Place::new().await.tables("[limits]\nmin_free = 0\nnew_records_per_client_per_day = 1");
    let service = place.start().await;
    place.push("team/app", "v1");
    let image = place.push("team/app", "v2");
    service.pull("team/app", "v1").await;
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let request = || service.request("GET", "/v2/corp.alt/team/app/manifests/v2");
    let spent = tokio::spawn(request().send());
    gate.waiting(1).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(service.address).await.unwrap();
    let request = request();
    let other = tokio::spawn(async move { request.over(&mut other).await.unwrap() });
    while !service.get("/metrics").await.text().contains("tlog_singleflight_shared_total 1") {
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(spent.await.unwrap().status, 429);
    let other = other.await.unwrap();
    assert_eq!((other.status, &other.body), (200, &image.manifest));
}

/// Asks so often over HTTP/2, and opens no window for the answers.
async fn takes_nothing(service: &Running, path: &str, times: u8) -> TcpStream {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let headers =
        [&[0x82, 0x86, 0x41, 1, b't', 4, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat();
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let closed = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &closed].concat()).await.unwrap();
    for number in (1..2 * times).step_by(2) {
        stream.write_all(&frame(1, 5, number, &headers)).await.unwrap();
    }
    stream
}

/// A service of which one client has all the blobs that it may have, and takes nothing of them.
async fn with_untaken_blobs() -> (Place, Running, String, TcpStream) {
    let limits = "[limits]\nmin_free = 0\nuntaken_per_client = \"256KiB\"";
    let place = Place::new().await.keys("blobs = \"stream\"").tables(limits);
    let service = place.start().await;
    let blob = place.registry.push_blob("team/app", vec![7_u8; 100_000]);
    let path = format!("/v2/corp.alt/team/app/blobs/{blob}");
    let held = takes_nothing(&service, &path, 2).await;
    let until = Instant::now() + Duration::from_secs(30);
    while place.registry.count("GET", Kind::Blob) < 2 {
        assert!(Instant::now() < until, "{} asked", place.registry.count("GET", Kind::Blob));
        tokio::task::yield_now().await;
    }
    (place, service, path, held)
}

#[tokio::test]
async fn who_may_have_no_more_blobs_is_told_so_before_upstream_is_asked() {
    let (place, service, path, _held) = with_untaken_blobs().await;
    let refused = service.get(&path).await;
    let (code, message) = error(&refused);
    assert_eq!((refused.status, &*code), (429, "TOOMANYREQUESTS"));
    assert!(message.contains("`limits.untaken_per_client`"), "{message}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(place.registry.count("GET", Kind::Blob), 2);
    assert_eq!(service.request("HEAD", &path).send().await.status, 200);
}

#[tokio::test]
async fn probes_are_answered_whatever_is_not_taken_behind_the_same_address() {
    let (_place, service, _path, _held) = with_untaken_blobs().await;
    assert_eq!(service.get("/metrics").await.status, 429);
    assert_eq!((service.get("/livez").await.status, service.get("/readyz").await.status), (200, 200));
}

#[tokio::test]
async fn who_takes_nothing_of_what_it_asks_for_is_refused_more_of_it() {
    let place = Place::new().await;
    let service = place.start().await;
    let mut image = Image::unique();
    let padding = format!("{{\"annotations\":{{\"padding\":\"{}\"}},", "x".repeat(3 << 20));
    image.manifest = [padding.as_bytes(), &image.manifest[1..]].concat().into();
    image.digest = testkit::sha256_digest(&image.manifest);
    place.registry.push_image("team/app", "v1", &image);
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    let _held = takes_nothing(&service, "/v2/corp.alt/team/app/manifests/v1", 50).await;
    let until = Instant::now() + Duration::from_secs(30);
    let refused = "tlog_turned_away_total{reason=\"untaken\"}";
    while !service.get("/metrics").await.text().contains(refused) {
        assert!(Instant::now() < until, "fifty answers of 3 MiB wait");
        tokio::task::yield_now().await;
    }
}
