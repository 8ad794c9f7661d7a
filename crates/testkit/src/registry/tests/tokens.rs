//! The token endpoint, and which tokens are believed.

use serde_json::Value;

use super::credentials::{basic, get_with};
use super::*;

const MANIFEST: &str = "/v2/team/app/manifests/v1";

/// The query of a client that does what the default challenge says.
fn token_query(registry: &FakeRegistry) -> String {
    format!("?service={}&scope=repository%3Ateam%2Fapp%3Apull", registry.host_port())
}

async fn token_for(registry: &FakeRegistry, query: &str) -> String {
    let reply = wire::get(&format!("{}{query}", registry.realm())).await;
    format!("Bearer {}", reply.json()["access_token"].as_str().expect("a token"))
}

#[tokio::test]
async fn a_token_is_good_for_the_scope_and_service_it_was_asked_for() {
    let (registry, image) = with_image().await;
    registry.push_image("team/other", "v1", &image);
    registry.require(Auth::bearer());
    let token = token_for(&registry, &token_query(&registry)).await;
    assert_eq!(get_with(&registry, MANIFEST, &token).await.body, image.manifest);
    assert_eq!(get_with(&registry, "/v2/", &token).await.status, 200);
    assert_eq!(get_with(&registry, "/v2/team/other/manifests/v1", &token).await.status, 401);
    assert_eq!(get_with(&registry, MANIFEST, "Bearer token-99").await.status, 401);
    let elsewhere = token_for(&registry, "?service=wrong&scope=repository:team/app:pull").await;
    assert_eq!(get_with(&registry, MANIFEST, &elsewhere).await.status, 401);
    assert_eq!((registry.token_requests(), registry.count("GET", Kind::Token)), (2, 2));
}

#[tokio::test]
async fn a_token_of_another_scope_can_be_403() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().wrong_scope_status(403));
    let token = token_for(&registry, &format!("?service={}", registry.host_port())).await;
    let reply = get_with(&registry, MANIFEST, &token).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (403, None));
}

#[tokio::test]
async fn the_scope_of_the_challenge_counts_whatever_it_is() {
    let (registry, _) = with_image().await;
    let aws = r#"Bearer realm="{realm}",service="public.ecr.aws",scope="aws""#;
    registry.require(Auth::bearer().challenges(&[aws]));
    let guessed = token_for(&registry, "?service=public.ecr.aws&scope=repository:team/app:pull").await;
    assert_eq!(get_with(&registry, MANIFEST, &guessed).await.status, 401);
    let named = token_for(&registry, "?service=public.ecr.aws&scope=aws").await;
    assert_eq!(get_with(&registry, MANIFEST, &named).await.status, 200);
}

#[tokio::test]
async fn without_a_scope_in_the_challenge_the_token_is_for_pulls_from_the_repository() {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().challenges(&["bearer realm=\"{realm}\",service=gcr.io"]));
    let token = token_for(&registry, "?service=gcr.io&scope=repository:team/app:pull").await;
    assert_eq!(get_with(&registry, MANIFEST, &token).await.status, 200);
    let bare = token_for(&registry, "?service=gcr.io").await;
    assert_eq!(get_with(&registry, MANIFEST, &bare).await.status, 401);
}

#[tokio::test]
async fn the_token_is_in_either_field_or_in_both() {
    let registry = FakeRegistry::start().await;
    for (fields, token, access_token) in [
        (TokenFields::Token, true, false),
        (TokenFields::AccessToken, false, true),
        (TokenFields::Both, true, true),
    ] {
        registry.require(Auth::bearer().fields(fields).expires_in(None).token_prefix("mine"));
        let json = wire::get(&registry.realm()).await.json();
        let is_token = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("mine-"));
        assert_eq!((is_token(&json["token"]), is_token(&json["access_token"])), (token, access_token));
        assert_eq!(json["expires_in"], Value::Null);
    }
    registry.require(Auth::bearer().expires_in(Some(7)));
    assert_eq!(wire::get(&registry.realm()).await.json()["expires_in"], 7);
}

#[tokio::test]
async fn expired_tokens_are_401_or_400() {
    let (registry, _) = with_image().await;
    for status in [401, 400] {
        registry.require(Auth::bearer().expired_status(status));
        let old = token_for(&registry, &token_query(&registry)).await;
        assert_eq!(get_with(&registry, MANIFEST, &old).await.status, 200);
        registry.expire_tokens();
        assert_eq!(get_with(&registry, MANIFEST, &old).await.status, status);
        let new = token_for(&registry, &token_query(&registry)).await;
        assert_eq!(get_with(&registry, MANIFEST, &new).await.status, 200);
    }
}

#[tokio::test]
async fn the_token_endpoint_knows_its_account() {
    let registry = FakeRegistry::start().await;
    registry.require(Auth::bearer().account("ci", "secret"));
    assert_eq!(wire::get(&registry.realm()).await.status, 200);
    assert_eq!(get_with(&registry, "/token", &basic("ci", "wrong")).await.status, 401);
    assert_eq!(get_with(&registry, "/token", &basic("ci", "secret")).await.status, 200);
    registry.require(Auth::bearer().account("ci", "secret").accounts_only());
    assert_eq!(wire::get(&registry.realm()).await.status, 401);
    assert_eq!(get_with(&registry, "/token", &basic("ci", "secret")).await.status, 200);
}

#[tokio::test]
async fn an_anonymous_token_is_not_good_for_a_private_repository() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer().account("ci", "secret").private("team/app"));
    let query = token_query(&registry);
    let anonymous = token_for(&registry, &query).await;
    assert_eq!(get_with(&registry, MANIFEST, &anonymous).await.status, 401);
    let reply = get_with(&registry, &format!("/token{query}"), &basic("ci", "secret")).await;
    let token = format!("Bearer {}", reply.json()["token"].as_str().unwrap());
    assert_eq!(get_with(&registry, MANIFEST, &token).await.body, image.manifest);
}

#[tokio::test]
async fn the_token_endpoint_can_refuse_redirect_swell_or_talk_nonsense() {
    let registry = FakeRegistry::start().await;
    registry.require(Auth::bearer());
    let token = || When::kind(Kind::Token);
    registry.quirk(Quirk::Status(500));
    assert_eq!(wire::get(&registry.realm()).await.status, 200, "a quirk for all leaves tokens alone");
    registry.clear();
    registry.quirk_when(token(), Quirk::Status(403));
    assert_eq!(wire::get(&registry.realm()).await.status, 403);
    registry.clear();
    registry.quirk_when(token(), Quirk::Redirect(302, "http://169.254.169.254/".to_owned()));
    assert_eq!(wire::get(&registry.realm()).await.header("location"), Some("http://169.254.169.254/"));
    registry.clear();
    registry.quirk_when(token(), Quirk::PaddedTo(1_000_000));
    assert_eq!(wire::get(&registry.realm()).await.body.len(), 1_000_000);
    registry.clear();
    registry.quirk_when(token(), Quirk::ReplaceBody("not JSON".into()));
    assert_eq!(wire::get(&registry.realm()).await.text(), "not JSON");
    assert_eq!(wire::Request::new("POST", &registry.realm()).send().await.status, 405);
}

#[tokio::test]
async fn there_are_no_tokens_where_none_are_demanded() {
    let registry = FakeRegistry::start().await;
    assert_eq!(wire::get(&registry.realm()).await.status, 404);
}

#[tokio::test]
async fn an_identity_token_is_posted_and_does_for_the_account() {
    let (registry, image) = with_image().await;
    let post = |form: String| wire::Request::new("POST", &registry.realm()).body(form).send();
    registry.require(Auth::bearer().account("ci", "hunter2").accounts_only().private("team/app"));
    let form = |grant: &str, token: &str| {
        let asked = token_query(&registry);
        format!("grant_type={grant}&refresh_token={token}&{}", &asked[1..])
    };
    assert_eq!(post(form("refresh_token", "identity")).await.status, 405);
    registry.require(Auth::bearer().identity_token("identity").accounts_only().private("team/app"));
    assert_eq!(post(form("refresh_token", "other")).await.status, 401);
    assert_eq!(post(form("password", "identity")).await.status, 401);
    let reply = post(form("refresh_token", "identity")).await;
    let token = format!("Bearer {}", reply.json()["access_token"].as_str().expect("a token"));
    assert_eq!(get_with(&registry, MANIFEST, &token).await.body, image.manifest);
    assert_eq!(registry.last(Kind::Token).form_values("grant_type"), ["refresh_token"]);
    assert_eq!(wire::Request::new("POST", &manifest_url(&registry, "v1")).send().await.status, 405);
}
