//! Many clients at once.

use std::sync::Arc;

use testkit::{Gate, Kind, Quirk};
use tokio::task::JoinSet;

use crate::place::Place;

#[tokio::test]
async fn a_thousand_clients_of_one_cold_tag_cost_one_get_and_one_leaf() {
    let place = Place::new().await;
    let service = Arc::new(place.start().await);
    let image = place.push("team/app", "v1");
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let mut clients = JoinSet::new();
    for _ in 0..1000 {
        let service = Arc::clone(&service);
        clients.spawn(async move { service.pull("team/app", "v1").await });
    }
    gate.waiting(1).await;
    gate.release();
    for reply in clients.join_all().await {
        assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    }
    assert_eq!(place.registry.count("GET", Kind::Manifest), 1);
    assert_eq!(service.size(), 4);
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_no_append() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let asking = tokio::spawn(service.request("GET", "/v2/corp.alt/team/app/manifests/v1").try_send());
    gate.waiting(1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    gate.release();
    while service.size() == 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.size(), 4);
}

#[tokio::test]
async fn a_stop_lets_open_pulls_finish_and_loses_no_append() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    let gate = Gate::closed();
    place.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let asking = tokio::spawn(service.request("GET", "/v2/corp.alt/team/app/manifests/v1").try_send());
    gate.waiting(1).await;
    let stopping = tokio::spawn(service.stop());
    gate.release();
    let reply = asking.await.unwrap().unwrap();
    assert_eq!((reply.status, &reply.body), (200, &image.manifest));
    stopping.await.unwrap();
    let service = place.start().await;
    assert_eq!(service.size(), 4);
}

#[tokio::test]
async fn slow_tags_do_not_hold_up_others() {
    let place = Place::new().await;
    let service = Arc::new(place.start().await);
    place.push("team/slow", "v1");
    place.push("team/app", "v1");
    let gate = Gate::closed();
    let slow = testkit::When::any().repository("team/slow");
    place.registry.quirk_when(slow, Quirk::HoldHeaders(gate.clone()));
    let asking = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.pull("team/slow", "v1").await.status }
    });
    gate.waiting(1).await;
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    gate.release();
    assert_eq!(asking.await.unwrap(), 200);
}
