//! Connections that end early, and answers that come late.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::Gate;

#[tokio::test]
async fn reset_is_seen_as_a_reset() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::Reset);
    let error = wire::Request::get(&manifest_url(&registry, "v1")).try_send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn hanging_up_is_seen_as_an_orderly_end() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::HangUp);
    let error = wire::Request::get(&manifest_url(&registry, "v1")).try_send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn held_headers_come_when_the_gate_opens() {
    let (registry, image) = with_image().await;
    let gate = Gate::closed();
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::HoldHeaders(gate.clone()));
    let url = manifest_url(&registry, "v1");
    let waiting = tokio::spawn(async move { wire::get(&url).await });
    gate.waiting(1).await;
    assert_eq!(wire::get(&format!("{}/v2/", registry.url())).await.status, 200);
    assert!(!waiting.is_finished());
    gate.release();
    assert_eq!(waiting.await.unwrap().body, image.manifest);
}

#[tokio::test]
async fn held_bodies_stop_half_way() {
    let (registry, image) = with_image().await;
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldBody(gate.clone()));
    let mut socket = TcpStream::connect(registry.address()).await.unwrap();
    let request = "GET /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let half = &image.manifest[..image.manifest.len() / 2];
    let mut received = Vec::new();
    while !received.ends_with(half) {
        assert_ne!(socket.read_buf(&mut received).await.unwrap(), 0, "closed early");
    }
    gate.waiting(1).await;
    gate.release();
    socket.read_to_end(&mut received).await.unwrap();
    let reply = Reply::parse(&received, false).unwrap();
    assert_eq!((reply.complete, &reply.body), (true, &image.manifest));
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_the_gate() {
    let (registry, _) = with_image().await;
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let url = manifest_url(&registry, "v1");
    let waiting = tokio::spawn(async move { wire::Request::get(&url).try_send().await });
    gate.waiting(1).await;
    waiting.abort();
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn arrivals_can_be_awaited() {
    let (registry, _) = with_image().await;
    let url = manifest_url(&registry, "v1");
    let sending = tokio::spawn(async move { (wire::head(&url).await, wire::head(&url).await) });
    registry.arrived(2, "HEAD", Kind::Manifest).await;
    assert_eq!(registry.count("HEAD", Kind::Manifest), 2);
    sending.await.unwrap();
}

#[tokio::test]
async fn one_connection_carries_several_requests() {
    let (registry, image) = with_image().await;
    let keep = "HEAD /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /v2/team/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let bytes = wire::send_raw(registry.address(), format!("{keep}{last}").as_bytes()).await.unwrap();
    assert!(bytes.ends_with(&image.manifest));
    assert_eq!((registry.total(), registry.connections()), (2, 1));
    get_tag(&registry).await;
    assert_eq!((registry.total(), registry.connections()), (3, 2));
}
