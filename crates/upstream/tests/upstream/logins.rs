//! Credentials that are not given but fetched: Docker's configuration, and a file with a token.

use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use testkit::{Auth, FakeRegistry, Kind, Quirk, When};
use upstream::{Client, Credentials, Error, ErrorKind, UpstreamSettings};

use crate::support::{at, client_with, get, host, settings, with_image};

fn file(content: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

fn with_docker(registry: &FakeRegistry, config: &Path) -> Client {
    client_with(UpstreamSettings { docker_config: Some(config.to_owned()), ..at(&registry.url()) })
}

fn with_token(registry: &FakeRegistry, token: &Path) -> Client {
    client_with(UpstreamSettings { token_file: Some(token.to_owned()), ..at(&registry.url()) })
}

#[tokio::test]
async fn dockers_configuration_is_asked_for_the_registry_as_it_is_reached() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer().account("ci", "hunter2").accounts_only());
    for entry in [
        r#"{"auth":"Y2k6aHVudGVyMg=="}"#,
        r#"{"username":"ci","password":"hunter2"}"#,
        r#"{"auth":"Y2k6aHVudGVyMg==","username":"ci","password":"hunter2"}"#,
    ] {
        for key in [registry.host_port(), registry.url()] {
            let config = file(&format!(r#"{{"auths":{{"{key}":{entry},"ghcr.io":{{"auth":"eDp5"}}}}}}"#));
            let client = with_docker(&registry, config.path());
            assert_eq!(get(&client).await.unwrap().bytes, image.manifest, "{key}: {entry}");
            assert!(client.has_credentials(&host()));
        }
    }
    registry.require(Auth::basic("ci", "hunter2"));
    let config =
        file(&format!(r#"{{"auths":{{"{}":{{"auth":"Y2k6aHVudGVyMg=="}}}}}}"#, registry.host_port()));
    assert_eq!(get(&with_docker(&registry, config.path())).await.unwrap().bytes, image.manifest);
}

#[tokio::test]
async fn an_identity_token_is_traded_at_the_token_service_and_sent_nowhere_else() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer().identity_token("identity-secret").accounts_only());
    let entry = r#"{"auth":"","identitytoken":"identity-secret"}"#;
    let config = file(&format!(r#"{{"auths":{{"{}":{entry}}}}}"#, registry.host_port()));
    let client = with_docker(&registry, config.path());
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    let asked = registry.last(Kind::Token);
    assert_eq!((asked.method.as_str(), asked.query.as_deref()), ("POST", None));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.form_values("client_id"), ["tlogistry"]);
    assert_eq!(asked.form_values("service"), [registry.host_port()]);
    assert_eq!(asked.form_values("scope"), ["repository:team/app:pull"]);
    // Where it cannot be traded it is worth nothing.
    registry.require(Auth::basic("ci", "hunter2"));
    registry.expire_tokens();
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
    for request in registry.requests_of(Kind::Manifest) {
        assert!(!format!("{request:?}").contains("identity-secret"));
    }
}

#[tokio::test]
async fn an_identity_token_is_posted_again_after_a_hiccup() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer().identity_token("identity-secret").accounts_only());
    registry.quirk_when(When::kind(Kind::Token).first(1), Quirk::Status(503));
    let entry = r#"{"auth":"","identitytoken":"identity-secret"}"#;
    let config = file(&format!(r#"{{"auths":{{"{}":{entry}}}}}"#, registry.host_port()));
    assert_eq!(get(&with_docker(&registry, config.path())).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.token_requests(), 2);
}

#[tokio::test]
async fn a_registry_that_docker_knows_nothing_of_is_asked_anonymously() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    for content in ["{}", r#"{"auths":{}}"#, r#"{"auths":{"ghcr.io":{"auth":"eDp5"}}}"#] {
        let config = file(content);
        assert_eq!(get(&with_docker(&registry, config.path())).await.unwrap().bytes, image.manifest);
        assert_eq!(registry.last(Kind::Token).header("authorization"), None, "{content}");
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_had_make_the_upstream_unavailable() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    let host = registry.host_port();
    for (content, why) in [
        ("not JSON".to_owned(), "not a configuration of Docker"),
        (format!(r#"{{"auths":{{"{host}":{{"auth":"!hunter2"}}}}}}"#), "none that make sense"),
        (format!(r#"{{"auths":{{"{host}":{{"auth":"aHVudGVyMg=="}}}}}}"#), "none that make sense"),
        (format!(r#"{{"credHelpers":{{"{host}":"of-nobody-hunter2"}}}}"#), "helper cannot be run"),
        (r#"{"credsStore":"of-nobody-hunter2"}"#.to_owned(), "helper cannot be run"),
        (format!("{{}}{}", " ".repeat(4 * 1024 * 1024)), "too large"),
    ] {
        let config = file(&content);
        registry.forget();
        let error = get(&with_docker(&registry, config.path())).await.unwrap_err();
        assert!(matches!(error, Error::Credentials { .. }), "{error:?}");
        assert_eq!((error.kind(), registry.token_requests()), (ErrorKind::Unavailable, 0));
        assert!(
            error.to_string().contains(why) && !format!("{error} {error:?}").contains("hunter2"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nobody_is_asked_for_credentials_before_the_registry_asks_for_them() {
    let (registry, image) = with_image().await;
    let config = file("not JSON");
    let client = with_docker(&registry, config.path());
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    // Nor where there is nothing to be done with them.
    registry.require(Auth::bearer().challenges(&["Negotiate"]));
    assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::Denied { had_credentials: true });
}

#[tokio::test]
async fn a_token_out_of_a_file_is_sent_as_it_is_and_read_again_when_it_is_turned_down() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    // Two tokens that the registry takes, got as anybody may.
    let issued = |number| {
        let url =
            format!("{}?service={}&scope=repository:team/app:pull", registry.realm(), registry.host_port());
        async move {
            testkit::wire::get(&url).await;
            format!("token-{number}\n")
        }
    };
    let token = file(&issued(1).await);
    let client = with_token(&registry, token.path());
    registry.forget();
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    get(&client).await.unwrap();
    assert_eq!((registry.token_requests(), registry.total()), (0, 3));
    assert_eq!(registry.last(Kind::Manifest).header("authorization"), Some("Bearer token-1"));

    registry.expire_tokens();
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
    std::fs::write(token.path(), issued(2).await).unwrap();
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.last(Kind::Manifest).header("authorization"), Some("Bearer token-2"));
}

#[tokio::test]
async fn a_token_is_not_sent_where_none_is_asked_for() {
    let (registry, _) = with_image().await;
    let token = file("token-secret");
    registry.require(Auth::basic("ci", "hunter2"));
    let error = get(&with_token(&registry, token.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: true });
    assert_eq!(registry.total(), 1);
}

#[tokio::test]
async fn a_file_without_a_token_makes_the_upstream_unavailable() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    for (content, why) in
        [("", "empty"), (" \n", "empty"), (&*"a".repeat(20_000), "too large"), ("a\nb", "no header")]
    {
        let token = file(content);
        let error = get(&with_token(&registry, token.path())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(registry.count("GET", Kind::Manifest), 4);
}

#[tokio::test]
async fn what_cannot_work_is_told_at_start_up() {
    let nowhere = || Some(PathBuf::from("/nonexistent/secret"));
    for upstream in [
        UpstreamSettings { docker_config: nowhere(), ..at("http://127.0.0.1:1") },
        UpstreamSettings { token_file: nowhere(), ..at("http://127.0.0.1:1") },
    ] {
        let error = Client::new(settings(upstream)).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
    }
    let credentials = Some(Credentials { username: "ci".to_owned(), password: "hunter2".into() });
    let some = file("{}");
    for upstream in [
        UpstreamSettings {
            docker_config: Some(some.path().to_owned()),
            credentials,
            ..at("http://127.0.0.1:1")
        },
        UpstreamSettings {
            docker_config: Some(some.path().to_owned()),
            token_file: Some(some.path().to_owned()),
            ..at("http://127.0.0.1:1")
        },
    ] {
        let error = Client::new(settings(upstream)).unwrap_err();
        assert!(error.to_string().contains("more than one"), "{error}");
    }
}
