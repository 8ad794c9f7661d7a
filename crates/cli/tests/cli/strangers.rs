//! `verify`, `proof`, `audit` and `monitor` against a running service, and what they say when something is wrong.

use testkit::{FakeRegistry, Image};

use crate::environment::{Output, TestEnvironment};
use crate::service::{Service, upstream};

struct Scene {
    environment: TestEnvironment,
    registry: FakeRegistry,
    service: Service,
    key: String,
}

impl Scene {
    /// A service in which `corp.alt/team/app:v1` is recorded.
    fn new() -> Self {
        let environment = TestEnvironment::new();
        let registry = upstream(&environment);
        let key = environment.run(&["init"]).succeeded().stdout.trim_end().to_owned();
        registry.push_image("team/app", "v1", &Image::oci("first"));
        let service = Service::start(&environment);
        let scene = Self { environment, registry, service, key };
        scene.pull("v1");
        scene
    }

    fn pull(&self, tag: &str) -> u16 {
        let url = format!("{}/v2/corp.alt/team/app/manifests/{tag}", self.service.url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(testkit::wire::get(&url)).status
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.environment.run(arguments)
    }

    fn verify(&self, reference: &str, more: &[&str]) -> Output {
        let own = ["verify", reference, "--server", &self.service.url, "--log-key", &self.key];
        self.run(&[&own, more].concat())
    }
}

#[test]
fn a_verified_digest_stands_alone_on_standard_output() {
    let scene = Scene::new();
    let digest = Image::oci("first").digest;
    let verified = scene.verify("corp.alt/team/app:v1", &[]);
    assert_eq!((verified.status, verified.stdout.as_str()), (0, &*format!("{digest}\n")));
    assert!(verified.stderr.contains("history not audited"), "{verified}");
    let named = scene.verify(&format!("corp.alt/team/app:v1@{digest}"), &[]);
    assert_eq!(named.status, 0, "{named}");
    let other = scene.verify(&format!("corp.alt/team/app:v1@sha256:{}", "0".repeat(64)), &[]);
    assert_eq!((other.status, other.stdout.as_str()), (1, ""), "{other}");
}

#[test]
fn programs_get_everything_about_a_verified_tag() {
    let scene = Scene::new();
    let json = scene.verify("corp.alt/team/app:v1", &["--output", "json", "--quiet"]).json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["outcome"]["digest"], Image::oci("first").digest);
    assert_eq!(json["history"]["kind"], "not-audited");
    assert_eq!(json["refusals"], serde_json::json!([]));
}

#[test]
fn a_tag_that_was_never_recorded_is_a_no() {
    let scene = Scene::new();
    let absent = scene.verify("corp.alt/team/app:v2", &[]);
    assert_eq!((absent.status, absent.stdout.as_str()), (1, ""));
    assert!(absent.stderr.contains("never recorded at size 4"), "{absent}");
}

#[test]
fn a_tag_that_an_operator_changed_is_a_no_unless_that_is_allowed() {
    let scene = Scene::new();
    let new = Image::oci("second");
    scene.registry.push_image("team/app", "v1", &new);
    assert_eq!(scene.pull("v1"), 403);
    let digest = new.digest.as_str();
    scene.run(&["supersede", "corp.alt/team/app:v1", digest, "--reason", "rebuilt"]).done();
    let refused = scene.verify("corp.alt/team/app:v1", &[]);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused}");
    assert!(refused.stderr.contains("rebuilt") && refused.stderr.contains("--allow-superseded"), "{refused}");
    let allowed = scene.verify("corp.alt/team/app:v1", &["--allow-superseded"]);
    assert_eq!((allowed.status, allowed.stdout.trim_end()), (0, digest), "{allowed}");
}

#[test]
fn without_a_key_nothing_is_trusted() {
    let scene = Scene::new();
    insta::assert_snapshot!(scene.run(&["verify", "corp.alt/team/app:v1", "--server", &scene.service.url]), @r#"
    exit 2
    -- stderr
    error: no log's key is known; give one with `--log-key`, or a `log` line in the policy, from a place that you trust

    hint: get the key from somebody you trust (the service shows its own at `/log/vkey`), then `--log-key VKEY`
    "#);
    insta::assert_snapshot!(scene.run(&["verify", "corp.alt/team/app:v1", "--server", "tlog.example"]), @r#"
    exit 2
    -- stderr
    error: `--server <URL>`: `tlog.example` is not the URL of a service

    hint: write the URL of the service alone, such as `https://tlog.example` or `http://localhost:8080`
    "#);
    insta::assert_snapshot!(scene.run(&["verify", "corp.alt/team/app:v1", "--log-key", "x"]), @r#"
    exit 2
    -- stderr
    error: `--log-key <VKEY>`: vkey: `x`: not <name>+<id>+<base64 key>

    hint: a verifier key is one word of three parts, as the service shows it at `/log/vkey`
    "#);
}

#[test]
fn another_key_than_the_logs_is_a_no() {
    let scene = Scene::new();
    let other = TestEnvironment::new().run(&["init"]).succeeded().stdout;
    let arguments =
        ["verify", "corp.alt/team/app:v1", "--server", &scene.service.url, "--log-key", other.trim_end()];
    let refused = scene.run(&arguments);
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused}");
}

#[test]
fn a_saved_proof_is_checked_without_network_and_a_changed_one_is_refused() {
    let mut scene = Scene::new();
    let own = ["proof", "corp.alt/team/app:v1", "--server", &scene.service.url, "--log-key", &scene.key];
    let saved = scene.run(&[&own[..], &["--out", "a.tlog-proof"]].concat()).succeeded();
    assert!(saved.stderr.contains("(checked)"), "{saved}");
    scene.service.stop();
    let offline = |file: &str| {
        scene.run(&["verify", "corp.alt/team/app:v1", "--proof", file, "--log-key", &scene.key, "--forget"])
    };
    assert_eq!(offline("a.tlog-proof").stdout.trim_end(), Image::oci("first").digest);
    let proof = std::fs::read_to_string(scene.environment.path("a.tlog-proof")).unwrap();
    let extra = proof.find("extra ").unwrap() + 40;
    let changed = if proof.as_bytes()[extra] == b'A' { "B" } else { "A" };
    scene.environment.write("b.tlog-proof", &[&proof[..extra], changed, &proof[extra + 1..]].concat());
    let refused = offline("b.tlog-proof");
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused}");
}

#[test]
fn a_log_that_forgets_what_it_showed_is_caught_and_the_evidence_can_be_checked_again() {
    let mut scene = Scene::new();
    scene.service.stop();
    let copy = |from: &str, to: &str| {
        for name in ["ledger.db", "guard", "log.key"] {
            let place = |directory: &str| scene.environment.path(directory).join(name);
            std::fs::create_dir_all(scene.environment.path(to)).unwrap();
            std::fs::copy(place(from), place(to)).unwrap();
        }
    };
    copy("home/.local/state/tlogistry", "before");
    let digests = |tag: &str| scene.registry.push_image("team/app", tag, &Image::unique());
    digests("v2");
    digests("v3");
    scene.service = Service::start(&scene.environment);
    scene.pull("v2");
    assert_eq!(scene.verify("corp.alt/team/app:v2", &[]).status, 0);
    scene.service.stop();
    // The same key, and another history of the same length and more.
    copy("before", "home/.local/state/tlogistry");
    for name in ["ledger.db-wal", "ledger.db-shm"] {
        let _absent_is_fine = std::fs::remove_file(scene.environment.data_dir().join(name));
    }
    scene.service = Service::start(&scene.environment);
    scene.pull("v3");
    scene.pull("v2");
    let caught = scene.verify("corp.alt/team/app:v3", &[]);
    assert_eq!((caught.status, caught.stdout.as_str()), (1, ""), "{caught}");
    let evidence = caught.stderr.split('`').find(|part| part.ends_with(".json"));
    let evidence = evidence.unwrap_or_else(|| panic!("no evidence in {caught}"));
    let again = scene.run(&["audit", "--evidence", evidence, "--log-key", &scene.key]);
    assert_eq!(again.status, 0, "{again}");
    assert!(again.stdout.starts_with("proven by the log's own signatures"), "{again}");
    // Anybody can make a key of the log's name, and a fork with it.
    let alone = scene.run(&["audit", "--evidence", evidence]);
    assert_eq!(alone.status, 1, "{alone}");
    assert!(alone.stdout.starts_with(&format!("proven only if `{}` is the log's key", scene.key)), "{alone}");
    let other = TestEnvironment::new().run(&["init"]).succeeded().stdout;
    let foreign = scene.run(&["audit", "--evidence", evidence, "--log-key", other.trim_end()]);
    assert_eq!((foreign.status, foreign.stdout.as_str()), (1, ""), "{foreign}");
    assert!(foreign.stderr.contains("not among the trusted ones"), "{foreign}");
    let json = scene.run(&["audit", "--evidence", evidence, "--output", "json"]);
    assert_eq!(json.status, 1, "{json}");
    let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&said["proven"], &said["trusted"]), (&false.into(), &false.into()), "{json}");
    assert_eq!(said["keys"][0], scene.key.as_str(), "{json}");
}

#[test]
fn an_audited_log_is_cosigned_and_the_log_says_when_it_collects_nothing() {
    let scene = Scene::new();
    let audited = scene.run(&["audit", &scene.service.url, "--log-key", &scene.key]);
    assert_eq!((audited.status, audited.stdout.as_str()), (0, ""), "{audited}");
    assert!(audited.stderr.contains("is sound: 4 leaves, 1 tags"), "{audited}");
    let made =
        scene.run(&["audit", "--make-key", "auditor.example/x", "--cosign", "auditor.key"]).succeeded();
    assert!(made.stdout.starts_with("auditor.example/x+"), "{made}");
    let own = ["audit", &scene.service.url, "--log-key", &scene.key, "--cosign", "auditor.key"];
    let cosigned = scene.run(&own).succeeded();
    assert!(cosigned.stdout.starts_with("— auditor.example/x "), "{cosigned}");
    let refused = scene.run(&[&own[..], &["--submit"]].concat());
    assert_eq!(refused.status, 2, "{refused}");
    assert!(refused.stderr.contains("this log collects no cosignatures"), "{refused}");
    // The line is made once; a log that refuses it takes neither the line nor the report away.
    assert!(refused.stdout.starts_with("— auditor.example/x "), "{refused}");
    assert!(refused.stderr.contains("is sound: 4 leaves, 1 tags"), "{refused}");
}

#[test]
fn a_cosignature_of_an_auditor_is_collected_and_counts_for_a_policy() {
    let mut scene = Scene::new();
    let made =
        scene.run(&["audit", "--make-key", "auditor.example/x", "--cosign", "auditor.key"]).succeeded();
    let auditor = made.stdout.trim_end();
    let policy = format!("log {}\nwitness x {auditor}\ngroup auditors 1 x\nquorum auditors\n", scene.key);
    scene.environment.write("client.policy", &policy);
    scene.environment.write("auditors.policy", &format!("witness x {auditor}\nquorum x\n"));
    scene.service.stop();
    let table = format!(
        "[log]\nauditors_file = \"{}\"\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n",
        scene.environment.path("auditors.policy").display(),
        scene.registry.url()
    );
    scene.environment.write("config.toml", &table);
    scene.service = Service::start(&scene.environment);
    let with_policy = |scene: &Scene| {
        scene.run(&[
            "verify",
            "corp.alt/team/app:v1",
            "--server",
            &scene.service.url,
            "--policy",
            "client.policy",
        ])
    };
    assert_eq!(with_policy(&scene).status, 1);
    let own = ["audit", &scene.service.url, "--log-key", &scene.key, "--cosign", "auditor.key", "--submit"];
    scene.run(&own).done();
    let verified = with_policy(&scene);
    assert_eq!(verified.status, 0, "{verified}");
    assert!(!verified.stderr.contains("history not audited"), "{verified}");
}

#[test]
fn a_monitor_tells_each_event_once_over_a_restart() {
    let scene = Scene::new();
    let own = ["monitor", &scene.service.url, "--log-key", &scene.key, "--once", "--quiet"];
    let first = scene.run(&[&own[..], &["--from-beginning"]].concat()).succeeded();
    assert_eq!(first.stdout.lines().count(), 1, "{first}");
    assert!(first.stdout.contains("\"kind\":\"first-seen\""), "{first}");
    assert_eq!(scene.run(&own).succeeded().stdout, "");
    scene.registry.push_image("team/app", "v1", &Image::oci("second"));
    assert_eq!(scene.pull("v1"), 403);
    scene.registry.push_image("team/app", "v2", &Image::oci("second"));
    scene.pull("v2");
    let second = scene.run(&own).succeeded();
    assert!(second.stdout.contains("\"kind\":\"moved\""), "{second}");
    assert_eq!(second.stdout.lines().count(), 2, "{second}");
}

#[test]
fn a_monitor_asks_the_real_registry_about_first_digests() {
    let scene = Scene::new();
    let own = ["monitor", &scene.service.url, "--log-key", &scene.key, "--once", "--from-beginning"];
    let checked = scene.run(&[&own[..], &["--check", "corp.alt/**"]].concat()).succeeded();
    assert!(checked.stderr.contains("first sights confirmed: 1"), "{checked}");
}

#[test]
fn a_webhook_without_a_secret_is_refused() {
    let scene = Scene::new();
    scene.environment.write("secret", "\nabc\n");
    let own = ["monitor", &scene.service.url, "--log-key", &scene.key, "--once"];
    let hook = ["--webhook", "http://127.0.0.1:9/x", "--webhook-secret-file", "secret"];
    let refused = scene.run(&[&own[..], &hook].concat());
    assert_eq!(refused.status, 2, "{refused}");
    assert!(refused.stderr.contains("the first line of `secret` is empty"), "{refused}");
}

#[test]
fn a_proof_that_is_written_to_a_file_is_told_to_programs() {
    let scene = Scene::new();
    let own = ["proof", "corp.alt/team/app:v1", "--server", &scene.service.url, "--out", "a.tlog-proof"];
    let saved = scene.run(&[&own[..], &["--output", "json"]].concat()).succeeded().json();
    assert_eq!(saved["file"], "a.tlog-proof");
    assert_eq!(saved["checked"], false);
    assert!(saved.get("proof").is_none());
}

#[test]
fn a_file_that_is_too_large_for_what_it_should_be_is_not_read_whole() {
    let scene = Scene::new();
    let file = std::fs::File::create(scene.environment.path("huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    for verb in [&["audit", "--evidence"][..], &["verify", "corp.alt/team/app:v1", "--proof"]] {
        let refused = scene.run(&[verb, &["huge", "--log-key", &scene.key]].concat());
        assert_eq!(refused.status, 2, "{refused}");
        assert!(refused.stderr.contains("it has more than"), "{refused}");
    }
}

#[test]
fn a_witness_is_made_once_and_of_a_log() {
    let scene = Scene::new();
    let missing = scene.run(&["witness", "serve", "--log-key", &scene.key]);
    assert_eq!(missing.status, 2, "{missing}");
    assert!(!missing.stderr.contains("listens"), "{missing}");
    assert!(missing.stderr.contains("hint: "), "{missing}");
    let made = scene.run(&["witness", "init", "--name", "witness.example/w1"]).succeeded();
    assert!(made.stdout.starts_with("witness.example/w1+"), "{made}");
    let again = scene.run(&["witness", "init", "--name", "witness.example/w1"]);
    assert_eq!(again.status, 2, "{again}");
    let wrong = scene.run(&["witness", "serve", "--log-key", made.stdout.trim_end()]);
    assert_eq!(wrong.status, 2, "{wrong}");
}

#[test]
fn a_witness_cosigns_for_a_log_and_counts_for_a_policy() {
    let mut scene = Scene::new();
    let made = scene.run(&["witness", "init", "--name", "witness.example/w1"]).succeeded();
    let witness = Service::witness(&scene.environment, &scene.key);
    let vkey = made.stdout.trim_end();
    scene.environment.write("witnesses.policy", &format!("witness w1 {vkey} {}\nquorum w1\n", witness.url));
    scene.environment.write("client.policy", &format!("log {}\nwitness w1 {vkey}\nquorum w1\n", scene.key));
    scene.service.stop();
    let table = format!(
        "[log]\npublish = \"require\"\nwitnesses_file = \"{}\"\n[upstreams.\"corp.alt\"]\nurl = \"{}\"\n",
        scene.environment.path("witnesses.policy").display(),
        scene.registry.url()
    );
    scene.environment.write("config.toml", &table);
    scene.service = Service::start(&scene.environment);
    scene.registry.push_image("team/app", "v2", &Image::oci("second"));
    // Until the witness was asked how much it has seen the service asks for patience; what it serves is cosigned.
    let served = (0..300).any(|_| {
        let served = scene.pull("v2") == 200;
        if !served {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        served
    });
    assert!(served, "{:?}", scene.service.log);
    let own = ["verify", "corp.alt/team/app:v2", "--server", &scene.service.url, "--policy", "client.policy"];
    let verified = scene.run(&[&own[..], &["--max-age", "1h"]].concat());
    assert_eq!(verified.status, 0, "{verified}");
    assert_eq!(verified.stdout.trim_end(), Image::oci("second").digest);
    let own = ["proof", "corp.alt/team/app:v2", "--server", &scene.service.url, "--policy", "client.policy"];
    scene.run(&[&own[..], &["--out", "v2.tlog-proof"]].concat()).done();
    let offline = ["verify", "corp.alt/team/app:v2", "--proof", "v2.tlog-proof", "--policy", "client.policy"];
    scene.run(&[&offline[..], &["--forget"]].concat()).done();
}

#[test]
fn a_monitor_believes_only_what_its_policy_is_content_with() {
    let scene = Scene::new();
    let made = scene.run(&["witness", "init", "--name", "witness.example/w1"]).succeeded();
    let policy = format!("log {}\nwitness w1 {}\nquorum w1\n", scene.key, made.stdout.trim_end());
    scene.environment.write("client.policy", &policy);
    let own = ["monitor", &scene.service.url, "--once", "--from-beginning"];
    let refused = scene.run(&[&own[..], &["--policy", "client.policy"]].concat());
    assert_eq!((refused.status, refused.stdout.as_str()), (1, ""), "{refused}");
    assert!(refused.stderr.contains("not cosigned as the policy demands"), "{refused}");
    let other = scene.key.replacen(scene.key.split('+').next().unwrap(), "other.example/log", 1);
    scene.environment.write("several.policy", &format!("{policy}log {other}\n"));
    let unclear = scene.run(&[&own[..], &["--policy", "several.policy"]].concat());
    assert_eq!(unclear.status, 2, "{unclear}");
    scene.environment.write("client.policy", &policy.replace("quorum w1", "quorum none"));
    let content = scene.run(&[&own[..], &["--policy", "client.policy"]].concat()).succeeded();
    assert!(content.stdout.contains("\"kind\":\"first-seen\""), "{content}");
    assert_eq!(scene.run(&own).status, 2, "somebody's key is needed");
}
