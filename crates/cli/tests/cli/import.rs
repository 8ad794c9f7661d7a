//! `import`: a list of references through a running service, in front of a registry with a gate.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::port::free_address;
use testkit::{FakeRegistry, Gate, Image, Kind, Quirk, When};

use crate::environment::{Output, TestEnvironment};
use crate::service::Service;

/// How long anything may take before a test fails; never waited for otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// A registry under two names, with rules for some of its tags.
const CONFIGURATION: &str = "\
[upstreams.\"corp.alt\"]
url = \"$URL\"
[upstreams.\"other.alt\"]
url = \"$URL\"
[[policy]]
match = \"corp.alt/secret/*:*\"
action = \"deny\"
[[policy]]
match = \"corp.alt/scratch/*:*\"
action = \"pass\"
";

/// A running service in front of a registry.
struct Stage {
    environment: TestEnvironment,
    registry: FakeRegistry,
    service: Service,
}

impl Stage {
    fn new() -> Self {
        let mut environment = TestEnvironment::new();
        let registry = FakeRegistry::start_blocking();
        environment.write("config.toml", &CONFIGURATION.replace("$URL", &registry.url()));
        let service = Service::start(&environment);
        environment.set("TLOGISTRY_SERVER", &service.url);
        Self { environment, registry, service }
    }

    /// With a list, for each reference of which the registry has an image.
    fn with(references: &[&str]) -> Self {
        let stage = Self::new();
        stage.environment.write("list", &format!("{}\n", references.join("\n")));
        for reference in references {
            let (name, tag) = reference.split_once(':').unwrap();
            let repository = name.split_once('/').unwrap().1;
            stage.registry.push_image(repository, tag, &Image::oci(reference));
        }
        stage
    }

    fn import(&self, arguments: &[&str]) -> Output {
        self.environment.run(&[&["import", "--rate", "1000"], arguments].concat())
    }

    fn spawn(&self, arguments: &[&str]) -> Running {
        Running::new(&self.environment, &[&["import"], arguments].concat())
    }

    /// The tags that the registry was asked for, `repository:tag`, each once and in order.
    fn asked(&self) -> Vec<String> {
        let asked = self.registry.requests_of(Kind::Manifest).into_iter();
        let mut tags: Vec<String> = asked
            .map(|request| format!("{}:{}", request.repository.unwrap(), request.reference.unwrap()))
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// An import that is not over yet; killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn new(environment: &TestEnvironment, arguments: &[&str]) -> Self {
        let mut command = environment.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                // A test that has ended reads no more.
                let _received = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// The next result.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit status, all further results, and what it said otherwise.
    fn end(mut self) -> Output {
        let mut stdout = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            stdout.push_str(&format!("{line}\n"));
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Output { status: self.child.wait().unwrap().code().unwrap_or(-1), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail for a process that has ended, which is as good.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn every_reference_gets_a_line_with_digest_and_index() {
    let stage = Stage::with(&["corp.alt/team/app:v1", "corp.alt/team/app:v2"]);
    insta::assert_snapshot!(stage.import(&["list"]), @"
    exit 0
    -- stdout
    recorded corp.alt/team/app:v1 sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 2
    recorded corp.alt/team/app:v2 sha256:78a1d49563ab6f98254e6503723e17c8f82b150883d9675e4ef146bb1c9d8352 4
    -- stderr
    recorded: 2, known: 0, moved: 0, passed: 0, failed: 0
    ");
    insta::assert_snapshot!(stage.import(&["list", "--state", "other.done"]), @"
    exit 0
    -- stdout
    known corp.alt/team/app:v1 sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 2
    known corp.alt/team/app:v2 sha256:78a1d49563ab6f98254e6503723e17c8f82b150883d9675e4ef146bb1c9d8352 4
    -- stderr
    recorded: 0, known: 2, moved: 0, passed: 0, failed: 0
    ");
    insta::assert_snapshot!(stage.import(&["list", "--state", "third.done", "--output", "json", "-q"]), @r#"
    exit 0
    -- stdout
    {"schema":1,"line":1,"reference":"corp.alt/team/app:v1","result":"known","digest":"sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780","index":2}
    {"schema":1,"line":2,"reference":"corp.alt/team/app:v2","result":"known","digest":"sha256:78a1d49563ab6f98254e6503723e17c8f82b150883d9675e4ef146bb1c9d8352","index":4}
    "#);
    assert_eq!(stage.registry.count("GET", Kind::Manifest), 2, "what is known is asked for with HEAD");
}

#[test]
fn what_is_not_recorded_says_why_and_is_tried_again() {
    let stage = Stage::with(&["corp.alt/team/app:v1", "corp.alt/secret/app:v1", "corp.alt/scratch/app:v1"]);
    let _recorded = stage.import(&["list"]);
    stage.registry.push_image("team/app", "v1", &Image::oci("moved"));
    let list = fs::read_to_string(stage.environment.path("list")).unwrap();
    stage.environment.write("list", &(list + "corp.alt/team/app:none\n"));
    insta::assert_snapshot!(stage.import(&["list", "--state", "new.done", "--jobs", "1"]), @"
    exit 1
    -- stdout
    moved corp.alt/team/app:v1 recorded sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 upstream sha256:8e5653d0a8dce8c413220ae18dc78659db9bbcf08b54ae01da53d0b8c477c5ce
    failed corp.alt/secret/app:v1 `corp.alt/secret/app:v1` is denied by rule 1 (`corp.alt/secret/*:*`)
    passed corp.alt/scratch/app:v1
    failed corp.alt/team/app:none `corp.alt/team/app:none`: upstream has no such thing (404)
    -- stderr
    recorded: 0, known: 0, moved: 1, passed: 1, failed: 2
    ");
    insta::assert_snapshot!(stage.import(&["list", "--state", "new.done", "--jobs", "1", "--output", "json"]), @r#"
    exit 1
    -- stdout
    {"schema":1,"line":1,"reference":"corp.alt/team/app:v1","result":"moved","recorded":"sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780","upstream":"sha256:8e5653d0a8dce8c413220ae18dc78659db9bbcf08b54ae01da53d0b8c477c5ce"}
    {"schema":1,"line":2,"reference":"corp.alt/secret/app:v1","result":"failed","reason":"`corp.alt/secret/app:v1` is denied by rule 1 (`corp.alt/secret/*:*`)"}
    {"schema":1,"line":3,"reference":"corp.alt/scratch/app:v1","result":"passed"}
    {"schema":1,"line":4,"reference":"corp.alt/team/app:none","result":"failed","reason":"`corp.alt/team/app:none`: upstream has no such thing (404)"}
    -- stderr
    recorded: 0, known: 0, moved: 1, passed: 1, failed: 2
    "#);
    stage.registry.push_image("team/app", "v1", &Image::oci("corp.alt/team/app:v1"));
    stage.registry.push_image("team/app", "none", &Image::oci("none"));
    insta::assert_snapshot!(stage.import(&["list", "--state", "new.done", "--jobs", "1"]), @"
    exit 1
    -- stdout
    known corp.alt/team/app:v1 sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 2
    failed corp.alt/secret/app:v1 `corp.alt/secret/app:v1` is denied by rule 1 (`corp.alt/secret/*:*`)
    passed corp.alt/scratch/app:v1
    recorded corp.alt/team/app:none sha256:e829466e41e39d1321928442255953e4b4ef452a191add653cc91143877ec1c1 6
    -- stderr
    recorded: 1, known: 1, moved: 0, passed: 1, failed: 1
    ");
}

#[test]
fn lines_that_are_no_references_are_named_by_number_and_the_others_are_recorded() {
    let stage = Stage::with(&["corp.alt/team/app:v1"]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let lines = [
        "# what we run",
        "",
        &format!("corp.alt/team/app@{digest}"),
        &format!("corp.alt/team/app:v1@{digest}"),
        "corp.alt/Team/app",
        "two words",
        "https://corp.alt/team/app:v1",
        "\u{1b}[31m",
        &"x".repeat(5000),
    ];
    let mut list = lines.join("\n").into_bytes();
    list.extend(b"\ncaf\xe9\n");
    // Last, so that its answer comes after all of these.
    list.extend(b"  corp.alt/team/app:v1  # twice\ncorp.alt/team/app:v1\r\n");
    fs::write(stage.environment.path("list"), list).unwrap();
    insta::assert_snapshot!(stage.import(&["list"]), @"
    exit 1
    -- stdout
    failed list:3 `corp.alt/team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` names a digest, which no tag has to stand for; name a tag instead, such as `corp.alt/team/app:latest`
    failed list:4 `corp.alt/team/app:v1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` names a digest, which no tag has to stand for; name the tag alone: `corp.alt/team/app:v1`
    failed list:5 `Team/app` holds upper case letters; repositories are lower case; did you mean `corp.alt/team/app`?
    failed list:6 `two words` is not a repository; use lower-case letters, digits and single `.`, `_`, `__`, `-` within components; write it as for `docker pull`; without a tag it means `:latest`
    failed list:7 `https://corp.alt/team/app:v1` is a URL; leave out `https://`; did you mean `corp.alt/team/app:v1`?
    failed list:8 `?[31m` is not a repository; use lower-case letters, digits and single `.`, `_`, `__`, `-` within components; write it as for `docker pull`; without a tag it means `:latest`
    failed list:9 the line is longer than <n> bytes
    failed list:10 the line is not UTF-8
    recorded corp.alt/team/app:v1 sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 2
    -- stderr
    recorded: 1, known: 0, moved: 0, passed: 0, failed: 8, skipped: 1
    ");
    stage.environment.write("list", "\n\ntwo words");
    insta::assert_snapshot!(stage.import(&["list", "--output", "json", "-q"]), @r#"
    exit 1
    -- stdout
    {"schema":1,"line":3,"result":"failed","reason":"`two words` is not a repository; use lower-case letters, digits and single `.`, `_`, `__`, `-` within components; write it as for `docker pull`; without a tag it means `:latest`"}
    "#);
}

#[test]
fn a_list_of_nothing_is_done() {
    let stage = Stage::new();
    stage.environment.write("list", "# nothing\n\n");
    insta::assert_snapshot!(stage.import(&["list"]), @"exit 0");
}

#[test]
fn standard_input_is_a_list_too() {
    let stage = Stage::with(&["corp.alt/team/app:v1"]);
    let mut command = stage.environment.command(&["import", "-", "-q"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // Results come before the end of the list.
    writeln!(stdin, "corp.alt/team/app:v1").unwrap();
    stdout.read_line(&mut line).unwrap();
    writeln!(stdin, "no reference").unwrap();
    drop(stdin);
    stdout.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    insta::assert_snapshot!(line, @"
    recorded corp.alt/team/app:v1 sha256:7d2eb1f108f4239162d02c6c78852a7d97ffd589e227b100d71097e97fd96780 2
    failed -:2 `no reference` is not a repository; use lower-case letters, digits and single `.`, `_`, `__`, `-` within components; write it as for `docker pull`; without a tag it means `:latest`
    ");
    assert!(!stage.environment.path("-.done").exists());
}

#[tokio::test]
async fn after_a_kill_only_what_is_missing_is_asked_for() {
    let references = ["corp.alt/a/app:v1", "corp.alt/b/app:v1", "corp.alt/c/app:v1", "corp.alt/d/app:v1"];
    let stage = Stage::with(&references);
    let gate = Gate::closed();
    stage.registry.quirk_when(When::any().repository("c/app"), Quirk::HoldHeaders(gate.clone()));
    let running = stage.spawn(&["list", "--rate", "1000", "--jobs", "1"]);
    assert!(running.line().starts_with("recorded corp.alt/a/app:v1 sha256:"));
    assert!(running.line().starts_with("recorded corp.alt/b/app:v1 sha256:"));
    gate.waiting(1).await;
    running.signal(Signal::KILL);
    assert_eq!(running.end().status, -1, "by a signal");
    // As if it had been killed in the middle of writing.
    let state = stage.environment.path("list.done");
    let torn = fs::read_to_string(&state).unwrap() + "recorded corp.alt/c/app:v1 sha2";
    fs::write(&state, torn).unwrap();
    gate.release();
    stage.registry.clear();
    stage.registry.arrived(3, "GET", Kind::Manifest).await;
    stage.registry.forget();

    let second = stage.import(&["list", "--jobs", "1"]).succeeded();
    let done: Vec<&str> = second.stdout.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(done, &references[2..], "{second}");
    assert!(second.stderr.contains("skipped: 2"), "{second}");
    assert!(
        !stage.asked().iter().any(|tag| tag.starts_with('a') || tag.starts_with('b')),
        "{:?}",
        stage.asked()
    );
    let third = stage.import(&["list"]).succeeded();
    assert_eq!((third.stdout.as_str(), third.stderr.contains("skipped: 4")), ("", true), "{third}");
    assert_eq!(fs::read_to_string(&state).unwrap().lines().count(), 5);
}

#[tokio::test]
async fn an_interruption_leaves_the_state_of_what_is_done() {
    let stage = Stage::with(&["corp.alt/a/app:v1", "corp.alt/b/app:v1"]);
    let gate = Gate::closed();
    stage.registry.quirk_when(When::any().repository("b/app"), Quirk::HoldHeaders(gate.clone()));
    for signal in [Signal::INT, Signal::TERM] {
        let state = format!("{signal:?}.done");
        let running = stage.spawn(&["list", "--rate", "1000", "--state", &state]);
        assert!(running.line().contains(" corp.alt/a/app:v1 sha256:"));
        gate.waiting(1).await;
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.status, 2, "{ended}");
        assert!(ended.stderr.contains("error: interrupted\n"), "{ended}");
        let state = fs::read_to_string(stage.environment.path(&state)).unwrap();
        assert!(state.lines().nth(1).unwrap().contains(" corp.alt/a/app:v1 sha256:"), "{state}");
        assert_eq!(state.lines().count(), 2);
    }
    insta::assert_snapshot!(stage.spawn_interrupted(&gate).await, @"
    exit 2
    -- stderr
    recorded: 0, known: 1, moved: 0, passed: 0, failed: 0
    error: interrupted

    hint: the same command goes on where it was
    ");
}

impl Stage {
    /// What an import of a list says that is interrupted while the registry is silent.
    async fn spawn_interrupted(&self, gate: &Gate) -> Output {
        let running = self.spawn(&["list", "--rate", "1000"]);
        let _first = running.line();
        gate.waiting(1).await;
        running.signal(Signal::INT);
        running.end()
    }
}

#[tokio::test]
async fn so_many_at_one_time_and_never_two_of_one_repository() {
    let references = [
        "corp.alt/a/app:v1",
        "corp.alt/a/app:v2",
        "corp.alt/b/app:v1",
        "other.alt/c/app:v1",
        "corp.alt/d/app:v1",
        "corp.alt/e/app:v1",
    ];
    let stage = Stage::with(&references);
    let gate = Gate::closed();
    stage.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let running = stage.spawn(&["list", "--rate", "10000", "--jobs", "3"]);
    gate.waiting(3).await;
    assert_eq!(stage.asked(), ["a/app:v1", "b/app:v1", "c/app:v1"]);
    let mut most = 0;
    for _ in references {
        gate.release_one();
        let line = running.line();
        assert!(line.starts_with("recorded "), "{line}");
        most = most.max(gate.waiting_now());
    }
    assert!(most <= 3, "{most} at one time");
    assert_eq!(running.end().status, 0);
    assert_eq!(stage.asked().len(), references.len());
}

#[test]
fn a_registry_is_asked_no_faster_than_the_rate_and_holds_up_no_other() {
    let mut references: Vec<String> = (0..20).map(|number| format!("corp.alt/team/app{number}:v1")).collect();
    references.push("other.alt/team/last:v1".to_owned());
    let stage = Stage::with(&references.iter().map(String::as_str).collect::<Vec<_>>());
    // The second of one registry would be due after a quarter of an hour.
    let running = stage.spawn(&["list", "--rate", "0.001", "--jobs", "30"]);
    let lines = [running.line(), running.line()].concat();
    assert!(lines.contains("corp.alt/team/app0:v1") && lines.contains("other.alt/team/last:v1"), "{lines}");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{ended}");
    assert_eq!(stage.asked(), ["team/app0:v1", "team/last:v1"]);
}

/// Where the fake registry plays the service.
fn fake_service(environment: &mut TestEnvironment) -> FakeRegistry {
    let fake = FakeRegistry::start_blocking();
    environment.set("TLOGISTRY_SERVER", &fake.url());
    environment.write("list", "corp.alt/team/app:v1\n");
    fake
}

#[test]
fn a_service_that_asks_to_wait_is_asked_again_and_not_for_ever() {
    let mut environment = TestEnvironment::new();
    let fake = fake_service(&mut environment);
    let image = Image::oci("one");
    fake.push_image("corp.alt/team/app", "v1", &image);
    fake.quirk(Quirk::Header("Tlog-Recorded-Digest".to_owned(), image.digest.clone()));
    fake.quirk(Quirk::Header("Tlog-Logindex".to_owned(), "7".to_owned()));
    let wait = |seconds: &str| Quirk::TooManyRequests(Some(seconds.to_owned()));
    fake.quirk_when(When::kind(Kind::Manifest).first(2), wait("0"));
    assert!(
        environment.run(&["import", "list"]).succeeded().stdout.starts_with("known corp.alt/team/app:v1 ")
    );
    assert_eq!((fake.count("HEAD", Kind::Manifest), fake.count("GET", Kind::Manifest)), (3, 0));

    fake.forget();
    fake.quirk_when(When::kind(Kind::Manifest), wait("0"));
    let refused = environment.run(&["import", "list", "--state", "a.done"]);
    assert_eq!(
        (refused.status, refused.stdout.as_str()),
        (1, "failed corp.alt/team/app:v1 you have reached your pull rate limit\n")
    );
    assert_eq!((fake.count("HEAD", Kind::Manifest), fake.count("GET", Kind::Manifest)), (4, 1));

    fake.clear();
    fake.forget();
    fake.quirk_when(When::kind(Kind::Manifest), wait("86400"));
    let refused = environment.run(&["import", "list", "--state", "a.done"]);
    assert_eq!(refused.status, 1, "{refused}");
    assert_eq!(fake.count("HEAD", Kind::Manifest), 1, "a day is not waited for");
}

#[test]
fn a_redirect_is_not_followed_and_a_page_is_no_reason() {
    let mut environment = TestEnvironment::new();
    let fake = fake_service(&mut environment);
    let elsewhere = FakeRegistry::start_blocking();
    fake.quirk_when(
        When::kind(Kind::Manifest).first(1),
        Quirk::Redirect(307, format!("{}{{path}}", elsewhere.url())),
    );
    insta::assert_snapshot!(environment.run(&["import", "list"]), @"
    exit 1
    -- stdout
    failed corp.alt/team/app:v1 answered with a redirect (307), which is not followed
    -- stderr
    recorded: 0, known: 0, moved: 0, passed: 0, failed: 1
    ");
    assert_eq!(elsewhere.total(), 0);
    fake.quirk_when(When::kind(Kind::Manifest), Quirk::Answer(testkit::Answer::html(502)));
    insta::assert_snapshot!(environment.run(&["import", "list"]), @"
    exit 1
    -- stdout
    failed corp.alt/team/app:v1 refused with 502, without a reason
    -- stderr
    recorded: 0, known: 0, moved: 0, passed: 0, failed: 1
    ");
}

#[test]
fn without_a_service_nothing_is_begun() {
    let mut environment = TestEnvironment::new();
    environment.write("list", "alpine:3.20\n");
    let nobody = format!("http://{}", free_address());
    insta::assert_snapshot!(environment.run(&["import", "list", "--server", &nobody]), @"
    exit 2
    -- stderr
    error: `http://127.0.0.1:<port>/` cannot be reached
      caused by 1: Connection refused (os error 111)

    hint: is it running? another one is named with `--server URL`
    ");
    environment.set("TLOGISTRY_PUBLIC_URL", &format!("{nobody}/below"));
    let configured = environment.run(&["import", "list"]);
    assert!(configured.stderr.contains(&format!("`{nobody}/` cannot be reached")), "{configured}");
    let fake = FakeRegistry::start_blocking();
    fake.quirk_when(When::kind(Kind::Ping), Quirk::Status(404));
    insta::assert_snapshot!(environment.run(&["import", "list", "--server", &fake.url(), "--state", "new.done"]), @"
    exit 2
    -- stderr
    error: `http://127.0.0.1:<port>/` is no registry: `/v2/` is answered with 404

    hint: is it running? another one is named with `--server URL`
    ");
}

#[test]
fn a_service_that_goes_away_ends_the_run() {
    let mut environment = TestEnvironment::new();
    let fake = fake_service(&mut environment);
    let gate = Gate::closed();
    fake.quirk_when(When::kind(Kind::Manifest), Quirk::HoldHeaders(gate));
    let running = Running::new(&environment, &["import", "list", "--rate", "1000"]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fake.arrived(1, "HEAD", Kind::Manifest));
    fake.stop();
    insta::assert_snapshot!(running.end(), @"
    exit 2
    -- stderr
    error: `http://127.0.0.1:<port>/` cannot be reached
      caused by 1: Connection refused (os error 111)

    hint: the same command goes on where it was
    ");
}

#[test]
fn a_state_is_of_one_service_and_of_nothing_else() {
    let stage = Stage::with(&["corp.alt/team/app:v1"]);
    let import = |state: &str| stage.import(&["list", "--state", state]);
    insta::assert_snapshot!(import("list"), @"
    exit 2
    -- stderr
    error: `list` is no state of an import: line 1 was not written by one

    hint: name another file with `--state FILE`
    ");
    stage.environment.write("other.done", "tlogistry import 1 https://tlog.example/\n");
    insta::assert_snapshot!(import("other.done"), @"
    exit 2
    -- stderr
    error: `other.done` says what was done through `https://tlog.example/`, not through `http://127.0.0.1:<port>/`

    hint: name another file with `--state FILE`
    ");
    stage.environment.write(
        "edited.done",
        &format!("tlogistry import 1 {}/\nfailed corp.alt/team/app:v1 x\n", stage.service.url),
    );
    insta::assert_snapshot!(import("edited.done"), @"
    exit 2
    -- stderr
    error: `edited.done` is no state of an import: line 2 was not written by one

    hint: name another file with `--state FILE`
    ");
    insta::assert_snapshot!(import("none/at/all.done"), @"
    exit 2
    -- stderr
    error: cannot note in `none/at/all.done` what is done
      caused by 1: No such file or directory (os error 2)

    hint: name a file where this user may write with `--state FILE`
    ");
    assert_eq!(stage.registry.total(), 0);
}

#[tokio::test]
async fn a_state_serves_one_run_at_a_time() {
    let stage = Stage::with(&["corp.alt/team/app:v1"]);
    let gate = Gate::closed();
    stage.registry.quirk(Quirk::HoldHeaders(gate.clone()));
    let running = stage.spawn(&["list"]);
    gate.waiting(1).await;
    insta::assert_snapshot!(stage.import(&["list"]), @"
    exit 2
    -- stderr
    error: another import has `list.done` open

    hint: wait until it is done, or name another file with `--state FILE`
    ");
    gate.release();
    assert_eq!(running.end().status, 0);
}

#[test]
fn results_that_nobody_reads_are_no_success() {
    let stage = Stage::with(&["corp.alt/team/app:v1"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = stage.environment.command(&["import", "list"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let again = stage.import(&["list"]).succeeded();
    assert!(again.stdout.starts_with("known corp.alt/team/app:v1"), "{again}");
}

#[test]
fn arguments_that_are_none_say_what_to_write() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["import"]), @"
    exit 2
    -- stderr
    error: the following required arguments were not provided:
      <FILE>

    hint: write it as `tlogistry import <FILE>`; `--help` says more
    ");
    insta::assert_snapshot!(environment.run(&["import", "none"]), @"
    exit 2
    -- stderr
    error: cannot read `none`
      caused by 1: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(environment.run(&["import", "list", "--rate", "0"]), @"
    exit 2
    -- stderr
    error: `--rate <N>`: `0` is not a number of references a second

    hint: write a number from 0.001 to 10000, such as `5`, or `0.1` for one in ten seconds
    ");
    insta::assert_snapshot!(environment.run(&["import", "list", "--jobs", "0"]), @"
    exit 2
    -- stderr
    error: invalid value '0' for '--jobs <N>': 0 is not in 1..=256

    hint: `--help` explains every argument
    ");
    insta::assert_snapshot!(environment.run(&["import", "list", "--server", "tlog.example"]), @"
    exit 2
    -- stderr
    error: `--server <URL>`: `tlog.example` is not the URL of a service

    hint: write the URL of the service alone, such as `https://tlog.example` or `http://localhost:8080`
    ");
}

#[test]
fn the_short_help_fits_a_screen() {
    insta::assert_snapshot!(TestEnvironment::new().run(&["import", "-h"]), @r#"
    exit 0
    -- stdout
    Record a list of references before they are pulled

    Usage: tlogistry import [OPTIONS] <FILE>

    Arguments:
      <FILE>  One reference a line, as for `docker pull`; `#` begins a comment; `-` is standard input

    Options:
          --server <URL>    The service [default: `public_url` of the configuration] [env:
                            TLOGISTRY_SERVER]
          --rate <N>        References a second for each upstream registry; also less than one, such as
                            `0.1` [default: 5]
          --jobs <N>        References at one time, never two of one repository [default: 8]
          --state <FILE>    Where to note what is done [default: FILE.done; nowhere for a pipe]
          --config <FILE>   Configuration file [env: TLOGISTRY_CONFIG] [default:
                            /etc/tlogistry/config.toml, if it is there]
          --data-dir <DIR>  Directory of log, key and records [env: TLOGISTRY_DATA_DIR] [default: the
                            user's state directory]
      -h, --help            Print help (see more with '--help')

    Global options:
          --output <FORM>  Form of standard output; `json` is one object a line, with `"schema": 1`
                           [default: text] [possible values: text, json]
      -q, --quiet...       Say less on standard error; twice: errors alone
      -v, --verbose...     Say more on standard error
          --color <WHEN>   When to use colour; `auto` is on a terminal, and not with `NO_COLOR`
                           [default: auto] [possible values: auto, always, never]
          --no-progress    Show no progress [env: TLOGISTRY_NO_PROGRESS]
    "#);
}
