//! The end of a log, the one that continues it, and the change of a key.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use testkit::{Image, Index, wire};
use tlog::{SignedCheckpoint, VerifierKey};

use crate::copies::{Copies, manifest};
use crate::environment::{Output, TestEnvironment};
use crate::service::Service;

const CLOSE: [&str; 3] = ["close", "--reason", "the key was stolen, ticket 17"];

/// Runs it with a person at the terminal who types this line.
fn typed(environment: &TestEnvironment, arguments: &[&str], line: &str) -> Output {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
    let mut person = File::from(person);
    writeln!(person, "{line}").unwrap();
    let mut command = environment.command(arguments);
    let child = command.stdin(terminal()).stderr(terminal()).stdout(Stdio::piped()).spawn().unwrap();
    // It holds the terminal as well.
    drop(command);
    let output = child.wait_with_output().unwrap();
    let mut seen = Vec::new();
    // Fails once nobody holds the other end any more, after everything was read.
    let _ended = person.read_to_end(&mut seen);
    Output {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(seen).unwrap().replace("\r\n", "\n"),
    }
}

/// The newest checkpoint that a service publishes.
async fn published(service: &Service) -> SignedCheckpoint {
    wire::get(&format!("{}/log/checkpoint", service.url)).await.text().parse().unwrap()
}

fn verify(copies: &Copies, service: &Service, tag: &str, keys: &[&VerifierKey]) -> Output {
    let tag = format!("corp.alt/team/app:{tag}");
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut arguments = vec!["verify", &tag, "--server", &service.url, "--state-dir", "memory"];
    arguments.extend(keys.iter().flat_map(|key| ["--log-key", key]));
    copies.environment.run(&arguments)
}

#[tokio::test]
async fn a_log_ends_only_if_somebody_means_it() {
    let copies = Copies::new();
    let size = || copies.environment.run(&["fsck", "--output", "json"]).succeeded().json()["leaves"].clone();
    insta::assert_snapshot!(copies.environment.run(&CLOSE), @"
    exit 2
    -- stderr
    error: nobody is here to confirm that the log `tlog.example/log` ends

    hint: write `--origin tlog.example/log` if it is the one to end for ever
    ");
    insta::assert_snapshot!(typed(&copies.environment, &CLOSE, "yes"), @"
    exit 2
    -- stderr
    yes
    This ends the log `tlog.example/log` for ever. To go on, type its name: error: the log here is `tlog.example/log`, not `yes`; nothing was written

    hint: write `--origin tlog.example/log` if it is the one to end for ever
    ");
    assert_eq!(size(), 2);
    insta::assert_snapshot!(copies.environment.run(&["close", "--origin", "tlog.example/log"]), @"
    exit 2
    -- stderr
    error: the following required arguments were not provided:
      --reason <TEXT>

    hint: write it as `tlogistry close --reason <TEXT> --origin <ORIGIN>`; `--help` says more
    ");
    let mut service = Service::start(&copies.environment);
    let beside = copies.environment.run(&[&CLOSE[..], &["--origin", "tlog.example/log"]].concat());
    assert!(beside.stderr.contains(&format!("is in use by process {}", service.id())), "{beside}");
    service.stop();
    insta::assert_snapshot!(typed(&copies.environment, &CLOSE, "tlog.example/log"), @"
    exit 0
    -- stdout
    leaf 2 at <time>: close tlog.example/log
      reason the key was stolen, ticket 17
    -- stderr
    tlog.example/log
    This ends the log `tlog.example/log` for ever. To go on, type its name: the log `tlog.example/log` has ended; `tlogistry init --successor-of $ROOT/home/.local/state/tlogistry`, with a new name and data directory, continues it
    ");
    assert_eq!(size(), 4);
    insta::assert_snapshot!(copies.environment.run(&[&CLOSE[..], &["--origin", "tlog.example/log"]].concat()), @"
    exit 2
    -- stderr
    error: the log is closed: recorded tags are served, nothing new is recorded; `tlogistry init --successor-of DIR` makes the log that continues the one in DIR
    ");
}

#[tokio::test]
async fn a_closed_log_is_served_and_records_nothing_more() {
    let copies = Copies::new();
    copies.record(&["v1"]).await;
    let arguments = [&CLOSE[..], &["--origin", "tlog.example/log", "--output", "json", "-q"]].concat();
    insta::assert_snapshot!(copies.environment.run(&arguments), @r#"
    exit 0
    -- stdout
    {"schema":1,"kind":"close","origin":"tlog.example/log","index":4,"time":"<time>","reason":"the key was stolen, ticket 17","size":6}
    "#);
    copies.registry.push_image("team/app", "v2", &Image::oci("two"));
    let mut service = Service::start(&copies.environment);
    let said = service.log.iter().find(|line| line.contains("the log is closed")).cloned().unwrap();
    assert!(said.contains("tlogistry init --successor-of DIR"), "{said}");
    assert_eq!(wire::get(&manifest(&service, "v1")).await.status, 200);
    let refused = wire::get(&manifest(&service, "v2")).await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("the log is closed"), "{}", refused.text());
    assert_eq!(published(&service).await.checkpoint().size, 6);
    service.stop();
}

#[tokio::test]
async fn a_successor_remembers_that_there_were_credentials() {
    let mut copies = Copies::new();
    copies.record(&["v1"]).await;
    let closed = copies.environment.data_dir();
    let origin = ["--origin", "tlog.example/log"];
    let _ended = copies.environment.run(&[&CLOSE[..], &origin].concat()).succeeded();
    fs::write(closed.join("had-credentials"), "").unwrap();
    copies.move_to("second");
    copies.configure("origin = \"tlog.example/second\"");
    let _made = copies.environment.run(&["init", "--successor-of", closed.to_str().unwrap()]).succeeded();
    assert!(copies.environment.path("second/had-credentials").exists());
}

#[tokio::test]
async fn a_successor_holds_every_record_and_clients_follow_it() {
    let mut copies = Copies::new();
    let index = Index::oci("several");
    copies.registry.push_index("team/app", "all", &index);
    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v1", "v2"]).await;
    assert_eq!(wire::get(&manifest(&service, "all")).await.status, 200);
    for child in &index.children {
        assert_eq!(wire::get(&manifest(&service, &child.digest)).await.status, 200);
    }
    let _remembered = verify(&copies, &service, "v1", &[&copies.vkey]).succeeded();
    service.stop();
    let closed_dir = copies.environment.data_dir();
    let closed_dir = closed_dir.to_str().unwrap();
    let succeed = ["init", "--successor-of", closed_dir];
    insta::assert_snapshot!(copies.environment.run(&succeed), @"
    exit 2
    -- stderr
    error: the log in `$ROOT/home/.local/state/tlogistry` cannot continue itself

    hint: give its successor a data directory of its own with `--data-dir DIR`
    ");
    copies.move_to("second");
    insta::assert_snapshot!(copies.environment.run(&succeed), @"
    exit 2
    -- stderr
    error: the log `tlog.example/log` is not closed; end it with `tlogistry close` before another one continues it
    ");
    let _ended = copies
        .environment
        .run(&[&CLOSE[..], &["--origin", "tlog.example/log", "--data-dir", closed_dir]].concat())
        .succeeded();
    insta::assert_snapshot!(copies.environment.run(&succeed), @"
    exit 2
    -- stderr
    error: the closed log is called `tlog.example/log`, and no other log ever is; give this one another name with `[log] origin`
    ");
    copies.configure("origin = \"tlog.example/second\"");
    let guard = copies.environment.path("elsewhere");
    fs::rename(copies.environment.data_dir().join("guard"), &guard).unwrap();
    insta::assert_snapshot!(copies.environment.run(&succeed), @"
    exit 2
    -- stderr
    error: the log in `$ROOT/home/.local/state/tlogistry` cannot be continued
      caused by 1: the rollback guard `$ROOT/home/.local/state/tlogistry/guard` is missing: recorded tags are served, nothing new is recorded; put the file (or its volume) back and restart, or, if it is lost for good, rebuild with `tlogistry restore --from EXPORT|URL --guard-lost`

    hint: name its guard with `--closed-guard FILE`
    ");
    assert!(!copies.environment.path("second/ledger.db").exists());
    let with_guard = [&succeed[..], &["--closed-guard", "elsewhere"]].concat();
    let made = copies.environment.run(&with_guard);
    insta::assert_snapshot!(made, @"
    exit 0
    -- stdout
    tlog.example/second+<id>+<key>
    -- stderr
    made the log `tlog.example/second` in `$ROOT/second`; `tlogistry serve` starts it
    it continues `tlog.example/log` (records: 3); clients follow once they have its key
    keep a copy of its key, `$ROOT/second/log.key`, in another place: nothing can replace it
    ");

    let new: VerifierKey = made.stdout.trim_end().parse().unwrap();
    let mut service = Service::start(&copies.environment);
    let follows = verify(&copies, &service, "v1", &[&copies.vkey, &new]).succeeded();
    assert_eq!(follows.stdout.trim_end(), Image::oci("v1").digest);
    assert!(follows.stderr.contains("continues log tlog.example/log of size 10"), "{follows}");
    assert_eq!(verify(&copies, &service, "v1", &[&copies.vkey]).status, 1);
    // All of it is its own: nobody else is asked.
    copies.registry.stop();
    for (tag, digest) in
        [("v1", &Image::oci("v1").digest), ("v2", &Image::oci("v2").digest), ("all", &index.digest)]
    {
        let reply = wire::get(&manifest(&service, tag)).await;
        assert_eq!((reply.status, reply.header("docker-content-digest")), (200, Some(digest.as_str())));
        assert_eq!(reply.header("tlog-log"), Some("tlog.example/second"));
    }
    for child in &index.children {
        assert_eq!(wire::get(&manifest(&service, &child.digest)).await.status, 200);
    }
    copies.registry.restart();
    copies.registry.push_image("team/app", "v2", &Image::oci("moved"));
    assert_eq!(wire::get(&manifest(&service, "v2")).await.status, 403);
    service.stop();
    let checked = copies.environment.run(&["fsck", "--output", "json"]).succeeded().json();
    assert_eq!((&checked["sound"], &checked["tags"]), (&true.into(), &3.into()));
}

#[tokio::test]
async fn a_key_is_changed_while_clients_have_either() {
    let copies = Copies::new();
    copies.record(&["v1"]).await;
    insta::assert_snapshot!(copies.environment.run(&["init", "--next-key"]), @"
    exit 2
    -- stderr
    error: the second key needs a place: set `[log] next_key_file`
    ");
    copies.configure("next_key_file = \"next.key\"");
    let mut service = Service::start(&copies.environment);
    assert!(service.log.iter().any(|line| line.contains("`next.key` is missing")), "{:?}", service.log);
    // Beside the running service.
    let made = copies.environment.run(&["init", "--next-key"]);
    insta::assert_snapshot!(made, @"
    exit 0
    -- stdout
    tlog.example/log+<id>+<key>
    -- stderr
    made the second key of `tlog.example/log` in `next.key`; from its next start on `tlogistry serve` signs with both
    give it to clients and witnesses beside the first one; keep a copy of the file in another place
    ");
    insta::assert_snapshot!(copies.environment.run(&["init", "--next-key"]), @"
    exit 2
    -- stderr
    error: `next.key` exists already: a key is never overwritten; name another file with `[log] next_key_file`
    ");
    service.stop();
    let (old, new): (&VerifierKey, VerifierKey) = (&copies.vkey, made.stdout.trim_end().parse().unwrap());

    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v2"]).await;
    let both = published(&service).await;
    assert!(both.verify(old).is_ok() && both.verify(&new).is_ok());
    for tag in ["v1", "v2"] {
        let _old = verify(&copies, &service, tag, &[old]).succeeded();
        let _new = verify(&copies, &service, tag, &[&new]).succeeded();
    }
    service.stop();
    let sound = || copies.environment.run(&["fsck", "--output", "json"]).succeeded().json()["sound"].clone();
    assert_eq!(sound(), true);

    copies.configure("key_file = \"next.key\"");
    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v3"]).await;
    let after = published(&service).await;
    assert!(after.verify(&new).is_ok() && after.verify(old).is_err());
    let _new = verify(&copies, &service, "v3", &[&new]).succeeded();
    assert_eq!(verify(&copies, &service, "v3", &[old]).status, 1);
    assert_eq!(wire::get(&format!("{}/log/vkey", service.url)).await.text(), format!("{new}\n"));
    service.stop();
    assert_eq!(sound(), true);
}

#[test]
fn a_second_key_needs_a_log() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "[log]\nnext_key_file = \"next.key\"\n");
    let made = environment.run(&["init", "--next-key"]);
    assert_eq!(made.status, 2);
    assert!(made.stderr.contains("make one with `tlogistry init`"), "{made}");
    assert!(!environment.path("next.key").exists());
    insta::assert_snapshot!(environment.run(&["init", "--next-key", "--successor-of", "closed"]), @"
    exit 2
    -- stderr
    error: the argument '--next-key' cannot be used with '--successor-of <DIR>'

    hint: write it as `tlogistry init --next-key`; `--help` says more
    ");
}
