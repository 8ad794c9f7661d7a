//! The client: two HTTP clients, one for public hosts and one for configured ones, and the tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oci::RegistryHost;
use reqwest::redirect::Policy;

use crate::endpoint::{Endpoint, Reach, lower_case};
use crate::resolver::PublicResolver;
use crate::settings::{Settings, Timeouts};
use crate::token::Tokens;
use crate::{Error, tls};

const USER_AGENT: &str = concat!("tlogistry/", env!("CARGO_PKG_VERSION"));
/// The label of every registry that nobody configured.
const OTHER: &str = "other";
/// Connections kept for the next question; to hosts of anybody's choice fewer, and not for long.
const IDLE_CONFIGURED: usize = 64;
const IDLE_PUBLIC: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// A client of any number of registries; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    endpoints: HashMap<RegistryHost, Arc<Endpoint>>,
    own_hosts: Arc<std::collections::BTreeSet<String>>,
    timeouts: Timeouts,
    public: reqwest::Client,
    configured: reqwest::Client,
    tokens: Tokens,
}

impl Client {
    /// Sets up TLS and resolvers; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] for a registry that is configured and cannot be reached as it is;
    /// [`Error::Setup`], most likely because the system has no root certificates.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let own_hosts = Arc::new(lower_case(&settings.own_hosts));
        let endpoint = |(host, upstream)| {
            let endpoint = Endpoint::configured(host, upstream, &own_hosts)?;
            Ok((host.clone(), Arc::new(endpoint)))
        };
        let endpoints = settings.upstreams.iter().map(endpoint).collect::<Result<_, Error>>()?;
        let tls = tls::system()?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                // A proxy would resolve names for us, past the address filter.
                .no_proxy()
                .referer(false)
                // Streams of HTTP/2 share one window: a few clients that read their blobs slowly would hold up
                // every other pull from that registry.
                .http1_only()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(settings.timeouts.connect)
                .pool_idle_timeout(IDLE_FOR)
        };
        let public = builder()
            .https_only(true)
            .dns_resolver(Arc::new(PublicResolver::new(settings.lookup)))
            .pool_max_idle_per_host(IDLE_PUBLIC);
        let configured = builder().pool_max_idle_per_host(IDLE_CONFIGURED);
        Ok(Self(Arc::new(Inner {
            endpoints,
            own_hosts,
            timeouts: settings.timeouts,
            public: public.build().map_err(|error| Error::of_setup(&error))?,
            configured: configured.build().map_err(|error| Error::of_setup(&error))?,
            tokens: Tokens::default(),
        })))
    }

    /// The name of a configured registry, or `other`: a metric's label that no client can make up.
    pub fn label(&self, host: &RegistryHost) -> &str {
        self.0.endpoints.get(host).map_or(OTHER, |endpoint| endpoint.host.as_str())
    }

    /// Whether credentials are configured for a registry.
    pub fn has_credentials(&self, host: &RegistryHost) -> bool {
        self.0.endpoints.get(host).is_some_and(|endpoint| endpoint.credentials().is_some())
    }

    pub(crate) fn endpoint(&self, host: &RegistryHost) -> Result<Arc<Endpoint>, Error> {
        match self.0.endpoints.get(host) {
            Some(endpoint) => Ok(Arc::clone(endpoint)),
            None => Endpoint::public(host, &self.0.own_hosts).map(Arc::new),
        }
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// The HTTP client for what may be reached.
    pub(crate) fn http(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Public => &self.0.public,
            Reach::Configured => &self.0.configured,
        }
    }
}

impl fmt::Debug for Client {
    /// Tokens and credentials are none of a log's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("configured", &self.0.endpoints.keys()).finish_non_exhaustive()
    }
}
