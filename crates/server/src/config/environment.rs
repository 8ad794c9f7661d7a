//! Every environment variable that the service reads, in one table.
//!
//! Knows the names and how each value is parsed into the file's own type; knows no defaults.

use super::error::ConfigError;
use super::file::File;
use super::layers;

/// Reads one variable; injected, so that tests need no real environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

type Setter = fn(&mut File, &str) -> Result<(), String>;

/// Name, the key that it sets, and how.
const VARIABLES: &[(&str, &str, Setter)] = &[
    ("TLOGISTRY_LISTEN", "listen", |file, value| set(&mut file.listen, value)),
    ("TLOGISTRY_PUBLIC_URL", "public_url", |file, value| {
        file.public_url = Some(layers::parse_url(value)?);
        Ok(())
    }),
    ("TLOGISTRY_DATA_DIR", "data_dir", |file, value| set(&mut file.data_dir, value)),
    ("TLOGISTRY_RECHECK", "recheck", |file, value| set(&mut file.recheck, value)),
    ("TLOGISTRY_RECHECK_TIMEOUT", "recheck_timeout", |file, value| set(&mut file.recheck_timeout, value)),
    ("TLOGISTRY_ON_MOVE", "on_move", |file, value| choose(&mut file.on_move, value)),
    ("TLOGISTRY_ON_GONE", "on_gone", |file, value| choose(&mut file.on_gone, value)),
    ("TLOGISTRY_MODE", "mode", |file, value| choose(&mut file.mode, value)),
    ("TLOGISTRY_REFUSAL_CODE", "refusal_code", |file, value| choose(&mut file.refusal_code, value)),
    ("TLOGISTRY_BLOBS", "blobs", |file, value| choose(&mut file.blobs, value)),
    ("TLOGISTRY_PUBLIC", "public", |file, value| set(&mut file.public, value)),
    ("TLOGISTRY_ANONYMOUS", "anonymous", |file, value| set(&mut file.anonymous, value)),
    ("TLOGISTRY_PUBLISH_NAMES", "publish_names", |file, value| set(&mut file.publish_names, value)),
    ("TLOGISTRY_METRICS_LISTEN", "metrics_listen", |file, value| set(&mut file.metrics_listen, value)),
    ("TLOGISTRY_UPSTREAMS_MODE", "upstreams_mode", |file, value| choose(&mut file.upstreams_mode, value)),
    ("TLOGISTRY_ALLOW", "allow", |file, value| list(&mut file.allow, value)),
    ("TLOGISTRY_TRUSTED_PROXIES", "trusted_proxies", |file, value| list(&mut file.trusted_proxies, value)),
    ("TLOGISTRY_CLIENT_ADDRESS_HEADER", "client_address_header", |file, value| {
        choose(&mut file.client_address_header, value)
    }),
    ("TLOGISTRY_LOG_FORMAT", "log_format", |file, value| choose(&mut file.log_format, value)),
    ("TLOGISTRY_LOG_ORIGIN", "log.origin", |file, value| set(&mut file.log.origin, value)),
    ("TLOGISTRY_LOG_SUPERSEDE", "log.supersede", |file, value| choose(&mut file.log.supersede, value)),
    ("TLOGISTRY_LOG_KEY_FILE", "log.key_file", |file, value| set(&mut file.log.key_file, value)),
    ("TLOGISTRY_LOG_GUARD_FILE", "log.guard_file", |file, value| set(&mut file.log.guard_file, value)),
    ("TLOGISTRY_TLS_CERT_FILE", "tls.cert_file", |file, value| set(&mut file.tls.cert_file, value)),
    ("TLOGISTRY_TLS_KEY_FILE", "tls.key_file", |file, value| set(&mut file.tls.key_file, value)),
    ("TLOGISTRY_AUTH_USERS_FILE", "auth.users_file", |file, value| set(&mut file.auth.users_file, value)),
    ("TLOGISTRY_AUTH_TOKENS_FILE", "auth.tokens_file", |file, value| set(&mut file.auth.tokens_file, value)),
    ("TLOGISTRY_SIGSTORE_MODE", "sigstore.mode", |file, value| choose(&mut file.sigstore.mode, value)),
    ("TLOGISTRY_SIGSTORE_IDENTITY", "sigstore.identity", |file, value| {
        set(&mut file.sigstore.identity, value)
    }),
    ("TLOGISTRY_SIGSTORE_ISSUER", "sigstore.issuer", |file, value| set(&mut file.sigstore.issuer, value)),
    ("TLOGISTRY_SIGSTORE_KEY_FILE", "sigstore.key_file", |file, value| {
        set(&mut file.sigstore.key_file, value)
    }),
    ("TLOGISTRY_SIGSTORE_TOKEN_FILE", "sigstore.token_file", |file, value| {
        set(&mut file.sigstore.token_file, value)
    }),
    ("TLOGISTRY_SIGSTORE_TUF_MIRROR", "sigstore.tuf_mirror", |file, value| {
        file.sigstore.tuf_mirror = Some(layers::parse_url(value)?);
        Ok(())
    }),
    ("TLOGISTRY_SIGSTORE_TUF_ROOT", "sigstore.tuf_root", |file, value| {
        set(&mut file.sigstore.tuf_root, value)
    }),
    ("TLOGISTRY_SIGSTORE_TRUSTED_ROOT", "sigstore.trusted_root", |file, value| {
        set(&mut file.sigstore.trusted_root, value)
    }),
    ("TLOGISTRY_SIGSTORE_SIGNING_CONFIG", "sigstore.signing_config", |file, value| {
        set(&mut file.sigstore.signing_config, value)
    }),
    ("TLOGISTRY_SIGSTORE_STORE_ATTESTATION", "sigstore.store_attestation", |file, value| {
        set(&mut file.sigstore.store_attestation, value)
    }),
];

/// Of the command line's other verbs.
pub(super) const OF_OTHER_VERBS: &[&str] = &[
    "TLOGISTRY_CONFIG",
    "TLOGISTRY_NO_PROGRESS",
    "TLOGISTRY_SERVER",
    "TLOGISTRY_LOG_KEY",
    "TLOGISTRY_PAGES_DIR",
];

/// The names of all that set a key.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(variable, ..)| *variable)
}

/// Puts every variable that is set over `file`; gives the keys that it set.
pub(super) fn read(
    environment: &Environment<'_>,
    file: &mut File,
) -> Result<Vec<(&'static str, &'static str)>, ConfigError> {
    let mut found = Vec::new();
    for (variable, key, setter) in VARIABLES {
        let Some(value) = environment(variable).filter(|value| !value.is_empty()) else { continue };
        setter(file, &value).map_err(|message| ConfigError::Environment { variable, message })?;
        found.push((*key, *variable));
    }
    Ok(found)
}

fn set<T: std::str::FromStr<Err: std::fmt::Display>>(
    slot: &mut Option<T>,
    value: &str,
) -> Result<(), String> {
    *slot = Some(value.parse().map_err(|error| format!("`{value}`: {error}"))?);
    Ok(())
}

/// Separated by commas.
fn list<T: std::str::FromStr<Err: std::fmt::Display>>(
    slot: &mut Option<Vec<T>>,
    value: &str,
) -> Result<(), String> {
    let parse = |item: &str| item.trim().parse().map_err(|error: T::Err| error.to_string());
    *slot = Some(value.split(',').map(parse).collect::<Result<_, String>>()?);
    Ok(())
}

/// For values whose words are those of the file.
fn choose<T: serde::de::DeserializeOwned>(slot: &mut Option<T>, value: &str) -> Result<(), String> {
    let error = |error: serde::de::value::Error| error.to_string();
    let deserializer = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(value);
    *slot = Some(T::deserialize(deserializer).map_err(error)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variable: &str, value: &str) -> Result<File, ConfigError> {
        let mut file = File::default();
        read(&|name| (name == variable).then(|| value.to_owned()), &mut file)?;
        Ok(file)
    }

    #[test]
    fn a_variable_is_parsed_like_the_key_that_it_sets() {
        let file = with("TLOGISTRY_LISTEN", "0.0.0.0:5000").unwrap();
        assert_eq!(file.listen.unwrap().port(), 5000);
        assert_eq!(
            with("TLOGISTRY_ON_MOVE", "serve-recorded").unwrap().on_move,
            Some(crate::policy::OnMove::ServeRecorded)
        );
    }

    #[test]
    fn a_wrong_value_names_the_variable_and_the_forms_it_takes() {
        let error = |variable, value| with(variable, value).unwrap_err().to_string();
        assert!(
            error("TLOGISTRY_RECHECK", "often")
                .starts_with("environment variable `TLOGISTRY_RECHECK`: `often`")
        );
        assert!(error("TLOGISTRY_ON_MOVE", "panic").contains("`serve-recorded`"));
    }

    #[test]
    fn what_leaf_0_says_for_ever_can_be_set_like_the_name_that_stands_beside_it() {
        let file = with("TLOGISTRY_LOG_SUPERSEDE", "never").unwrap();
        assert_eq!(file.log.supersede, Some(super::super::values::Supersede::Never));
    }

    #[test]
    fn a_list_is_separated_by_commas() {
        let file = with("TLOGISTRY_TRUSTED_PROXIES", "10.0.0.0/8, fd00::1").unwrap();
        assert_eq!(file.trusted_proxies.unwrap().len(), 2);
        assert!(with("TLOGISTRY_ALLOW", "ghcr.io,").is_err());
    }

    #[test]
    fn an_empty_variable_sets_nothing() {
        assert!(with("TLOGISTRY_LISTEN", "").unwrap().listen.is_none());
    }
}
