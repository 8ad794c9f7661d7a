//! Where our credentials go, and where they never go.

use std::collections::BTreeSet;

use testkit::{Auth, FakeRegistry, Kind, RecordedRequest};
use upstream::{Error, ErrorKind, UpstreamSettings};

use crate::support::{client, client_with, get, with_account, with_image};

const BASIC: &str = "Basic Y2k6aHVudGVyMg==";

fn with_authorization(registry: &FakeRegistry) -> usize {
    registry.requests().iter().filter(|request| request.headers.contains_key("authorization")).count()
}

#[tokio::test]
async fn the_token_service_gets_the_credentials_and_the_registry_the_token() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer().account("ci", "hunter2").accounts_only());
    let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.last(Kind::Token).header("authorization"), Some(BASIC));
    assert_eq!(registry.last(Kind::Manifest).header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn without_credentials_a_token_is_asked_for_anonymously() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    get(&client(&registry)).await.unwrap();
    assert_eq!(registry.last(Kind::Token).header("authorization"), None);
    registry.require(Auth::bearer().account("ci", "hunter2").accounts_only());
    registry.expire_tokens();
    let error = get(&client(&registry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: false });
}

#[tokio::test]
async fn nothing_is_sent_to_a_token_service_of_strangers() {
    let (registry, _) = with_image().await;
    let stranger = FakeRegistry::start().await;
    stranger.require(Auth::bearer());
    for realm in [
        stranger.realm(),
        stranger.realm().replace("127.0.0.1", "localhost"),
        "https://auth.docker.io/token".to_owned(),
        "https://169.254.169.254/token".to_owned(),
        registry.realm().replace("http://", "https://"),
        registry.realm().replace("http://", "http://u:p@"),
        "not a url".to_owned(),
        String::new(),
    ] {
        registry.require(
            Auth::bearer()
                .account("ci", "hunter2")
                .challenges(&[&format!("Bearer realm=\"{realm}\",scope=\"{{scope}}\"")]),
        );
        for client in [client_with(with_account(&registry.url(), "ci", "hunter2")), client(&registry)] {
            registry.forget();
            let error = get(&client).await.unwrap_err();
            assert!(matches!(error, Error::RealmRefused { .. }), "{realm}: {error:?}");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!((registry.total(), with_authorization(&registry)), (1, 0), "{realm}");
        }
    }
    assert_eq!(stranger.connections(), 0);
}

#[tokio::test]
async fn a_token_service_elsewhere_is_asked_where_an_operator_allows_it() {
    let (registry, _) = with_image().await;
    let service = FakeRegistry::start().await;
    service.require(Auth::bearer().account("ci", "hunter2"));
    registry.require(Auth::bearer().challenges(&[&format!("Bearer realm=\"{}\"", service.realm())]));
    let client = client_with(UpstreamSettings {
        token_hosts: BTreeSet::from([service.host_port()]),
        ..with_account(&registry.url(), "ci", "hunter2")
    });
    // The two fakes know nothing of each other's tokens, so the token is turned down; that it was sent is the point.
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
    assert_eq!(service.last(Kind::Token).header("authorization"), Some(BASIC));
    assert_eq!(registry.last(Kind::Manifest).header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_for_each_pull() {
    for (auth, requests) in
        [(Auth::basic("ci", "right"), (2, 0)), (Auth::bearer().account("ci", "right"), (1, 1))]
    {
        let (registry, _) = with_image().await;
        registry.require(auth);
        let client = client_with(with_account(&registry.url(), "ci", "wrong"));
        for round in 1..=3 {
            let error = get(&client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
            assert_eq!(with_authorization(&registry), round, "one guess each");
            let counts = (registry.count("GET", Kind::Manifest), registry.token_requests());
            assert_eq!(counts, (requests.0 * round, requests.1 * round));
        }
    }
}

#[tokio::test]
async fn a_password_that_was_right_is_sent_without_being_asked_for() {
    let (registry, _) = with_image().await;
    registry.require(Auth::basic("ci", "hunter2"));
    let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
    get(&client).await.unwrap();
    get(&client).await.unwrap();
    let sent = |request: &RecordedRequest| request.headers.contains_key("authorization");
    assert_eq!(registry.requests().iter().map(sent).collect::<Vec<_>>(), [false, true, true]);
    // And once it is no longer right, it is not repeated.
    registry.require(Auth::basic("ci", "changed"));
    registry.forget();
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
    assert_eq!(registry.requests().iter().map(sent).collect::<Vec<_>>(), [true]);
}

#[tokio::test]
async fn an_open_registry_never_sees_the_credentials() {
    let (registry, _) = with_image().await;
    let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
    get(&client).await.unwrap();
    assert_eq!(with_authorization(&registry), 0);
}

#[tokio::test]
async fn credentials_that_fit_no_header_are_not_sent_in_part() {
    let (registry, _) = with_image().await;
    // In Base64 every byte fits; this is about what does not fit before that.
    registry.require(Auth::basic("ci", "p\u{e4}ss\r\nX: 1"));
    let client = client_with(with_account(&registry.url(), "ci", "p\u{e4}ss\r\nX: 1"));
    get(&client).await.unwrap();
    assert!(registry.last(Kind::Manifest).header("x").is_none());
}

#[tokio::test]
async fn whether_there_are_credentials_can_be_asked() {
    let (registry, _) = with_image().await;
    let with = client_with(with_account(&registry.url(), "ci", "hunter2"));
    let other = oci::RegistryHost::canonicalize("ghcr.io").unwrap();
    assert!(with.has_credentials(&crate::support::host()) && !with.has_credentials(&other));
    assert!(!client(&registry).has_credentials(&crate::support::host()));
    assert_eq!((with.label(&crate::support::host()), with.label(&other)), ("corp.alt", "other"));
}
