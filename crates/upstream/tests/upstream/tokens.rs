//! Tokens: asked for once, used while they are good, and never asked for in a loop.

use oci::{Name, TagsQuery};
use testkit::{Answer, Auth, FakeRegistry, Gate, Kind, Quirk, TokenFields, When, sha256_digest};
use tokio::task::JoinSet;
use upstream::{BlobMethod, BlobRange, Error, ErrorKind};

use crate::support::{client, client_with, get, head, host, name, tag, with_account, with_image};

fn authorizations(registry: &FakeRegistry, kind: Kind) -> Vec<Option<String>> {
    let of = |request: &testkit::RecordedRequest| request.header("authorization").map(str::to_owned);
    registry.requests_of(kind).iter().map(of).collect()
}

fn bearer(number: usize) -> Option<String> {
    Some(format!("Bearer token-{number}"))
}

#[tokio::test]
async fn a_token_is_found_under_either_name_and_needs_no_lifetime() {
    for fields in [TokenFields::Token, TokenFields::AccessToken, TokenFields::Both] {
        for expires_in in [None, Some(300), Some(0)] {
            let (registry, image) = with_image().await;
            registry.require(Auth::bearer().fields(fields).expires_in(expires_in));
            assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn one_token_does_for_everything_in_a_repository() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    let client = client(&registry);
    get(&client).await.unwrap();
    get(&client).await.unwrap();
    head(&client).await.unwrap();
    client.tags(&name(), &TagsQuery::default()).await.unwrap();
    let blob = sha256_digest(&image.blobs[0]).parse().unwrap();
    client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), false).await.unwrap();
    assert_eq!((registry.token_requests(), registry.total()), (1, 7));
    assert_eq!(authorizations(&registry, Kind::Manifest), [None, bearer(1), bearer(1), bearer(1)]);
    assert_eq!(authorizations(&registry, Kind::Blob), [bearer(1)]);
    // A clone is the same client.
    get(&client.clone()).await.unwrap();
    assert_eq!(registry.token_requests(), 1);
}

#[tokio::test]
async fn every_repository_has_a_token_of_its_own() {
    for wrong_scope in [401, 403] {
        let (registry, image) = with_image().await;
        registry.push_image("team/other", "v1", &image);
        registry.require(Auth::bearer().wrong_scope_status(wrong_scope));
        let client = client(&registry);
        let other = Name::new(host(), "team/other").unwrap();
        for _ in 0..2 {
            client.manifest(&name(), &tag("v1")).await.unwrap();
            client.manifest(&other, &tag("v1")).await.unwrap();
        }
        assert_eq!(registry.token_requests(), 2);
        assert_eq!(
            authorizations(&registry, Kind::Manifest),
            [None, bearer(1), None, bearer(2), bearer(1), bearer(2)]
        );
    }
}

#[tokio::test]
async fn a_token_that_has_expired_is_renewed_whether_that_is_told_by_401_or_400() {
    for (status, asked) in [
        (401, vec![bearer(1), bearer(2)]),
        // A 400 carries no challenge, so the registry is asked for one.
        (400, vec![bearer(1), None, bearer(2)]),
    ] {
        let (registry, image) = with_image().await;
        registry.require(Auth::bearer().expired_status(status));
        let client = client(&registry);
        get(&client).await.unwrap();
        registry.expire_tokens();
        registry.forget();
        assert_eq!(get(&client).await.unwrap().bytes, image.manifest, "{status}");
        assert_eq!(authorizations(&registry, Kind::Manifest), asked, "{status}");
        assert_eq!(registry.token_requests(), 1);
        registry.forget();
        get(&client).await.unwrap();
        assert_eq!(authorizations(&registry, Kind::Manifest), [bearer(2)]);
    }
}

#[tokio::test]
async fn a_400_without_any_token_is_what_it_is() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::Status(400));
    let error = get(&client(&registry)).await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedStatus { status: 400 }), "{error:?}");
    assert_eq!(registry.total(), 1);
}

#[tokio::test]
async fn a_registry_that_answers_400_to_every_token_is_not_asked_for_ever() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    let client = client(&registry);
    get(&client).await.unwrap();
    registry.quirk_when(When::any().authorized(true), Quirk::Status(400));
    registry.forget();
    let error = get(&client).await.unwrap_err();
    assert!(matches!(error, Error::UnexpectedStatus { status: 400 }), "{error:?}");
    assert_eq!((registry.count("GET", Kind::Manifest), registry.token_requests()), (3, 1));
}

#[tokio::test]
async fn a_fresh_token_that_is_turned_down_is_a_refusal_and_not_a_loop() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().private("team/app"));
    let client = client(&registry);
    for round in 1..=3 {
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: false });
        // What was turned down is not tried again either.
        assert_eq!((registry.count("GET", Kind::Manifest), registry.token_requests()), (2 * round, round));
    }
}

#[tokio::test]
async fn the_same_token_again_is_not_sent_again() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    let same = Answer::status(200).body(r#"{"token":"token-1"}"#);
    let client = client(&registry);
    get(&client).await.unwrap();
    registry.expire_tokens();
    registry.quirk_when(When::kind(Kind::Token), Quirk::Answer(same));
    registry.forget();
    let error = get(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: false });
    assert_eq!((registry.count("GET", Kind::Manifest), registry.token_requests()), (1, 1));
}

#[tokio::test]
async fn any_number_of_requests_wait_for_one_token() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    let gate = Gate::closed();
    registry.quirk_when(When::kind(Kind::Token), Quirk::HoldHeaders(gate.clone()));
    let client = client(&registry);
    let mut asking = JoinSet::new();
    for _ in 0..32 {
        let client = client.clone();
        asking.spawn(async move { get(&client).await.unwrap().bytes });
    }
    registry.arrived(32, "GET", Kind::Manifest).await;
    gate.waiting(1).await;
    gate.release();
    assert!(asking.join_all().await.iter().all(|bytes| *bytes == image.manifest));
    assert_eq!((registry.token_requests(), registry.count("GET", Kind::Manifest)), (1, 64));
}

#[tokio::test]
async fn many_requests_with_one_expired_token_renew_it_once() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    let client = client(&registry);
    get(&client).await.unwrap();
    registry.expire_tokens();
    registry.forget();
    let mut asking = JoinSet::new();
    for _ in 0..32 {
        let client = client.clone();
        asking.spawn(async move { get(&client).await.map(drop) });
    }
    assert!(asking.join_all().await.iter().all(Result::is_ok));
    assert_eq!(registry.token_requests(), 1);
}

#[tokio::test]
async fn one_who_gives_up_does_not_take_the_others_with_it() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    let gate = Gate::closed();
    registry.quirk_when(When::kind(Kind::Token), Quirk::HoldHeaders(gate.clone()));
    let client = client(&registry);
    let ask = || {
        let client = client.clone();
        tokio::spawn(async move { get(&client).await.unwrap().bytes })
    };
    let first = ask();
    gate.waiting(1).await;
    let second = ask();
    registry.arrived(2, "GET", Kind::Manifest).await;
    first.abort();
    registry.arrived(2, "GET", Kind::Token).await;
    gate.release();
    assert_eq!(second.await.unwrap(), image.manifest);
    assert_eq!(registry.token_requests(), 2);
}

#[tokio::test]
async fn a_token_service_that_says_no_denies_the_pull() {
    for (status, had_credentials) in [(401, false), (403, false), (401, true)] {
        let (registry, _) = with_image().await;
        registry.require(Auth::bearer());
        registry.quirk_when(When::kind(Kind::Token), Quirk::Status(status));
        let client = if had_credentials {
            client_with(with_account(&registry.url(), "ci", "hunter2"))
        } else {
            client(&registry)
        };
        let error = get(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied { had_credentials });
        assert_eq!((registry.count("GET", Kind::Manifest), registry.token_requests()), (1, 1));
    }
}

/// Anything else is a fault of the service and must not look like a withdrawal.
#[tokio::test]
async fn a_token_service_that_gives_no_token_is_an_upstream_that_is_not_available() {
    let json = |body: &str| Quirk::Answer(Answer::status(200).body(body.to_owned()));
    for (quirk, asked) in [
        (Quirk::Status(400), 1),
        (Quirk::Status(404), 1),
        (Quirk::Status(500), 1),
        (Quirk::Status(503), 2),
        (Quirk::Reset, 2),
        (Quirk::Answer(Answer::html(200)), 1),
        (Quirk::Redirect(307, "/token2".to_owned()), 1),
        (Quirk::GzipUnasked, 1),
        (json("{}"), 1),
        (json("null"), 1),
        (json(r#"{"token":""}"#), 1),
        (json(r#"{"token":"a\r\nX: 1"}"#), 1),
        (json(r#"{"token":{"a":1}}"#), 1),
        (json(&format!(r#"{{"token":"{}"}}"#, "a".repeat(20_000))), 1),
    ] {
        let (registry, _) = with_image().await;
        registry.require(Auth::bearer());
        registry.quirk_when(When::kind(Kind::Token), quirk.clone());
        let error = get(&client(&registry)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{quirk:?}: {error:?}");
        let counts = (registry.count("GET", Kind::Manifest), registry.token_requests());
        assert_eq!(counts, (1, asked), "{quirk:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_of_a_token_service_is_bounded() {
    for ways in [vec![], vec![Quirk::Chunked]] {
        let (registry, _) = with_image().await;
        registry.require(Auth::bearer());
        let token = || When::kind(Kind::Token);
        ways.iter().for_each(|quirk| registry.quirk_when(token(), quirk.clone()));
        registry.quirk_when(token(), Quirk::PaddedTo(128 * 1024 + 1));
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::NoToken { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_service_that_limits_our_rate_says_for_how_long() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer());
    registry.quirk_when(When::kind(Kind::Token), Quirk::TooManyRequests(Some("7".to_owned())));
    let error = get(&client(&registry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRequests);
    assert_eq!(error.retry_after().unwrap().as_secs(), 7);
}

#[tokio::test]
async fn a_hiccup_of_a_token_service_is_not_noticed() {
    for quirk in [Quirk::Status(502), Quirk::Status(503), Quirk::Status(504), Quirk::Reset, Quirk::HangUp] {
        let (registry, image) = with_image().await;
        registry.require(Auth::bearer());
        registry.quirk_when(When::kind(Kind::Token).first(1), quirk.clone());
        assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest, "{quirk:?}");
        assert_eq!(registry.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    registry.quirk_when(When::kind(Kind::Token), Quirk::Status(403));
    let client = client(&registry);
    assert!(get(&client).await.is_err());
    registry.clear();
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
}
