//! A configuration that cannot work is told at start-up, and not at the first pull.

use upstream::{Client, Error, Settings, UpstreamSettings};

use crate::support::{at, settings};

fn wrong(settings: Settings) -> String {
    let error = Client::new(settings).unwrap_err();
    assert!(matches!(error, Error::Upstream { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn urls_that_are_no_registrys_are_refused_at_start_up() {
    for (url, why) in [
        ("ftp://registry.example", "`http://…` or `https://…`"),
        ("unix:/run/registry.sock", "`http://…` or `https://…`"),
        ("http://ci:hunter2@registry.example", "user name or password"),
        ("http://ci@registry.example", "user name or password"),
        ("http://registry.example/?a=b", "query"),
        ("http://registry.example/#a", "fragment"),
    ] {
        let message = wrong(settings(at(url)));
        assert!(message.starts_with("`[upstreams.\"corp.alt\"]` cannot be used: its `url`"), "{message}");
        assert!(message.contains(why) && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_name_that_is_no_public_one_needs_a_url() {
    assert!(wrong(settings(UpstreamSettings::default())).contains("has no `url`"));
}

#[test]
fn a_public_name_needs_none() {
    let host = oci::RegistryHost::canonicalize("ghcr.io").unwrap();
    let upstreams = [(host.clone(), UpstreamSettings::default())].into();
    let client = Client::new(Settings { upstreams, ..Settings::default() }).unwrap();
    assert_eq!(client.label(&host), "ghcr.io");
}
