//! `restore`: a data directory rebuilt from an export, a mirror, or a running service; and every copy that is refused.

use std::fs;

use testkit::{FakeRegistry, Image, Kind, wire};

use crate::copies::{Copies, manifest};
use crate::service::Service;

/// Records enough that the log has a full bundle.
async fn long() -> Copies {
    let tags: Vec<String> = (0..130).map(|i| format!("t{i}")).collect();
    Copies::exported(&tags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// That the log in the data directory is the one of the export, and goes on.
async fn assert_goes_on(copies: &Copies) {
    let before = copies.checkpoint("export");
    let _exported = copies.environment.run(&["export", "after"]).succeeded();
    let after = copies.checkpoint("after");
    assert_eq!(after.verify(&copies.vkey).unwrap(), before.verify(&copies.vkey).unwrap());
    let mut before = copies.files("export");
    before.remove("checkpoint");
    let mut after = copies.files("after");
    after.remove("checkpoint");
    assert_eq!(before, after);
    let checked = copies.environment.run(&["fsck", "--output", "json"]).succeeded().json();
    assert_eq!(checked["sound"], true);

    let mut service = Service::start(&copies.environment);
    copies.registry.forget();
    let recorded = Image::oci("t7").digest;
    let reply = wire::get(&manifest(&service, "t7")).await;
    assert_eq!((reply.status, reply.header("tlog-first-seen")), (200, None));
    assert_eq!(reply.header("docker-content-digest"), Some(recorded.as_str()));
    let asked = copies.registry.requests_of(Kind::Manifest);
    let by_digest =
        |request: &&testkit::RecordedRequest| request.reference.as_deref() == Some(recorded.as_str());
    assert!(asked.iter().any(|request| by_digest(&request)), "{asked:?}");
    // It is kept now; without the registry it is still there.
    copies.registry.stop();
    assert_eq!(wire::get(&manifest(&service, "t7")).await.status, 200);
    copies.registry.restart();
    copies.registry.push_image("team/app", "t8", &Image::oci("moved"));
    let moved = wire::get(&manifest(&service, "t8")).await;
    assert_eq!(moved.status, 403);
    assert_eq!(moved.header("tlog-recorded-digest"), Some(Image::oci("t8").digest.as_str()));
    copies.pull(&service, &["new"]).await;
    service.stop();
    let _exported = copies.environment.run(&["export", "export"]).succeeded();
    assert_eq!(copies.checkpoint("export").checkpoint().size, 266);
}

#[tokio::test]
async fn a_log_is_restored_from_an_export_into_an_empty_directory_with_its_key() {
    let mut copies = long().await;
    copies.move_with("restored", &["log.key"]);
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the rollback guard `$ROOT/restored/guard` is missing, and only the guard knows whether a copy is the newest: a log restored from an older one would have two histories

    hint: put it (or its volume) back; if it is lost for good, ask the log's witnesses, auditors and mirrors whether the copy is the newest (`tlogistry audit EXPORT|URL --compare URL`), then add `--guard-lost`
    ");
    for file in ["ledger.db", "guard"] {
        assert!(!copies.environment.path("restored").join(file).exists(), "{file}");
    }
    let restored = copies.environment.run(&["restore", "--from", "export", "--guard-lost"]);
    assert_eq!(restored.stdout, format!("{}\n", copies.vkey));
    insta::assert_snapshot!(restored, @"
    exit 0
    -- stdout
    tlog.example/log+<id>+<key>
    -- stderr
    restored the log `tlog.example/log` in `$ROOT/restored`: 262 leaves, 130 tags
    its manifests were in no copy: each comes back with the next pull of its tag, as long as upstream has it
    its rollback guard was LOST, and nothing here knows whether this copy is the newest: ask the log's witnesses, auditors and mirrors before it signs anything
    `tlogistry audit export --compare URL` asks one of them
    ");
    assert_goes_on(&copies).await;
}

#[tokio::test]
async fn a_log_is_restored_from_a_mirror_beside_its_guard() {
    let mut copies = long().await;
    copies.move_with("restored", &["log.key", "guard"]);
    let (_web, url) = copies.mirror("export");
    insta::assert_snapshot!(
        copies.environment.run(&["restore", "--from", &url, "--output", "json"]),
        @r#"
    exit 0
    -- stdout
    {"schema":1,"origin":"tlog.example/log","verifier_key":"tlog.example/log+<id>+<key>","data_dir":"$ROOT/restored","size":262,"tags":130,"guarded":true}
    -- stderr
    restored the log `tlog.example/log` in `$ROOT/restored`: 262 leaves, 130 tags
    its manifests were in no copy: each comes back with the next pull of its tag, as long as upstream has it
    its rollback guard knows of no leaf that the copy lacks; ask the log's witnesses all the same, if the guard is a copy itself
    "#
    );
    assert_goes_on(&copies).await;
}

#[tokio::test]
async fn a_running_service_can_be_copied_by_its_url() {
    let mut copies = Copies::new();
    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v1", "v2"]).await;
    let (url, log) = (service.url.clone(), format!("{}/log", service.url));
    for (directory, url) in [("one", url), ("two", log)] {
        copies.move_with(directory, &["log.key"]);
        let arguments = ["restore", "--from", &url, "--guard-lost", "--output", "json", "-q"];
        let restored = copies.environment.run(&arguments).succeeded().json();
        assert_eq!((&restored["size"], &restored["tags"]), (&6.into(), &2.into()));
        assert_eq!(restored["verifier_key"], copies.vkey.to_string());
    }
    service.stop();
}

#[tokio::test]
async fn a_copy_older_than_the_guard_is_refused() {
    let mut copies = Copies::exported(&["v1"]).await;
    copies.record(&["v2"]).await;
    copies.move_with("restored", &["log.key", "guard"]);
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the copy holds 4 leaves, but 6 were committed: a log restored from it would have two histories; find a newer copy, or begin another log, of another name, with `tlogistry init`
    ");
    assert!(!copies.environment.path("restored/ledger.db").exists());
}

#[tokio::test]
async fn a_copy_that_somebody_changed_is_refused() {
    let mut copies = Copies::exported(&["v1", "v2"]).await;
    copies.move_with("restored", &["log.key", "guard"]);
    let bundle = copies.environment.path("export/tile/entries/000.p/6");
    let whole = fs::read(&bundle).unwrap();
    let place = whole.windows(4).position(|bytes| bytes == b" v1 ").unwrap();
    let mut tampered = whole.clone();
    tampered[place + 2] = b'9';
    fs::write(&bundle, tampered).unwrap();
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the copy is not a log of ours
      caused by 1: leaf 3 breaks rule I: index leaf does not match the replayed map

    hint: somebody or something has changed the copy; find another one
    ");
    let (_web, url) = copies.mirror("export");
    let refused = copies.environment.run(&["restore", "--from", &url]);
    assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("leaf 2 of `tile/entries/000.p/6` hashes to"), "{refused}");
    fs::write(&bundle, &whole[..whole.len() - 1]).unwrap();
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: leaf 0 of the copy cannot be read
      caused by 1: entry bundle: it ends within a leaf

    hint: the same command begins anew; another copy may be whole
    ");
    fs::write(&bundle, whole).unwrap();
    let checkpoint = copies.environment.path("export/checkpoint");
    let signed = fs::read_to_string(&checkpoint).unwrap();
    fs::write(&checkpoint, signed.replace("\n6\n", "\n4\n")).unwrap();
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the copy's checkpoint is not one that this log key has signed
      caused by 1: the signature of `tlog.example/log` does not verify

    hint: is the key that of this very log, and the copy one of it?
    ");
    assert!(!copies.environment.path("restored/ledger.db").exists());
    fs::write(&checkpoint, signed).unwrap();
    let _restored = copies.environment.run(&["restore", "--from", "export"]).succeeded();
}

#[tokio::test]
async fn what_a_restore_lacks_is_asked_for() {
    let mut copies = Copies::exported(&["v1"]).await;
    insta::assert_snapshot!(copies.environment.run(&["restore"]), @"
    exit 2
    -- stderr
    error: the following required arguments were not provided:
      --from <EXPORT|URL>

    hint: write it as `tlogistry restore --from <EXPORT|URL>`; `--help` says more
    ");
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: `$ROOT/home/.local/state/tlogistry/ledger.db` exists: a database is never overwritten; move it away first, and keep it until the restored log has been checked
    ");
    copies.move_to("restored");
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the log key `$ROOT/restored/log.key` is missing: only a log whose key there is can be restored

    hint: put the copy of the key back there, or name it with `[log] key_file`
    ");
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "nowhere"]), @"
    exit 2
    -- stderr
    error: could not read `nowhere/checkpoint`
      caused by 1: No such file or directory (os error 2)

    hint: name a directory that `tlogistry export` wrote, or the URL of a mirror, such as `https://mirror.example/log`
    ");
    let (web, _) = copies.mirror("export");
    let elsewhere = format!("{}/files/elsewhere", web.url());
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", &elsewhere]), @"
    exit 2
    -- stderr
    error: `http://127.0.0.1:<port>/files/elsewhere/checkpoint` is not there; is this the prefix of a log, and is its copy complete?
    ");
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "ftp://mirror.example"]), @"
    exit 2
    -- stderr
    error: `ftp://mirror.example` is neither an http(s) URL nor a directory; write the log's prefix, such as `https://tlog.example/log`, or the directory of an export
    ");
    copies.configure("origin = \"other.example/log\"");
    let _key =
        fs::copy(copies.environment.data_dir().join("log.key"), copies.environment.path("restored/log.key"));
    insta::assert_snapshot!(copies.environment.run(&["restore", "--from", "export"]), @"
    exit 2
    -- stderr
    error: the copy is of the log `tlog.example/log`, but the configuration says `other.example/log`; correct `[log] origin`
    ");
}

#[tokio::test]
async fn whether_a_copy_is_the_newest_can_be_asked_of_others() {
    let copies = Copies::exported(&["v1"]).await;
    let mut service = Service::start(&copies.environment);
    copies.pull(&service, &["v2"]).await;
    let witness = FakeRegistry::start_blocking();
    let checkpoint = fs::read(copies.environment.path("export/checkpoint")).unwrap();
    let log = tlog::Hash::of("tlog.example/log").to_hex();
    witness.push_file(&format!("{log}/checkpoint"), checkpoint, "text/plain");
    let (witness, key) = (format!("{}/files", witness.url()), copies.vkey.to_string());
    let nobody = format!("{}/files", copies.registry.url());
    let mut arguments = vec!["audit", "export", "--log-key", &key];
    arguments.extend([&service.url, &witness, &nobody].map(|url| ["--compare", url]).concat());
    let compared = copies.environment.run(&arguments);
    assert_eq!(compared.status, 2, "{compared}");
    for said in [
        format!("`{}/` is AHEAD: it shows 6 leaves, and they continue these", service.url),
        format!("`{witness}/` shows the same history, 4 leaves of it"),
        format!("`{nobody}/` could not be compared"),
        "error: the log could not be compared with".to_owned(),
    ] {
        assert!(compared.stderr.contains(&said), "{said} in {compared}");
    }
    service.stop();
}
