//! Whose certificates are believed.

use std::io::Write as _;
use std::path::PathBuf;

use oci::{Name, RegistryHost};
use tempfile::NamedTempFile;
use testkit::tls::{ROOT_PEM, SERVER_KEY_PEM, TlsFront};
use testkit::{Kind, Quirk, When};
use upstream::{Client, Error, ErrorKind, Settings, UpstreamSettings};

use crate::support::{PATIENT, at, client_with, get, host, settings, tag, with_image};

fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

fn trusting(url: &str, roots: &NamedTempFile) -> UpstreamSettings {
    UpstreamSettings { ca_file: Some(roots.path().to_owned()), ..at(url) }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_is_not_believed() {
    let (registry, _) = with_image().await;
    let front = TlsFront::start(registry.address()).await;
    let error = get(&client_with(at(&front.url()))).await.unwrap_err();
    let Error::Unreachable { why, .. } = &error else { panic!("{error:?}") };
    assert!(why.contains("certificate"), "{why}");
    assert_eq!(registry.total(), 0);
}

#[tokio::test]
async fn a_root_of_the_operator_is_believed_for_the_registry_that_it_is_configured_for() {
    let (registry, image) = with_image().await;
    let front = TlsFront::start(registry.address()).await;
    let roots = file(ROOT_PEM);
    let other = RegistryHost::canonicalize("other.alt").unwrap();
    let upstreams = [(host(), trusting(&front.url(), &roots)), (other.clone(), at(&front.url()))].into();
    let client = Client::new(Settings { upstreams, timeouts: PATIENT, ..Settings::default() }).unwrap();
    assert_eq!(get(&client).await.unwrap().bytes, image.manifest);
    let there = Name::new(other, "team/app").unwrap();
    assert!(matches!(client.manifest(&there, &tag("v1")).await, Err(Error::Unreachable { .. })));
    assert_eq!((registry.total(), registry.last(Kind::Manifest).headers.len()), (1, 4));
}

#[tokio::test]
async fn from_https_no_redirect_leads_to_http() {
    let (registry, _) = with_image().await;
    let front = TlsFront::start(registry.address()).await;
    registry
        .quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(307, front.url().replace("https", "http")));
    let error = get(&client_with(trusting(&front.url(), &file(ROOT_PEM)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostRefused, "{error:?}");
}

#[tokio::test]
async fn a_file_without_roots_is_told_at_start_up() {
    for (content, why) in [
        ("", "holds no certificate"),
        ("not PEM at all", "holds no certificate"),
        (SERVER_KEY_PEM, "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "not PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""),
    ] {
        let roots = file(content);
        let error = Client::new(settings(trusting("https://localhost", &roots))).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(why) && message.contains("corp.alt"), "{message}");
        assert!(message.contains(roots.path().to_str().unwrap()), "{message}");
    }
    let ca_file = Some(PathBuf::from("/nonexistent/roots.pem"));
    let error = Client::new(settings(UpstreamSettings { ca_file, ..at("https://localhost") })).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}
