//! Completions and manual pages.

use crate::environment::TestEnvironment;

#[test]
fn every_shell_gets_a_script_that_knows_the_verbs() {
    let environment = TestEnvironment::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = environment.run(&["completions", shell]).succeeded();
        assert!(script.stdout.contains("tlogistry") && script.stdout.contains("supersede"), "{shell}");
        assert_eq!(script.stderr, "");
    }
    insta::assert_snapshot!(environment.run(&["completions", "bsh"]), @"
    exit 2
    -- stderr
    error: invalid value 'bsh' for '<SHELL>'
      [possible values: bash, elvish, fish, powershell, zsh]

    hint: a similar value exists: 'bash'
    ");
}

#[test]
fn the_manual_says_what_an_exit_status_means() {
    let page = TestEnvironment::new().run(&["man"]).succeeded().stdout;
    assert!(page.starts_with(".ie ") && page.contains(".TH tlogistry 1"), "{page}");
    assert!(page.contains("the answer is no"), "{page}");
    assert!(page.is_ascii(), "older formatters read nothing else");
}

#[test]
fn packages_get_one_page_for_each_verb() {
    let environment = TestEnvironment::new();
    insta::assert_snapshot!(environment.run(&["man", "--dir", "man"]), @"
    exit 2
    -- stderr
    error: cannot write manual pages into `man`
      caused by 1: No such file or directory (os error 2)

    hint: make the directory first
    ");
    std::fs::create_dir(environment.path("man")).unwrap();
    let _written = environment.run(&["man", "--dir", "man"]).succeeded();
    for page in ["tlogistry.1", "tlogistry-serve.1", "tlogistry-config-show.1"] {
        assert!(environment.path("man").join(page).exists(), "{page}");
    }
    assert!(!environment.path("man/tlogistry-man.1").exists(), "what is hidden has no page");
}
