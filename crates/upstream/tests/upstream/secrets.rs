//! Nothing that is secret is ever printed.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use testkit::{Answer, Auth, Kind, Quirk, When, sha256_digest};
use upstream::{BlobAnswer, BlobMethod, BlobRange, Error, UpstreamSettings};

use crate::support::{client_with, get, head, name, settings, with_account, with_image};

const SECRETS: [&str; 5] = ["hunter2", "Y2k6aHVudGVyMg", "secret-token", "X-Signature", "abcdef"];

#[track_caller]
fn assert_nothing_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "`{secret}` in: {text}");
    }
}

#[track_caller]
fn assert_tells_nothing(error: &Error) {
    assert_nothing_secret(&format!("{error} {error:?} {error:#?} {}", error.label()));
}

#[tokio::test]
async fn settings_and_clients_print_no_credentials_and_no_tokens() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().account("ci", "hunter2").token_prefix("secret-token"));
    let upstream = with_account(&registry.url(), "ci", "hunter2");
    assert_nothing_secret(&format!("{:?} {:?}", upstream, settings(upstream.clone())));
    let client = client_with(upstream);
    get(&client).await.unwrap();
    assert_nothing_secret(&format!("{client:?} {client:#?}"));
    assert!(format!("{client:?}").contains("corp.alt"));
}

#[tokio::test]
async fn errors_of_the_token_service_print_no_credentials_and_no_tokens() {
    let broken = Answer::status(200).body(r#"{"token":"secret-token","expires_in":"x"}"#);
    for quirk in
        [Quirk::Status(401), Quirk::Status(500), Quirk::Answer(broken), Quirk::Reset, Quirk::Truncated(30)]
    {
        let (registry, _) = with_image().await;
        registry.require(Auth::bearer().account("ci", "hunter2").token_prefix("secret-token"));
        registry.quirk_when(When::kind(Kind::Token), quirk);
        let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
        assert_tells_nothing(&get(&client).await.unwrap_err());
    }
}

#[tokio::test]
async fn errors_behind_a_redirect_print_no_signed_location() {
    for quirk in [
        Quirk::Status(500),
        Quirk::Status(403),
        Quirk::Reset,
        Quirk::Truncated(3),
        Quirk::GzipUnasked,
        Quirk::RedirectLoop,
        Quirk::Answer(Answer::html(200)),
        Quirk::Redirect(307, "http://10.0.0.1/x?X-Signature=abcdef".to_owned()),
        Quirk::Redirect(307, "https://u:hunter2@[::/x?X-Signature=abcdef".to_owned()),
        Quirk::Redirect(307, "https://u:hunter2@cdn.example/x?X-Signature=abcdef".to_owned()),
    ] {
        let (registry, image) = with_image().await;
        registry.require(Auth::bearer().account("ci", "hunter2").token_prefix("secret-token"));
        let location = "{self}/files/{digest}?X-Signature=abcdef".to_owned();
        registry.quirk_when(When::any().authorized(true).first(usize::MAX), Quirk::HeadWithoutLength);
        registry.quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(307, location.clone()));
        registry.quirk_when(When::kind(Kind::Blob), Quirk::Redirect(307, location));
        registry.quirk_when(When::kind(Kind::File), quirk.clone());
        let client = client_with(UpstreamSettings {
            redirect_hosts: BTreeSet::from([registry.host_port()]),
            ..with_account(&registry.url(), "ci", "hunter2")
        });
        assert_tells_nothing(&get(&client).await.unwrap_err());
        if let Err(error) = head(&client).await {
            assert_tells_nothing(&error);
        }
        let blob = sha256_digest(&image.blobs[0]).parse().unwrap();
        match client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), true).await {
            Err(error) => assert_tells_nothing(&error),
            Ok(BlobAnswer::Redirect { .. }) => panic!("redirected"),
            Ok(BlobAnswer::Stream(mut stream)) => {
                while let Some(chunk) = stream.body.next().await {
                    if let Err(error) = chunk {
                        assert_tells_nothing(&error);
                    }
                }
            }
        }
    }
}
