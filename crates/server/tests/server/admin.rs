//! Supersede and thaw, through the socket and without a service.

use std::os::unix::fs::PermissionsExt as _;

use oci::Sha256Digest;
use server::admin::{self, AdminError, Command};
use taglog::Reason;
use testkit::Kind;

use crate::place::{Place, tag_name};

fn supersede(digest: &str) -> Command {
    Command::Supersede {
        tag: tag_name("corp.alt/team/app:v1"),
        digest: Sha256Digest::parse(digest).unwrap(),
        reason: Reason::parse("rebuilt after CVE-2026-1").unwrap(),
    }
}

fn thaw() -> Command {
    Command::Thaw { tag: tag_name("corp.alt/team/app:v1"), reason: Reason::parse("rolling tag").unwrap() }
}

#[tokio::test]
async fn a_superseded_tag_is_served_at_its_new_digest_by_the_running_service() {
    let place = Place::new().await.keys("recheck = \"1h\"");
    let service = place.start().await;
    let old = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    let mode = std::fs::metadata(place.data_dir().join("admin.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let outcome = admin::run(&place.config().unwrap(), supersede(&new.digest)).await.unwrap();
    assert_eq!((&*outcome.kind, outcome.old, outcome.new), ("supersede", old.digest, new.digest.clone()));
    let reply = service.pull("team/app", "v1").await;
    assert_eq!((reply.status, &reply.body), (200, &new.manifest));
    assert_eq!(reply.header("tlog-logindex"), Some(&*outcome.index.to_string()));
}

#[tokio::test]
async fn a_thawed_tag_is_observed_from_then_on() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    admin::run(&place.config().unwrap(), thaw()).await.unwrap();
    let again = admin::run(&place.config().unwrap(), thaw()).await.unwrap_err();
    assert!(again.to_string().contains("is not frozen"), "{again}");
    for _ in 0..2 {
        let new = place.push("team/app", "v1");
        let reply = service.pull("team/app", "v1").await;
        assert_eq!((reply.status, &reply.body), (200, &new.manifest));
        assert!(reply.header("warning").unwrap().contains("observed, not frozen"));
    }
    // As for any observed tag: one HEAD, though the policy would freeze a tag that never was.
    place.registry.forget();
    assert_eq!(service.pull("team/app", "v1").await.status, 200);
    assert_eq!((place.registry.count("HEAD", Kind::Manifest), place.registry.total()), (1, 1));
}

#[tokio::test]
async fn without_a_service_the_data_directory_itself_is_changed() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    service.stop().await;
    let new = place.push("team/app", "v1");
    let config = place.config().unwrap();
    assert_eq!(admin::run(&config, supersede(&new.digest)).await.unwrap().new, new.digest);
    let service = place.start().await;
    assert_eq!(service.pull("team/app", "v1").await.body, new.manifest);
}

#[tokio::test]
async fn what_cannot_be_fetched_is_not_recorded() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let config = place.config().unwrap();
    let error = admin::run(&config, supersede(&format!("sha256:{}", "0".repeat(64)))).await.unwrap_err();
    assert!(
        matches!(&error, AdminError::Refused { message } if message.contains("cannot be fetched")),
        "{error}"
    );
    assert_eq!(service.size(), 4);
}

#[tokio::test]
async fn a_tag_without_record_cannot_be_changed() {
    let place = Place::new().await;
    let service = place.start().await;
    let error = admin::run(&place.config().unwrap(), thaw()).await.unwrap_err();
    assert!(error.to_string().contains("`corp.alt/team/app:v1` is not recorded here"), "{error}");
    assert_eq!(service.size(), 2);
}

#[tokio::test]
async fn a_log_made_with_never_takes_neither() {
    let place = Place::new().await.tables("[log]\nsupersede = \"never\"");
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let new = place.push("team/app", "v1");
    for command in [supersede(&new.digest), thaw()] {
        let error = admin::run(&place.config().unwrap(), command).await.unwrap_err();
        assert!(error.to_string().contains("supersede=never"), "{error}");
    }
}

#[tokio::test]
async fn nonsense_on_the_socket_is_answered_and_the_service_goes_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let place = Place::new().await;
    let service = place.start().await;
    for line in ["hello\n", "{}\n", "{\"thaw\":{\"reference\":\"A\",\"reason\":\"x\"}}\n", "\n"] {
        let mut stream = tokio::net::UnixStream::connect(place.data_dir().join("admin.sock")).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("{\"refused\":"), "{line}: {answer}");
    }
    assert_eq!(service.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_keeps_no_other_from_giving_a_command() {
    let place = Place::new().await;
    let service = place.start().await;
    place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    let silent = tokio::net::UnixStream::connect(place.data_dir().join("admin.sock")).await.unwrap();
    let outcome = admin::run(&place.config().unwrap(), thaw()).await.unwrap();
    assert_eq!(outcome.kind, "thaw");
    // Nor the service from stopping.
    service.stop().await;
    drop(silent);
}
