//! Bodies that are not what was asked for, or not all of it, or sent in an unusual way.

use super::*;
use crate::sha256_digest;

fn blob_url(registry: &FakeRegistry, bytes: &[u8]) -> String {
    format!("{}/v2/team/app/blobs/{}", registry.url(), sha256_digest(bytes))
}

#[tokio::test]
async fn corrupt_blobs_have_the_right_length_and_the_wrong_digest() {
    let (registry, image) = with_image().await;
    let blob = &image.blobs[1];
    registry.quirk_when(When::kind(Kind::Blob), Quirk::CorruptBody);
    let reply = wire::get(&blob_url(&registry, blob)).await;
    assert_eq!(reply.body.len(), blob.len());
    assert_ne!(&reply.body, blob);
    assert_eq!(reply.header("docker-content-digest"), Some(sha256_digest(blob).as_str()));
    assert_eq!(get_tag(&registry).await.body, image.manifest);
}

#[tokio::test]
async fn a_body_can_be_replaced_while_its_headers_stay() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::ReplaceBody("{}".into()));
    let reply = get_tag(&registry).await;
    assert_eq!((reply.text(), reply.header("content-length")), ("{}", Some("2")));
    assert_eq!(reply.header("docker-content-digest"), Some(image.digest.as_str()));
}

#[tokio::test]
async fn truncated_bodies_end_before_their_announced_length() {
    let (registry, image) = with_image().await;
    for sent in [0, 10, image.manifest.len() - 1] {
        registry.clear();
        registry.quirk(Quirk::Truncated(sent));
        let reply = get_tag(&registry).await;
        let length = image.manifest.len().to_string();
        assert_eq!((reply.status, reply.header("content-length")), (200, Some(length.as_str())));
        assert_eq!((reply.complete, &reply.body[..]), (false, &image.manifest[..sent]));
    }
}

#[tokio::test]
async fn chunked_bodies_have_no_length_and_can_be_truncated_too() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Chunked);
    let reply = get_tag(&registry).await;
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, Some("chunked")));
    assert_eq!((reply.complete, &reply.body), (true, &image.manifest));
    registry.quirk(Quirk::Truncated(10));
    let reply = get_tag(&registry).await;
    assert_eq!((reply.complete, &reply.body[..]), (false, &image.manifest[..10]));
}

#[tokio::test]
async fn a_manifest_can_be_too_large_with_and_without_its_length() {
    let (registry, image) = with_image().await;
    let size = 4 * 1024 * 1024 + 1;
    registry.quirk(Quirk::PaddedTo(size));
    let announced = get_tag(&registry).await;
    assert_eq!(announced.header("content-length"), Some(size.to_string().as_str()));
    assert_eq!(announced.body.len(), size);
    assert_eq!(announced.json()["mediaType"], image.media_type);
    registry.quirk(Quirk::Chunked);
    let chunked = get_tag(&registry).await;
    assert_eq!((chunked.header("content-length"), &chunked.body), (None, &announced.body));
}

#[tokio::test]
async fn gzip_is_used_when_it_is_accepted_or_when_nobody_asked() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Gzip);
    let plain = wire::Request::get(&manifest_url(&registry, "v1")).header("Accept-Encoding", "identity");
    assert_eq!(plain.send().await.body, image.manifest);
    let zipped = wire::Request::get(&manifest_url(&registry, "v1")).header("Accept-Encoding", "br, gzip");
    let zipped = zipped.send().await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(&zipped.body[..3], [0x1f, 0x8b, 8]);
    registry.clear();
    registry.quirk(Quirk::GzipUnasked);
    assert_eq!(get_tag(&registry).await.body, zipped.body);
}

#[tokio::test]
async fn quirks_of_bodies_leave_errors_alone() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::CorruptBody);
    registry.quirk(Quirk::Truncated(1));
    registry.quirk(Quirk::NoContentType);
    let reply = wire::get(&manifest_url(&registry, "absent")).await;
    assert_eq!((reply.status, reply.complete), (404, true));
    assert_eq!(reply.json()["errors"][0]["code"], "MANIFEST_UNKNOWN");
}
