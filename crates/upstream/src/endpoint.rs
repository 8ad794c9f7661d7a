//! Where a registry is reached, and what it may lead us to.

use std::collections::BTreeSet;

use oci::{ManifestSelector, Name, RegistryHost};
use url::Url;

use crate::Error;
use crate::address::{Refused, check_url};
use crate::settings::{Credentials, Settings, UpstreamSettings};

/// Docker Hub's API is not at the name under which records write it.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// One registry, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) host: RegistryHost,
    /// Ends in a slash.
    base: Url,
    /// Whether `base` was configured, and so may be http, private, or on any port.
    configured: bool,
    upstream: UpstreamSettings,
    own_hosts: BTreeSet<String>,
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
    /// Of a registry, by the settings.
    pub(crate) fn of(settings: &Settings, host: &RegistryHost) -> Result<Self, Error> {
        let upstream = settings.upstreams.get(host).cloned().unwrap_or_default();
        let refused = |why| Error::HostRefused { host: host.to_string(), why };
        let (base, configured) = match &upstream.url {
            Some(url) => {
                let mut url = url.clone();
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                (url, true)
            }
            None => {
                let name = if *host == RegistryHost::docker_hub() { DOCKER_HUB_API } else { host.as_str() };
                let url =
                    Url::parse(&format!("https://{name}/")).map_err(|_why| refused("its name is not one"))?;
                (url, false)
            }
        };
        let endpoint =
            Self { host: host.clone(), base, configured, upstream, own_hosts: settings.own_hosts.clone() };
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
        if self.configured && same_origin(url, &self.base) {
            return Ok(Reach::Configured);
        }
        if self.upstream.redirect_hosts.contains(&host_and_port(url)) {
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

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.upstream.credentials.as_ref()
    }

    /// Whether a token host was configured, by host or by host and port.
    pub(crate) fn allows_token_host(&self, url: &Url) -> bool {
        let allowed = &self.upstream.token_hosts;
        allowed.contains(&host_and_port(url))
            || url.scheme() == "https"
                && url.port().is_none()
                && url.host_str().is_some_and(|host| allowed.contains(host))
    }
}

pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

fn host_and_port(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}
