//! `WWW-Authenticate` as registries write it, and what is sent in answer.

use testkit::{Auth, FakeRegistry, Kind};
use upstream::ErrorKind;

use crate::support::{client, client_with, get, with_account, with_image};

async fn challenged(lines: &[&str]) -> FakeRegistry {
    let (registry, _) = with_image().await;
    registry.require(Auth::bearer().account("ci", "hunter2").challenges(lines));
    registry
}

/// Decoded `service` and `scope` of the one token request.
fn asked_for(registry: &FakeRegistry) -> (Vec<String>, Vec<String>) {
    assert_eq!(registry.token_requests(), 1);
    let token = registry.last(Kind::Token);
    (token.query_values("service"), token.query_values("scope"))
}

#[tokio::test]
async fn a_bearer_challenge_is_answered_with_its_own_service_and_scope() {
    let pull = "repository:team/app:pull";
    for (line, service, scopes) in [
        (r#"Bearer realm="{realm}",service="{service}",scope="{scope}""#, true, vec![pull]),
        // Lower case, quotes left out, no scope (gcr.io).
        ("bearer realm=\"{realm}\",service={service}", true, vec![pull]),
        // Neither service nor scope (pkg.dev).
        (r#"Bearer realm="{realm}""#, false, vec![pull]),
        // A scope that is not of the repository (public.ecr.aws).
        (r#"Bearer realm="{realm}",service="{service}",scope="aws""#, true, vec!["aws"]),
        // A parameter more (gitlab.com).
        (
            r#"Bearer realm="{realm}",service="{service}",scope="{scope}",error="invalid_token""#,
            true,
            vec![pull],
        ),
        // Commas within quotes.
        (r#"Bearer realm="{realm}",scope="repository:a:pull,push""#, false, vec!["repository:a:pull,push"]),
        // The scope of another repository, with a port in it.
        (
            r#"Bearer realm="{realm}",scope="repository:reg:5000/x:pull""#,
            false,
            vec!["repository:reg:5000/x:pull"],
        ),
        // Spaces wherever they are allowed.
        (r#"BEARER  Realm = "{realm}" , Scope = "{scope}""#, false, vec![pull]),
    ] {
        let registry = challenged(&[line]).await;
        get(&client(&registry)).await.unwrap_or_else(|error| panic!("{line}: {error}"));
        let expected_service = if service { vec![registry.host_port()] } else { vec![] };
        assert_eq!(
            asked_for(&registry),
            (expected_service, scopes.iter().map(ToString::to_string).collect())
        );
        assert_eq!(registry.count("GET", Kind::Manifest), 2, "{line}");
    }
}

#[tokio::test]
async fn the_challenge_that_can_be_answered_is_found_among_others() {
    for lines in [
        vec![r#"Basic realm="quay.io", Bearer realm="{realm}",service="{service}""#],
        vec![r#"Bearer realm="{realm}",service="{service}", Basic realm="x""#],
        vec!["Negotiate", r#"Bearer realm="{realm}",service="{service}""#],
        vec![r#"Basic realm="x""#, r#"Bearer realm="{realm}",service="{service}""#],
        vec![r#"Negotiate YIIabcDEF/+==, Bearer realm="{realm}",service="{service}""#],
        vec!["Bearer", r#"Bearer realm="{realm}",service="{service}""#],
        vec!["", " , ,", r#"Bearer realm="{realm}",service="{service}""#],
    ] {
        let registry = challenged(&lines).await;
        get(&client(&registry)).await.unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        assert_eq!(asked_for(&registry).0, [registry.host_port()], "{lines:?}");
    }
}

#[tokio::test]
async fn a_realm_keeps_the_query_that_it_has() {
    let registry = challenged(&[r#"Bearer realm="{realm}?account=x&y",scope="{scope}""#]).await;
    get(&client(&registry)).await.unwrap();
    let token = registry.last(Kind::Token);
    assert_eq!(token.query.unwrap(), "account=x&y&scope=repository%3Ateam%2Fapp%3Apull");
}

#[tokio::test]
async fn a_quoted_pair_in_a_realm_cannot_break_out_of_it() {
    let registry = challenged(&[r#"Bearer realm="{realm}?x=\"y\r\nZ: 1",scope="{scope}""#]).await;
    get(&client(&registry)).await.unwrap();
    let token = registry.last(Kind::Token);
    assert_eq!(token.query_values("x"), ["\"yrnZ: 1"]);
    assert!(token.header("z").is_none());
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_refusal_and_asked_once() {
    for lines in [
        vec![],
        vec![r#"Basic realm="Sonatype Nexus Repository Manager""#],
        vec![r#"Basic realm="{realm}",service="ecr.amazonaws.com""#],
        vec!["Negotiate"],
        vec!["Bearer"],
        vec![r#"Bearer service="{service}",scope="{scope}""#],
        vec!["Digest realm=\"x\", nonce=\"y\""],
        vec![r#"Bearer realm="unterminated"#],
    ] {
        let registry = challenged(&lines).await;
        let error = get(&client(&registry)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied { had_credentials: false }, "{lines:?}");
        assert_eq!(registry.total(), 1, "{lines:?}");
    }
}

#[tokio::test]
async fn basic_is_answered_where_there_are_credentials_and_nothing_better() {
    for lines in [
        vec![r#"Basic realm="x""#],
        vec!["Negotiate", r#"Basic realm="x""#],
        vec![r#"Bearer service="no realm", Basic realm="x""#],
    ] {
        let (registry, image) = with_image().await;
        registry.require(Auth::basic("ci", "hunter2").challenges(&lines));
        let client = client_with(with_account(&registry.url(), "ci", "hunter2"));
        assert_eq!(get(&client).await.unwrap().bytes, image.manifest, "{lines:?}");
        let sent = |request: &testkit::RecordedRequest| request.header("authorization").map(str::to_owned);
        let sent: Vec<_> = registry.requests().iter().map(sent).collect();
        assert_eq!(sent, [None, Some("Basic Y2k6aHVudGVyMg==".to_owned())], "{lines:?}");
    }
}
