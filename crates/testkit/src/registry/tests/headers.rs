//! Headers that lie, are missing or are odd.

use super::*;
use crate::media_type::{DOCKER_MANIFEST, OCI_MANIFEST};
use crate::sha512_digest;

const LIE: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn digest_of(reply: &Reply) -> Option<&str> {
    reply.header("docker-content-digest")
}

#[tokio::test]
async fn the_content_digest_can_be_missing() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::NoContentDigest);
    let (get, head) = (get_tag(&registry).await, head_tag(&registry).await);
    assert_eq!((digest_of(&get), digest_of(&head), &get.body), (None, None, &image.manifest));
}

#[tokio::test]
async fn the_content_digest_can_lie_on_get_on_head_or_on_both() {
    let (registry, image) = with_image().await;
    let truth = Some(image.digest.as_str());
    let lie = || Quirk::ContentDigest(LIE.to_owned());
    registry.quirk(lie());
    assert_eq!(digest_of(&get_tag(&registry).await), Some(LIE));
    assert_eq!(digest_of(&head_tag(&registry).await), Some(LIE));
    registry.clear();
    registry.quirk_when(When::any().method("GET"), lie());
    assert_eq!(digest_of(&get_tag(&registry).await), Some(LIE));
    assert_eq!(digest_of(&head_tag(&registry).await), truth);
    registry.clear();
    registry.quirk_when(When::any().method("HEAD"), lie());
    assert_eq!(digest_of(&get_tag(&registry).await), truth);
    assert_eq!(digest_of(&head_tag(&registry).await), Some(LIE));
}

#[tokio::test]
async fn the_content_digest_can_be_of_another_algorithm() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Sha512ContentDigest);
    assert_eq!(digest_of(&head_tag(&registry).await), Some(sha512_digest(&image.manifest).as_str()));
}

#[tokio::test]
async fn the_content_type_can_be_wrong_or_missing() {
    let (registry, image) = with_image().await;
    assert_eq!(image.media_type, OCI_MANIFEST);
    for wrong in ["text/html", "text/plain", "application/json", DOCKER_MANIFEST] {
        registry.clear();
        registry.quirk(Quirk::ContentType(wrong.to_owned()));
        let reply = get_tag(&registry).await;
        assert_eq!((reply.header("content-type"), &reply.body), (Some(wrong), &image.manifest));
    }
    registry.clear();
    registry.quirk(Quirk::NoContentType);
    assert_eq!(get_tag(&registry).await.header("content-type"), None);
}

#[tokio::test]
async fn any_header_can_be_put_into_any_answer() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::Header("Ratelimit-Remaining".to_owned(), "99;w=21600".to_owned()));
    registry.quirk(Quirk::Status(404));
    assert_eq!(get_tag(&registry).await.header("ratelimit-remaining"), Some("99;w=21600"));
}

#[tokio::test]
async fn head_can_come_without_a_length() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::HeadWithoutLength);
    let head = head_tag(&registry).await;
    assert_eq!((head.status, head.header("content-length")), (200, None));
    let length = image.manifest.len().to_string();
    assert_eq!(get_tag(&registry).await.header("content-length"), Some(length.as_str()));
}
