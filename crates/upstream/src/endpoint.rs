//! Where a registry is reached, and what it may lead us to.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use oci::{ManifestSelector, Name, RegistryHost};
use tokio::sync::Semaphore;
use url::Url;

use crate::Error;
use crate::address::{Refused, check_url};
use crate::breaker::Breaker;
use crate::connector::Http;
use crate::login::Account;
use crate::settings::UpstreamSettings;

/// Docker Hub's API is not at the name under which records write it.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// Questions at one time where nothing is configured.
const MAX_CONCURRENCY: usize = 64;

/// One registry, ready to be asked; of those that are configured it is made once.
pub(crate) struct Endpoint {
    pub(crate) host: RegistryHost,
    /// Ends in a slash.
    base: Url,
    /// Whether `base` was configured, and so may be http, private, or on any port.
    configured: bool,
    pub(crate) account: Account,
    token_hosts: BTreeSet<String>,
    redirect_hosts: BTreeSet<String>,
    own_hosts: Arc<BTreeSet<String>>,
    pub(crate) http: Http,
    /// One for each question at one time.
    pub(crate) turns: Semaphore,
    pub(crate) breaker: Breaker,
}

/// Which of the two HTTP clients may ask a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach {
    /// Every address is checked.
    Public,
    /// Configured: any address.
    Configured,
}

impl Endpoint {
    /// Of a registry that is configured.
    pub(crate) fn configured(
        host: &RegistryHost,
        upstream: &UpstreamSettings,
        own_hosts: &Arc<BTreeSet<String>>,
        http: Http,
    ) -> Result<Self, Error> {
        let wrong = |why| Error::Upstream { host: host.to_string(), why };
        let base = match &upstream.url {
            Some(url) => base(url).map_err(wrong)?,
            None => public_base(host).ok_or_else(|| wrong("it has no `url`"))?,
        };
        let turns = upstream.max_concurrency.map_or(MAX_CONCURRENCY, NonZeroUsize::get);
        let endpoint = Self {
            host: host.clone(),
            account: Account::of(host, upstream, &base)?,
            base,
            configured: upstream.url.is_some(),
            token_hosts: lower_case(&upstream.token_hosts),
            redirect_hosts: lower_case(&upstream.redirect_hosts),
            own_hosts: Arc::clone(own_hosts),
            http,
            turns: Semaphore::new(turns.min(Semaphore::MAX_PERMITS)),
            breaker: Breaker::default(),
        };
        if endpoint.reach(&endpoint.base).is_err() {
            return Err(wrong("it has no `url`, and is not reached by its own name over https"));
        }
        Ok(endpoint)
    }

    /// Of any other registry: by its own name, over https, at a public address.
    pub(crate) fn public(
        host: &RegistryHost,
        own_hosts: &Arc<BTreeSet<String>>,
        http: Http,
    ) -> Result<Self, Error> {
        let refused = |why| Error::HostRefused { host: host.to_string(), why };
        let endpoint = Self {
            host: host.clone(),
            base: public_base(host).ok_or_else(|| refused("its name is not one"))?,
            configured: false,
            account: Account::none(host),
            token_hosts: BTreeSet::new(),
            redirect_hosts: BTreeSet::new(),
            own_hosts: Arc::clone(own_hosts),
            http,
            turns: Semaphore::new(MAX_CONCURRENCY),
            breaker: Breaker::default(),
        };
        endpoint.reach(&endpoint.base).map_err(|Refused(why)| refused(why))?;
        Ok(endpoint)
    }

    /// `/v2/<repository>/manifests/<tag or digest>`
    pub(crate) fn manifest(&self, name: &Name, selector: &ManifestSelector) -> Result<Url, Error> {
        match selector {
            ManifestSelector::Tag(tag) => self.join(&format!("v2/{}/manifests/{tag}", name.repository())),
            ManifestSelector::Digest(digest) => {
                self.join(&format!("v2/{}/manifests/{digest}", name.repository()))
            }
        }
    }

    /// Any path below the registry's.
    pub(crate) fn join(&self, path: &str) -> Result<Url, Error> {
        // Parts are grammatical names, tags and digests, which `join` takes as they are.
        self.base
            .join(path)
            .map_err(|_why| Error::HostRefused { host: self.host.to_string(), why: "its URL is not one" })
    }

    /// Whether a URL that this registry led us to may be asked, and by which client.
    pub(crate) fn reach(&self, url: &Url) -> Result<Reach, Refused> {
        if has_userinfo(url) {
            return Err(Refused("its URL holds a user name or password"));
        }
        if self.configured && same_origin(url, &self.base) {
            return Ok(Reach::Configured);
        }
        if is_http(url)
            && !self.redirect_hosts.is_empty()
            && self.redirect_hosts.contains(&host_and_port(url))
        {
            return Ok(Reach::Configured);
        }
        if url.host_str().is_some_and(|host| self.own_hosts.contains(host.trim_end_matches('.'))) {
            return Err(Refused("it is this very service"));
        }
        check_url(url).map(|()| Reach::Public)
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// What it means that this registry says no.
    pub(crate) fn denied(&self) -> Error {
        Error::Denied { had_credentials: !self.account.is_nobody() }
    }

    /// What it means that our credentials cannot be sent.
    pub(crate) fn unfit(&self) -> Error {
        Error::Credentials { host: self.host.to_string(), why: "they fit no header" }
    }

    /// Whether a token host was configured, by host or by host and port.
    pub(crate) fn allows_token_host(&self, url: &Url) -> bool {
        let by_host = url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| self.token_hosts.contains(host));
        by_host || is_http(url) && self.token_hosts.contains(&host_and_port(url))
    }
}

/// The URL that an operator wrote, with a slash at its end.
fn base(url: &Url) -> Result<Url, &'static str> {
    if !is_http(url) || url.host().is_none() {
        return Err("its `url` is not `http://…` or `https://…`");
    }
    if has_userinfo(url) {
        return Err("its `url` holds a user name or password; write `username` and `password_file`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("its `url` has a query or a fragment");
    }
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Where a registry is that is reached by its own name.
pub(crate) fn public_base(host: &RegistryHost) -> Option<Url> {
    let name = if *host == RegistryHost::docker_hub() { DOCKER_HUB_API } else { host.as_str() };
    let url = Url::parse(&format!("https://{name}/")).ok()?;
    // URLs read `8.8.2056` and `010.8.8.8` as addresses: other names, and other records, of what has one already.
    let (written, _port) = name.split_once(':').unwrap_or((name, ""));
    (url.host_str() == Some(written)).then_some(url)
}

pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

pub(crate) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Which an HTTP client would send along.
pub(crate) fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn host_and_port(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// As URLs are read.
pub(crate) fn lower_case(hosts: &BTreeSet<String>) -> BTreeSet<String> {
    hosts.iter().map(|host| host.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::connector::Connector;

    #[test]
    fn an_address_is_reached_by_its_one_spelling_alone() {
        let http = Connector::new(&Settings::default()).shared().unwrap();
        let reached = |host: &str| {
            let host = RegistryHost::canonicalize(host).unwrap();
            Endpoint::public(&host, &Arc::default(), http.clone()).is_ok()
        };
        assert!(reached("8.8.8.8"));
        assert!(reached("ghcr.io"));
        assert!(reached("xn--bcher-kva.example"));
        for other in ["8.8.2056", "010.8.8.8", "0x8.8.8.8", "8.8.8.010"] {
            assert!(!reached(other), "{other}");
        }
    }
}
