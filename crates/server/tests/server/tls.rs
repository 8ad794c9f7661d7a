//! TLS towards clients, and certificates that are exchanged while the service runs.

use std::io;
use std::time::{Duration, Instant};

use server::Surroundings;
use testkit::tls::{OTHER_KEY_PEM, OTHER_PEM, SERVER_KEY_PEM, SERVER_PEM, connect, der};
use testkit::wire::{self, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::place::{Place, Running};

/// Shows the one certificate; the files can be exchanged.
async fn shown() -> Place {
    let place = Place::new().await;
    exchange(&place, SERVER_PEM, SERVER_KEY_PEM);
    let path = |name: &str| place.directory.path().join(name).display().to_string();
    let table = format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"", path("cert.pem"), path("key.pem"));
    place.tables(&table)
}

fn exchange(place: &Place, chain: &str, key: &str) {
    std::fs::write(place.directory.path().join("cert.pem"), chain).unwrap();
    std::fs::write(place.directory.path().join("key.pem"), key).unwrap();
}

async fn start(place: &Place) -> Running {
    place.start_in(Surroundings { reload_interval: Duration::from_millis(5), ..place.surroundings() }).await
}

async fn get(service: &Running, path: &str) -> Reply {
    let mut stream = connect(service.address, &[b"http/1.1"]).await.unwrap();
    service.request("GET", path).over(&mut stream).await.unwrap()
}

/// The certificate that a new connection is shown.
async fn certificate(service: &Running) -> Vec<u8> {
    let stream = connect(service.address, &[]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < end, "it never comes to that");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pull_over_tls_is_a_pull() {
    let place = shown().await;
    let service = start(&place).await;
    let image = place.push("team/app", "v1");
    let reply = get(&service, "/v2/corp.alt/team/app/manifests/v1").await;
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
}

#[tokio::test]
async fn http_2_is_spoken_where_a_client_offers_it() {
    let place = shown().await;
    let service = start(&place).await;
    let mut stream = connect(service.address, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_gets_nothing() {
    let place = shown().await;
    let service = start(&place).await;
    let answer: io::Result<Vec<u8>> =
        wire::send_raw(service.address, b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = answer.unwrap_or_default();
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1"), "{answer:?}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_open_connections_stay() {
    let place = shown().await;
    let service = start(&place).await;
    let mut open = connect(service.address, &[b"http/1.1"]).await.unwrap();
    assert_eq!(certificate(&service).await, der(SERVER_PEM).to_vec());
    exchange(&place, OTHER_PEM, OTHER_KEY_PEM);
    until(async || certificate(&service).await == der(OTHER_PEM).to_vec()).await;
    assert_eq!(service.request("GET", "/v2/").over(&mut open).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_changes_nothing_and_is_told() {
    let place = shown().await;
    let service = start(&place).await;
    exchange(&place, "", SERVER_KEY_PEM);
    until(async || get(&service, "/readyz").await.text().contains("the new certificate cannot be used"))
        .await;
    let ready = get(&service, "/readyz").await;
    assert_eq!(ready.status, 200, "the old one still works");
    assert!(!ready.text().contains(".pem"), "strangers are told of a file: {}", ready.text());
    let told = server::admin::readiness(&place.config().unwrap()).await.unwrap().unwrap();
    assert!(told.is_ready && told.page.contains("cert.pem"), "{}", told.page);
    assert_eq!(certificate(&service).await, der(SERVER_PEM).to_vec());
    exchange(&place, OTHER_PEM, OTHER_KEY_PEM);
    until(async || certificate(&service).await == der(OTHER_PEM).to_vec()).await;
    assert_eq!(get(&service, "/readyz").await.text(), "ok\n");
}

#[tokio::test]
async fn a_certificate_that_has_ended_makes_the_service_not_ready() {
    let place = shown().await;
    let service = start(&place).await;
    assert_eq!(get(&service, "/readyz").await.status, 200);
    place.clock.set(4_733_510_400);
    let ready = get(&service, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("`tls.cert_file`") || ready.text().contains("tls.cert_file"),
        "{}",
        ready.text()
    );
}

#[tokio::test]
async fn a_new_certificate_that_has_ended_does_not_take_the_place_of_the_old_one() {
    let place = shown().await;
    let service = start(&place).await;
    // In December 2119: the other one ended in September, ours lasts for another month.
    place.clock.set(4_730_918_400);
    exchange(&place, OTHER_PEM, OTHER_KEY_PEM);
    until(async || get(&service, "/readyz").await.text().contains("the new certificate cannot be used"))
        .await;
    assert_eq!(get(&service, "/readyz").await.status, 200);
    assert_eq!(certificate(&service).await, der(SERVER_PEM).to_vec());
}

#[tokio::test]
async fn a_service_does_not_start_with_half_a_certificate() {
    let place = shown().await;
    exchange(&place, SERVER_PEM, OTHER_KEY_PEM);
    let error = place.try_start().await.err().unwrap();
    assert!(error.to_string().contains("`tls.cert_file` and `tls.key_file`"), "{error}");
}
