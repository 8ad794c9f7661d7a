//! Listings of tags, their pages and the spellings of `Link`.

use super::*;

async fn with_tags() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    for tag in ["c", "a", "d", "b"] {
        registry.push_image("team/app", tag, &Image::oci("one"));
    }
    registry
}

async fn list(registry: &FakeRegistry, query: &str) -> (serde_json::Value, Option<String>) {
    let reply = wire::get(&format!("{}/v2/team/app/tags/list{query}", registry.url())).await;
    assert_eq!((reply.status, &reply.json()["name"]), (200, &"team/app".into()));
    (reply.json()["tags"].clone(), reply.header("link").map(str::to_owned))
}

#[tokio::test]
async fn tags_are_sorted_and_cut_into_pages() {
    let registry = with_tags().await;
    let next = |last| Some(format!("</v2/team/app/tags/list?n=2&last={last}>; rel=\"next\""));
    assert_eq!(list(&registry, "").await, (["a", "b", "c", "d"].as_slice().into(), None));
    assert_eq!(list(&registry, "?n=2").await, (["a", "b"].as_slice().into(), next("b")));
    assert_eq!(list(&registry, "?n=2&last=b").await, (["c", "d"].as_slice().into(), None));
    assert_eq!(list(&registry, "?last=c").await, (["d"].as_slice().into(), None));
    assert_eq!(list(&registry, "?n=0").await, (serde_json::json!([]), None));
    let wrong = wire::get(&format!("{}/v2/team/app/tags/list?n=x", registry.url())).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_registry_can_have_pages_smaller_than_asked_for() {
    let registry = with_tags().await;
    registry.quirk(Quirk::TagsPage(1));
    let (tags, link) = list(&registry, "?n=100").await;
    assert_eq!(tags, serde_json::json!(["a"]));
    assert_eq!(link.as_deref(), Some("</v2/team/app/tags/list?n=1&last=a>; rel=\"next\""));
}

#[tokio::test]
async fn the_next_page_can_be_spelled_in_any_way() {
    let registry = with_tags().await;
    let own = registry.url();
    let query = "n=2&last=b";
    for (template, link) in [
        ("<{self}{next}>; rel=\"next\"", format!("<{own}/v2/team/app/tags/list?{query}>; rel=\"next\"")),
        ("<?{query}>;rel=next", format!("<?{query}>;rel=next")),
        ("</>; rel=\"first\", <{next}>; REL=\"next\"", {
            format!("</>; rel=\"first\", </v2/team/app/tags/list?{query}>; REL=\"next\"")
        }),
        ("<http://other.example{next}>; rel=\"next\"", {
            format!("<http://other.example/v2/team/app/tags/list?{query}>; rel=\"next\"")
        }),
    ] {
        registry.clear();
        registry.quirk(Quirk::TagsLink(template.to_owned()));
        assert_eq!(list(&registry, "?n=2").await.1, Some(link));
        assert_eq!(list(&registry, "").await.1, None);
    }
}

#[tokio::test]
async fn tags_can_be_null() {
    let registry = with_tags().await;
    registry.quirk(Quirk::TagsNull);
    assert_eq!(list(&registry, "").await.0, serde_json::Value::Null);
}
