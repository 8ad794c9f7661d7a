//! A service without a disk: Rekor is all that it remembers by.

use std::os::unix::fs::PermissionsExt as _;

use testkit::sigstore::{Fault, Sigstore};

use crate::place::Place;
use crate::sigstore_place::{ephemeral, said};

#[tokio::test]
async fn an_ephemeral_service_in_front_of_a_rekor_without_an_index_records_nothing() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let refused = ephemeral(&place, &services, 2).unwrap_err();
    assert!(refused.to_string().contains("index of a Rekor v1"), "{refused}");
    // A v1 may turn out to have none.
    let config = ephemeral(&place, &services, 1).unwrap();
    services.fault(Fault::NoIndex);
    let service = place.start_with(config, place.surroundings()).await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, reply.text().contains("no index")), (503, true), "{}", said(&reply));
    assert_eq!(services.rekor().size(), 0);
    services.heal();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    service.stop().await;
}

#[tokio::test]
async fn what_terraform_deploys_has_room_for_a_record() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let config = ephemeral(&place, &services, 1).unwrap();
    let surroundings = server::Surroundings {
        // Cloud Run: 512 MiB of memory, which is the disk.
        free_space: ledger::FreeSpace::new(|_| Ok(512 << 20)),
        ..place.surroundings()
    };
    assert!(config.limits.budgets.manifest_bytes_per_day < 512 << 20);
    let service = place.start_with(config, surroundings).await;
    place.push("team/app", "v1");
    let reply = service.pull("team/app", "v1").await;
    assert_eq!(reply.status, 200, "{}", said(&reply));
    service.stop().await;
}

#[tokio::test]
async fn a_folder_that_somebody_else_made_is_not_taken_for_ones_own() {
    let place = Place::new().await;
    let services = Sigstore::start(place.directory.path(), &place.clock);
    let config = ephemeral(&place, &services, 1).unwrap();
    assert_ne!(config.data_dir, ephemeral(&place, &services, 1).unwrap().data_dir, "it cannot be guessed");
    std::fs::create_dir(&config.data_dir).unwrap();
    let outcome = server::Service::start(config.clone(), place.surroundings()).await;
    let refused = outcome.err().expect("it is somebody else's");
    assert!(refused.hint().unwrap().contains("somebody else"), "{refused}");
    std::fs::remove_dir(&config.data_dir).unwrap();
    let service = place.start_with(config.clone(), place.surroundings()).await;
    let mode = std::fs::metadata(&config.data_dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    service.stop().await;
}
