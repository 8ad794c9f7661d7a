//! Referrers: upstream's lists in every form, and what is made of them.

use serde_json::{Value, json};
use testkit::{Answer, Gate, Kind, Quirk, When, wire};
use tokio::task::JoinSet;

use crate::place::{Place, error};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SBOM: &str = "application/spdx+json";
const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// An image with three referrers; gives its digest.
fn with_referrers(place: &Place) -> String {
    let subject = place.push("team/app", "v1").digest;
    for (kind, text) in [(SBOM, "one"), (SIGNATURE, "two"), (SBOM, "three")] {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": subject, "size": 2},
            "layers": [], "annotations": {"text": text},
            "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": 1},
        });
        place.registry.push_untagged("team/app", manifest.to_string(), OCI_MANIFEST);
    }
    subject
}

/// The annotations `text` of all descriptors, sorted.
fn texts(index: &Value) -> Vec<&str> {
    let descriptors = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let mut texts: Vec<&str> =
        descriptors.filter_map(|one| one.pointer("/annotations/text")?.as_str()).collect();
    texts.sort_unstable();
    texts
}

#[tokio::test]
async fn upstreams_pages_become_one_list() {
    let place = Place::new().await;
    let service = place.start().await;
    let subject = with_referrers(&place);
    for page in [1, 2, 3, 100] {
        place.registry.clear();
        place.registry.quirk(Quirk::Referrers { page, filters: false });
        let reply = service.get(&format!("/v2/corp.alt/team/app/referrers/{subject}")).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(OCI_INDEX)));
        assert_eq!(texts(&reply.json()), ["one", "three", "two"]);
        assert_eq!((reply.header("link"), reply.header("oci-filters-applied")), (None, None));
    }
}

#[tokio::test]
async fn the_filter_holds_whether_upstream_has_it_or_not() {
    let place = Place::new().await;
    let service = place.start().await;
    let subject = with_referrers(&place);
    for filters in [true, false] {
        place.registry.clear();
        place.registry.quirk(Quirk::Referrers { page: 1, filters });
        let kind = SBOM.replace('+', "%2B");
        let reply =
            service.get(&format!("/v2/corp.alt/team/app/referrers/{subject}?artifactType={kind}")).await;
        assert_eq!(texts(&reply.json()), ["one", "three"], "{filters}");
        assert_eq!(reply.header("oci-filters-applied"), Some("artifactType"));
    }
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_the_tag_that_clients_fall_back_to() {
    let place = Place::new().await;
    let service = place.start().await;
    let subject = with_referrers(&place);
    let path = format!("/v2/corp.alt/team/app/referrers/{subject}");
    let none = service.get(&path).await;
    assert_eq!((none.status, none.json()["manifests"].clone()), (200, json!([])));
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": subject, "size": 3, "artifactType": SBOM,
         "annotations": {"text": "fallback"}, "urls": ["https://evil.example"]},
    ]});
    place.registry.push_manifest("team/app", &subject.replace(':', "-"), index.to_string(), OCI_INDEX);
    let reply = service.get(&path).await;
    assert_eq!(texts(&reply.json()), ["fallback"]);
    assert!(!reply.text().contains("evil"), "only what is understood is passed on");
    let other = service.get(&format!("{path}?artifactType=x")).await;
    assert_eq!(other.json()["manifests"], json!([]));
}

#[tokio::test]
async fn an_upstream_that_cannot_be_asked_gives_no_list_rather_than_a_shorter_one() {
    let place = Place::new().await;
    let service = place.start().await;
    let subject = with_referrers(&place);
    place.registry.quirk(Quirk::Status(500));
    let path = format!("/v2/corp.alt/team/app/referrers/{subject}");
    assert_eq!(service.get(&path).await.status, 502);
    place.registry.clear();
    place.registry.quirk(Quirk::ReplaceBody("<html>".into()));
    place.registry.quirk(Quirk::Referrers { page: 9, filters: false });
    assert_eq!(service.get(&path).await.status, 502);
}

#[tokio::test]
async fn pages_that_are_too_long_together_are_no_list() {
    let place = Place::new().await;
    let service = place.start().await;
    let subject = with_referrers(&place);
    let path = format!("/v2/corp.alt/team/app/referrers/{subject}");
    for (mebibytes, status) in [(1, 200), (2, 502)] {
        place.registry.clear();
        place.registry.quirk(Quirk::Referrers { page: 1, filters: false });
        place.registry.quirk(Quirk::PaddedTo(mebibytes * 1024 * 1024));
        let reply = service.get(&path).await;
        assert_eq!(reply.status, status, "{mebibytes}");
    }
}

#[tokio::test]
async fn a_digest_that_is_none_is_refused_before_upstream_is_asked() {
    let place = Place::new().await;
    let service = place.start().await;
    for digest in ["sha256:abc", "v1", "sha256:"] {
        let reply = service.get(&format!("/v2/corp.alt/team/app/referrers/{digest}")).await;
        assert_eq!((reply.status, &*error(&reply).0), (400, "DIGEST_INVALID"), "{digest}");
    }
    assert_eq!(place.registry.total(), 0);
    let digest = format!("sha256:{}", "0".repeat(64));
    let head = service.head(&format!("/v2/corp.alt/team/app/referrers/{digest}")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(place.registry.last(Kind::Referrers).method, "GET");
}

#[tokio::test]
async fn long_lists_for_which_there_is_no_memory_are_503_and_short_ones_are_given() {
    let place = Place::new().await;
    let service = place.start().await;
    let long = with_referrers(&place);
    let short = format!("sha256:{}", "a".repeat(64));
    let gate = Gate::closed();
    let list = |spaces: usize| {
        Quirk::Answer(Answer::status(200).body(format!("{{\"manifests\":[]{}}}", " ".repeat(spaces))))
    };
    let of = |digest: &str| When::kind(Kind::Referrers).reference(digest);
    place.registry.quirk_when(of(&long), list(4_000_000));
    place.registry.quirk_when(of(&long), Quirk::HoldBody(gate.clone()));
    place.registry.quirk_when(of(&short), list(0));
    let path = |digest: &str| format!("/v2/corp.alt/team/app/referrers/{digest}");
    let mut lists = JoinSet::new();
    for _list in 0..48 {
        let url = service.url(&path(&long));
        lists.spawn(async move { wire::get(&url).await });
    }
    let refused = lists.join_next().await.unwrap().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(error(&refused).0, "UNAVAILABLE");
    assert_eq!(service.get(&path(&short)).await.status, 200);
    gate.release();
    lists.join_all().await;
    assert_eq!(service.get(&path(&long)).await.status, 200);
}
