//! `[upstreams."<registry name>"]`: from keys to one way of reaching a registry and at most one account there.
//!
//! Reads the secrets' files that are read once; only looks at those that are read again whenever they are needed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use super::error::ConfigError;
use super::file::UpstreamTable;

/// One configured registry.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Where the registry is reached, if not at its own name.
    pub url: Option<Url>,
    /// User name and password.
    pub credentials: Option<(String, SecretString)>,
    /// Docker's `config.json`, which is asked whenever credentials are needed.
    pub docker_config: Option<PathBuf>,
    /// A file that holds a token, read whenever one is needed.
    pub token_file: Option<PathBuf>,
    /// Hosts, besides the registry's own, that may issue its tokens.
    pub token_hosts: Vec<String>,
    /// `host:port` of storage that it may redirect to though it is not public.
    pub redirect_hosts: Vec<String>,
    /// Questions at one time; 64 where nothing is said.
    pub max_concurrency: Option<NonZeroUsize>,
    /// Roots that are believed besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether records of it are logged in Rekor, where that is said.
    pub sigstore: Option<bool>,
    /// Through which everything of this registry goes.
    pub proxy: Option<ProxyConfig>,
}

/// The proxy of one registry.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// `http://…` or `https://…`
    pub url: Url,
    /// For the proxy alone.
    pub credentials: Option<(String, SecretString)>,
}

impl UpstreamConfig {
    /// Whether it is asked as somebody.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some() || self.docker_config.is_some() || self.token_file.is_some()
    }
}

pub(super) fn upstream(host: &str, table: UpstreamTable) -> Result<UpstreamConfig, ConfigError> {
    let own_password = password(host, "password_file", table.password, table.password_file)?;
    let credentials = pair(host, ("username", table.username), ("password_file", own_password))?;
    let accounts = [
        ("`username`", credentials.is_some()),
        ("`docker_config`", table.docker_config.is_some()),
        ("`token_file`", table.token_file.is_some()),
    ];
    let accounts: Vec<_> = accounts.into_iter().filter_map(|(key, given)| given.then_some(key)).collect();
    if accounts.len() > 1 {
        return refused(host, &format!("has {} at once", accounts.join(" and ")), "keep one of them");
    }
    for (key, path) in [
        ("docker_config", &table.docker_config),
        ("token_file", &table.token_file),
        ("ca_file", &table.ca_file),
    ] {
        if let Some(path) = path {
            std::fs::File::open(path).map_err(|source| secret(host, key, path, source))?;
        }
    }
    let proxy_password = password(host, "proxy_password_file", None, table.proxy_password_file)?;
    let proxy_account =
        pair(host, ("proxy_username", table.proxy_username), ("proxy_password_file", proxy_password))?;
    let proxy = match table.proxy {
        Some(_) if table.proxy_without_address_filter != Some(true) => {
            return refused(
                host,
                "has a `proxy`, which resolves names by itself: the filter that keeps requests away from private addresses cannot see where they go",
                "let the proxy refuse private addresses, and say so with `proxy_without_address_filter = true`",
            );
        }
        Some(url) => Some(ProxyConfig { url, credentials: proxy_account }),
        None if proxy_account.is_some() || table.proxy_without_address_filter.is_some() => {
            return refused(host, "has keys of a proxy and no `proxy`", "add `proxy`, or remove them");
        }
        None => None,
    };
    Ok(UpstreamConfig {
        url: table.url,
        credentials,
        docker_config: table.docker_config,
        token_file: table.token_file,
        token_hosts: table.token_hosts,
        redirect_hosts: table.redirect_hosts,
        max_concurrency: table.max_concurrency,
        ca_file: table.ca_file,
        sigstore: table.sigstore,
        proxy,
    })
}

fn password(
    host: &str,
    key: &'static str,
    given: Option<SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, ConfigError> {
    match (given, file) {
        (Some(_), Some(_)) => {
            refused(host, "has both `password` and `password_file`", "keep `password_file`")
        }
        (Some(password), None) => Ok(Some(password)),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|source| secret(host, key, &path, source))?;
            Ok(Some(text.lines().next().unwrap_or_default().into()))
        }
        (None, None) => Ok(None),
    }
}

fn pair(
    host: &str,
    (name_key, name): (&str, Option<String>),
    (file_key, password): (&str, Option<SecretString>),
) -> Result<Option<(String, SecretString)>, ConfigError> {
    match (name, password) {
        (Some(name), Some(password)) => Ok(Some((name, password))),
        (None, None) => Ok(None),
        (Some(_), None) => {
            refused(host, &format!("has a `{name_key}` and no password"), &format!("add `{file_key}`"))
        }
        (None, Some(_)) => {
            refused(host, &format!("has a password and no `{name_key}`"), &format!("add `{name_key}`"))
        }
    }
}

fn secret(host: &str, key: &'static str, path: &Path, source: std::io::Error) -> ConfigError {
    ConfigError::Secret { upstream: host.to_owned(), key, path: path.to_owned(), source }
}

fn refused<T>(host: &str, what: &str, hint: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Refused { message: format!("upstream `{host}` {what}"), hint: hint.to_owned() })
}
