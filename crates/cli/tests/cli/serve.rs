//! `serve` over real sockets: starting, answering, stopping, and what other verbs do beside it.

use std::fs;

use rustix::process::Signal;
use testkit::{Gate, Image, Quirk, wire};

use crate::environment::TestEnvironment;
use crate::service::{Service, upstream};

const MANIFEST: &str = "/v2/corp.alt/team/app/manifests/v1";

#[tokio::test]
async fn it_listens_on_a_port_of_the_systems_choice_and_stops_when_told() {
    let environment = TestEnvironment::new();
    let mut service = Service::start(&environment);
    assert_eq!(wire::get(&format!("{}/livez", service.url)).await.status, 200);
    service.stop();
    assert!(service.log.iter().any(|line| line.contains("made a new log")), "{:?}", service.log);
}

#[tokio::test]
async fn it_greets_people_with_key_and_commands() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "log_format = \"text\"\n[log]\norigin = \"tlog.example/log\"\n");
    let mut service = Service::spawn(&environment);
    service.wait_for("podman pull");
    service.stop();
    insta::assert_snapshot!(service.log.join("\n"), @"
    <time>  INFO made a new log data_dir=$ROOT/home/.local/state/tlogistry log_key=tlog.example/log+<id>+<key>
    listening  127.0.0.1:<port>
    pages      http://localhost:<port>/
    log        tlog.example/log, 2 leaves
    log key    tlog.example/log+<id>+<key>
    pull       docker pull localhost:<port>/alpine:3.20
               docker pull localhost:<port>/ghcr.io/org/app:v1
               podman pull --tls-verify=false localhost:<port>/alpine:3.20
    <time>  INFO stopping; open answers may finish, a second signal ends at once signal=15
    <time>  INFO stopped
    ");
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_is_finished_before_the_end() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    registry.push_image("team/app", "v1", &Image::oci("one"));
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let mut service = Service::start(&environment);
    let url = format!("{}{MANIFEST}", service.url);
    let pull = tokio::spawn(async move { wire::get(&url).await });
    gate.waiting(1).await;
    service.signal(Signal::TERM);
    service.wait_for("\"message\":\"stopping");
    gate.release();
    let reply = pull.await.unwrap();
    assert_eq!((reply.status, reply.header("tlog-first-seen")), (200, Some("true")));
    assert_eq!(service.end(), Some(0), "{:?}", service.log);
    let checked = environment.run(&["fsck", "--output", "json"]).succeeded().json();
    assert_eq!((&checked["sound"], &checked["tags"]), (&true.into(), &1.into()));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    registry.push_image("team/app", "v1", &Image::oci("one"));
    let mut service = Service::start(&environment);
    assert_eq!(wire::get(&format!("{}{MANIFEST}", service.url)).await.status, 200);
    let gate = Gate::closed();
    registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let url = format!("{}/v2/corp.alt/team/app/manifests/v2", service.url);
    let pull = tokio::spawn(async move { wire::Request::get(&url).try_send().await });
    gate.waiting(1).await;
    service.signal(Signal::INT);
    service.wait_for("\"message\":\"stopping");
    service.signal(Signal::INT);
    assert_eq!(service.end(), Some(128 + 2), "{:?}", service.log);
    assert!(pull.await.unwrap().is_err(), "its upstream never answered");
    let checked = environment.run(&["fsck", "--output", "json"]).succeeded().json();
    assert_eq!((&checked["sound"], &checked["tags"]), (&true.into(), &1.into()));
}

#[test]
fn a_data_directory_serves_one_process() {
    let environment = TestEnvironment::new();
    let service = Service::start(&environment);
    let second = environment.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(second.stderr.contains(&format!("process {}", service.id())), "{second}");
    insta::assert_snapshot!(second, @"
    exit 2
    -- stderr
    error: `$ROOT/home/.local/state/tlogistry/lock` is in use by process <id>; one data directory serves one process: stop the other one first
    ");
    assert_eq!(environment.run(&["fsck"]).stderr, second.stderr);
}

#[tokio::test]
async fn a_backup_of_a_running_service_is_a_sound_log() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    registry.push_image("team/app", "v1", &Image::oci("one"));
    let mut service = Service::start(&environment);
    assert_eq!(wire::get(&format!("{}{MANIFEST}", service.url)).await.status, 200);
    fs::create_dir(environment.path("restored")).unwrap();
    let _copied = environment.run(&["backup", "restored/ledger.db"]).succeeded();
    service.stop();
    for file in ["log.key", "guard"] {
        fs::copy(environment.data_dir().join(file), environment.path("restored").join(file)).unwrap();
    }
    let checked = environment.run(&["fsck", "--data-dir", "restored", "--output", "json"]).succeeded().json();
    assert_eq!((&checked["sound"], &checked["tags"]), (&true.into(), &1.into()));
}

#[tokio::test]
async fn an_operator_changes_records_beside_the_running_service_and_without_it() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    let first = registry.push_image("team/app", "v1", &Image::oci("one"));
    let mut service = Service::start(&environment);
    let url = format!("{}{MANIFEST}", service.url);
    assert_eq!(wire::get(&url).await.status, 200);
    let second = registry.push_image("team/app", "v1", &Image::oci("two"));
    assert_eq!(wire::get(&url).await.status, 403);
    let supersede = |digest: &str| {
        let reason = "rebuilt by the publisher, ticket 17";
        environment.run(&["supersede", "corp.alt/team/app:v1", digest, "--reason", reason])
    };
    insta::assert_snapshot!(supersede(&second), @"
    exit 0
    -- stdout
    leaf 6 at <time>: supersede corp.alt/team/app:v1
      was   sha256:d6c64f4c41f1f82c3fed2a728747f502022b0c29357e9c69b712eecebeedbde3
      now   sha256:59083dd4d8dbed6d9ece867bec5d4dba90771ef9f75d9f44051bdbb4757ebec3
    ");
    assert_eq!(wire::get(&url).await.header("docker-content-digest"), Some(second.as_str()));
    service.stop();
    assert!(supersede(&first).succeeded().stdout.contains("leaf 8 at"));
    let thaw = ["thaw", "corp.alt/team/app:v1", "--reason", "rebuilt every night"];
    insta::assert_snapshot!(environment.run(&[&thaw[..], &["--output", "json"]].concat()), @r#"
    exit 0
    -- stdout
    {"schema":1,"reference":"corp.alt/team/app:v1","kind":"thaw","index":10,"time":"<time>","old":"sha256:d6c64f4c41f1f82c3fed2a728747f502022b0c29357e9c69b712eecebeedbde3","new":"sha256:d6c64f4c41f1f82c3fed2a728747f502022b0c29357e9c69b712eecebeedbde3"}
    -- stderr
    <time>  WARN an operator changed a record reference=corp.alt/team/app:v1 kind=thaw index=10 old=sha256:d6c64f4c41f1f82c3fed2a728747f502022b0c29357e9c69b712eecebeedbde3 new=sha256:d6c64f4c41f1f82c3fed2a728747f502022b0c29357e9c69b712eecebeedbde3
    "#);
    let checked = environment.run(&["fsck", "--output", "json"]).succeeded().json();
    assert_eq!((&checked["sound"], &checked["leaves"]), (&true.into(), &12.into()));
}

#[tokio::test]
async fn without_its_key_it_serves_what_is_recorded_and_says_why_nothing_else() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    registry.push_image("team/app", "v1", &Image::oci("one"));
    registry.push_image("team/app", "v2", &Image::oci("two"));
    let mut service = Service::start(&environment);
    assert_eq!(wire::get(&format!("{}{MANIFEST}", service.url)).await.status, 200);
    service.stop();
    fs::remove_file(environment.data_dir().join("log.key")).unwrap();
    let mut service = Service::start(&environment);
    assert!(service.log.iter().any(|line| line.contains("log.key` is missing")), "{:?}", service.log);
    assert_eq!(wire::get(&format!("{}{MANIFEST}", service.url)).await.status, 200);
    let other = format!("{}/v2/corp.alt/team/app/manifests/v2", service.url);
    assert_eq!(wire::get(&other).await.status, 503);
    assert_eq!(wire::get(&format!("{}/readyz", service.url)).await.status, 503);
    let thaw = ["thaw", "corp.alt/team/app:v1", "--reason", "x"];
    insta::assert_snapshot!(environment.run(&thaw), @"
    exit 2
    -- stderr
    error: the log key `$ROOT/home/.local/state/tlogistry/log.key` is missing: recorded tags are served, nothing new is recorded; put the key back and restart
    ");
    service.stop();
}

#[tokio::test]
async fn a_digest_that_upstream_does_not_have_is_never_recorded() {
    let environment = TestEnvironment::new();
    let registry = upstream(&environment);
    registry.push_image("team/app", "v1", &Image::oci("one"));
    let mut service = Service::start(&environment);
    assert_eq!(wire::get(&format!("{}{MANIFEST}", service.url)).await.status, 200);
    let digest = format!("sha256:{}", "a".repeat(64));
    let arguments = ["supersede", "corp.alt/team/app:v1", &digest, "--reason", "x"];
    insta::assert_snapshot!(environment.run(&arguments), @"
    exit 2
    -- stderr
    error: `corp.alt/team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` cannot be fetched, so it cannot be recorded: upstream has no such thing (404)
    ");
    service.stop();
    insta::assert_snapshot!(environment.run(&arguments), @"
    exit 2
    -- stderr
    error: `corp.alt/team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` cannot be fetched, so it cannot be recorded
      caused by 1: upstream has no such thing (404)

    hint: the digest must be that of a manifest which upstream has under this name
    ");
}

#[test]
fn a_port_from_the_platform_is_said_loudly() {
    let mut environment = TestEnvironment::new();
    // No log is made for the network by itself, so that nothing ever answers there.
    environment.set("PORT", "0");
    environment.write("config.toml", "log_format = \"text\"\n");
    insta::assert_snapshot!(environment.run(&["serve"]), @"
    exit 2
    -- stderr
    <time>  WARN `PORT=0` opens this service to the network: whoever reaches 0.0.0.0:0 can pull through it and have tags recorded; to keep it to this machine unset `PORT`, or set `TLOGISTRY_LISTEN=127.0.0.1:0`
    error: there is no log in `$ROOT/home/.local/state/tlogistry`, and none is made by itself for a service that is open to the network

    hint: make one with `tlogistry init`, once; if there should be one, is the volume of the data directory mounted?
    ");
}
