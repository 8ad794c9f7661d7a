//! What `--help` says, for every verb: one file, which is the reference of the command line.

use crate::environment::TestEnvironment;

/// The page of one verb and those of all below it.
fn pages(environment: &TestEnvironment, verb: &[&str], text: &mut String) {
    let output = environment.run(&[verb, &["--help"]].concat()).succeeded();
    assert_eq!(output.stderr, "");
    let lines: Vec<&str> = output.stdout.lines().map(str::trim_end).collect();
    text.push_str(&format!("# {}\n\n{}\n\n", [&["tlogistry"], verb].concat().join(" "), lines.join("\n")));
    let commands =
        lines.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        pages(environment, &[verb, &[command]].concat(), text);
    }
}

#[test]
fn the_reference_of_the_command_line_is_up_to_date() {
    let mut text = String::new();
    pages(&TestEnvironment::new(), &[], &mut text);
    insta::assert_snapshot!("reference", text);
}

#[test]
fn short_help_fits_a_screen() {
    let environment = TestEnvironment::new();
    for verb in [vec![], vec!["serve"], vec!["supersede"], vec!["config", "show"]] {
        let output = environment.run(&[verb, vec!["-h"]].concat()).succeeded();
        assert!(output.stdout.lines().count() <= 40, "{output}");
    }
}

#[test]
fn without_a_verb_the_help_is_an_error() {
    let environment = TestEnvironment::new();
    let output = environment.run(&[]);
    assert_eq!((output.status, output.stdout.as_str()), (2, ""));
    assert!(output.stderr.contains("Usage: tlogistry"), "{output}");
}

#[test]
fn the_version_is_data() {
    let output = TestEnvironment::new().run(&["--version"]);
    assert_eq!(output.stdout, format!("tlogistry {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(output.status, 0);
}
