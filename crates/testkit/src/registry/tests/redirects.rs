//! Redirects of manifests and blobs, to everywhere.

use super::*;

#[tokio::test]
async fn a_location_can_be_absolute_relative_or_private() {
    let (registry, image) = with_image().await;
    let own = registry.url();
    let digest = &image.digest;
    for (status, template, location) in [
        (307, "http://cdn.example/{digest}", format!("http://cdn.example/{digest}")),
        (302, "/files/{digest}", format!("/files/{digest}")),
        (307, "../../other/{reference}", "../../other/v1".to_owned()),
        (308, "{self}{path}", format!("{own}/v2/team/app/manifests/v1?a=b")),
        (301, "http://169.254.169.254/latest/", "http://169.254.169.254/latest/".to_owned()),
        (303, "/v2/mirror/{repository}/manifests/v1", "/v2/mirror/team/app/manifests/v1".to_owned()),
    ] {
        registry.clear();
        registry.quirk(Quirk::Redirect(status, template.to_owned()));
        let reply = wire::get(&format!("{}?a=b", manifest_url(&registry, "v1"))).await;
        assert_eq!((reply.status, reply.header("location")), (status, Some(location.as_str())));
        assert_eq!(
            (reply.header("content-length"), reply.header("docker-content-digest")),
            (Some("0"), None)
        );
    }
}

#[tokio::test]
async fn hops_lead_to_the_answer_and_a_loop_does_not() {
    let (registry, image) = with_image().await;
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::RedirectHops(2));
    let mut path = "/v2/team/app/manifests/v1".to_owned();
    for _ in 0..2 {
        let reply = wire::get(&format!("{}{path}", registry.url())).await;
        assert_eq!(reply.status, 307);
        path = reply.header("location").unwrap().to_owned();
    }
    assert_eq!(wire::get(&format!("{}{path}", registry.url())).await.body, image.manifest);

    registry.clear();
    registry.quirk(Quirk::RedirectLoop);
    assert_eq!(get_tag(&registry).await.header("location"), Some("/v2/team/app/manifests/v1"));
}

#[tokio::test]
async fn a_second_registry_serves_the_blobs_of_the_first_as_files() {
    let (registry, image) = with_image().await;
    let cdn = FakeRegistry::start().await;
    let layer = image.blobs[1].clone();
    let digest = cdn.push_blob("any", layer.clone());
    let location = format!("{}/files/{{digest}}", cdn.url());
    registry.quirk_when(When::kind(Kind::Blob), Quirk::Redirect(307, location));
    let reply = wire::head(&format!("{}/v2/team/app/blobs/{digest}", registry.url())).await;
    let reply = wire::get(reply.header("location").unwrap()).await;
    assert_eq!((reply.status, &reply.body), (200, &layer));
    assert_eq!(reply.header("docker-content-digest"), None);
    assert_eq!((cdn.count("GET", Kind::File), registry.count("GET", Kind::Blob)), (1, 0));
}

#[tokio::test]
async fn files_are_served_under_their_path() {
    let registry = FakeRegistry::start().await;
    registry.push_file("a/b", "content", "text/plain");
    let reply = wire::get(&format!("{}/files/a/b?signature=x", registry.url())).await;
    assert_eq!(
        (reply.status, reply.text(), reply.header("content-type")),
        (200, "content", Some("text/plain"))
    );
    assert_eq!(wire::get(&format!("{}/files/a", registry.url())).await.status, 404);
}
