//! Waiting ends. Nothing here asserts how long it took: only that it ended, how, and after how many requests.

use oci::TagsQuery;
use testkit::port::SilentPort;
use testkit::{Auth, FakeRegistry, Gate, Kind, Quirk, When};
use upstream::{BlobMethod, BlobRange, Client, Error, ErrorKind, Settings, Timeouts};

use crate::support::{PATIENT, SHORT, at, get, head, name, settings, with_image};

fn hurried(url: &str, timeouts: Timeouts) -> Client {
    Client::new(Settings { timeouts, ..settings(at(url)) }).unwrap()
}

fn assert_late<T>(outcome: Result<T, Error>) {
    let error = outcome.err().unwrap();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

async fn held(quirk: fn(Gate) -> Quirk, when: When) -> (FakeRegistry, Gate) {
    let (registry, _) = with_image().await;
    let gate = Gate::closed();
    registry.quirk_when(when, quirk(gate.clone()));
    (registry, gate)
}

#[tokio::test]
async fn headers_that_do_not_come_are_not_waited_for_and_not_asked_for_again() {
    let (registry, gate) = held(Quirk::HoldHeaders, When::any()).await;
    let client = hurried(&registry.url(), Timeouts { headers: SHORT, ..PATIENT });
    assert_late(get(&client).await);
    assert_eq!(registry.total(), 1);
    assert_late(head(&client).await);
    assert_late(client.tags(&name(), &TagsQuery::default()).await);
    let blob = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap();
    assert_late(client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), false).await.map(drop));
    assert_eq!(registry.total(), 4);
    // The connections are given up as well.
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn the_whole_of_an_exchange_is_bounded() {
    let (registry, gate) = held(Quirk::HoldBody, When::any()).await;
    let client = hurried(&registry.url(), Timeouts { total: SHORT, ..PATIENT });
    assert_late(get(&client).await);
    assert_late(client.tags(&name(), &TagsQuery::default()).await);
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn before_the_first_byte_of_a_blob_the_whole_is_bounded_too() {
    let (registry, gate) = held(Quirk::HoldHeaders, When::any()).await;
    let client = hurried(&registry.url(), Timeouts { total: SHORT, ..PATIENT });
    let blob = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap();
    assert_late(client.blob(BlobMethod::Get, &name(), &blob, &BlobRange::default(), false).await.map(drop));
    gate.waiting_at_most(0).await;
}

#[tokio::test]
async fn a_slow_token_service_is_not_waited_for() {
    for quirk in [Quirk::HoldHeaders as fn(Gate) -> Quirk, Quirk::HoldBody] {
        let (registry, gate) = held(quirk, When::kind(Kind::Token)).await;
        registry.require(Auth::bearer());
        let client = hurried(&registry.url(), Timeouts { total: SHORT, ..PATIENT });
        assert_late(get(&client).await);
        gate.waiting_at_most(0).await;
    }
    let (registry, _gate) = held(Quirk::HoldHeaders, When::kind(Kind::Token)).await;
    registry.require(Auth::bearer());
    let client = hurried(&registry.url(), Timeouts { headers: SHORT, ..PATIENT });
    assert_late(get(&client).await);
    assert!(registry.token_requests() <= 1);
}

#[tokio::test]
async fn a_connection_that_is_not_made_is_not_waited_for() {
    let silent = SilentPort::new();
    let client = hurried(&silent.url(), Timeouts { connect: SHORT, ..PATIENT });
    assert_late(get(&client).await);
}

#[tokio::test]
async fn a_redirect_does_not_start_the_time_anew() {
    let (registry, gate) = held(Quirk::HoldHeaders, When::kind(Kind::File)).await;
    registry.quirk_when(When::kind(Kind::Manifest), Quirk::Redirect(307, "/files/{digest}".to_owned()));
    let client = hurried(&registry.url(), Timeouts { total: SHORT, ..PATIENT });
    assert_late(get(&client).await);
    gate.waiting_at_most(0).await;
}
