//! `export`, `restore`, `close`, and the log that goes on after one.

use testkit::{FakeRegistry, Image};

use crate::environment::TestEnvironment;
use crate::service::{Service, upstream};

fn recorded() -> (TestEnvironment, FakeRegistry, Service, String) {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    let key = environment.run(&["init"]).succeeded().stdout.trim_end().to_owned();
    registry.push_image("team/app", "v1", &Image::oci("first"));
    let service = Service::start(&environment);
    assert_eq!(pull(&service, "v1").0, 200);
    (environment, registry, service, key)
}

fn pull(service: &Service, tag: &str) -> (u16, Vec<u8>) {
    let url = format!("{}/v2/corp.alt/team/app/manifests/{tag}", service.url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = runtime.block_on(testkit::wire::get(&url));
    (reply.status, reply.body.to_vec())
}

/// Moves the database away, and keeps key and guard.
fn lose_the_database(environment: &TestEnvironment) {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _absent_is_fine = std::fs::remove_file(environment.data_dir().join(name));
    }
}

#[test]
fn an_export_is_a_log_that_a_stranger_audits_and_the_next_one_only_adds() {
    let (environment, registry, service, key) = recorded();
    let first = environment.run(&["export", "copy", "--output", "json", "--quiet"]).succeeded().json();
    assert_eq!((&first["size"], &first["schema"]), (&4.into(), &1.into()));
    let again = environment.run(&["export", "copy", "--output", "json", "--quiet"]).succeeded().json();
    assert_eq!(again["written"], 0);
    let audited = environment.run(&["audit", "copy", "--log-key", &key]).succeeded();
    assert!(audited.stderr.contains("is sound: 4 leaves"), "{audited}");
    registry.push_image("team/app", "v2", &Image::unique());
    pull(&service, "v2");
    assert_eq!(
        environment.run(&["export", "copy", "--output", "json", "--quiet"]).succeeded().json()["size"],
        6
    );
    let audited = environment.run(&["audit", "copy", "--log-key", &key]).succeeded();
    assert!(audited.stderr.contains("is sound: 6 leaves"), "{audited}");
}

#[test]
fn a_lost_database_is_rebuilt_from_an_export_and_tags_mean_what_they_meant() {
    let (environment, registry, mut service, key) = recorded();
    environment.run(&["export", "copy"]).done();
    service.stop();
    lose_the_database(&environment);
    let restored = environment.run(&["restore", "--from", "copy"]).succeeded();
    assert_eq!(restored.stdout.trim_end(), key);
    environment.run(&["fsck"]).done();
    let service = Service::start(&environment);
    assert_eq!(pull(&service, "v1"), (200, Image::oci("first").manifest.to_vec()));
    registry.push_image("team/app", "v1", &Image::oci("second"));
    assert_eq!(pull(&service, "v1").0, 403);
}

#[test]
fn a_log_that_is_served_elsewhere_is_as_good_as_an_export() {
    let (environment, _registry, service, key) = recorded();
    std::fs::create_dir(environment.path("other")).unwrap();
    std::fs::copy(environment.data_dir().join("log.key"), environment.path("other/log.key")).unwrap();
    let restored = environment.run(&["restore", "--from", &service.url, "--data-dir", "other"]).succeeded();
    assert_eq!(restored.stdout.trim_end(), key);
    environment.run(&["fsck", "--data-dir", "other"]).done();
}

#[test]
fn what_cannot_be_restored_says_why() {
    let (environment, registry, mut service, _key) = recorded();
    environment.run(&["export", "old"]).done();
    registry.push_image("team/app", "v2", &Image::unique());
    pull(&service, "v2");
    service.stop();
    let there = environment.run(&["restore", "--from", "old"]);
    assert!(there.status == 2 && there.stderr.contains("never overwritten"), "{there}");
    lose_the_database(&environment);
    let older = environment.run(&["restore", "--from", "old"]);
    assert!(older.status == 2 && older.stderr.contains("6 were committed"), "{older}");
    let keyless = environment.run(&["restore", "--from", "old", "--data-dir", "empty"]);
    assert!(keyless.status == 2 && keyless.stderr.contains("log key"), "{keyless}");
    let nothing = environment.run(&["restore", "--from", "nowhere"]);
    assert_eq!(nothing.status, 2, "{nothing}");
}

#[test]
fn a_closed_log_records_nothing_more_and_its_successor_holds_every_record() {
    let (environment, registry, mut service, key) = recorded();
    service.stop();
    let other = environment.run(&["close", "--reason", "we move", "--origin", "other.example/log"]);
    assert!(other.status == 2 && other.stderr.contains("--origin localhost:8080/log"), "{other}");
    let closed =
        environment.run(&["close", "--reason", "we move", "--origin", "localhost:8080/log"]).succeeded();
    assert_eq!(closed.stdout.trim_end(), "leaf 4: close");
    let mut service = Service::start(&environment);
    assert_eq!(pull(&service, "v1").0, 200);
    registry.push_image("team/app", "v2", &Image::unique());
    assert_eq!(pull(&service, "v2").0, 503);
    service.stop();
    let data_dir = environment.data_dir();
    let succeed = ["init", "--successor-of", data_dir.to_str().unwrap(), "--data-dir", "next"];
    let same_name = environment.run(&succeed);
    assert!(same_name.status == 2 && same_name.stderr.contains("[log] origin"), "{same_name}");
    let table = format!(
        "[log]\norigin = \"next.example/log\"\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n",
        registry.url()
    );
    environment.write("config.toml", &table);
    let made = environment.run(&succeed).succeeded();
    assert!(made.stdout.starts_with("next.example/log+") && made.stdout.trim_end() != key, "{made}");
    environment.run(&["fsck", "--data-dir", "next"]).done();
}

#[test]
fn during_a_change_of_keys_either_key_verifies() {
    let (environment, registry, mut service, key) = recorded();
    service.stop();
    let unnamed = environment.run(&["init", "--next-key"]);
    assert!(unnamed.status == 2 && unnamed.stderr.contains("next_key_file"), "{unnamed}");
    let table = format!(
        "[log]\nnext_key_file = \"{}\"\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n",
        environment.path("next.key").display(),
        registry.url()
    );
    environment.write("config.toml", &table);
    let next = environment.run(&["init", "--next-key"]).succeeded().stdout.trim_end().to_owned();
    assert_ne!(next, key);
    let service = Service::start(&environment);
    registry.push_image("team/app", "v2", &Image::unique());
    assert_eq!(pull(&service, "v2").0, 200);
    for key in [&key, &next] {
        let arguments =
            ["verify", "corp.alt/team/app:v2", "--server", &service.url, "--log-key", key, "--forget"];
        environment.run(&arguments).done();
    }
}
