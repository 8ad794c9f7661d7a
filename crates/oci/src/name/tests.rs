//! Spellings and their one canonical form.

use proptest::prelude::*;

use super::*;

fn canonical(path: &str) -> String {
    Name::canonicalize(path).unwrap().to_string()
}

#[test]
fn every_spelling_of_an_image_has_one_canonical_name() {
    for (spelling, expected) in [
        ("alpine", "index.docker.io/library/alpine"),
        ("library/alpine", "index.docker.io/library/alpine"),
        ("docker.io/alpine", "index.docker.io/library/alpine"),
        ("index.docker.io/library/alpine", "index.docker.io/library/alpine"),
        ("registry-1.docker.io/org/app", "index.docker.io/org/app"),
        ("registry.hub.docker.com/org/app", "index.docker.io/org/app"),
        ("GHCR.io/org/app", "ghcr.io/org/app"),
        ("ghcr.io./org/app", "ghcr.io/org/app"),
        ("ghcr.io:443/org/app", "ghcr.io/org/app"),
        ("Docker.IO:443/alpine", "index.docker.io/library/alpine"),
        ("reg.example:5000/x/y-z", "reg.example:5000/x/y-z"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("corp.alt/team/app", "corp.alt/team/app"),
        ("xn--bcher-kva.example/a", "xn--bcher-kva.example/a"),
        ("org/app", "index.docker.io/org/app"),
        ("a__b/c--d", "index.docker.io/a__b/c--d"),
    ] {
        assert_eq!(canonical(spelling), expected, "{spelling}");
    }
}

#[test]
fn what_names_no_image_is_refused_with_the_way_out() {
    for (wrong, words) in [
        ("", "not a repository"),
        ("ghcr.io/", "not a repository"),
        ("ghcr.io/Org/app", "lower case"),
        ("ghcr.io/org//app", "not a repository"),
        ("ghcr.io/../app", "not a repository"),
        ("ghcr.io/a___b", "not a repository"),
        ("ghcr.io/a..b", "not a repository"),
        ("ghcr.io/-a", "not a repository"),
        ("bücher.example/a", "xn--"),
        ("ghcr.io/org:5000/app", "[upstreams."),
        ("-a.example/x", "host of a registry"),
        ("a..example/x", "host of a registry"),
        ("reg.example:0/x", "host of a registry"),
        ("reg.example:65536/x", "host of a registry"),
        ("reg.example:050/x", "host of a registry"),
        ("docker.io:5000/x", "host of a registry"),
        (":5000/x", "host of a registry"),
        ("[::1]:5000/x", "host of a registry"),
    ] {
        let message = Name::canonicalize(wrong).unwrap_err().to_string();
        assert!(message.contains(words), "{wrong}: {message}");
    }
    let long = format!("ghcr.io/{}", "a".repeat(248));
    assert_eq!(Name::canonicalize(&long), Err(NameError::TooLong(256)));
    assert!(Name::canonicalize(&long[..255]).is_ok());
}

#[test]
fn only_the_canonical_spelling_parses_as_canonical() {
    assert!(Name::parse_canonical("index.docker.io/library/alpine").is_ok());
    let error = Name::parse_canonical("docker.io/alpine").unwrap_err();
    assert!(error.to_string().contains("write `index.docker.io/library/alpine`"));
}

#[test]
fn a_name_knows_its_parts() {
    let name = Name::canonicalize("alpine").unwrap();
    assert_eq!((name.host().as_str(), name.repository()), ("index.docker.io", "library/alpine"));
}

#[test]
fn tags_follow_their_grammar() {
    for good in ["latest", "3.16.0", "_x", "A", "v1-rc.1", &"a".repeat(128)] {
        assert_eq!(Tag::parse(good).unwrap().as_str(), good);
    }
    for wrong in ["", ".x", "-x", "a:b", "a/b", "a b", "a%3A", "ä", &"a".repeat(129)] {
        assert!(Tag::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn names_and_tags_agree_with_the_reference_program() {
    let table = include_str!("../../testdata/canonical.tsv");
    let mut rows = 0;
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, tag, canonical] = fields.as_slice() else { panic!("{line}") };
        let ours = Name::parse_canonical(name).is_ok() && Tag::parse(tag).is_ok();
        assert_eq!(ours, *canonical == "true", "{line}");
        rows += 1;
    }
    assert!(rows > 200, "{rows}");
}

proptest! {
    #[test]
    fn canonicalising_twice_changes_nothing(path in "([a-zA-Z0-9.-]{1,12}(:[0-9]{1,5})?/)?[a-z0-9._-]{1,8}(/[a-z0-9._-]{1,8}){0,2}") {
        if let Ok(name) = Name::canonicalize(&path) {
            prop_assert_eq!(Name::canonicalize(name.as_str()).unwrap(), name.clone());
            prop_assert_eq!(Name::parse_canonical(name.as_str()).unwrap(), name.clone());
            prop_assert_eq!(format!("{}/{}", name.host(), name.repository()), name.to_string());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(path: String) {
        let _any_answer = (Name::canonicalize(&path), Tag::parse(&path), RegistryHost::canonicalize(&path));
    }
}
