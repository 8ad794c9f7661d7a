//! Answers that have nothing to do with what was asked.

use super::*;

#[tokio::test]
async fn any_status_is_an_error_envelope() {
    let (registry, _) = with_image().await;
    for (status, code) in [
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (404, "MANIFEST_UNKNOWN"),
        (500, "UNKNOWN"),
        (502, "UNKNOWN"),
        (503, "UNKNOWN"),
        (504, "UNKNOWN"),
    ] {
        registry.clear();
        registry.quirk(Quirk::Status(status));
        let reply = get_tag(&registry).await;
        assert_eq!((reply.status, &reply.json()["errors"][0]["code"]), (status, &code.into()));
        assert_eq!(reply.header("docker-content-digest"), None);
    }
    registry.clear();
    assert_eq!(get_tag(&registry).await.status, 200);
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_back_in_seconds_as_a_date_or_not() {
    let (registry, _) = with_image().await;
    let date = Clock::at(784_111_777).http_date();
    for retry_after in [Some("17".to_owned()), Some(date), None] {
        registry.clear();
        registry.quirk(Quirk::TooManyRequests(retry_after.clone()));
        let reply = head_tag(&registry).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, retry_after.as_deref()));
    }
}

#[tokio::test]
async fn the_first_requests_fail_and_the_next_one_does_not() {
    let (registry, _) = with_image().await;
    registry.quirk_when(When::kind(Kind::Manifest).first(2), Quirk::Status(503));
    assert_eq!(wire::get(&format!("{}/v2/", registry.url())).await.status, 200);
    let statuses = [get_tag(&registry).await, head_tag(&registry).await, get_tag(&registry).await]
        .map(|reply| reply.status);
    assert_eq!(statuses, [503, 503, 200]);
}

#[tokio::test]
async fn a_quirk_is_for_the_requests_that_all_its_conditions_match() {
    let (registry, image) = with_image().await;
    registry.push_image("team/other", "v1", &image);
    let when = When::kind(Kind::Manifest).method("GET").repository("team/app").reference("v1");
    registry.quirk_when(when.authorized(false), Quirk::Status(500));
    assert_eq!(get_tag(&registry).await.status, 500);
    assert_eq!(head_tag(&registry).await.status, 200);
    assert_eq!(wire::get(&manifest_url(&registry, &image.digest)).await.status, 200);
    let other = format!("{}/v2/team/other/manifests/v1", registry.url());
    assert_eq!(wire::get(&other).await.status, 200);
    let authorized = wire::Request::get(&manifest_url(&registry, "v1")).header("Authorization", "Basic x");
    assert_eq!(authorized.send().await.status, 200);
}

#[tokio::test]
async fn an_answer_is_sent_exactly_as_it_was_given() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::Answer(
        Answer::status(418).header("Set-Cookie", "a=1").header("Set-Cookie", "b=2").body("short and stout"),
    ));
    let reply = get_tag(&registry).await;
    assert_eq!((reply.status, reply.text()), (418, "short and stout"));
    assert_eq!(reply.header_lines("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(reply.header("content-type"), None);
}

#[tokio::test]
async fn a_marketing_page_is_html_with_status_200() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::Answer(Answer::html(200)));
    let reply = get_tag(&registry).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(reply.text().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn head_can_be_unsupported_while_get_works() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::HeadNotSupported);
    assert_eq!(head_tag(&registry).await.status, 405);
    assert_eq!(get_tag(&registry).await.status, 200);
}

#[tokio::test]
async fn storage_refuses_a_second_way_to_authenticate() {
    let (registry, image) = with_image().await;
    registry.quirk_when(When::kind(Kind::File), Quirk::RefusesAuthorization);
    let url = format!("{}/files/{}", registry.url(), image.digest);
    assert_eq!(wire::get(&url).await.body, image.manifest);
    let refused = wire::Request::get(&url).header("Authorization", "Bearer x").send().await;
    assert_eq!((refused.status, refused.text()), (400, "Only one auth mechanism allowed"));
}
