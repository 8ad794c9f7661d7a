//! The well-behaved registry: what was pushed is served, counted and recorded.

use super::*;
use crate::{sha512_digest, wire};

#[tokio::test]
async fn a_pushed_image_is_served_by_tag_and_by_digest() {
    let (registry, image) = with_image().await;
    for reference in ["v1", &image.digest, &sha512_digest(&image.manifest)] {
        let reply = wire::get(&manifest_url(&registry, reference)).await;
        assert_eq!((reply.status, &reply.body), (200, &image.manifest));
        assert_eq!(reply.header("content-type"), Some(image.media_type));
        assert_eq!(reply.header("docker-content-digest"), Some(image.digest.as_str()));
        assert_eq!(reply.header("date"), None);
        assert!(reply.complete);
    }
    for blob in &image.blobs {
        let digest = crate::sha256_digest(blob);
        let reply = wire::get(&format!("{}/v2/team/app/blobs/{digest}", registry.url())).await;
        assert_eq!((reply.status, &reply.body), (200, blob));
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let (registry, image) = with_image().await;
    let reply = head_tag(&registry).await;
    assert_eq!(reply.header("content-length"), Some(image.manifest.len().to_string().as_str()));
    assert_eq!(reply.header("docker-content-digest"), Some(image.digest.as_str()));
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[tokio::test]
async fn a_moved_tag_points_elsewhere_and_the_old_manifest_stays() {
    let (registry, old) = with_image().await;
    let new = Image::oci("two");
    registry.push_image("team/app", "v1", &new);
    assert_eq!(get_tag(&registry).await.body, new.manifest);
    assert_eq!(wire::get(&manifest_url(&registry, &old.digest)).await.body, old.manifest);
    registry.move_tag("team/app", "v1", &old.digest);
    assert_eq!(get_tag(&registry).await.body, old.manifest);
    registry.delete_tag("team/app", "v1");
    assert_eq!(get_tag(&registry).await.status, 404);
    registry.delete("team/app", &old.digest);
    assert_eq!(wire::get(&manifest_url(&registry, &old.digest)).await.status, 404);
}

#[tokio::test]
async fn an_index_brings_its_children() {
    let registry = FakeRegistry::start().await;
    let index = Index::docker("one");
    registry.push_index("team/app", "v1", &index);
    assert_eq!(get_tag(&registry).await.header("content-type"), Some(index.media_type));
    for child in &index.children {
        assert_eq!(wire::get(&manifest_url(&registry, &child.digest)).await.body, child.manifest);
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_with_the_code_of_the_specification() {
    let (registry, image) = with_image().await;
    let url = registry.url();
    for (path, code) in [
        ("/v2/team/app/manifests/v2".to_owned(), "MANIFEST_UNKNOWN"),
        (format!("/v2/team/other/manifests/{}", image.digest), "MANIFEST_UNKNOWN"),
        (format!("/v2/team/app/blobs/{}", image.digest), "BLOB_UNKNOWN"),
        ("/v2/team/other/tags/list".to_owned(), "NAME_UNKNOWN"),
    ] {
        let reply = wire::get(&format!("{url}{path}")).await;
        assert_eq!((reply.status, &reply.json()["errors"][0]["code"]), (404, &code.into()), "{path}");
    }
    assert_eq!(wire::get(&format!("{url}/v2/_catalog")).await.status, 404);
}

#[tokio::test]
async fn writes_are_refused() {
    let registry = FakeRegistry::start().await;
    let reply = wire::Request::new("PUT", &manifest_url(&registry, "v1")).body("{}").send().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn every_request_is_recorded_with_all_its_headers() {
    let (registry, _) = with_image().await;
    let request = wire::Request::get(&format!("{}?ns=docker.io&n=a%2Fb", manifest_url(&registry, "v1")));
    request.header("Accept", "a").header("Accept", "b").header("X-Other", "c").send().await;
    head_tag(&registry).await;
    wire::get(&format!("{}/v2/", registry.url())).await;
    assert_eq!(registry.count("GET", Kind::Manifest), 1);
    assert_eq!(registry.count("HEAD", Kind::Manifest), 1);
    assert_eq!(registry.count("GET", Kind::Ping), 1);
    assert_eq!(registry.total(), 3);
    let first = registry.requests().remove(0);
    assert_eq!(first.path_and_query(), "/v2/team/app/manifests/v1?ns=docker.io&n=a%2Fb");
    assert_eq!(first.query_values("n"), ["a/b"]);
    assert_eq!(first.header_lines("accept"), ["a", "b"]);
    assert_eq!(first.header_names(), ["accept", "connection", "host", "x-other"]);
    assert_eq!((first.repository.as_deref(), first.reference.as_deref()), (Some("team/app"), Some("v1")));
    assert_eq!(registry.last(Kind::Manifest).method, "HEAD");
    registry.forget();
    assert_eq!(registry.total(), 0);
}

#[tokio::test]
async fn a_stopped_registry_refuses_connections_and_comes_back_on_its_port() {
    let (registry, image) = with_image().await;
    registry.stop();
    let refused = wire::Request::get(&manifest_url(&registry, "v1")).try_send().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    registry.restart();
    assert_eq!(get_tag(&registry).await.body, image.manifest);
}

#[tokio::test]
async fn stopping_closes_connections_that_wait_for_an_answer() {
    let (registry, _) = with_image().await;
    let gate = crate::Gate::closed();
    registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let url = manifest_url(&registry, "v1");
    let waiting = tokio::spawn(async move { wire::Request::get(&url).try_send().await });
    gate.waiting(1).await;
    registry.stop();
    waiting.await.unwrap().unwrap_err();
    assert_eq!(gate.waiting_now(), 0);
}

#[tokio::test]
async fn the_date_is_that_of_the_clock_that_is_followed() {
    let (registry, _) = with_image().await;
    let clock = Clock::at(784_111_777);
    registry.follow_clock(&clock);
    assert_eq!(get_tag(&registry).await.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    registry.quirk(Quirk::Date("yesterday".to_owned()));
    assert_eq!(head_tag(&registry).await.header("date"), Some("yesterday"));
}

#[test]
fn a_test_without_a_runtime_can_have_a_registry() {
    use std::io::{Read as _, Write as _};
    let registry = FakeRegistry::start_blocking();
    let mut socket = std::net::TcpStream::connect(registry.address()).unwrap();
    socket.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
