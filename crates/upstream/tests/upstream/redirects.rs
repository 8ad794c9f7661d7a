//! Manifests that are elsewhere: followed by us, every hop checked like the first.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use testkit::{Auth, FakeRegistry, Image, Kind, Quirk, When};
use upstream::{Client, Error, ErrorKind, Lookup, Settings, UpstreamSettings};

use crate::support::{at, client, client_with, get, head, settings, with_account, with_image};

/// A registry, and its storage on another port, to which it may redirect.
async fn with_storage() -> (FakeRegistry, FakeRegistry, Image, UpstreamSettings) {
    let (registry, image) = with_image().await;
    let storage = FakeRegistry::start().await;
    storage.push_image("mirror/app", "v1", &image);
    let redirect_hosts = BTreeSet::from([storage.host_port()]);
    let upstream = UpstreamSettings { redirect_hosts, ..at(&registry.url()) };
    (registry, storage, image, upstream)
}

fn to_manifest(registry: &FakeRegistry, status: u16, location: &str) {
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(status, location.to_owned()));
}

#[tokio::test]
async fn every_kind_of_redirect_is_followed_with_the_same_method_and_headers() {
    for status in [301, 302, 303, 307, 308] {
        let (registry, storage, image, upstream) = with_storage().await;
        to_manifest(&registry, status, &format!("{}/v2/mirror/app/manifests/{{reference}}", storage.url()));
        let client = client_with(upstream);
        assert_eq!(get(&client).await.unwrap().bytes, image.manifest, "{status}");
        assert_eq!(head(&client).await.unwrap().digest.unwrap().to_string(), image.digest, "{status}");
        assert_eq!((storage.count("GET", Kind::Manifest), storage.count("HEAD", Kind::Manifest)), (1, 1));
        let (first, second) = (registry.last(Kind::Manifest), storage.last(Kind::Manifest));
        assert_eq!(first.header_lines("accept"), second.header_lines("accept"));
        assert_eq!(first.header_names(), second.header_names());
    }
}

#[tokio::test]
async fn a_relative_location_is_relative_to_what_was_asked() {
    for location in ["/files/{digest}", "../../../../files/{digest}", "{self}/files/{digest}"] {
        let (registry, image) = with_image().await;
        to_manifest(&registry, 307, location);
        assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest, "{location}");
        assert_eq!(registry.last(Kind::File).path, format!("/files/{}", image.digest), "{location}");
    }
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::RedirectHops(5));
    assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.total(), 6);
    for quirk in [Quirk::RedirectHops(6), Quirk::RedirectLoop] {
        registry.clear();
        registry.forget();
        registry.quirk(quirk);
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
        assert_eq!((error.kind(), registry.total()), (ErrorKind::Unavailable, 6));
    }
}

#[tokio::test]
async fn a_redirect_to_where_nobody_may_be_asked_is_not_followed() {
    let stranger = FakeRegistry::start().await;
    let port = stranger.address().port();
    for location in [
        stranger.url(),
        format!("http://localhost:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://169.254.169.254/".to_owned(),
        "https://2852039166/".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
        "http://ghcr.io/v2/".to_owned(),
        "https://ghcr.io:8443/v2/".to_owned(),
        "https://metadata.google.internal/".to_owned(),
        "https://u:p@ghcr.io/".to_owned(),
        "ftp://ghcr.io/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        "https://rebinding.example/".to_owned(),
    ] {
        let (registry, _) = with_image().await;
        to_manifest(&registry, 307, &location);
        let lookup = Lookup::Fixed(Arc::new(|_| vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
        let client = Client::new(Settings { lookup, ..settings(at(&registry.url())) }).unwrap();
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostRefused, "{location}: {error}");
        assert_eq!(registry.total(), 1, "{location}");
    }
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_ourselves_would_go_round_for_ever() {
    for location in
        ["https://tlog.example/v2/corp.alt/team/app/manifests/v1", "https://TLOG.example./", "//tlog.example"]
    {
        let (registry, _) = with_image().await;
        to_manifest(&registry, 307, location);
        let own_hosts = BTreeSet::from(["tlog.example".to_owned()]);
        let client = Client::new(Settings { own_hosts, ..settings(at(&registry.url())) }).unwrap();
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostRefused, "{location}");
        assert!(error.to_string().contains("it is this very service"), "{location}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_an_error() {
    for location in ["http://", "https://:443/", "//"] {
        let (registry, _) = with_image().await;
        to_manifest(&registry, 307, location);
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{location}: {error:?}");
    }
    for status in [301, 302, 303, 307, 308] {
        let (registry, _) = with_image().await;
        registry.quirk(Quirk::Answer(testkit::Answer::status(status)));
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{status}: {error:?}");
    }
    for status in [300, 304, 305, 306] {
        let (registry, _) = with_image().await;
        to_manifest(&registry, status, "/files/{digest}");
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::UnexpectedStatus { .. }), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn authorization_is_kept_within_a_host() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    registry.quirk_when(When::any().authorized(true), Quirk::RedirectHops(2));
    assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest);
    let sent: Vec<bool> = registry
        .requests_of(Kind::Manifest)
        .iter()
        .map(|request| request.headers.contains_key("authorization"))
        .collect();
    assert_eq!(sent, [false, true, true, true]);
}

#[tokio::test]
async fn authorization_is_dropped_across_hosts_and_never_regained() {
    for auth in [Auth::bearer().account("ci", "hunter2"), Auth::basic("ci", "hunter2")] {
        let (registry, storage, image, upstream) = with_storage().await;
        registry.require(auth);
        let credentials = with_account(&registry.url(), "ci", "hunter2").credentials;
        registry.push_file("back", image.manifest.clone(), image.media_type);
        to_manifest(&registry, 307, &format!("{}/v2/mirror/app/manifests/v1", storage.url()));
        to_manifest(&storage, 307, &format!("{}/files/back", registry.url()));
        storage.quirk(Quirk::RefusesAuthorization);
        let client = client_with(UpstreamSettings { credentials, ..upstream });
        assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
        assert!(registry.last(Kind::Manifest).headers.contains_key("authorization"));
        assert!(!storage.last(Kind::Manifest).headers.contains_key("authorization"));
        assert!(!registry.last(Kind::File).headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_challenge_of_the_storage_is_not_answered() {
    let (registry, storage, _, upstream) = with_storage().await;
    registry.require(Auth::bearer());
    storage.require(Auth::bearer().challenges(&[&format!("Bearer realm=\"{}\"", registry.realm())]));
    to_manifest(&registry, 307, &format!("{}/v2/mirror/app/manifests/v1", storage.url()));
    let client = client_with(upstream);
    for _ in 0..2 {
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: false });
    }
    // The token is the registry's, and as good as before.
    assert_eq!((registry.token_requests(), storage.token_requests()), (1, 0));
    assert_eq!(storage.count("GET", Kind::Manifest), 2);
}

#[tokio::test]
async fn a_400_of_the_storage_is_not_an_expired_token() {
    let (registry, storage, _, upstream) = with_storage().await;
    registry.require(Auth::bearer());
    storage.quirk(Quirk::Status(400));
    to_manifest(&registry, 307, &format!("{}/v2/mirror/app/manifests/v1", storage.url()));
    let client = client_with(upstream);
    for _ in 0..2 {
        let error = get(&client).await.unwrap_err();
        assert!(matches!(error, Error::UnexpectedStatus { status: 400 }), "{error:?}");
    }
    assert_eq!((registry.token_requests(), storage.total()), (1, 2));
}

#[tokio::test]
async fn what_a_redirect_leads_to_is_judged_like_the_first_answer() {
    let (registry, storage, _, upstream) = with_storage().await;
    to_manifest(&registry, 307, &format!("{}/v2/mirror/app/manifests/absent", storage.url()));
    let client = client_with(upstream);
    assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::NotFound);
    storage.quirk(Quirk::CorruptBody);
    storage.push_image("mirror/app", "absent", &Image::oci("two"));
    assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::DigestLies);
}
