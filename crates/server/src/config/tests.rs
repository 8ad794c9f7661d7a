//! Whole configurations: layers, refusals, and errors that say where and what instead.

use std::net::SocketAddr;

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let look_up = |name: &str| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned()).or_else(|| (name == "HOME").then(|| "/home/u".to_owned()))
    };
    Config::load(Flags { config: Some(path), ..Flags::default() }, &look_up)
}

fn error(text: &str) -> (String, String) {
    let error = load(text, &[]).unwrap_err();
    (error.to_string(), error.hint().unwrap_or_default().to_owned())
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(config.public_url.as_str(), "http://localhost:8080/");
    assert_eq!(config.data_dir, PathBuf::from("/home/u/.local/state/tlogistry"));
    assert_eq!(config.recheck, Duration::ZERO);
    assert_eq!(config.recheck_timeout, Duration::from_secs(2));
    assert_eq!(config.log.origin, "localhost:8080/log");
    assert!(config.public && !config.anonymous && !config.publish_names);
    assert_eq!(config.limits.budgets.min_free, 1 << 30);
}

#[test]
fn environment_wins_over_file_and_flag_over_both() {
    let config =
        load("listen = \"127.0.0.1:1\"\nrecheck = \"1h\"\n", &[("TLOGISTRY_LISTEN", "127.0.0.1:2")]).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.recheck, Duration::from_secs(3600));
    assert_eq!(config.origins.of("listen"), &Origin::Environment("TLOGISTRY_LISTEN"));
    assert!(config.origins.of("recheck").to_string().ends_with("config.toml:2"));
    let flags = Flags {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 3))),
        data_dir: Some("/d".into()),
        config: None,
    };
    let config =
        Config::load(flags, &|name| (name == "TLOGISTRY_LISTEN").then(|| "127.0.0.1:2".to_owned())).unwrap();
    assert_eq!(config.listen.port(), 3);
}

#[test]
fn port_opens_the_service_to_the_network_and_is_remembered() {
    let config = load("", &[("PORT", "9000")]).unwrap();
    assert_eq!(config.listen, SocketAddr::from(([0, 0, 0, 0], 9000)));
    assert!(config.opened_by_port());
    assert!(!load("", &[("PORT", "9000"), ("TLOGISTRY_LISTEN", "127.0.0.1:1")]).unwrap().opened_by_port());
    assert!(load("", &[("PORT", "http")]).unwrap_err().to_string().contains("`PORT`"));
}

#[test]
fn data_directories_follow_the_documented_order() {
    let of = |environment: &[(&str, &str)]| load("", environment).unwrap().data_dir;
    assert_eq!(of(&[("STATE_DIRECTORY", "/s"), ("XDG_STATE_HOME", "/x")]), PathBuf::from("/s"));
    assert_eq!(of(&[("XDG_STATE_HOME", "/x")]), PathBuf::from("/x/tlogistry"));
    assert_eq!(of(&[("TLOGISTRY_DATA_DIR", "/e"), ("STATE_DIRECTORY", "/s")]), PathBuf::from("/e"));
}

#[test]
fn an_unknown_key_is_an_error_with_line_column_and_the_nearest_key() {
    let (message, hint) = error("listen = \"127.0.0.1:1\"\n\n  lisen = 1\n");
    assert!(message.contains("config.toml:3:3: unknown field `lisen`"), "{message}");
    assert_eq!(hint, "did you mean `listen`?");
}

#[test]
fn a_wrong_value_is_an_error_with_its_place() {
    for (text, place, words) in [
        ("recheck = \"often\"\n", ":1:11:", "`500ms`"),
        ("listen = 8080\n", ":1:10:", "socket address"),
        (
            "[[policy]]\nmatch = \"docker.io/library/*:latest\"\naction = \"observe\"\n",
            ":2:9:",
            "index.docker.io",
        ),
        ("[[policy]]\nmatch = \"**\"\naction = \"alow\"\n", ":3:10:", "`observe`"),
        ("[upstreams.\"corp.alt\"]\nurl = \"ftp://x\"\n", ":", "https://host"),
        ("[upstreams.corp]\nurl = \"http://127.0.0.1:5001\"\n", ":", "`corp.alt`"),
        ("public = maybe\n", ":1:", ""),
    ] {
        let (message, _) = error(text);
        assert!(message.contains(&format!("config.toml{place}")), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

const CREDENTIALS: &str =
    "[upstreams.\"corp.alt\"]\nurl = \"http://127.0.0.1:5001\"\nusername = \"ci\"\npassword = \"hunter2\"\n";

#[test]
fn credentials_on_an_open_address_need_anonymous() {
    let (message, hint) = error(&format!("listen = \"0.0.0.0:80\"\n{CREDENTIALS}"));
    assert!(message.contains("`corp.alt`") && hint.contains("anonymous = true"), "{message} {hint}");
    assert!(load(&format!("listen = \"0.0.0.0:80\"\nanonymous = true\n{CREDENTIALS}"), &[]).is_ok());
}

#[test]
fn what_credentials_once_fetched_is_not_opened_by_taking_them_away() {
    let directory = tempfile::tempdir().unwrap();
    remember_credentials(directory.path()).unwrap();
    let data_dir = format!("data_dir = \"{}\"\n", directory.path().display());
    let open = format!("{data_dir}listen = \"0.0.0.0:80\"\n");
    let (message, hint) = error(&open);
    assert!(
        message.contains("configured once") && message.contains("`listen = \"0.0.0.0:80\"`"),
        "{message}"
    );
    assert!(hint.contains("[auth]") && hint.contains("`anonymous = true`"), "{hint}");
    let users = directory.path().join("users");
    let login = format!("{open}[auth]\nusers_file = \"{}\"\n", users.display());
    for accepted in [data_dir, format!("{open}anonymous = true\n"), login] {
        assert!(load(&accepted, &[]).is_ok(), "{accepted}");
    }
}

#[test]
fn credentials_close_the_log_unless_names_may_be_published() {
    assert!(!load(CREDENTIALS, &[]).unwrap().public);
    let (message, hint) = error(&format!("public = true\n{CREDENTIALS}"));
    assert!(message.contains("private repositories") && hint.contains("publish_names = true"));
    assert!(load(&format!("public = true\npublish_names = true\n{CREDENTIALS}"), &[]).is_ok());
}

#[test]
fn half_a_credential_is_refused() {
    assert!(error("[upstreams.\"corp.alt\"]\nusername = \"ci\"\n").0.contains("no password"));
    assert!(error("[upstreams.\"corp.alt\"]\npassword = \"x\"\n").0.contains("no `username`"));
    let (message, _) =
        error("[upstreams.\"corp.alt\"]\nusername = \"ci\"\npassword_file = \"/nonexistent\"\n");
    assert!(message.contains("`/nonexistent`"), "{message}");
}

#[test]
fn a_password_is_never_shown() {
    let config = load(CREDENTIALS, &[]).unwrap();
    assert!(!config.show().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let text = "recheck = \"90s\"\n[log]\norigin = \"tlog.example/log\"\n[upstreams.\"corp.alt\"]\nurl = \"http://127.0.0.1:5001\"\n[[policy]]\nmatch = \"**:latest\"\naction = \"observe\"\n[[policy]]\nmatch_regex = 'a\\.b/c:\\d+\"?'\naction = \"follow\"\nmin_age = \"3d\"\non_young = \"serve-old\"\nmode = \"dry-run\"\non_gone = \"serve\"\n";
    let shown = load(text, &[]).unwrap().show();
    let again = load(&shown, &[]).unwrap().show();
    let values = |shown: &str| {
        shown.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&shown), values(&again));
}

#[test]
fn a_rule_that_contradicts_itself_is_refused_by_its_number() {
    let rule = |lines: &str| format!("[[policy]]\nmatch = \"**\"\naction = \"freeze\"\n[[policy]]\n{lines}");
    for (lines, words) in [
        ("action = \"freeze\"", "`match` or `match_regex`"),
        ("action = \"freeze\"\nmatch = \"**\"\nmatch_regex = \".*\"", "`match` or `match_regex`"),
        ("action = \"freeze\"\nmatch = \"**\"\non_young = \"refuse\"", "`on_young` says nothing"),
        ("action = \"pass\"\nmatch = \"**\"\nmin_age = \"3d\"", "`min_age` counts"),
    ] {
        let (message, _) = error(&rule(lines));
        assert!(message.starts_with("`[[policy]]` table 2: ") && message.contains(words), "{message}");
    }
    let (message, _) = error(&rule("action = \"freeze\"\nmatch_regex = \"(\""));
    assert!(message.contains("config.toml:6:"), "{message}");
}

#[test]
fn the_policy_for_docker_hub_freezes_what_does_not_move_and_observes_the_rest() {
    use crate::policy::Action;
    let config = load(include_str!("../../../../examples/docker-hub.toml"), &[]).unwrap();
    for (name, tag, action) in [
        ("index.docker.io/library/debian", "bookworm-20240904-slim", Action::Freeze),
        ("index.docker.io/library/ubuntu", "jammy-20240911.1", Action::Freeze),
        ("index.docker.io/library/alpine", "3.16.0", Action::Freeze),
        ("index.docker.io/library/alpine", "3.16", Action::Observe),
        ("index.docker.io/library/python", "3.12.4", Action::Observe),
        ("index.docker.io/library/nginx", "latest", Action::Observe),
        ("index.docker.io/bitnami/redis", "7.2.4-debian-12-r9", Action::Freeze),
        ("ghcr.io/org/app", "latest", Action::Observe),
        ("ghcr.io/org/app", "nightly-2026-01-02", Action::Observe),
        ("ghcr.io/org/app", "buildcache-arm64", Action::Pass),
        ("ghcr.io/org/app", "v1.2.3", Action::Freeze),
    ] {
        let name = oci::Name::parse_canonical(name).unwrap();
        let decision = config.policy.decide(&name, &oci::Tag::parse(tag).unwrap());
        assert_eq!(decision.action, action, "{name}:{tag}: {}", decision.reason);
    }
}

#[test]
fn the_documented_configuration_holds_every_key_and_loads() {
    let page = include_str!("../../../../docs/configuration.md");
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let text = text.replace("password_file = \"/run/secrets/corp\"", "password = \"x\"");
    let there = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let text =
        ["/etc/tlogistry/corp.pem", "/root/.docker/config.json", "/run/secrets/proxy", "/run/secrets/quay"]
            .iter()
            .fold(text, |text, path| text.replace(path, there));
    // The documented defaults contradict the documented credentials, as the page says.
    let text: String = text
        .replace("public = true", "public = false")
        .lines()
        .filter(|line| !line.contains(".policy\""))
        // One of three ways to sign, and one of two to trust.
        .filter(|line| {
            !["token_command", "key_file = \"/etc/tlogistry/sign", "tuf_"]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.limits, load("", &[]).unwrap().limits);
    let message = load("zzz = 1", &[]).unwrap_err().to_string();
    let mut known: Vec<String> = message.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    known.retain(|key| !key.is_empty());
    assert!(known.len() > 15, "{message}");
    for table in ["log", "tls", "auth", "sigstore", "limits", "upstreams.\"a.b\"", "policy"] {
        let header = if table == "policy" { "[[policy]]".to_owned() } else { format!("[{table}]") };
        let message = load(&format!("{header}\nzzz = 1"), &[]).unwrap_err().to_string();
        known.extend(message.split('`').skip(3).step_by(2).map(str::to_owned));
    }
    for key in known {
        assert!(page.contains(&key), "`{key}` is not documented");
    }
}

#[test]
fn policies_of_cosigners_are_read_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("witnesses.policy");
    let with = |policy: &str, more: &str| {
        std::fs::write(&path, policy).unwrap();
        load(&format!("[log]\nwitnesses_file = \"{}\"\n{more}", path.display()), &[])
    };
    let key = "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
    let policy = format!("witness w1 {key} https://witness.example\nquorum w1\n");
    let config = with(&policy, "publish = \"require\"").unwrap();
    assert_eq!(config.cosigning.mode, ledger::Mode::Require);
    assert_eq!(config.cosigning.interval, Duration::from_secs(1));
    assert_eq!(with(&policy, "").unwrap().cosigning.interval, Duration::from_secs(10));
    let message = with("quorum w2\n", "").unwrap_err().to_string();
    assert!(message.starts_with("`log.witnesses_file`"), "{message}");
    let unreachable = format!("witness w1 {key}\nquorum w1\n");
    assert!(with(&unreachable, "").is_ok());
    let refused = with(&unreachable, "publish = \"require\"").unwrap_err();
    assert!(refused.to_string().contains("no quorum"), "{refused}");
    let (message, hint) = error("[log]\npublish = \"require\"\n");
    assert!(message.contains("nobody is asked") && hint.contains("log.witnesses_file"), "{message}");
}

#[test]
fn a_password_in_a_url_is_not_repeated_in_the_error() {
    for url in ["http://u:hunter2@x/", "http://u:hunter2@", "u:hunter2@x"] {
        let (message, _) = error(&format!("[upstreams.\"corp.alt\"]\nurl = \"{url}\""));
        assert!(!message.contains("hunter2") && message.contains("2:7"), "{message}");
    }
}

#[test]
fn a_wrong_size_is_an_error_that_says_how_one_is_written() {
    let (message, _) = error("[limits]\nmin_free = -1");
    assert!(message.contains("`64MiB`"), "{message}");
}
