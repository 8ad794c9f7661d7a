//! Every header of every kind of answer: nothing of upstream's, nothing missing, nothing more.

use testkit::wire::Reply;
use testkit::{Image, Kind, Quirk};

use crate::place::Place;

/// Status line and headers with what differs from run to run replaced.
fn shown(reply: &Reply) -> String {
    let mut lines: Vec<String> = reply
        .headers
        .iter()
        .filter(|(name, _)| *name != "date" && *name != "x-request-id")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    let text = format!("{}\n{}", reply.status, lines.join("\n"));
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("sha256:") {
        let (before, after) = rest.split_at(at + 7);
        out.push_str(before);
        out.push('…');
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    out.push_str(rest);
    let uuid = reply.header("tlog-uuid").unwrap_or("no uuid");
    out.replace(uuid, "<leaf hash>")
}

#[tokio::test]
async fn a_first_sight() {
    let place = Place::new().await;
    let service = place.start().await;
    place.registry.push_image("team/app", "v1", &Image::oci("a"));
    insta::assert_snapshot!(shown(&service.pull("team/app", "v1").await), @r#"
    200
    cache-control: no-cache
    connection: close
    content-length: 401
    content-security-policy: default-src 'none'; sandbox
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:…
    docker-distribution-api-version: registry/2.0
    etag: "sha256:…"
    last-modified: Tue, 14 Nov 2023 22:13:20 GMT
    tlog-first-seen: true
    tlog-integratedtime: 2023-11-14T22:13:20Z
    tlog-log: tlog.example/log
    tlog-logindex: 2
    tlog-proof: https://tlog.example/proof/corp.alt/team/app:v1
    tlog-recorded-digest: sha256:…
    tlog-uuid: <leaf hash>
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_refusal() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    insta::assert_snapshot!(shown(&service.pull("team/app", "v1").await), @r#"
    403
    cache-control: no-store
    connection: close
    content-length: 995
    content-security-policy: default-src 'none'; sandbox
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    tlog-error: tag corp.alt/team/app:v1 moved: log entry 2 (2023-11-14T22:13:20Z) has sha256:…, upstream now serves sha256:…; to have what was recorded pull corp.alt/team/app@sha256:…; if the move is legitimate the operator can record it with `tlogistry supersede corp.alt/team/app:v1 sha256:… --reason TEXT`; evidence: https://tlog.example/t/corp.alt/team/app:v1
    tlog-integratedtime: 2023-11-14T22:13:20Z
    tlog-log: tlog.example/log
    tlog-logindex: 2
    tlog-proof: https://tlog.example/proof/corp.alt/team/app:v1
    tlog-recorded-digest: sha256:…
    tlog-upstream-digest: sha256:…
    tlog-uuid: <leaf hash>
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn a_digest_and_a_blob() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = Image::oci("a");
    place.registry.push_image("team/app", "v1", &image);
    insta::assert_snapshot!(shown(&service.pull("team/app", &image.digest).await), @r#"
    200
    cache-control: public, max-age=31536000, immutable
    connection: close
    content-length: 401
    content-security-policy: default-src 'none'; sandbox
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:…
    docker-distribution-api-version: registry/2.0
    etag: "sha256:…"
    x-content-type-options: nosniff
    "#);
    let blob = testkit::sha256_digest(&image.blobs[0]);
    insta::assert_snapshot!(shown(&service.get(&format!("/v2/corp.alt/team/app/blobs/{blob}")).await), @r#"
    200
    accept-ranges: bytes
    cache-control: public, max-age=31536000, immutable
    connection: close
    content-length: 184
    content-security-policy: default-src 'none'; sandbox
    content-type: application/octet-stream
    docker-content-digest: sha256:…
    docker-distribution-api-version: registry/2.0
    etag: "sha256:…"
    x-content-type-options: nosniff
    "#);
    insta::assert_snapshot!(shown(&service.pull("team/none", "v1").await), @r#"
    404
    cache-control: no-store
    connection: close
    content-length: 110
    content-security-policy: default-src 'none'; sandbox
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    "#);
    let put = service.request("PUT", "/v2/corp.alt/team/app/manifests/v1").body("{}").send().await;
    insta::assert_snapshot!(shown(&put), @r#"
    405
    allow: GET, HEAD
    cache-control: no-store
    connection: close
    content-length: 112
    content-security-policy: default-src 'none'; sandbox
    content-type: application/json
    docker-distribution-api-version: registry/2.0
    x-content-type-options: nosniff
    "#);
}

#[tokio::test]
async fn nothing_of_upstreams_headers_reaches_a_client() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let foreign = [
        ("WWW-Authenticate", "Basic realm=\"steal\""),
        ("Set-Cookie", "a=b"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Server", "evil"),
        ("X-Anything", "1"),
        ("Content-Disposition", "attachment"),
        ("Refresh", "0; url=https://evil.example"),
        ("Access-Control-Allow-Origin", "*"),
    ];
    for (name, value) in foreign {
        place.registry.quirk(Quirk::Header(name.to_owned(), value.to_owned()));
    }
    let blob = testkit::sha256_digest(&image.blobs[0]);
    let mut replies = vec![
        service.pull("team/app", "v1").await,
        service.pull("team/app", "v1").await,
        service.pull("team/app", &image.digest).await,
        service.get(&format!("/v2/corp.alt/team/app/blobs/{blob}")).await,
        service.get("/v2/corp.alt/team/app/tags/list").await,
    ];
    place.registry.quirk(Quirk::Status(403));
    replies.push(service.pull("team/other", "v1").await);
    for reply in replies {
        for (name, _) in foreign {
            assert_eq!(reply.header(name), None, "{name} in {reply:?}");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_clients_headers_reaches_an_upstream_but_a_blobs_range() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let blob = testkit::sha256_digest(&image.blobs[0]);
    for path in [
        "/v2/corp.alt/team/app/manifests/v1".to_owned(),
        "/v2/corp.alt/team/app/manifests/v1?evil=1".to_owned(),
        format!("/v2/corp.alt/team/app/blobs/{blob}"),
        "/v2/corp.alt/team/app/tags/list?evil=1".to_owned(),
    ] {
        let reply = service
            .request("GET", &path)
            .header("Authorization", "Basic Y2xpZW50OnNlY3JldA==")
            .header("Cookie", "session=secret")
            .header("X-Forwarded-For", "10.0.0.1")
            .header("User-Agent", "docker/evil")
            .header("Accept", "text/html")
            .header("Accept-Encoding", "gzip")
            .header("X-Anything", "1")
            .header("Range", "bytes=0-3")
            .send()
            .await;
        assert!(reply.status < 300, "{path}: {reply:?}");
    }
    for request in place.registry.requests() {
        assert!(request.query.is_none(), "{request:?}");
        let mut names: Vec<&str> = request.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let mut expected = vec!["accept", "accept-encoding", "host", "user-agent"];
        if request.kind == Kind::Blob {
            assert_eq!(request.headers["range"], "bytes=0-3");
            expected.push("range");
        }
        expected.sort_unstable();
        assert_eq!(names, expected, "{request:?}");
        assert!(request.headers["user-agent"].to_str().unwrap().starts_with("tlogistry/"));
        assert_eq!(request.headers["accept-encoding"], "identity");
    }
    assert!(place.registry.requests_of(Kind::Manifest).len() >= 2);
}
