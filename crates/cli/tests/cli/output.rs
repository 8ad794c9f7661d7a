//! Streams, colour and quiet: data on standard output, everything else on standard error.

use std::fs::File;
use std::process::Stdio;

use crate::environment::TestEnvironment;

#[test]
fn colour_is_asked_for_or_left_out() {
    let mut environment = TestEnvironment::new();
    let colored = |output: crate::environment::Output| output.stderr.contains("\u{1b}[");
    assert!(!colored(environment.run(&["fsck"])), "a pipe is no terminal");
    assert!(colored(environment.run(&["fsck", "--color", "always"])));
    assert!(colored(environment.run(&["--color=always", "srve"])), "also where nothing could be parsed");
    environment.set("CLICOLOR_FORCE", "1");
    assert!(colored(environment.run(&["fsck"])));
    environment.set("NO_COLOR", "1");
    assert!(!colored(environment.run(&["fsck"])));
    assert!(!colored(environment.run(&["fsck", "--color", "never"])));
}

#[test]
fn quiet_leaves_data_and_errors() {
    let environment = TestEnvironment::new();
    let made = environment.run(&["init", "--quiet"]).succeeded();
    assert!(!made.stdout.is_empty() && made.stderr.is_empty(), "{made}");
    assert!(environment.run(&["-qq", "init"]).stderr.starts_with("error: "));
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let environment = TestEnvironment::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        environment.command(&["config", "show"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn a_reader_that_has_enough_does_not_turn_no_into_yes() {
    let environment = TestEnvironment::new();
    let _vkey = environment.run(&["init"]).succeeded();
    std::fs::remove_file(environment.data_dir().join("guard")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = environment.command(&["fsck"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn output_that_is_lost_is_a_failure() {
    let environment = TestEnvironment::new();
    // Only there where a full device is.
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let output = environment.command(&["config", "show"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    error: standard output cannot be written
      caused by 1: No space left on device (os error 28)

    hint: is the disk full that it goes to?
    ");
}
