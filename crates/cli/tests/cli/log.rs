//! `init`, `fsck` and `backup` on a data directory that no server has open.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::environment::TestEnvironment;

/// With a log in it.
fn environment() -> TestEnvironment {
    let environment = TestEnvironment::new();
    let _vkey = environment.run(&["init"]).succeeded();
    environment
}

#[test]
fn init_makes_a_log_and_prints_its_key() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["init"]), @"
    exit 0
    -- stdout
    localhost:8080/log+<id>+<key>
    -- stderr
    made the log `localhost:8080/log` in `$ROOT/home/.local/state/tlogistry`; `tlogistry serve` starts it
    keep a copy of its key, `$ROOT/home/.local/state/tlogistry/log.key`, in another place: nothing can replace it
    ");
    let mode = |name| fs::metadata(environment.data_dir().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("log.key"), 0o600);
    assert_eq!(mode("ledger.db"), 0o600);
}

#[test]
fn init_tells_programs_where_everything_is() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "[log]\norigin = \"tlog.example/log\"\nguard_file = \"guard\"\n");
    insta::assert_snapshot!(environment.run(&["init", "--output", "json", "--quiet"]), @r#"
    exit 0
    -- stdout
    {"schema":1,"origin":"tlog.example/log","verifier_key":"tlog.example/log+<id>+<key>","data_dir":"$ROOT/home/.local/state/tlogistry","key_file":"$ROOT/home/.local/state/tlogistry/log.key","guard_file":"guard"}
    "#);
}

#[test]
fn init_names_the_log_after_the_address_where_no_name_is_configured() {
    let environment = TestEnvironment::new();
    let made = environment.run(&["init", "--listen", "127.0.0.1:9000"]).succeeded();
    assert!(made.stdout.starts_with("localhost:9000/log+"), "{made}");
}

#[test]
fn init_never_makes_a_log_over_another() {
    let environment = environment();
    insta::assert_snapshot!(environment.run(&["init"]), @"
    exit 2
    -- stderr
    error: `$ROOT/home/.local/state/tlogistry/ledger.db` exists already: a log is never made over the remains of another; move it away if it is not needed

    hint: if it is the log that you want, `tlogistry serve` opens it
    ");
    fs::remove_file(environment.data_dir().join("ledger.db")).unwrap();
    insta::assert_snapshot!(environment.run(&["init"]), @"
    exit 2
    -- stderr
    error: `$ROOT/home/.local/state/tlogistry/log.key` exists already: a log is never made over the remains of another; move it away if it is not needed

    hint: if it is the log that you want, `tlogistry serve` opens it
    ");
}

#[test]
fn init_says_where_it_could_not_write() {
    let environment = TestEnvironment::new();
    environment.write("file", "");
    insta::assert_snapshot!(environment.run(&["init", "--data-dir", "file/data"]), @"
    exit 2
    -- stderr
    error: could not write `file/data`
      caused by 1: Not a directory (os error 20)

    hint: choose a place that this user may write to with `--data-dir DIR`
    ");
}

#[test]
fn fsck_of_a_sound_log_says_yes() {
    let environment = environment();
    insta::assert_snapshot!(environment.run(&["fsck"]), @"
    exit 0
    -- stderr
    `$ROOT/home/.local/state/tlogistry` is sound (leaves: 2, tags: 0, manifests: 0)
    ");
    insta::assert_snapshot!(environment.run(&["fsck", "--output", "json", "-q"]), @r#"
    exit 0
    -- stdout
    {"schema":1,"sound":true,"leaves":2,"tags":0,"manifests":0,"findings":[],"unlisted":0}
    "#);
}

#[test]
fn fsck_prints_one_finding_a_line_and_says_no() {
    let environment = environment();
    fs::remove_file(environment.data_dir().join("log.key")).unwrap();
    fs::remove_file(environment.data_dir().join("guard")).unwrap();
    insta::assert_snapshot!(environment.run(&["fsck"]), @r#"
    exit 1
    -- stdout
    the rollback guard `$ROOT/home/.local/state/tlogistry/guard` is missing
    the log key `$ROOT/home/.local/state/tlogistry/log.key` is missing: recorded tags are served, nothing new is recorded; put the key back and restart
    -- stderr
    `$ROOT/home/.local/state/tlogistry` is NOT sound (leaves: 2, tags: 0, manifests: 0, findings: 2)
    "#);
    insta::assert_snapshot!(environment.run(&["fsck", "--output", "json", "-q"]), @r#"
    exit 1
    -- stdout
    {"schema":1,"sound":false,"leaves":2,"tags":0,"manifests":0,"findings":["the rollback guard `$ROOT/home/.local/state/tlogistry/guard` is missing","the log key `$ROOT/home/.local/state/tlogistry/log.key` is missing: recorded tags are served, nothing new is recorded; put the key back and restart"],"unlisted":0}
    "#);
}

#[test]
fn fsck_of_a_missing_database_asks_for_the_volume() {
    let environment = environment();
    fs::remove_file(environment.data_dir().join("ledger.db")).unwrap();
    insta::assert_snapshot!(environment.run(&["fsck"]), @"
    exit 2
    -- stderr
    error: `$ROOT/home/.local/state/tlogistry/ledger.db` is missing although the key and guard of its log can be found: is the volume of the data directory mounted? A new history is never begun in its place; restore it with `tlogistry restore --from EXPORT|URL`
    ");
}

#[test]
fn fsck_of_something_that_is_no_database_says_what_to_put_there() {
    let environment = environment();
    fs::write(environment.data_dir().join("ledger.db"), "these bytes are no database".repeat(500)).unwrap();
    insta::assert_snapshot!(environment.run(&["fsck"]), @"
    exit 2
    -- stderr
    error: the database cannot be read at all
      caused by 1: the ledger's database could not set up the connection
      caused by 2: file is not a database

    hint: put the newest `tlogistry backup` in its place; the rollback guard knows whether any record is missing from it
    ");
}

#[test]
fn a_backup_is_a_new_file_and_never_replaces_one() {
    let environment = environment();
    insta::assert_snapshot!(environment.run(&["backup", "copy.db"]), @"
    exit 0
    -- stderr
    copied the log to `copy.db` (<n> bytes)
    its key is not in it: keep a copy of `$ROOT/home/.local/state/tlogistry/log.key` elsewhere
    ");
    insta::assert_snapshot!(environment.run(&["backup", "copy.db"]), @"
    exit 2
    -- stderr
    error: could not create `copy.db`
      caused by 1: File exists (os error 17)

    hint: a backup never overwrites anything: name another file
    ");
    insta::assert_snapshot!(environment.run(&["backup", "missing/copy.db"]), @"
    exit 2
    -- stderr
    error: could not create `missing/copy.db`
      caused by 1: No such file or directory (os error 2)

    hint: make the directory of the file first
    ");
    let copied = environment.run(&["backup", "second.db", "--output", "json", "-q"]).succeeded().json();
    assert_eq!(copied["bytes"], fs::metadata(environment.path("second.db")).unwrap().len());
}

#[test]
fn a_tag_that_was_never_pulled_cannot_be_changed() {
    let environment = environment();
    insta::assert_snapshot!(environment.run(&["thaw", "alpine:3", "--reason", "x"]), @"
    exit 2
    -- stderr
    error: `index.docker.io/library/alpine:3` is not recorded here, so there is nothing to change; a pull records it
    ");
}

#[test]
fn a_log_that_was_made_for_ever_refuses_to_be_changed() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "[log]\nsupersede = \"never\"\n");
    let _vkey = environment.run(&["init"]).succeeded();
    insta::assert_snapshot!(environment.run(&["thaw", "alpine:3", "--reason", "x"]), @"
    exit 2
    -- stderr
    error: this log was created with `supersede=never`: no record of it can ever be changed
    ");
}
