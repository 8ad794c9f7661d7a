//! What we can show of ourselves to a registry: given, or fetched anew whenever it is needed.
//!
//! Files rotate and helpers give passwords that end, so nothing that is fetched is kept here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci::RegistryHost;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use url::Url;

use crate::Error;
use crate::settings::{Credentials, UpstreamSettings};

/// Bytes of a token's file, and of Docker's configuration.
const MAX_TOKEN_FILE: u64 = 16 * 1024;
const MAX_DOCKER_CONFIG: u64 = 4 * 1024 * 1024;
/// The one registry that Docker's configuration names in a way of its own.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What is shown.
pub(crate) enum Login {
    /// For Basic, and for a token service.
    Password(Credentials),
    /// Traded for tokens at the token service.
    Identity(SecretString),
    /// A token as it is.
    Token(SecretString),
}

/// Where it comes from.
pub(crate) enum Source {
    /// There is nothing to show.
    Nobody,
    /// It was given.
    Given(Credentials),
    /// Docker's configuration, under this key.
    Docker { config: PathBuf, key: String },
    /// A file with a token.
    File(PathBuf),
}

/// Whom one registry takes us for.
pub(crate) struct Account {
    host: RegistryHost,
    source: Source,
    /// One at a time: a helper may hang, and hold a thread as long.
    turn: Arc<Semaphore>,
}

impl Account {
    /// Of nobody.
    pub(crate) fn none(host: &RegistryHost) -> Self {
        Self::with(host, Source::Nobody)
    }

    /// As configured, for a registry that is reached at `base`.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] when there is more than one, [`Error::File`] for a file that is not there.
    pub(crate) fn of(host: &RegistryHost, upstream: &UpstreamSettings, base: &Url) -> Result<Self, Error> {
        let given = upstream.credentials.clone().map(Source::Given);
        let docker = upstream.docker_config.clone();
        let docker = docker.map(|config| Source::Docker { config, key: docker_key(host, upstream, base) });
        let token = upstream.token_file.clone().map(Source::File);
        let mut sources = [given, docker, token].into_iter().flatten();
        let source = sources.next().unwrap_or(Source::Nobody);
        if sources.next().is_some() {
            let why = "it has more than one of credentials, `docker_config` and `token_file`";
            return Err(Error::Upstream { host: host.to_string(), why });
        }
        if let Source::Docker { config: path, .. } | Source::File(path) = &source {
            std::fs::metadata(path).map_err(|error| Error::File {
                host: host.to_string(),
                path: path.clone(),
                why: error.to_string(),
            })?;
        }
        Ok(Self::with(host, source))
    }

    fn with(host: &RegistryHost, source: Source) -> Self {
        Self { host: host.clone(), source, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Whether nothing is configured.
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self.source, Source::Nobody)
    }

    /// What can be shown now, and within `patience`; nothing where nothing is configured, or Docker's configuration has
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub(crate) async fn login(&self, patience: Duration) -> Result<Option<Login>, Error> {
        let wrong = |why| Error::Credentials { host: self.host.to_string(), why };
        match &self.source {
            Source::Nobody => Ok(None),
            Source::Given(credentials) => Ok(Some(Login::Password(credentials.clone()))),
            Source::File(path) => {
                let path = path.clone();
                self.fetch(patience, move || token(&path)).await.map(Some).map_err(wrong)
            }
            Source::Docker { config, key } => {
                let (config, key) = (config.clone(), key.clone());
                self.fetch(patience, move || docker(&config, &key)).await.map_err(wrong)
            }
        }
    }

    /// Off the threads that must not wait. One that does not end in time goes on by itself, and keeps the only turn as
    /// long: a helper that hangs costs one thread and one process, however often it is needed.
    async fn fetch<T: Send + 'static>(
        &self,
        patience: Duration,
        fetch: impl FnOnce() -> Result<T, &'static str> + Send + 'static,
    ) -> Result<T, &'static str> {
        let given_up = "it was given up";
        let fetched = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_closed| given_up)?;
            let fetched = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                fetch()
            });
            fetched.await.map_err(|_panicked| given_up)?
        };
        let late = "they did not come in time; does the credential helper wait for somebody?";
        tokio::time::timeout(patience, fetched).await.map_err(|_late| late)?
    }
}

/// Docker writes registries as they are reached, but for its own.
fn docker_key(host: &RegistryHost, upstream: &UpstreamSettings, base: &Url) -> String {
    match (base.host_str(), base.port()) {
        _ if upstream.url.is_none() && *host == RegistryHost::docker_hub() => DOCKER_HUB_KEY.to_owned(),
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => host.to_string(),
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, &'static str> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|_why| "its file cannot be opened")?;
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(|_why| "its file cannot be read")?;
    if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
        return Err("its file is too large");
    }
    Ok(content)
}

fn token(path: &Path) -> Result<Login, &'static str> {
    let content = String::from_utf8(read(path, MAX_TOKEN_FILE)?).map_err(|_why| "its file holds no text")?;
    match content.trim() {
        "" => Err("its file is empty"),
        token => Ok(Login::Token(token.into())),
    }
}

fn docker(config: &Path, key: &str) -> Result<Option<Login>, &'static str> {
    let config = read(config, MAX_DOCKER_CONFIG)?;
    match get_credential_from_reader(config.as_slice(), key) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::Identity(token.into()))),
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Login::Password(Credentials { username, password: password.into() })))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What a helper prints may be a secret.
        Err(CredentialRetrievalError::HelperFailure { .. }) => Err("its helper failed"),
        Err(CredentialRetrievalError::HelperCommunicationError) => Err("its helper cannot be run"),
        Err(CredentialRetrievalError::MalformedHelperResponse) => Err("its helper prints no credentials"),
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::ConfigReadError) => {
            Err("its file is not a configuration of Docker")
        }
        Err(
            CredentialRetrievalError::CredentialDecodingError
            | CredentialRetrievalError::CredentialMismatchError,
        ) => Err("its file holds none that make sense"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_asked_for_a_registry_as_it_is_reached_but_for_its_own() {
        for (host, url, key) in [
            ("docker.io", None, "https://index.docker.io/v1/"),
            ("docker.io", Some("https://mirror.example/hub/"), "mirror.example"),
            ("ghcr.io", None, "ghcr.io"),
            ("corp.alt", Some("http://127.0.0.1:5001"), "127.0.0.1:5001"),
            ("corp.alt", Some("https://registry.example:443"), "registry.example"),
        ] {
            let host = RegistryHost::canonicalize(host).unwrap();
            let url: Option<Url> = url.map(|url| url.parse().unwrap());
            let base = url.clone().unwrap_or_else(|| format!("https://{host}/").parse().unwrap());
            let upstream = UpstreamSettings { url, ..UpstreamSettings::default() };
            assert_eq!(docker_key(&host, &upstream, &base), key);
        }
    }
}
