//! The client: two HTTP clients, one for public hosts and one for configured ones, and the tokens.

use std::sync::Arc;

use oci::RegistryHost;
use reqwest::redirect::Policy;

use crate::Error;
use crate::endpoint::Endpoint;
use crate::resolver::PublicResolver;
use crate::settings::Settings;
use crate::token::Tokens;

const USER_AGENT: &str = concat!("tlogistry/", env!("CARGO_PKG_VERSION"));
/// The label of every registry that nobody configured.
const OTHER: &str = "other";

/// A client of any number of registries; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Arc<Settings>,
    public: reqwest::Client,
    configured: reqwest::Client,
    pub(crate) tokens: Tokens,
}

impl Client {
    /// Sets up TLS and resolvers; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`], most likely because the system has no root certificates.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        // One provider for the process; a second installation says only that there is one.
        let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let setup = |error: &reqwest::Error| Error::Setup { why: error.to_string() };
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                // A proxy would resolve names for us, past the address filter.
                .no_proxy()
                .referer(false)
                .connect_timeout(settings.timeouts.connect)
                .read_timeout(settings.timeouts.idle)
                .pool_max_idle_per_host(32)
        };
        let public =
            builder().https_only(true).dns_resolver(Arc::new(PublicResolver(settings.lookup.clone())));
        Ok(Self {
            public: public.build().map_err(|error| setup(&error))?,
            configured: builder().build().map_err(|error| setup(&error))?,
            tokens: Tokens::default(),
            settings: Arc::new(settings),
        })
    }

    /// The name of a configured registry, or `other`: a metric's label that no client can make up.
    pub fn label(&self, host: &RegistryHost) -> &str {
        self.settings.upstreams.get_key_value(host).map_or(OTHER, |(host, _)| host.as_str())
    }

    /// Whether credentials are configured for a registry.
    pub fn has_credentials(&self, host: &RegistryHost) -> bool {
        self.settings.upstreams.get(host).is_some_and(|upstream| upstream.credentials.is_some())
    }

    pub(crate) fn endpoint(&self, host: &RegistryHost) -> Result<Endpoint, Error> {
        Endpoint::of(&self.settings, host)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn public(&self) -> &reqwest::Client {
        &self.public
    }

    pub(crate) fn configured(&self) -> &reqwest::Client {
        &self.configured
    }
}
