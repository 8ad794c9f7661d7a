//! The client: two HTTP clients, one for public hosts and one for configured ones, the registries and the tokens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oci::RegistryHost;
use reqwest::redirect::Policy;

use crate::endpoint::{Endpoint, Reach};
use crate::endpoints::Endpoints;
use crate::resolver::PublicResolver;
use crate::settings::{Clock, Settings, Timeouts};
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
    endpoints: Endpoints,
    timeouts: Timeouts,
    clock: Clock,
    public: reqwest::Client,
    configured: reqwest::Client,
    tokens: Tokens,
}

impl Client {
    /// Sets up TLS and resolvers; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] for a registry that is configured and cannot be asked as it is;
    /// [`Error::Setup`], most likely because the system has no root certificates.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let endpoints = Endpoints::new(&settings)?;
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
            timeouts: settings.timeouts,
            clock: settings.clock,
            public: public.build().map_err(|error| Error::of_setup(&error))?,
            configured: configured.build().map_err(|error| Error::of_setup(&error))?,
            tokens: Tokens::default(),
        })))
    }

    /// The name of a configured registry, or `other`: a metric's label that no client can make up.
    pub fn label(&self, host: &RegistryHost) -> &str {
        self.0.endpoints.configured(host).map_or(OTHER, |endpoint| endpoint.host.as_str())
    }

    /// Whether credentials are configured for a registry.
    pub fn has_credentials(&self, host: &RegistryHost) -> bool {
        self.0.endpoints.configured(host).is_some_and(|endpoint| endpoint.credentials().is_some())
    }

    pub(crate) fn endpoint(&self, host: &RegistryHost) -> Result<Arc<Endpoint>, Error> {
        self.0.endpoints.of(host)
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.clock.now()
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
        let configured: Vec<&str> = self.0.endpoints.names().collect();
        f.debug_struct("Client").field("configured", &configured).finish_non_exhaustive()
    }
}
