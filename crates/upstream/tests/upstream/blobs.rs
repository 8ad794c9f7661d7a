//! Blobs: handed on where upstream redirects to, streamed where it does not.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::HeaderValue;
use testkit::{Answer, Auth, FakeRegistry, Gate, Kind, Quirk, When, sha256_digest};
use upstream::{
    BlobAnswer, BlobMethod, BlobRange, BlobStream, Client, Error, ErrorKind, Settings, Timeouts,
    UpstreamSettings,
};
use url::Url;

use crate::support::{PATIENT, SHORT, at, client, client_with, name, settings, with_account};

const CONTENT: &str = "0123456789";

async fn with_blob() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.push_blob("team/app", CONTENT);
    registry
}

async fn ask(
    client: &Client,
    method: BlobMethod,
    range: Option<&'static str>,
    follow: bool,
) -> Result<BlobAnswer, Error> {
    let digest = sha256_digest(CONTENT.as_bytes()).parse().unwrap();
    let range = BlobRange { range: range.map(HeaderValue::from_static), if_range: None };
    client.blob(method, &name(), &digest, &range, follow).await
}

async fn stream(client: &Client, method: BlobMethod, range: Option<&'static str>) -> BlobStream {
    match ask(client, method, range, true).await.unwrap() {
        BlobAnswer::Stream(stream) => stream,
        BlobAnswer::Redirect { location } => panic!("redirected to {location}"),
    }
}

async fn redirect(client: &Client, method: BlobMethod) -> Url {
    match ask(client, method, None, false).await.unwrap() {
        BlobAnswer::Redirect { location } => location,
        BlobAnswer::Stream(_) => panic!("not redirected"),
    }
}

/// All that comes, and how it ends.
async fn drain(mut stream: BlobStream) -> (Bytes, Option<Error>) {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => {
                assert!(stream.body.next().await.is_none(), "nothing comes after an error");
                return (bytes.freeze(), Some(error));
            }
        }
    }
    (bytes.freeze(), None)
}

#[tokio::test]
async fn a_blob_that_is_served_directly_is_streamed() {
    let registry = with_blob().await;
    let client = client(&registry);
    let whole = stream(&client, BlobMethod::Get, None).await;
    assert_eq!((whole.content_length, whole.partial, &whole.content_range), (Some(10), false, &None));
    let (bytes, error) = drain(whole).await;
    assert_eq!((bytes, error.is_none()), (Bytes::from(CONTENT), true));
    // Without following, too: there is nothing to hand on.
    assert!(matches!(ask(&client, BlobMethod::Get, None, false).await.unwrap(), BlobAnswer::Stream(_)));
}

#[tokio::test]
async fn the_head_of_a_blob_has_its_size_and_no_bytes() {
    let registry = with_blob().await;
    let head = stream(&client(&registry), BlobMethod::Head, None).await;
    assert_eq!((head.content_length, head.partial), (Some(10), false));
    assert!(drain(head).await.0.is_empty());
    assert_eq!((registry.count("HEAD", Kind::Blob), registry.total()), (1, 1));
}

#[tokio::test]
async fn a_chunked_blob_has_no_size() {
    let registry = with_blob().await;
    registry.quirk(Quirk::Chunked);
    let whole = stream(&client(&registry), BlobMethod::Get, None).await;
    assert_eq!(whole.content_length, None);
    assert_eq!(drain(whole).await.0, CONTENT);
}

#[tokio::test]
async fn a_range_is_answered_in_part() {
    let registry = with_blob().await;
    let part = stream(&client(&registry), BlobMethod::Get, Some("bytes=2-4")).await;
    assert!(part.partial && part.multipart.is_none());
    assert_eq!(part.content_range.as_ref().unwrap(), "bytes 2-4/10");
    assert_eq!(part.content_length, Some(3));
    assert_eq!(drain(part).await.0, "234");
}

#[tokio::test]
async fn several_ranges_are_answered_in_several_parts() {
    let registry = with_blob().await;
    let parts = stream(&client(&registry), BlobMethod::Get, Some("bytes=0-1,8-")).await;
    assert!(parts.partial && parts.content_range.is_none());
    let boundary = parts.multipart.clone().unwrap();
    assert!(boundary.to_str().unwrap().starts_with("multipart/byteranges; boundary="));
    let (bytes, error) = drain(parts).await;
    assert!(error.is_none());
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.contains("bytes 0-1/10\r\n\r\n01\r\n") && text.contains("bytes 8-9/10\r\n\r\n89\r\n"));
}

#[tokio::test]
async fn a_range_that_is_ignored_gives_the_whole() {
    let registry = with_blob().await;
    registry.quirk(Quirk::NoRange);
    let whole = stream(&client(&registry), BlobMethod::Get, Some("bytes=2-4")).await;
    assert!(!whole.partial && whole.content_range.is_none());
    assert_eq!(drain(whole).await.0, CONTENT);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_gives_the_whole() {
    let registry = with_blob().await;
    let digest = sha256_digest(CONTENT.as_bytes());
    for (condition, partial) in [(format!("\"{digest}\""), true), ("\"other\"".to_owned(), false)] {
        let range = BlobRange {
            range: Some(HeaderValue::from_static("bytes=2-4")),
            if_range: Some(HeaderValue::from_str(&condition).unwrap()),
        };
        let client = client(&registry);
        let answer = client.blob(BlobMethod::Get, &name(), &digest.parse().unwrap(), &range, true).await;
        let BlobAnswer::Stream(stream) = answer.unwrap() else { panic!("redirected") };
        assert_eq!(stream.partial, partial, "{condition}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_told_as_such() {
    let registry = with_blob().await;
    let error = ask(&client(&registry), BlobMethod::Get, Some("bytes=10-"), true).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable);
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_or_that_says_not_which_is_refused() {
    let registry = with_blob().await;
    let client = client(&registry);
    let part = Answer::status(206).header("Content-Range", "bytes 0-1/10").body("01");
    registry.quirk(Quirk::Answer(part));
    assert!(ask(&client, BlobMethod::Get, Some("bytes=0-1"), true).await.is_ok());
    let unasked = ask(&client, BlobMethod::Get, None, true).await.err().unwrap();
    assert!(matches!(unasked, Error::UnexpectedStatus { status: 206 }), "{unasked:?}");
    registry.clear();
    registry.quirk(Quirk::Answer(Answer::status(206).body("01")));
    let unplaced = ask(&client, BlobMethod::Get, Some("bytes=0-1"), true).await.err().unwrap();
    assert!(matches!(unplaced, Error::UnexpectedStatus { status: 206 }), "{unplaced:?}");
}

#[tokio::test]
async fn a_compressed_blob_is_refused() {
    let registry = with_blob().await;
    registry.quirk(Quirk::GzipUnasked);
    let error = ask(&client(&registry), BlobMethod::Get, None, true).await.err().unwrap();
    assert!(matches!(error, Error::Encoded), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_is_cut_short_ends_with_an_error() {
    for ways in [vec![], vec![Quirk::Chunked]] {
        let registry = with_blob().await;
        ways.iter().for_each(|quirk| registry.quirk(quirk.clone()));
        registry.quirk(Quirk::Truncated(4));
        let (bytes, error) = drain(stream(&client(&registry), BlobMethod::Get, None).await).await;
        assert!(CONTENT.as_bytes().starts_with(&bytes) && bytes.len() <= 4);
        let Some(Error::Truncated { received, .. }) = error else { panic!("{error:?}") };
        assert_eq!(received, bytes.len());
    }
}

#[tokio::test]
async fn a_blob_that_stalls_ends_with_an_error() {
    let registry = with_blob().await;
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldBody(gate.clone()));
    let timeouts = Timeouts { idle: SHORT, ..PATIENT };
    let client = Client::new(Settings { timeouts, ..settings(at(&registry.url())) }).unwrap();
    let (bytes, error) = drain(stream(&client, BlobMethod::Get, None).await).await;
    assert!(bytes.len() < CONTENT.len());
    assert!(matches!(error, Some(Error::TimedOut { .. })), "{error:?}");
    // The connection is given up as well.
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn a_blob_that_is_no_longer_wanted_is_no_longer_fetched() {
    let registry = with_blob().await;
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldBody(gate.clone()));
    let unwanted = stream(&client(&registry), BlobMethod::Get, None).await;
    gate.waiting(1).await;
    drop(unwanted);
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn a_redirect_is_handed_on_as_it_is_and_absolute() {
    let registry = with_blob().await;
    for (location, absolute) in [
        (
            "https://cdn.example/{digest}?X-Signature=abc%2Fdef",
            "https://cdn.example/{digest}?X-Signature=abc%2Fdef",
        ),
        ("/files/{digest}?a=b", "{self}/files/{digest}?a=b"),
        ("//cdn.example/x", ""),
    ] {
        registry.clear();
        registry.quirk(Quirk::Redirect(307, location.to_owned()));
        let client = client(&registry);
        let digest = sha256_digest(CONTENT.as_bytes());
        let absolute = absolute.replace("{self}", &registry.url()).replace("{digest}", &digest);
        for method in [BlobMethod::Get, BlobMethod::Head] {
            if absolute.is_empty() {
                // Relative to http, it would be plain http to anybody's host.
                let error = ask(&client, method, None, false).await.err().unwrap();
                assert_eq!(error.kind(), ErrorKind::HostRefused);
            } else {
                assert_eq!(redirect(&client, method).await.as_str(), absolute, "{method:?}");
            }
        }
    }
    assert_eq!((registry.count("GET", Kind::Blob), registry.count("HEAD", Kind::Blob)), (3, 3));
    assert_eq!(registry.requests_of(Kind::File).len(), 0);
}

#[tokio::test]
async fn a_location_where_we_would_not_go_is_not_handed_on() {
    for location in [
        "http://169.254.169.254/",
        "https://10.0.0.1/",
        "http://cdn.example/x",
        "https://u:p@cdn.example/x",
        "https://tlog.example/x",
        "javascript:alert(1)",
    ] {
        let registry = with_blob().await;
        registry.quirk(Quirk::Redirect(307, location.to_owned()));
        let own_hosts = BTreeSet::from(["tlog.example".to_owned()]);
        let client = Client::new(Settings { own_hosts, ..settings(at(&registry.url())) }).unwrap();
        for follow in [false, true] {
            let error = ask(&client, BlobMethod::Get, None, follow).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::HostRefused, "{location}, {follow}: {error}");
        }
    }
}

/// The storage's location is signed and needs nothing; a location within the registry may need our token.
#[tokio::test]
async fn a_redirect_within_the_registry_is_followed_where_it_may_need_our_token() {
    let registry = with_blob().await;
    registry.require(Auth::bearer());
    let storage = with_blob().await;
    let upstream =
        || UpstreamSettings { redirect_hosts: BTreeSet::from([storage.host_port()]), ..at(&registry.url()) };
    let digest = sha256_digest(CONTENT.as_bytes());

    let moved = format!("/v2/team/moved/blobs/{digest}");
    registry.push_blob("team/moved", CONTENT);
    registry.quirk_when(When::any().repository("team/app").authorized(true), Quirk::Redirect(307, moved));
    registry.require(Auth::bearer().challenges(&["Bearer realm=\"{realm}\",scope=\"aws\""]));
    let answer = ask(&client_with(upstream()), BlobMethod::Get, None, false).await.unwrap();
    let BlobAnswer::Stream(stream) = answer else { panic!("redirected") };
    assert_eq!(drain(stream).await.0, CONTENT);
    assert!(registry.last(Kind::Blob).headers.contains_key("authorization"));

    let signed = format!("{}/files/{{digest}}?signature=x", storage.url());
    registry.quirk_when(When::any().repository("team/moved"), Quirk::Redirect(307, signed));
    let location = redirect(&client_with(upstream()), BlobMethod::Get).await;
    assert_eq!(location.as_str(), format!("{}/files/{digest}?signature=x", storage.url()));
    assert_eq!(storage.total(), 0);
}

#[tokio::test]
async fn with_follow_the_storage_is_asked_by_us_without_our_token() {
    let registry = with_blob().await;
    let storage = with_blob().await;
    registry.require(Auth::bearer().account("ci", "hunter2"));
    storage.quirk(Quirk::RefusesAuthorization);
    registry.quirk_when(
        When::kind(Kind::Blob),
        Quirk::Redirect(307, format!("{}/files/{{digest}}", storage.url())),
    );
    let client = client_with(UpstreamSettings {
        redirect_hosts: BTreeSet::from([storage.host_port()]),
        ..with_account(&registry.url(), "ci", "hunter2")
    });
    let part = stream(&client, BlobMethod::Get, Some("bytes=2-4")).await;
    assert!(part.partial);
    assert_eq!(drain(part).await.0, "234");
    assert!(!storage.last(Kind::File).headers.contains_key("authorization"));
    assert_eq!(stream(&client, BlobMethod::Head, None).await.content_length, Some(10));
    assert_eq!((storage.count("GET", Kind::File), storage.count("HEAD", Kind::File)), (1, 1));
}

#[tokio::test]
async fn failures_of_blobs_are_told_like_those_of_manifests() {
    for (quirk, kind) in [
        (Quirk::Status(404), ErrorKind::NotFound),
        (Quirk::Status(403), ErrorKind::Denied { had_credentials: false }),
        (Quirk::TooManyRequests(None), ErrorKind::TooManyRequests),
        (Quirk::Status(500), ErrorKind::Unavailable),
        (Quirk::RedirectLoop, ErrorKind::Unavailable),
    ] {
        let registry = with_blob().await;
        registry.quirk(quirk.clone());
        let error = ask(&client(&registry), BlobMethod::Get, None, true).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{quirk:?}");
    }
}
