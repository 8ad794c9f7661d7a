//! What upstream sees of us, to the last header.

use http::HeaderValue;
use oci::TagsQuery;
use testkit::{Auth, FakeRegistry, Kind};
use upstream::{BlobMethod, BlobRange};

use crate::support::{at, client, client_with, digest, get, head, name, tag, with_account, with_image};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

fn lines(registry: &FakeRegistry, kind: Kind) -> Vec<(String, Vec<String>)> {
    let request = registry.last(kind);
    let values =
        |name: &&str| request.header_lines(name).into_iter().map(str::to_owned).collect::<Vec<String>>();
    request.header_names().iter().map(|name| ((*name).to_owned(), values(name))).collect()
}

fn expected(registry: &FakeRegistry, accept: &str, extra: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
    let host = registry.host_port();
    let mut all = vec![
        ("accept", accept),
        ("accept-encoding", "identity"),
        ("host", &host),
        ("user-agent", concat!("tlogistry/", env!("CARGO_PKG_VERSION"))),
    ];
    all.extend_from_slice(extra);
    all.sort_unstable();
    all.into_iter().map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).collect()
}

#[tokio::test]
async fn manifests_are_asked_for_with_one_canonical_accept_and_nothing_else() {
    let (registry, image) = with_image().await;
    let client = client(&registry);
    get(&client).await.unwrap();
    assert_eq!(lines(&registry, Kind::Manifest), expected(&registry, ACCEPT, &[]));
    head(&client).await.unwrap();
    assert_eq!(lines(&registry, Kind::Manifest), expected(&registry, ACCEPT, &[]));
    client.manifest(&name(), &digest(&image.digest)).await.unwrap();
    assert_eq!(lines(&registry, Kind::Manifest), expected(&registry, ACCEPT, &[]));
    assert_eq!((registry.count("GET", Kind::Manifest), registry.count("HEAD", Kind::Manifest)), (2, 1));
}

#[tokio::test]
async fn nothing_is_asked_before_the_question_itself() {
    let (registry, _) = with_image().await;
    get(&client(&registry)).await.unwrap();
    assert_eq!((registry.total(), registry.count("GET", Kind::Manifest)), (1, 1));
}

#[tokio::test]
async fn nothing_of_a_client_passes_but_the_range_of_a_blob() {
    let (registry, image) = with_image().await;
    let blob = testkit::sha256_digest(&image.blobs[1]).parse().unwrap();
    let range = BlobRange {
        range: Some(HeaderValue::from_static("bytes=0-1")),
        if_range: Some(HeaderValue::from_static("\"x\"")),
    };
    let client = client(&registry);
    client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), true).await.unwrap();
    assert_eq!(lines(&registry, Kind::Blob), expected(&registry, "*/*", &[]));
    client.blob(BlobMethod::Get, &name(), &blob, &range, true).await.unwrap();
    let extra = [("range", "bytes=0-1"), ("if-range", "\"x\"")];
    assert_eq!(lines(&registry, Kind::Blob), expected(&registry, "*/*", &extra));
    client.blob(BlobMethod::Head, &name(), &blob, &range, true).await.unwrap();
    assert_eq!(lines(&registry, Kind::Blob), expected(&registry, "*/*", &[]));
}

#[tokio::test]
async fn lists_and_tokens_are_asked_for_as_json() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().account("ci", "hunter2"));
    let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
    client.tags(&name(), &TagsQuery::default()).await.unwrap();
    let token = [("authorization", "Bearer token-1")];
    assert_eq!(lines(&registry, Kind::Tags), expected(&registry, "application/json", &token));
    let basic = [("authorization", "Basic Y2k6aHVudGVyMg==")];
    assert_eq!(lines(&registry, Kind::Token), expected(&registry, "application/json", &basic));
}

#[tokio::test]
async fn paths_are_those_of_the_protocol_below_the_configured_url() {
    let (registry, image) = with_image().await;
    let blob = testkit::sha256_digest(&image.blobs[1]).parse().unwrap();
    for (base, prefix) in [("", ""), ("/", ""), ("/mirror", "/mirror"), ("/a/b/", "/a/b")] {
        let client = client_with(at(&format!("{}{base}", registry.url())));
        registry.forget();
        // A path that the fake does not know is answered 404; what was asked for is all that counts.
        let _any = client.manifest(&name(), &tag("v1.0_x")).await;
        let _any = client.manifest(&name(), &digest(&image.digest)).await;
        let _any = client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), true).await;
        let query = TagsQuery { n: Some(5), last: Some("v1".to_owned()), token: None };
        let _any = client.tags(&name(), &query).await;
        let asked: Vec<String> =
            registry.requests().iter().map(testkit::RecordedRequest::path_and_query).collect();
        let expected = [
            format!("{prefix}/v2/team/app/manifests/v1.0_x"),
            format!("{prefix}/v2/team/app/manifests/{}", image.digest),
            format!("{prefix}/v2/team/app/blobs/{blob}"),
            format!("{prefix}/v2/team/app/tags/list?n=5&last=v1"),
        ];
        assert_eq!(asked, expected, "{base:?}");
    }
}
