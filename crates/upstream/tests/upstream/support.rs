//! What the tests say again and again: a client that knows one registry as `corp.alt`.

use std::time::Duration;

use oci::{Digest, ManifestSelector, Name, RegistryHost, Tag};
use testkit::{FakeRegistry, Image};
use upstream::{Client, Credentials, Error, FetchedManifest, Head, Settings, Timeouts, UpstreamSettings};

/// Long enough never to end while a test runs, and no wait before a retry.
pub(crate) const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(60),
    headers: Duration::from_secs(60),
    total: Duration::from_secs(60),
    list: Duration::from_secs(60),
    idle: Duration::from_secs(60),
    retry: Duration::ZERO,
};

/// What the tests wait for an answer that never comes.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn host() -> RegistryHost {
    RegistryHost::canonicalize("corp.alt").unwrap()
}

pub(crate) fn name() -> Name {
    Name::new(host(), "team/app").unwrap()
}

pub(crate) fn tag(tag: &str) -> ManifestSelector {
    ManifestSelector::Tag(Tag::parse(tag).unwrap())
}

pub(crate) fn digest(digest: &str) -> ManifestSelector {
    ManifestSelector::Digest(Digest::parse(digest).unwrap())
}

/// A registry that has one image as `team/app:v1`.
pub(crate) async fn with_image() -> (FakeRegistry, Image) {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("one");
    registry.push_image("team/app", "v1", &image);
    (registry, image)
}

/// How a registry is configured that is reached at this URL.
pub(crate) fn at(url: &str) -> UpstreamSettings {
    UpstreamSettings { url: Some(url.parse().unwrap()), ..UpstreamSettings::default() }
}

/// The same with an account.
pub(crate) fn with_account(url: &str, username: &str, password: &str) -> UpstreamSettings {
    let credentials = Credentials { username: username.to_owned(), password: password.into() };
    UpstreamSettings { credentials: Some(credentials), ..at(url) }
}

pub(crate) fn settings(upstream: UpstreamSettings) -> Settings {
    Settings { upstreams: [(host(), upstream)].into(), timeouts: PATIENT, ..Settings::default() }
}

pub(crate) fn client_with(upstream: UpstreamSettings) -> Client {
    Client::new(settings(upstream)).unwrap()
}

pub(crate) fn client(registry: &FakeRegistry) -> Client {
    client_with(at(&registry.url()))
}

pub(crate) async fn get(client: &Client) -> Result<FetchedManifest, Error> {
    client.manifest(&name(), &tag("v1")).await
}

pub(crate) async fn head(client: &Client) -> Result<Head, Error> {
    client.head_manifest(&name(), &tag("v1")).await
}
