//! When a log is made, when not, and what is served without a key.

use server::ServeError;

use crate::place::{Place, error};

#[tokio::test]
async fn the_first_start_on_loopback_makes_a_log_and_the_second_keeps_it() {
    let place = Place::new().await;
    let service = place.start().await;
    let key = service.get("/log/vkey").await.text().to_owned();
    service.stop().await;
    let service = place.start().await;
    assert_eq!(service.get("/log/vkey").await.text(), key);
}

#[tokio::test]
async fn a_service_open_to_the_network_makes_no_log_by_itself() {
    let place = Place::new().await.keys("listen = \"0.0.0.0:0\"");
    let refused = place.try_start().await.err().unwrap();
    assert!(matches!(refused, ServeError::NoLog { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("tlogistry init"));
    assert!(!place.data_dir().join("ledger.db").exists());
}

#[tokio::test]
async fn a_key_that_is_configured_and_missing_makes_no_log() {
    let place = Place::new().await;
    let key = place.directory.path().join("elsewhere.key");
    let place = place.tables(&format!("[log]\nkey_file = \"{}\"", key.display()));
    let refused = place.try_start().await.err().unwrap();
    assert!(matches!(refused, ServeError::NoLog { .. }), "{refused}");
}

#[tokio::test]
async fn a_data_directory_that_lost_its_database_is_not_given_a_new_history() {
    let place = Place::new().await;
    place.start().await.stop().await;
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _absent_is_fine = std::fs::remove_file(place.data_dir().join(name));
    }
    let refused = place.try_start().await.err().unwrap();
    assert!(refused.to_string().contains("is the volume of the data directory mounted"), "{refused}");
}

#[tokio::test]
async fn without_its_key_recorded_tags_are_served_and_nothing_new_is() {
    let place = Place::new().await;
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    place.push("team/app", "v2");
    service.pull("team/app", "v1").await;
    service.stop().await;
    std::fs::rename(place.data_dir().join("log.key"), place.directory.path().join("log.key")).unwrap();
    let service = place.start().await;
    assert_eq!(service.pull("team/app", "v1").await.body, image.manifest);
    let refused = service.pull("team/app", "v2").await;
    assert_eq!(refused.status, 503);
    let why = error(&refused).1;
    assert!(why.contains("put the key back") && !why.contains("log.key"), "{why}");
    place.push("team/app", "v1");
    assert_eq!(service.pull("team/app", "v1").await.status, 403);
    let ready = service.get("/readyz").await;
    assert!(ready.status == 503 && ready.text().contains("put the key back"), "{}", ready.text());
    assert!(!ready.text().contains("log.key"), "strangers are told of a file: {}", ready.text());
    let told = server::admin::readiness(&place.config().unwrap()).await.unwrap().unwrap();
    assert!(!told.is_ready && told.page.contains("log.key"), "{}", told.page);
}

#[tokio::test]
async fn two_services_on_one_data_directory_are_refused() {
    let place = Place::new().await;
    let _first = place.start().await;
    let refused = place.try_start().await.err().unwrap();
    assert!(matches!(refused, ServeError::Open(ledger::OpenError::Lock(_))), "{refused}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_with_the_way_out() {
    let place = Place::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place.keys(&format!("listen = \"{}\"", taken.local_addr().unwrap()));
    let refused = place.try_start().await.err().unwrap();
    assert!(matches!(refused, ServeError::Listen { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("--listen"));
    assert!(!place.data_dir().exists(), "no log is made for a service that cannot listen");
}

#[tokio::test]
async fn a_log_keeps_its_name_when_the_public_url_changes() {
    let mut place = Place::new().await;
    place.start().await.stop().await;
    place.keys = "public_url = \"https://elsewhere.example\"\n".to_owned();
    let service = place.start().await;
    assert!(service.get("/log/checkpoint").await.text().starts_with("tlog.example/log\n"));
    service.stop().await;
    place.tables = "[log]\norigin = \"elsewhere.example/log\"\n".to_owned();
    let refused = place.try_start().await.err().unwrap();
    assert!(refused.to_string().contains("tlog.example/log"), "{refused}");
}
