//! Challenges, and what is let in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

pub(super) async fn get_with(registry: &FakeRegistry, url: &str, authorization: &str) -> Reply {
    wire::Request::get(&format!("{}{url}", registry.url()))
        .header("Authorization", authorization)
        .send()
        .await
}

#[tokio::test]
async fn every_challenge_seen_in_the_field_can_be_given() {
    let (registry, _) = with_image().await;
    let realm = registry.realm();
    for lines in [
        &[r#"Bearer realm="{realm}",service="registry.docker.io",scope="{scope}""#][..],
        &["bearer realm=\"{realm}\",service=gcr.io"],
        &[r#"Bearer realm="{realm}""#],
        &[r#"Bearer realm="{realm}",service="ghcr.io",scope="repository:user/image:pull""#],
        &[r#"Basic realm="quay.io", Bearer realm="{realm}",service="quay.io""#],
        &["Negotiate", r#"Basic realm="x""#],
        &[r#"Bearer realm="{realm}",service="public.ecr.aws",scope="aws""#],
        &[r#"Bearer realm="{realm}",service="container_registry",scope="{scope}",error="invalid_token""#],
        &[r#"Bearer realm="{realm}",scope="repository:a:pull,push",error="insufficient_scope""#],
        &[r#"Bearer realm="{realm}\"y""#],
        &[],
        &[r#"Basic realm="Sonatype Nexus Repository Manager""#],
    ] {
        registry.require(Auth::bearer().challenges(lines));
        let reply = get_tag(&registry).await;
        assert_eq!((reply.status, &reply.json()["errors"][0]["code"]), (401, &"UNAUTHORIZED".into()));
        let filled =
            |line: &&str| line.replace("{realm}", &realm).replace("{scope}", "repository:team/app:pull");
        let expected: Vec<String> = lines.iter().map(filled).collect();
        assert_eq!(reply.header_lines("www-authenticate"), expected);
    }
    registry.open();
    assert_eq!(get_tag(&registry).await.status, 200);
}

#[tokio::test]
async fn the_ping_is_challenged_without_a_scope_unless_it_is_open() {
    let registry = FakeRegistry::start().await;
    registry.require(Auth::bearer());
    let ping = format!("{}/v2/", registry.url());
    let host = registry.host_port();
    let challenge = format!(r#"Bearer realm="http://{host}/token",service="{host}""#);
    let reply = wire::get(&ping).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some(challenge.as_str())));
    registry.require(Auth::bearer().open_ping());
    assert_eq!(wire::get(&ping).await.status, 200);
    assert_eq!(get_tag(&registry).await.status, 401);
}

#[tokio::test]
async fn basic_lets_in_the_one_account_and_nobody_else() {
    let (registry, image) = with_image().await;
    registry.require(Auth::basic("ci", "secret"));
    let url = "/v2/team/app/manifests/v1";
    let refused = get_tag(&registry).await;
    let challenge = format!("Basic realm=\"{}\"", registry.host_port());
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(challenge.as_str())));
    for wrong in [basic("ci", "wrong"), basic("other", "secret"), "Basic !".to_owned(), "Bearer x".to_owned()]
    {
        assert_eq!(get_with(&registry, url, &wrong).await.status, 401);
    }
    assert_eq!(get_with(&registry, url, &basic("ci", "secret")).await.body, image.manifest);
}

#[tokio::test]
async fn files_need_no_credentials() {
    let (registry, image) = with_image().await;
    registry.require(Auth::bearer());
    let reply = wire::get(&format!("{}/files/{}", registry.url(), image.digest)).await;
    assert_eq!(reply.body, image.manifest);
}
