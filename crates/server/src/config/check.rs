//! Combinations of keys that the service refuses to start with.
//!
//! Each protects somebody: credentials from serving strangers, private names from a public log,
//! a log's name from being unusable. Pure.

use super::{Config, ConfigError, SigstoreMode};

/// The first reason not to start, if there is one.
pub(super) fn refuse(config: &Config) -> Result<(), ConfigError> {
    let refused = |message: String, hint: &str| Err(ConfigError::Refused { message, hint: hint.to_owned() });
    let with_credentials = || {
        let hosts = config.upstreams.iter().filter(|(_, upstream)| upstream.has_credentials());
        hosts.map(|(host, _)| format!("`{host}`")).collect::<Vec<_>>().join(", ")
    };
    let strangers = !config.listen.ip().is_loopback() && config.auth.is_none() && !config.anonymous;
    if strangers && (config.has_credentials() || config.had_credentials) {
        let listen = format!("`listen = \"{}\"` is open to the network and", config.listen);
        let message = if config.has_credentials() {
            format!(
                "{listen} the upstreams {} have credentials: anyone who reaches this address could read what they can",
                with_credentials()
            )
        } else {
            format!(
                "{listen} upstream credentials were configured once: anyone who reaches this address could read the manifests and histories of private repositories that are still here"
            )
        };
        return refused(
            message,
            "let clients log in (`[auth] users_file`), listen on loopback behind something that lets them, or accept it with `anonymous = true`",
        );
    }
    if config.has_credentials() && config.public && !config.publish_names {
        return refused(
            format!(
                "`public = true` would show the names of private repositories of {} in the log, in proofs and on pages",
                with_credentials()
            ),
            "set `public = false`, or accept it with `publish_names = true`",
        );
    }
    if config.had_credentials && !config.has_credentials() && config.public && !config.publish_names {
        return refused(
            "`public = true` would show the names of private repositories that this log may hold: upstream credentials were configured once".to_owned(),
            "set `public = false`, or accept it with `publish_names = true`",
        );
    }
    let per_tag = config.sigstore.as_ref().is_some_and(|sigstore| sigstore.mode == SigstoreMode::PerTag);
    if config.ephemeral && !per_tag {
        return refused(
            "`data_dir = \"ephemeral\"` forgets every record with the process".to_owned(),
            "name a directory, or have records kept in Rekor with `[sigstore] mode = \"per-tag\"`",
        );
    }
    if config.ephemeral && config.sigstore.as_ref().is_some_and(|sigstore| !sigstore.searchable) {
        return refused(
            "`data_dir = \"ephemeral\"` finds records again by the index of a Rekor v1, and `sigstore.signing_config` has a v2 written to".to_owned(),
            "name a Rekor v1 alone in it, or with `sigstore.rekor_url`; or name a directory",
        );
    }
    if config.ephemeral && config.upstreams.iter().any(|(host, _)| !config.publishes(host)) {
        return refused(
            "with `data_dir = \"ephemeral\"` an upstream whose records are not logged in Rekor is forgotten with the process".to_owned(),
            "set `sigstore = true` for it, or name a directory",
        );
    }
    let origin = &config.log.origin;
    let printable = origin.bytes().all(|byte| matches!(byte, b'!'..=b'*' | b','..=b'~'));
    if origin.is_empty() || origin.len() > 255 || !printable {
        return refused(
            format!("`log.origin = \"{origin}\"` cannot name a log"),
            "use 1 to 255 printable ASCII characters without spaces and `+`, such as `tlog.example/log`",
        );
    }
    if config.metrics_listen == Some(config.listen) {
        return refused(
            format!("`metrics_listen` and `listen` are both `{}`", config.listen),
            "leave `metrics_listen` out: `/metrics` is on `listen` then",
        );
    }
    Ok(())
}
