//! `Range` and `If-Range` on blobs.

use super::*;
use crate::sha256_digest;

const BLOB: &[u8] = b"0123456789";

async fn get_range(headers: &[(&str, &str)], quirk: Option<Quirk>) -> Reply {
    let registry = FakeRegistry::start().await;
    let digest = registry.push_blob("team/app", BLOB);
    quirk.into_iter().for_each(|quirk| registry.quirk(quirk));
    let request = wire::Request::get(&format!("{}/v2/team/app/blobs/{digest}", registry.url()));
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send().await
}

#[tokio::test]
async fn ranges_are_cut_out() {
    for (range, body, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let reply = get_range(&[("Range", range)], None).await;
        assert_eq!((reply.status, reply.text()), (206, body), "{range}");
        assert_eq!(reply.header("content-range"), Some(content_range));
        assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_range_that_does_not_exist_is_416() {
    let reply = get_range(&[("Range", "bytes=10-12")], None).await;
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */10")));
}

#[tokio::test]
async fn several_ranges_are_answered_in_parts() {
    let reply = get_range(&[("Range", "bytes=0-1, 4-5")], None).await;
    assert_eq!(reply.status, 206);
    assert_eq!(reply.header("content-type"), Some("multipart/byteranges; boundary=testkit-boundary"));
    let part = |span: &str, bytes: &str| {
        format!("--testkit-boundary\r\nContent-Range: bytes {span}/10\r\n\r\n{bytes}\r\n")
    };
    assert_eq!(reply.text(), format!("{}{}--testkit-boundary--\r\n", part("0-1", "01"), part("4-5", "45")));
}

#[tokio::test]
async fn a_range_of_something_else_is_ignored() {
    let etag = format!("\"{}\"", sha256_digest(BLOB));
    let same = get_range(&[("Range", "bytes=0-3"), ("If-Range", &etag)], None).await;
    assert_eq!((same.status, same.text()), (206, "0123"));
    let other = get_range(&[("Range", "bytes=0-3"), ("If-Range", "\"other\"")], None).await;
    assert_eq!((other.status, other.text()), (200, "0123456789"));
}

#[tokio::test]
async fn a_registry_can_ignore_ranges() {
    for range in ["bytes=0-3", "bytes=a-b", "lines=1-2"] {
        let reply = get_range(&[("Range", range)], Some(Quirk::NoRange)).await;
        assert_eq!((reply.status, reply.text()), (200, "0123456789"));
    }
    assert_eq!(get_range(&[("Range", "bytes=a-b")], None).await.status, 200);
}
