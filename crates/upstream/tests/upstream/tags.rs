//! Lists of tags, page by page, as registries write them.

use oci::TagsQuery;
use testkit::{Answer, FakeRegistry, Image, Kind, Quirk};
use upstream::{Error, ErrorKind, TagsPage};

use crate::support::{client, name};

async fn with_tags(tags: &[&str]) -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("one");
    for tag in tags {
        registry.push_image("team/app", tag, &image);
    }
    registry
}

fn query(n: Option<u32>, last: Option<&str>) -> TagsQuery {
    TagsQuery { n, last: last.map(str::to_owned), token: None }
}

async fn page(registry: &FakeRegistry, n: Option<u32>, last: Option<&str>) -> Result<TagsPage, Error> {
    client(registry).tags(&name(), &query(n, last)).await
}

#[tokio::test]
async fn all_tags_come_on_one_page_where_upstream_has_no_limit() {
    let registry = with_tags(&["b", "a", "c"]).await;
    let all = page(&registry, None, None).await.unwrap();
    assert_eq!(all, TagsPage { tags: vec!["a".into(), "b".into(), "c".into()], next: None });
    assert_eq!(registry.last(Kind::Tags).query, None);
}

#[tokio::test]
async fn pages_lead_to_the_last_one() {
    let registry = with_tags(&["a", "b", "c", "d", "e"]).await;
    registry.quirk(Quirk::TagsPage(2));
    let (mut all, mut next) = (Vec::new(), Some(query(Some(3), None)));
    while let Some(wanted) = next {
        let page = client(&registry).tags(&name(), &wanted).await.unwrap();
        all.push(page.tags.join(","));
        next = page.next;
    }
    assert_eq!(all, ["a,b", "c,d", "e"]);
    let asked: Vec<_> = registry.requests().iter().map(|request| request.query.clone().unwrap()).collect();
    assert_eq!(asked, ["n=3", "n=2&last=b", "n=2&last=d"]);
}

#[tokio::test]
async fn the_link_to_the_next_page_is_read_in_any_spelling() {
    for link in [
        "<{next}>; rel=\"next\"",
        "<{self}{next}>; rel=\"next\"",
        "<{next}>;rel=next",
        "<{next}>; Rel=\"NEXT\"",
        "</v2/team/app/tags/list?{query}&x=1>; rel=\"next\"",
        "</v2/team/app/tags/list?n=0&last=a>; rel=\"prev\", <{next}>; rel=\"next\"",
        "<https://elsewhere.example/v2/another/name/tags/list?{query}>; rel=\"next\"",
    ] {
        let registry = with_tags(&["a", "b", "c"]).await;
        registry.quirk(Quirk::TagsLink(link.to_owned()));
        let first = page(&registry, Some(2), None).await.unwrap();
        assert_eq!(first.next, Some(query(Some(2), Some("b"))), "{link}");
    }
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_none() {
    for link in ["", "<>; rel=next", "<{next}>; rel=\"prev\"", "<{next}>", "<{self}/other>; rel=next"] {
        let registry = with_tags(&["a", "b", "c"]).await;
        registry.quirk(Quirk::TagsLink(link.to_owned()));
        assert_eq!(page(&registry, Some(2), None).await.unwrap().next, None, "{link}");
    }
}

#[tokio::test]
async fn null_is_no_tags() {
    let registry = with_tags(&["a"]).await;
    registry.quirk(Quirk::TagsNull);
    assert_eq!(page(&registry, None, None).await.unwrap().tags, Vec::<String>::new());
    registry.clear();
    registry.quirk(Quirk::Answer(Answer::status(200).body(r#"{"name":"team/app"}"#)));
    assert_eq!(page(&registry, None, None).await.unwrap().tags, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_tag_is_left_out() {
    let registry = with_tags(&[]).await;
    let body = r#"{"tags":["v1","../../x","<script>","","a b","-x","sha256:0","ok_2"]}"#;
    registry.quirk(Quirk::Answer(Answer::status(200).body(body)));
    assert_eq!(page(&registry, None, None).await.unwrap().tags, ["v1", "ok_2"]);
}

#[tokio::test]
async fn what_is_no_list_is_an_upstream_that_is_not_available() {
    for answer in [
        Answer::html(200),
        Answer::status(200),
        Answer::status(200).body("null"),
        Answer::status(200).body("[\"v1\"]"),
        Answer::status(200).body(r#"{"tags":"v1"}"#),
        Answer::status(200).body(r#"{"tags":[1]}"#),
        Answer::status(500),
    ] {
        let registry = with_tags(&["a"]).await;
        registry.quirk(Quirk::Answer(answer.clone()));
        let error = page(&registry, None, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_page_is_bounded() {
    let registry = with_tags(&["a"]).await;
    registry.quirk(Quirk::PaddedTo(4 * 1024 * 1024));
    assert_eq!(page(&registry, None, None).await.unwrap().tags, ["a"]);
    registry.quirk(Quirk::PaddedTo(4 * 1024 * 1024 + 1));
    let error = page(&registry, None, None).await.unwrap_err();
    assert!(matches!(error, Error::InvalidList), "{error:?}");
}

#[tokio::test]
async fn an_unknown_repository_is_not_found() {
    let registry = FakeRegistry::start().await;
    assert_eq!(page(&registry, None, None).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn lists_are_followed_where_they_are_redirected_to() {
    let registry = with_tags(&["a"]).await;
    registry.quirk(Quirk::RedirectHops(1));
    assert_eq!(page(&registry, None, None).await.unwrap().tags, ["a"]);
}
