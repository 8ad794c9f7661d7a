//! Bodies that are no manifests, or not the ones that their headers promise.

use oci::{MAX_MANIFEST, ManifestError, ManifestType};
use testkit::media_type::{DOCKER_MANIFEST, OCI_INDEX, SCHEMA1};
use testkit::{Answer, Kind, Quirk, RawServer, When};
use upstream::{Error, ErrorKind};

use crate::support::{at, client, client_with, get, with_image};

/// What a GET of the image says with this quirk.
async fn refused(quirk: Quirk) -> Error {
    let (registry, _) = with_image().await;
    registry.quirk(quirk);
    let error = get(&client(&registry)).await.unwrap_err();
    assert_eq!(registry.total(), 1, "{error}");
    error
}

fn invalid(error: &Error) -> &ManifestError {
    let Error::InvalidManifest(why) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), ErrorKind::InvalidManifest);
    why
}

#[tokio::test]
async fn a_portal_in_between_is_not_taken_for_a_manifest() {
    let error = refused(Quirk::Answer(Answer::html(200))).await;
    assert_eq!(invalid(&error), &ManifestError::ContentType("text/html".to_owned()));
    let error = refused(Quirk::Answer(Answer::status(200).body("<html>"))).await;
    assert!(matches!(invalid(&error), ManifestError::NotJson(_)));
}

#[tokio::test]
async fn json_that_is_no_manifest_is_refused() {
    for body in ["{}", "null", "[]", "{\"schemaVersion\":2}", "", "{\"token\":\"x\"}"] {
        let answer = Answer::status(200).header("Content-Type", "application/json").body(body);
        invalid(&refused(Quirk::Answer(answer)).await);
    }
    let typed = Answer::status(200).header("Content-Type", OCI_INDEX).body("{}");
    invalid(&refused(Quirk::Answer(typed)).await);
}

#[tokio::test]
async fn schema_1_is_refused_by_its_type_and_by_its_body() {
    let error = refused(Quirk::ContentType(SCHEMA1.to_owned())).await;
    assert_eq!(invalid(&error), &ManifestError::SchemaOne);
    let body = Answer::status(200).body(r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#);
    assert_eq!(invalid(&refused(Quirk::Answer(body)).await), &ManifestError::SchemaOne);
}

#[tokio::test]
async fn a_content_type_that_contradicts_the_body_is_refused() {
    for other in [DOCKER_MANIFEST, OCI_INDEX] {
        let error = refused(Quirk::ContentType(other.to_owned())).await;
        assert!(matches!(invalid(&error), ManifestError::TypeMismatch { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_content_type_that_says_nothing_does_not_matter() {
    let parameters = format!("{}; charset=utf-8", ManifestType::OciManifest);
    let upper = ManifestType::OciManifest.as_str().to_uppercase();
    for quirk in [
        Quirk::NoContentType,
        Quirk::ContentType("application/json".to_owned()),
        Quirk::ContentType("text/plain; charset=utf-8".to_owned()),
        Quirk::ContentType(parameters),
        Quirk::ContentType(upper),
    ] {
        let (registry, image) = with_image().await;
        registry.quirk(quirk.clone());
        let fetched = get(&client(&registry)).await.unwrap();
        assert_eq!(fetched.bytes, image.manifest, "{quirk:?}");
        assert_eq!(fetched.manifest.media_type, ManifestType::OciManifest, "{quirk:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_is_asked_for_never_and_refused_always() {
    let (registry, image) = with_image().await;
    registry.quirk(Quirk::Gzip);
    assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest);
    let error = refused(Quirk::GzipUnasked).await;
    assert!(matches!(error, Error::Encoded), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn four_mebibytes_are_a_manifest_and_one_byte_more_is_not() {
    for ways in [vec![], vec![Quirk::Chunked]] {
        let (registry, _) = with_image().await;
        ways.iter().for_each(|quirk| registry.quirk(quirk.clone()));
        registry.quirk_when(When::any().first(1), Quirk::PaddedTo(MAX_MANIFEST));
        registry.quirk(Quirk::NoContentDigest);
        assert_eq!(get(&client(&registry)).await.unwrap().bytes.len(), MAX_MANIFEST);
        registry.quirk(Quirk::PaddedTo(MAX_MANIFEST + 1));
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: MAX_MANIFEST }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidManifest);
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_not_taken_for_whole() {
    for ways in [vec![], vec![Quirk::Chunked]] {
        let (registry, image) = with_image().await;
        ways.iter().for_each(|quirk| registry.quirk(quirk.clone()));
        // All of the manifest but the last byte, and without a digest that would give it away.
        registry.quirk(Quirk::NoContentDigest);
        registry.quirk(Quirk::Truncated(image.manifest.len() - 1));
        let error = get(&client(&registry)).await.unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{error:?}");
        assert_eq!((error.kind(), registry.total()), (ErrorKind::Unavailable, 1));
    }
}

#[tokio::test]
async fn a_wrong_content_length_is_never_believed_against_the_bytes() {
    let (_, image) = with_image().await;
    let manifest = std::str::from_utf8(&image.manifest).unwrap();
    for (length, wrong) in [(manifest.len() - 1, "shorter"), (manifest.len() + 1, "longer")] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{manifest}");
        let server = RawServer::start(answer).await;
        let error = get(&client_with(at(&server.url()))).await.unwrap_err();
        assert!(matches!(error, Error::InvalidManifest(_) | Error::Truncated { .. }), "{wrong}: {error:?}");
    }
}

#[tokio::test]
async fn answers_that_are_not_http_are_an_upstream_that_is_not_there() {
    let conflicting = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x";
    let too_many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(1_000));
    let too_long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for answer in ["", "\r\n", "SSH-2.0-OpenSSH_9.2\r\n", conflicting, &too_many, &too_long] {
        let server = RawServer::start(answer.to_owned()).await;
        let error = get(&client_with(at(&server.url()))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{:?}: {error:?}", &answer[..answer.len().min(40)]);
        assert_eq!(server.connections(), 2, "asked twice and no more");
    }
}

#[tokio::test]
async fn a_success_that_is_not_200_is_no_manifest() {
    for status in [201, 202, 204, 206] {
        let error = refused(Quirk::Answer(Answer::status(status))).await;
        assert!(matches!(error, Error::UnexpectedStatus { status: told } if told == status), "{error:?}");
    }
}

#[tokio::test]
async fn a_location_on_a_200_leads_nowhere() {
    let (registry, image) = with_image().await;
    let location = format!("{}/v2/team/app/manifests/other", registry.url());
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::Header("Location".to_owned(), location));
    assert_eq!(get(&client(&registry)).await.unwrap().bytes, image.manifest);
    assert_eq!(registry.total(), 1);
}
