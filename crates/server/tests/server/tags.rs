//! `tags/list`, and what is not offered.

use testkit::{Kind, Quirk};

use crate::place::{Place, error};

#[tokio::test]
async fn pages_are_listed_under_the_name_that_the_client_asked_for() {
    let place = Place::new().await;
    let service = place.start().await;
    for tag in ["a", "b", "c"] {
        place.push("team/app", tag);
    }
    let page = service.get("/v2/corp.alt/team/app/tags/list?n=2").await;
    assert_eq!(page.json(), serde_json::json!({"name": "corp.alt/team/app", "tags": ["a", "b"]}));
    assert_eq!(page.header("link"), Some("</v2/corp.alt/team/app/tags/list?n=2&last=b>; rel=\"next\""));
    let last = service.get("/v2/corp.alt/team/app/tags/list?n=2&last=b").await;
    assert_eq!((last.json()["tags"].clone(), last.header("link")), (serde_json::json!(["c"]), None));
    assert_eq!(place.registry.last(Kind::Tags).query.as_deref(), Some("n=2&last=b"));
}

#[tokio::test]
async fn a_link_of_upstream_never_leads_a_client_around_us() {
    let place = Place::new().await;
    let service = place.start().await;
    for tag in ["a", "b", "c"] {
        place.push("team/app", tag);
    }
    for link in
        ["<https://evil.example{next}>; rel=\"next\"", "<{next}>; rel=next", "<?{query}>; rel=\"next\""]
    {
        place.registry.clear();
        place.registry.quirk(Quirk::TagsLink(link.to_owned()));
        let page = service.get("/v2/corp.alt/team/app/tags/list?n=1").await;
        let expected = "</v2/corp.alt/team/app/tags/list?n=1&last=a>; rel=\"next\"";
        assert!(page.header("link").is_none_or(|link| link == expected), "{link}: {page:?}");
    }
}

#[tokio::test]
async fn what_is_not_offered_says_so_with_a_code() {
    let place = Place::new().await;
    let service = place.start().await;
    for (path, status, code) in [
        ("/v2/_catalog".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/corp.alt/team/app/blobs/uploads/".to_owned(), 404, "UNSUPPORTED"),
        ("/v2/corp.alt/team/app/tags/list?n=x".to_owned(), 400, "SIZE_INVALID"),
    ] {
        let reply = service.get(&path).await;
        assert_eq!((reply.status, &*error(&reply).0), (status, code), "{path}");
    }
    assert_eq!(place.registry.total(), 0);
}

#[tokio::test]
async fn a_repository_that_upstream_does_not_have_is_unknown() {
    let place = Place::new().await;
    let service = place.start().await;
    let reply = service.get("/v2/corp.alt/team/none/tags/list").await;
    assert_eq!((reply.status, &*error(&reply).0), (404, "NAME_UNKNOWN"));
}

#[tokio::test]
async fn the_next_page_is_of_the_registry_that_ns_named() {
    let place = Place::new().await;
    let service = place.start().await;
    for tag in ["a", "b"] {
        place.push("team/app", tag);
    }
    let page = service.get("/v2/team/app/tags/list?ns=corp.alt&n=1").await;
    assert_eq!(page.header("link"), Some("</v2/team/app/tags/list?n=1&last=a&ns=corp.alt>; rel=\"next\""));
    let next = service.get("/v2/team/app/tags/list?n=1&last=a&ns=corp.alt").await;
    assert_eq!(next.json()["tags"], serde_json::json!(["b"]));
}

#[tokio::test]
async fn a_page_that_upstream_names_in_its_own_words_is_asked_for_in_the_same_words() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "a");
    place.push("team/app", "b");
    place
        .registry
        .quirk(Quirk::TagsLink("</v2/x/tags/list?next_page=gAAA%3D%3D&n=50>; rel=\"next\"".to_owned()));
    let page = service.get("/v2/corp.alt/team/app/tags/list?n=1").await;
    let link = page.header("link").unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    assert!(next.starts_with("/v2/corp.alt/team/app/tags/list?token="), "{link}");
    assert_eq!(service.get(next).await.status, 200);
    assert_eq!(place.registry.last(Kind::Tags).query.as_deref(), Some("next_page=gAAA%3D%3D&n=50"));
    for token in ["", "a", "ns%3Dghcr.io", "a%3D%00", "a%3Db%23c", "a%3D%25zz"] {
        let reply = service.get(&format!("/v2/corp.alt/team/app/tags/list?token={token}")).await;
        assert_eq!(reply.status, 400, "{token}");
    }
}

#[tokio::test]
async fn a_page_of_nothing_is_a_page() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "a");
    let page = service.get("/v2/corp.alt/team/app/tags/list?n=0").await;
    assert_eq!((page.status, page.json()["tags"].clone()), (200, serde_json::json!([])));
}
