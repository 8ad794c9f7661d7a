//! What a person reads who typed something wrong: every error says what to do about it.

use crate::environment::TestEnvironment;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_mistyped_verb_is_answered_with_the_right_one() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["srve"]), @"
    exit 2
    -- stderr
    error: unrecognized subcommand 'srve'

    hint: a similar subcommand exists: 'serve'
    ");
    insta::assert_snapshot!(environment.run(&["policy", "tset", "alpine"]), @"
    exit 2
    -- stderr
    error: unrecognized subcommand 'tset'

    hint: a similar subcommand exists: 'test'
    ");
    insta::assert_snapshot!(environment.run(&["frobnicate"]), @"
    exit 2
    -- stderr
    error: unrecognized subcommand 'frobnicate'

    hint: write it as `tlogistry [OPTIONS] <COMMAND>`; `--help` says more
    ");
}

#[test]
fn a_mistyped_flag_is_answered_with_the_right_one() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["serve", "--lisen", "127.0.0.1:1"]), @"
    exit 2
    -- stderr
    error: unexpected argument '--lisen' found

    hint: a similar argument exists: '--listen'
    ");
    insta::assert_snapshot!(environment.run(&["fsck", "--everything"]), @"
    exit 2
    -- stderr
    error: unexpected argument '--everything' found

    hint: write it as `tlogistry fsck [OPTIONS]`; `--help` says more
    ");
    insta::assert_snapshot!(environment.run(&["--output", "yaml", "fsck"]), @"
    exit 2
    -- stderr
    error: invalid value 'yaml' for '--output <FORM>'
      [possible values: text, json]

    hint: `--help` explains every argument
    ");
    insta::assert_snapshot!(environment.run(&["fsck", "--data-dir"]), @"
    exit 2
    -- stderr
    error: a value is required for '--data-dir <DIR>' but none was supplied

    hint: `--help` explains every argument
    ");
}

#[test]
fn what_is_left_out_is_asked_for() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["thaw", "alpine:3.20"]), @"
    exit 2
    -- stderr
    error: the following required arguments were not provided:
      --reason <TEXT>

    hint: write it as `tlogistry thaw --reason <TEXT> <REF>`; `--help` says more
    ");
    insta::assert_snapshot!(environment.run(&["backup"]), @"
    exit 2
    -- stderr
    error: the following required arguments were not provided:
      <FILE>

    hint: write it as `tlogistry backup <FILE>`; `--help` says more
    ");
}

#[test]
fn an_address_needs_an_ip_and_a_port() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["serve", "--listen", "9000"]), @"
    exit 2
    -- stderr
    error: `--listen <ADDR>`: `9000` is not an IP address with a port

    hint: write `127.0.0.1:9000`, or `0.0.0.0:9000` to open it to the network
    ");
    insta::assert_snapshot!(environment.run(&["serve", "--listen", "localhost:9000"]), @"
    exit 2
    -- stderr
    error: `--listen <ADDR>`: `localhost:9000` is not an IP address with a port

    hint: write `127.0.0.1:9000`, or `0.0.0.0:9000` to open it to the network
    ");
}

#[test]
fn a_reference_in_upper_case_is_answered_with_the_right_one() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["policy", "test", "ghcr.io/Org/App:V1"]), @"
    exit 2
    -- stderr
    error: `<REF>`: `Org/App` holds upper case letters; repositories are lower case

    hint: did you mean `ghcr.io/org/app:V1`?
    ");
}

#[test]
fn a_text_that_is_no_reference_is_refused_with_an_example() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["policy", "test", "https://ghcr.io/org/app"]), @"
    exit 2
    -- stderr
    error: `<REF>`: `https://ghcr.io/org/app` is a URL; leave out `https://`

    hint: did you mean `ghcr.io/org/app`?
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", ""]), @"
    exit 2
    -- stderr
    error: `<REF>`: an empty reference; write one such as `alpine:3.20` or `ghcr.io/org/app:v1`

    hint: write it as for `docker pull`; without a tag it means `:latest`
    ");
}

#[test]
fn a_digest_where_a_tag_belongs_is_answered_with_the_tag() {
    let environment = TestEnvironment::new();
    let reference = format!("alpine@{DIGEST}");
    insta::assert_snapshot!(environment.run(&["policy", "test", &reference]), @"
    exit 2
    -- stderr
    error: `<REF>`: `alpine@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` names a digest, which no tag has to stand for

    hint: name a tag instead, such as `index.docker.io/library/alpine:latest`
    ");
    let reference = format!("alpine:3.20@{DIGEST}");
    insta::assert_snapshot!(environment.run(&["policy", "test", &reference]), @"
    exit 2
    -- stderr
    error: `<REF>`: `alpine:3.20@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` names a digest, which no tag has to stand for

    hint: name the tag alone: `index.docker.io/library/alpine:3.20`
    ");
}

#[test]
fn a_re_pin_needs_a_whole_digest_and_a_reason() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["supersede", "alpine:3", "sha256:abc", "--reason", "x"]), @"
    exit 2
    -- stderr
    error: `<DIGEST>`: `sha256:abc` is not a digest; write `sha256:` and 64 lower-case hexadecimal digits

    hint: `docker buildx imagetools inspect REF` and `skopeo inspect REF` print the digest of a tag
    ");
    insta::assert_snapshot!(environment.run(&["supersede", "alpine:3", DIGEST, "--reason", ""]), @r#"
    exit 2
    -- stderr
    error: `--reason <TEXT>`: a reason is 1 to 1024 printable ASCII characters without a space at either end

    hint: everybody can read it in the log for ever; write something such as "rebuilt by the publisher, ticket 17"
    "#);
}

#[test]
fn without_a_log_every_verb_that_needs_one_says_how_to_make_it() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["fsck"]), @"
    exit 2
    -- stderr
    error: there is no log in `$ROOT/home/.local/state/tlogistry`; make one with `tlogistry init`

    hint: another data directory is named with `--data-dir DIR`; `tlogistry config show` says where this one came from
    ");
    for arguments in [&["backup", "copy.db"][..], &["thaw", "alpine:3", "--reason", "x"]] {
        assert_eq!(environment.run(arguments).to_string(), environment.run(&["fsck"]).to_string());
    }
}

#[test]
fn a_log_whose_key_should_be_there_is_not_made_by_itself() {
    let environment = TestEnvironment::new();
    environment.write("config.toml", "[log]\nkey_file = \"/nonexistent/log.key\"\n");
    insta::assert_snapshot!(environment.run(&["serve", "--listen", "127.0.0.1:0"]), @"
    exit 2
    -- stderr
    error: there is no log in `$ROOT/home/.local/state/tlogistry`, and none is made by itself where `[log] key_file` names a key that should exist

    hint: make one with `tlogistry init`, once; if there should be one, is the volume of the data directory mounted?
    ");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let environment = TestEnvironment::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    insta::assert_snapshot!(environment.run(&["serve", "--listen", &address]), @"
    exit 2
    -- stderr
    error: cannot listen on `127.0.0.1:<port>`
      caused by 1: Address already in use (os error 98)

    hint: another program listens there; stop it, or choose another address with `--listen`
    ");
}
