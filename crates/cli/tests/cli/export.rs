//! `export`: a log as files, made beside the running service, served by any web server, audited by anybody.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use audit::history::Settings;
use audit::{Http, Source, Trust};

use crate::copies::Copies;
use crate::environment::TestEnvironment;
use crate::service::Service;

/// Audits the log at a URL; the number of its leaves and tags.
async fn audited(copies: &Copies, url: &str) -> (u64, u64) {
    let settings = Settings {
        log: Source::open(url, &Http::default()).unwrap(),
        trust: Trust::of_key(copies.vkey.clone()).unwrap(),
        state: copies.environment.path("memory"),
        copy: None,
        compare: Vec::new(),
        ahead: 4,
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    };
    let audited = audit::audit(&settings, |_| ()).await.unwrap();
    (audited.report().size, audited.report().tags)
}

#[tokio::test]
async fn an_export_of_a_running_service_is_audited_from_any_web_server_and_brought_up_to_date() {
    let copies = Copies::new();
    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v1", "v2"]).await;
    insta::assert_snapshot!(copies.environment.run(&["export", "export"]), @"
    exit 0
    -- stderr
    exported 6 leaves to `export` (new files: 2, unchanged: 0)
    any static web server serves it as the log: let `checkpoint`, `tile/` and `vkey` lie below one URL, such as `https://mirror.example/log`
    ");
    assert_eq!(
        fs::read_to_string(copies.environment.path("export/vkey")).unwrap(),
        format!("{}\n", copies.vkey)
    );
    let (_web, url) = copies.mirror("export");
    assert_eq!(audited(&copies, &url).await, (6, 2));

    let before = copies.files("export");
    copies.pull(&service, &["v3"]).await;
    insta::assert_snapshot!(copies.environment.run(&["export", "export", "--output", "json", "-q"]), @r#"
    exit 0
    -- stdout
    {"schema":1,"directory":"export","size":8,"written":2,"compared":0}
    "#);
    let after = copies.files("export");
    for (path, bytes) in before.iter().filter(|(path, _)| *path != "checkpoint") {
        assert_eq!(after.get(path), Some(bytes), "{path}");
    }
    let (_web, url) = copies.mirror("export");
    assert_eq!(audited(&copies, &url).await, (8, 3));
    let key = copies.vkey.to_string();
    let _sound = copies.environment.run(&["audit", "export", "--log-key", &key]).succeeded();
    service.stop();
    let again = copies.environment.run(&["export", "export", "--output", "json"]).succeeded().json();
    assert_eq!(again["written"], 0, "nothing is written twice");
}

#[tokio::test]
async fn an_export_never_covers_another_log_or_a_longer_one() {
    let mut copies = Copies::exported(&["v1"]).await;
    let export = copies.environment.path("export");
    let tile = export.join("tile/0/000.p/4");
    let bytes = fs::read(&tile).unwrap();
    fs::write(&tile, "something else").unwrap();
    insta::assert_snapshot!(copies.environment.run(&["export", "export"]), @"
    exit 2
    -- stderr
    error: `export/tile/0/000.p/4` holds something else than the log; nobody can have written it but by mistake or malice

    hint: keep it to find out who did; export into another directory
    ");
    fs::write(&tile, bytes).unwrap();
    insta::assert_snapshot!(copies.environment.run(&["export", "config.toml"]), @"
    exit 2
    -- stderr
    error: could not create `config.toml`
      caused by 1: File exists (os error 17)

    hint: name a directory where this user may write
    ");

    copies.move_to("other");
    let _made = copies.environment.run(&["init"]).succeeded();
    insta::assert_snapshot!(copies.environment.run(&["export", "export"]), @"
    exit 2
    -- stderr
    error: `export/checkpoint` is not a checkpoint of this log; export into an empty directory
    ");
}

#[tokio::test]
async fn an_export_that_is_longer_than_the_log_says_so_and_how_to_restore_it() {
    let mut copies = Copies::new();
    copies.record(&["v1"]).await;
    fs::create_dir(copies.environment.path("older")).unwrap();
    let _copied = copies.environment.run(&["backup", "older/ledger.db"]).succeeded();
    copies.record(&["v2"]).await;
    let _exported = copies.environment.run(&["export", "export"]).succeeded();
    fs::copy(copies.environment.data_dir().join("log.key"), copies.environment.path("older/log.key"))
        .unwrap();
    copies.move_to("older");
    insta::assert_snapshot!(copies.environment.run(&["export", "export"]), @"
    exit 2
    -- stderr
    error: `export/checkpoint` has 6 leaves, this log only 4: it was rolled back; restore it from there

    hint: `tlogistry restore --from export` does
    ");
}

#[test]
fn without_a_log_nothing_is_exported() {
    let environment = TestEnvironment::new();
    let exported = environment.run(&["export", "export"]);
    assert_eq!((exported.status, exported.stdout.as_str()), (2, ""));
    assert!(exported.stderr.contains("make one with `tlogistry init`"), "{exported}");
    assert!(!environment.path("export").exists());
}
