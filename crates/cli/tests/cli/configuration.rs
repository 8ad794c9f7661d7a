//! Layers of the configuration as the command line shows them, and what is wrong with one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::environment::TestEnvironment;

#[test]
fn a_configuration_is_shown_with_the_origin_of_each_value() {
    let mut environment = TestEnvironment::new();
    let file = "recheck = \"90s\"\nlisten = \"127.0.0.1:1\"\n\n[log]\norigin = \"tlog.example/log\"\n\n\
                [upstreams.\"corp.alt\"]\nurl = \"http://127.0.0.1:5001\"\nusername = \"ci\"\npassword = \"hunter2\"\n\n\
                [[policy]]\nmatch = \"index.docker.io/library/*:latest\"\naction = \"observe\"\n";
    environment.write("config.toml", file);
    environment.set("TLOGISTRY_RECHECK_TIMEOUT", "5s");
    insta::assert_snapshot!(environment.run(&["config", "show", "--listen", "127.0.0.1:2"]), @r#"
    exit 0
    -- stdout
    listen = "127.0.0.1:2"                           # --listen
    public_url = "http://localhost:2/"               # default
    data_dir = "$ROOT/home/.local/state/tlogistry" # default
    recheck = "90s"                                  # $ROOT/config.toml:1
    recheck_timeout = "5s"                           # $TLOGISTRY_RECHECK_TIMEOUT
    on_move = "refuse"                               # default
    on_gone = "refuse"                               # default
    mode = "enforce"                                 # default
    refusal_code = "MANIFEST_UNVERIFIED"             # default
    blobs = "redirect"                               # default
    public = false                                   # default
    anonymous = false                                # default
    publish_names = false                            # default
    upstreams_mode = "open"                          # default
    log_format = "auto"                              # default

    [log]
    origin = "tlog.example/log"                      # $ROOT/config.toml:5
    supersede = "operator"                           # default
    key_file = "$ROOT/home/.local/state/tlogistry/log.key" # default
    guard_file = "$ROOT/home/.local/state/tlogistry/guard" # default

    [limits]
    new_records_per_client_per_day = 10000           # default
    new_records_per_upstream_per_day = 100000        # default
    manifest_bytes_per_day = "2GiB"                  # default
    moved_per_tag_per_day = 16                       # default
    seen_per_tag_per_day = 64                        # default
    min_free = "1GiB"                                # default
    connections = 4096                               # default
    connections_per_client = 1024                    # default
    untaken = "512MiB"                               # default
    untaken_per_client = "128MiB"                    # default
    requests_per_client_per_second = 0               # default

    [upstreams."corp.alt"]
    url = "http://127.0.0.1:5001/"
    username = "ci"
    # a password is set and not shown

    [[policy]]
    match = "index.docker.io/library/*:latest"
    action = "observe"
    "#);
}

#[test]
fn what_is_shown_is_a_configuration_that_means_the_same() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "recheck = \"90s\"\n[[policy]]\nmatch = \"**\"\naction = \"pass\"\n");
    let shown = environment.run(&["config", "show"]).succeeded().stdout;
    environment.write("again.toml", &shown);
    let again = environment.run(&["config", "show", "--config", "again.toml"]).succeeded().stdout;
    let values =
        |text: &str| text.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect();
    let (shown, again): (Vec<_>, Vec<_>) = (values(&shown), values(&again));
    assert_eq!(shown, again);
}

#[test]
fn programs_get_values_and_origins_by_key() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "[limits]\nmin_free = \"2GiB\"\n");
    let shown =
        environment.run(&["config", "show", "--data-dir", "/data", "--output", "json"]).succeeded().json();
    assert_eq!(shown["schema"], 1);
    assert_eq!(shown["values"]["data_dir"], "/data");
    assert_eq!(shown["values"]["limits"]["min_free"], "2GiB");
    assert_eq!(shown["origins"]["data_dir"], "--data-dir");
    assert_eq!(
        shown["origins"]["limits.min_free"],
        format!("{}:2", environment.path("config.toml").display())
    );
    assert_eq!(shown["origins"]["listen"], "default");
}

#[test]
fn a_valid_configuration_is_said_to_be_valid() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 0
    -- stderr
    `$ROOT/config.toml` is valid
    ");
    insta::assert_snapshot!(environment.run(&["config", "check", "--output", "json"]), @r#"
    exit 0
    -- stdout
    {"schema":1,"valid":true,"file":"$ROOT/config.toml"}
    "#);
}

#[test]
fn an_unknown_key_is_answered_with_place_and_nearest_key() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "listen = \"127.0.0.1:1\"\n\n[log]\n  orign = \"tlog.example/log\"\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: $ROOT/config.toml:4:3: unknown field `orign`, expected one of <keys>

    hint: did you mean `origin`?
    ");
}

#[test]
fn a_wrong_value_is_answered_with_place_and_form() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "recheck = \"often\"\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: $ROOT/config.toml:1:11: `often` is not a length of time such as `500ms`, `2s`, `10m`, `1h` or `3d`
    ");
    environment
        .write("config.toml", "[[policy]]\nmatch = \"docker.io/library/*:latest\"\naction = \"observe\"\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: $ROOT/config.toml:2:9: `docker.io/library/*:latest` names Docker Hub as `docker.io`; the log writes it `index.docker.io`, so write that
    ");
    environment.write("config.toml", "listen = 8080\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: $ROOT/config.toml:1:10: invalid type: integer `8080`, expected socket address
    ");
    environment.write("config.toml", "listen \"127.0.0.1:1\"\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: $ROOT/config.toml:1:8: key with no value, expected `=`
    ");
}

#[test]
fn a_wrong_variable_is_named() {
    let mut environment = TestEnvironment::new();
    environment.set("TLOGISTRY_LISTEN", "9000");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: environment variable `TLOGISTRY_LISTEN`: `9000`: invalid socket address syntax

    hint: set it to `127.0.0.1:8080`, or `unset TLOGISTRY_LISTEN` to use the configuration file's value or the default
    ");
    environment.set("TLOGISTRY_LISTEN", "");
    environment.set("TLOGISTRY_ON_MOVE", "ignore");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: environment variable `TLOGISTRY_ON_MOVE`: unknown variant `ignore`, expected `refuse` or `serve-recorded`

    hint: `unset TLOGISTRY_ON_MOVE` to use the configuration file's value or the default
    ");
    environment.set("PORT", "http");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: environment variable `PORT`: `http` is not a port: invalid digit found in string

    hint: `unset PORT` to use the configuration file's value or the default
    ");
}

#[test]
fn a_variable_that_is_no_text_is_never_taken_for_unset() {
    let environment = TestEnvironment::new();
    let mut command = environment.command(&["config", "check"]);
    let output = command.env("TLOGISTRY_DATA_DIR", OsStr::from_bytes(b"/data/\xff")).output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    error: environment variable `TLOGISTRY_DATA_DIR` is not UTF-8

    hint: `unset TLOGISTRY_DATA_DIR`, or give it a value of UTF-8
    ");
}

#[test]
fn a_missing_file_is_an_error_and_not_the_defaults() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["config", "check", "--config", "nowhere.toml"]), @"
    exit 2
    -- stderr
    error: configuration file `nowhere.toml` cannot be read
      caused by 1: No such file or directory (os error 2)

    hint: name another with `--config FILE`, or leave it out to use the defaults
    ");
}

#[test]
fn credentials_that_anybody_could_use_are_refused_with_the_ways_out() {
    let environment = TestEnvironment::new();
    let file =
        "listen = \"0.0.0.0:80\"\n[upstreams.\"corp.alt\"]\nusername = \"ci\"\npassword = \"hunter2\"\n";
    environment.write("config.toml", file);
    insta::assert_snapshot!(environment.run(&["config", "check"]), @r#"
    exit 2
    -- stderr
    error: `listen = "0.0.0.0:80"` is open to the network and the upstreams `corp.alt` have credentials: anyone who reaches this address could read what they can

    hint: let clients log in (`[auth] users_file`), listen on loopback behind something that lets them, or accept it with `anonymous = true`
    "#);
    environment
        .write("config.toml", "[upstreams.\"corp.alt\"]\nusername = \"ci\"\npassword_file = \"nowhere\"\n");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: `password_file` of upstream `corp.alt`: `nowhere` cannot be used
      caused by 1: No such file or directory (os error 2)

    hint: the file holds the password on its first line and is readable by this user
    ");
}

#[test]
fn without_any_home_the_data_directory_is_asked_for() {
    let mut environment = TestEnvironment::new();
    environment.set("HOME", "");
    insta::assert_snapshot!(environment.run(&["config", "check"]), @"
    exit 2
    -- stderr
    error: no data directory: neither `data_dir`, `$STATE_DIRECTORY`, `$XDG_STATE_HOME` nor `$HOME` is set; name one with `--data-dir DIR`
    ");
}
