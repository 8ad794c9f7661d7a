//! Which manifest a tag means when it depends on `Accept`.

use super::*;
use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, SCHEMA1};

async fn get_accepting(registry: &FakeRegistry, accept: &[&str]) -> Reply {
    let request = wire::Request::get(&manifest_url(registry, "v1"));
    accept.iter().fold(request, |request, line| request.header("Accept", line)).send().await
}

#[tokio::test]
async fn without_list_types_a_tag_can_mean_the_amd64_child() {
    for index in [Index::oci("one"), Index::docker("one")] {
        let registry = FakeRegistry::start().await;
        registry.push_index("team/app", "v1", &index);
        registry.quirk(Quirk::Amd64ChildWithoutListTypes);
        let child = get_accepting(&registry, &[OCI_MANIFEST, DOCKER_MANIFEST]).await;
        assert_eq!(child.body, index.children[0].manifest);
        assert_eq!(child.header("docker-content-digest"), Some(index.children[0].digest.as_str()));
        assert_eq!(child.header("content-type"), Some(index.children[0].media_type));
        for list in [OCI_INDEX, DOCKER_LIST] {
            let accept = format!("{OCI_MANIFEST}, {list}");
            assert_eq!(get_accepting(&registry, &[&accept]).await.body, index.manifest);
            assert_eq!(get_accepting(&registry, &[OCI_MANIFEST, list]).await.body, index.manifest);
        }
    }
}

#[tokio::test]
async fn without_accept_a_tag_can_mean_schema_1() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Schema1WithoutAccept);
    let old = get_accepting(&registry, &[]).await;
    assert_eq!((old.header("content-type"), &old.json()["schemaVersion"]), (Some(SCHEMA1), &1.into()));
    assert_ne!(old.header("docker-content-digest"), Some(image.digest.as_str()));
    assert_eq!(get_accepting(&registry, &[OCI_MANIFEST]).await.body, image.manifest);
}

#[tokio::test]
async fn a_type_that_is_not_accepted_can_be_404() {
    let registry = FakeRegistry::start().await;
    let index = Index::oci("one");
    registry.push_index("team/app", "v1", &index);
    registry.quirk(Quirk::StrictAccept);
    assert_eq!(get_accepting(&registry, &[OCI_MANIFEST]).await.status, 404);
    assert_eq!(get_accepting(&registry, &[OCI_MANIFEST, OCI_INDEX]).await.body, index.manifest);
}
