//! Whose word counts: the bytes', never a header's.

use oci::{Digest, Sha256Digest};
use testkit::media_type::OCI_MANIFEST;
use testkit::{Answer, Image, Index, Kind, Quirk, When, sha256_digest, sha512_digest};
use upstream::{Error, ErrorKind};

use crate::support::{client, digest, get, head, name, tag, with_image};

fn zeros(algorithm: &str, length: usize) -> String {
    format!("{algorithm}:{}", "0".repeat(length))
}

#[tokio::test]
async fn a_manifest_without_digest_header_is_hashed_here() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::NoContentDigest);
    let fetched = get(&client(&registry)).await.unwrap();
    assert_eq!((fetched.bytes, fetched.digest.to_string()), (image.manifest, image.digest));
    assert_eq!(head(&client(&registry)).await.unwrap().digest, None);
}

#[tokio::test]
async fn a_digest_header_that_lies_is_an_error_that_names_both() {
    let (registry, image) = with_image().await;
    for lie in [zeros("sha256", 64), zeros("sha512", 128), sha256_digest(b"other")] {
        registry.clear();
        registry.quirk(Quirk::ContentDigest(lie.clone()));
        let error = get(&client(&registry)).await.unwrap_err();
        let Error::DigestLies { claimed, computed } = &error else { panic!("{error:?}") };
        assert_eq!((claimed.to_string(), computed.to_string()), (lie.clone(), image.digest.clone()));
        assert_eq!(error.kind(), ErrorKind::DigestLies);
        assert!(error.to_string().contains(&lie) && error.to_string().contains(&image.digest));
        // A HEAD has no bytes: what it says is told as what it says.
        assert_eq!(head(&client(&registry)).await.unwrap().digest.unwrap().to_string(), lie);
    }
}

#[tokio::test]
async fn a_body_that_does_not_fit_its_digest_header_is_refused() {
    let (registry, _) = with_image().await;
    registry.quirk(Quirk::CorruptBody);
    let error = get(&client(&registry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestLies);
}

#[tokio::test]
async fn a_sha512_header_is_checked_and_the_record_is_sha256_all_the_same() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Sha512ContentDigest);
    assert_eq!(get(&client(&registry)).await.unwrap().digest.to_string(), image.digest);
    let said = head(&client(&registry)).await.unwrap().digest.unwrap();
    assert_eq!(said.to_string(), sha512_digest(&image.manifest));
}

#[tokio::test]
async fn a_digest_header_that_cannot_be_read_or_checked_is_as_good_as_none() {
    let (registry, image) = with_image().await;
    for odd in ["latest", "sha256:abc", "", &image.digest.to_uppercase()] {
        registry.clear();
        registry.quirk(Quirk::ContentDigest(odd.to_owned()));
        assert_eq!(get(&client(&registry)).await.unwrap().digest.to_string(), image.digest, "{odd:?}");
        assert_eq!(head(&client(&registry)).await.unwrap().digest, None, "{odd:?}");
    }
    registry.clear();
    registry.quirk(Quirk::ContentDigest(zeros("blake3", 64)));
    assert_eq!(get(&client(&registry)).await.unwrap().digest.to_string(), image.digest);
    assert!(matches!(head(&client(&registry)).await.unwrap().digest, Some(Digest::Other { .. })));
}

#[tokio::test]
async fn of_two_digest_headers_neither_may_lie() {
    let (registry, image) = with_image().await;
    for lines in [[&image.digest, &zeros("sha256", 64)], [&zeros("sha256", 64), &image.digest]] {
        registry.clear();
        let answer = Answer::status(200)
            .header("Content-Type", OCI_MANIFEST)
            .header("Docker-Content-Digest", lines[0])
            .header("Docker-Content-Digest", lines[1])
            .body(image.manifest.clone());
        registry.quirk(Quirk::Answer(answer));
        let error = get(&client(&registry)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestLies);
        assert_eq!(head(&client(&registry)).await.unwrap().digest, None);
    }
}

#[tokio::test]
async fn what_was_asked_for_by_digest_has_that_digest() {
    let (registry, image) = with_image().await;
    let client = client(&registry);
    for asked in [image.digest.clone(), sha512_digest(&image.manifest)] {
        registry.clear();
        let fetched = client.manifest(&name(), &digest(&asked)).await.unwrap();
        assert_eq!(fetched.digest.to_string(), image.digest);
        let other = Image::oci("other");
        registry.quirk(Quirk::NoContentDigest);
        registry.quirk(Quirk::ReplaceBody(other.manifest.clone()));
        let error = client.manifest(&name(), &digest(&asked)).await.unwrap_err();
        let Error::DigestLies { claimed, computed } = error else { panic!("{error:?}") };
        assert_eq!((claimed.to_string(), computed.to_string()), (asked, other.digest));
    }
}

#[tokio::test]
async fn a_digest_that_cannot_be_checked_is_not_even_asked_for() {
    let (registry, _) = with_image().await;
    let asked = digest(&zeros("blake3", 64));
    let error = client(&registry).manifest(&name(), &asked).await.unwrap_err();
    assert!(matches!(error, Error::UncheckableDigest { .. }));
    assert_eq!(registry.total(), 0);
}

/// What a tag means must not depend on who asks: our one `Accept` is the same for all, and names every type.
#[tokio::test]
async fn registries_that_choose_by_accept_always_give_the_stored_manifest() {
    for quirk in [Quirk::Schema1WithoutAccept, Quirk::Amd64ChildWithoutListTypes, Quirk::StrictAccept] {
        let (registry, image) = with_image().await;
        let docker = Image::docker("two");
        registry.push_image("team/app", "docker", &docker);
        let (index, list) = (Index::oci("three"), Index::docker("four"));
        registry.push_index("team/app", "index", &index);
        registry.push_index("team/app", "list", &list);
        registry.quirk(quirk.clone());
        let client = client(&registry);
        for (wanted, stored) in [
            ("v1", &image.digest),
            ("docker", &docker.digest),
            ("index", &index.digest),
            ("list", &list.digest),
        ] {
            let fetched = client.manifest(&name(), &tag(wanted)).await.unwrap();
            assert_eq!(&fetched.digest.to_string(), stored, "{quirk:?}, {wanted}");
            let said = client.head_manifest(&name(), &tag(wanted)).await.unwrap().digest;
            assert_eq!(&said.unwrap().to_string(), stored, "{quirk:?}, {wanted}");
        }
    }
}

#[tokio::test]
async fn the_manifest_is_told_with_its_type_its_children_and_the_date_of_the_answer() {
    let (registry, image) = with_image().await;
    let index = Index::oci("two");
    registry.push_index("team/app", "index", &index);
    registry.quirk(Quirk::Date("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
    let client = client(&registry);
    let fetched = client.manifest(&name(), &tag("index")).await.unwrap();
    assert_eq!(fetched.date, Some(784_111_777));
    assert_eq!(fetched.manifest.media_type.as_str(), index.media_type);
    let children: Vec<String> = fetched.manifest.children.iter().map(ToString::to_string).collect();
    assert_eq!(children, [index.children[0].digest.clone(), index.children[1].digest.clone()]);
    let said = head(&client).await.unwrap();
    assert_eq!(said.date, Some(784_111_777));
    assert_eq!(said.size, Some(image.manifest.len() as u64));
    assert_eq!(said.digest, Some(Sha256Digest::parse(&image.digest).unwrap().into()));
}

#[tokio::test]
async fn a_date_that_is_none_is_no_date() {
    let (registry, _) = with_image().await;
    assert_eq!(get(&client(&registry)).await.unwrap().date, None);
    for odd in ["yesterday", "Sun, 06 Nov 1894 08:49:37 GMT", ""] {
        registry.clear();
        registry.quirk(Quirk::Date(odd.to_owned()));
        assert_eq!(get(&client(&registry)).await.unwrap().date, None, "{odd:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_not_supported_says_nothing() {
    let (registry, image) = with_image().await;
    for quirk in [
        Quirk::HeadNotSupported,
        Quirk::Status(501),
        Quirk::Answer(Answer::status(204)),
        Quirk::Answer(Answer::html(200)),
        Quirk::GzipUnasked,
    ] {
        registry.clear();
        registry.quirk_when(When::kind(Kind::Manifest).method("HEAD"), quirk.clone());
        let said = head(&client(&registry)).await.unwrap();
        assert_eq!(said.digest, None, "{quirk:?}");
        assert_eq!(get(&client(&registry)).await.unwrap().digest.to_string(), image.digest);
    }
    registry.clear();
    registry.quirk(Quirk::HeadWithoutLength);
    let said = head(&client(&registry)).await.unwrap();
    assert_eq!((said.size, said.digest.unwrap().to_string()), (None, image.digest));
}
