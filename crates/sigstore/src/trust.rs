//! Which authorities and logs are believed, and which services are used: by files, or by TUF, of the public instance or a
//! private one.
//!
//! What TUF says is renewed daily. Without an answer the last good one is kept: expired metadata signs nothing more, and
//! what was signed before is still verified.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::tuf::{TufBootstrap, TufConfig, fetch_trust_material_at};
use sigstore_trust_root::{SigningConfig, TrustedRoot};
use url::Url;

use crate::error::{Error, Service};
use crate::http::Http;
use crate::settings::{Clock, TrustSource};
use crate::together::Together;

/// Bytes of a trust root or signing configuration.
const MAX_FILE: u64 = 1024 * 1024;
/// Until the repository is asked again, and after it did not answer.
const RENEW: Duration = Duration::from_secs(24 * 60 * 60);
const RETRY: Duration = Duration::from_secs(10 * 60);
const TIMEOUT: Duration = Duration::from_secs(30);
/// When the repository's metadata were good last, for verifying without it.
const LAST_GOOD: &str = "last-good";

/// What is believed now.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    pub(crate) root: TrustedRoot,
    pub(crate) services: Services,
    /// Why nothing may be signed.
    pub(crate) expired: Option<String>,
    renew_at: Option<Timestamp>,
}

/// Where to go.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) fulcio: Option<Url>,
    pub(crate) rekor: Option<(Url, RekorVersion)>,
    /// Every Rekor v1 that is known, and every v2, whichever of them is written to.
    pub(crate) rekors1: Vec<Url>,
    pub(crate) rekors2: Vec<Rekor2At>,
    pub(crate) timestamp: Option<Url>,
}

/// The address of a Rekor v2.
#[derive(Clone, Debug)]
pub(crate) struct Rekor2At {
    pub(crate) base: Url,
    /// By the signing configuration; else it is in the trusted root alone, where a log's address may be but its name.
    pub(crate) is_named: bool,
}

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RekorVersion {
    V1,
    V2,
}

/// A repository and where its last answer is kept.
#[derive(Debug)]
struct Tuf {
    config: TufConfig,
    cache_dir: PathBuf,
}

/// The source and what it said last.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Without one everything came from files.
    tuf: Option<Tuf>,
    clock: Clock,
    now: ArcSwapOption<Material>,
    renewing: Together,
}

impl Trust {
    /// Reads files at once; a repository is asked when it is needed.
    pub(crate) fn new(source: TrustSource, clock: Clock) -> Result<Self, Error> {
        let (tuf, material) = match source {
            TrustSource::Tuf { cache_dir, repository } => {
                let config = match repository {
                    None => TufConfig::production(),
                    Some(repository) => {
                        let root = TufBootstrap::trusted(read(&repository.root)?);
                        TufConfig::custom(repository.url.as_str(), root)
                    }
                };
                (Some(Tuf { config: config.with_cache_dir(cache_dir.clone()), cache_dir }), None)
            }
            TrustSource::Files { trusted_root, signing_config } => {
                (None, Some(Arc::new(of_files(&trusted_root, &signing_config)?)))
            }
        };
        Ok(Self { tuf, clock, now: ArcSwapOption::from(material), renewing: Together::default() })
    }

    /// What is there already, without asking anybody.
    pub(crate) fn known(&self) -> Option<Arc<Material>> {
        self.now.load_full()
    }

    /// What is believed, renewed if it is time.
    pub(crate) async fn material(&self, http: &Http) -> Result<Arc<Material>, Error> {
        let is_fresh = |material: &Material| material.renew_at.is_none_or(|at| self.clock.timestamp() < at);
        let fresh = || self.known().filter(|material| is_fresh(material));
        let renewing = async {
            let Some(tuf) = &self.tuf else { return self.known().ok_or(Error::NoIdentity) };
            let material = Arc::new(renewed(http, tuf, self.clock.timestamp()).await?);
            self.now.store(Some(Arc::clone(&material)));
            Ok(material)
        };
        self.renewing.run(fresh, renewing).await
    }
}

fn of_files(trusted_root: &Path, signing_config: &Path) -> Result<Material, Error> {
    let wrong = |path: &Path, why: String| Error::File { path: path.to_owned(), why };
    let root = TrustedRoot::from_json(&read(trusted_root)?)
        .map_err(|error| wrong(trusted_root, error.to_string()))?;
    sigstore_verify::Verifier::new(&root).map_err(|error| wrong(trusted_root, error.to_string()))?;
    let config = SigningConfig::from_json(&read(signing_config)?)
        .map_err(|error| wrong(signing_config, error.to_string()))?;
    let services = services(&config, &root).map_err(|why| wrong(signing_config, why))?;
    Ok(Material { root, services, expired: None, renew_at: None })
}

fn read(path: &Path) -> Result<String, Error> {
    use std::io::Read as _;
    let wrong = |why: String| Error::File { path: path.to_owned(), why };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    Ok(text)
}

/// Of those that are valid now and that are understood: the newest protocol, and of that the newest service.
fn services(config: &SigningConfig, root: &TrustedRoot) -> Result<Services, String> {
    let url = |text: &str| Url::parse(text).map_err(|error| format!("`{text}`: {error}"));
    let newest = |endpoints: Vec<&sigstore_trust_root::ServiceEndpoint>| {
        let best = endpoints.into_iter().max_by_key(|each| (each.major_api_version, each.valid_for.start));
        best.map(|each| (each.url.clone(), each.major_api_version))
    };
    let fulcio = newest(config.eligible_fulcio_urls()).map(|(text, _)| url(&text)).transpose()?;
    let timestamp = newest(config.eligible_tsa_urls()).map(|(text, _)| url(&text)).transpose()?;
    let rekor = match newest(config.eligible_rekor_urls(None)) {
        Some((text, 1)) => Some((url(&text)?, RekorVersion::V1)),
        Some((text, _)) => Some((url(&text)?, RekorVersion::V2)),
        None => None,
    };
    let (rekors1, rekors2) = rekors(config, root);
    Ok(Services { fulcio, rekor, rekors1, rekors2, timestamp })
}

/// Every Rekor v1 and v2 that the configuration names, also those that nothing is written to any more; after them every v2
/// that is only in the trusted root, and where no v1 is named those of v1 that are not at their end. (Else one log would be
/// asked at two addresses, of which one may be but a name.) Which protocol they speak is not written in the trusted root:
/// the id of a log of v1 is the hash of its key, that of a v2 a note's.
fn rekors(config: &SigningConfig, root: &TrustedRoot) -> (Vec<Url>, Vec<Rekor2At>) {
    let now = Timestamp::now();
    let named = config.rekor_tlog_urls.iter().filter(|each| each.valid_for.has_started_by(now));
    let names_v1 = named.clone().any(|each| each.major_api_version == 1);
    let (mut v1, mut v2) = (Vec::<Url>::new(), Vec::<Rekor2At>::new());
    let mut add = |url: &str, is_v1: bool, is_named: bool| {
        let Ok(base) = Url::parse(url) else { return };
        let same = |known: &Url| known.host() == base.host() && known.port() == base.port();
        if v1.iter().any(same) || v2.iter().any(|known| same(&known.base)) {
            return;
        }
        if is_v1 { v1.push(base) } else { v2.push(Rekor2At { base, is_named }) }
    };
    for endpoint in named {
        add(&endpoint.url, endpoint.major_api_version == 1, true);
    }
    for log in &root.tlogs {
        let key_hash = Sha256::digest(log.public_key.raw_bytes.as_bytes());
        let is_v1 = log.log_id.key_id.as_bytes() == key_hash.as_slice();
        let is_over = log.public_key.valid_for.is_some_and(|window| !window.contains(now));
        if !is_v1 || !(names_v1 || is_over) {
            add(&log.base_url, is_v1, false);
        }
    }
    (v1, v2)
}

/// From the repository, or from the cache as far as that may still be believed.
async fn renewed(http: &Http, tuf: &Tuf, now: Timestamp) -> Result<Material, Error> {
    let Tuf { config, cache_dir } = tuf;
    http.counters.add(Service::Trust);
    let online = fetch_trust_material_at(config.clone().with_http_client(http.client().clone()), now);
    let failed = match tokio::time::timeout(TIMEOUT, online).await {
        Ok(Ok(found)) => {
            remember(cache_dir, now);
            return material(found, None, now + RENEW);
        }
        Ok(Err(error)) => error.to_string(),
        Err(_late) => "the repository did not answer in time".to_owned(),
    };
    tracing::warn!(error = %failed, "the trust root could not be renewed");
    if let Ok(found) = fetch_trust_material_at(config.clone().offline(), now).await {
        return material(found, None, now + RETRY);
    }
    let last_good = last_good(cache_dir).ok_or_else(|| Error::TrustExpired { why: failed.clone() })?;
    let found = fetch_trust_material_at(config.clone().offline(), last_good)
        .await
        .map_err(|error| Error::TrustExpired { why: format!("{failed}; the cache: {error}") })?;
    material(found, Some(failed), now + RETRY)
}

fn material(
    (root, config): (TrustedRoot, SigningConfig),
    expired: Option<String>,
    renew_at: Timestamp,
) -> Result<Material, Error> {
    let services = services(&config, &root).map_err(|why| Error::Settings { why })?;
    Ok(Material { root, services, expired, renew_at: Some(renew_at) })
}

fn remember(cache_dir: &Path, now: Timestamp) {
    if let Err(error) = std::fs::write(path(cache_dir), now.as_second().to_string()) {
        tracing::warn!(%error, "when the trust root was good last cannot be written down");
    }
}

fn last_good(cache_dir: &Path) -> Option<Timestamp> {
    Timestamp::from_second(std::fs::read_to_string(path(cache_dir)).ok()?.trim().parse().ok()?).ok()
}

fn path(cache_dir: &Path) -> PathBuf {
    cache_dir.join(LAST_GOOD)
}

#[cfg(test)]
mod tests {
    use sigstore_trust_root::{SIGSTORE_PRODUCTION_SIGNING_CONFIG, SIGSTORE_PRODUCTION_TRUSTED_ROOT};

    use super::*;

    #[test]
    fn which_rekor_speaks_which_protocol_is_known_of_the_public_instance() {
        let root = TrustedRoot::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT).unwrap();
        let mut config = SigningConfig::from_json(SIGSTORE_PRODUCTION_SIGNING_CONFIG).unwrap();
        let of = |config: &SigningConfig| {
            let (v1, v2) = rekors(config, &root);
            let v1: Vec<_> = v1.iter().map(|base| base.host_str().unwrap().to_owned()).collect();
            (
                v1,
                v2.iter()
                    .map(|log| (log.base.host_str().unwrap().to_owned(), log.is_named))
                    .collect::<Vec<_>>(),
            )
        };
        let (v1, v2) = (vec!["rekor.sigstore.dev".to_owned()], "log2025-1.rekor.sigstore.dev".to_owned());
        let (named, others) = of(&config);
        assert_eq!(named, v1);
        assert!(others.contains(&(v2, false)) && others.iter().all(|(_, is_named)| !is_named), "{others:?}");
        config.rekor_tlog_urls.clear();
        assert_eq!(of(&config), (v1, others), "by the trusted root alone");
    }
}
