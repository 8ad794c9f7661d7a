//! The HTTP clients: how connections are made, and to whom.
//!
//! Each registry has two: one that goes to public hosts alone, and one that goes where the operator says.

use std::sync::Arc;
use std::time::Duration;

use oci::RegistryHost;
use reqwest::Proxy;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;

use crate::endpoint::{Reach, has_userinfo, is_http};
use crate::resolver::PublicResolver;
use crate::settings::{ProxySettings, Settings, Timeouts, UpstreamSettings};
use crate::{Error, tls};

const USER_AGENT: &str = concat!("tlogistry/", env!("CARGO_PKG_VERSION"));
/// Connections kept for the next question; to hosts of anybody's choice fewer, and not for long.
const IDLE_CONFIGURED: usize = 64;
const IDLE_PUBLIC: usize = 16;
const IDLE_FOR: Duration = Duration::from_secs(30);

/// The two HTTP clients of one registry, or of all that need none of their own.
#[derive(Clone)]
pub(crate) struct Http {
    public: reqwest::Client,
    configured: reqwest::Client,
}

/// Makes HTTP clients.
pub(crate) struct Connector {
    timeouts: Timeouts,
    for_others: Arc<PublicResolver>,
    for_configured: Arc<PublicResolver>,
}

impl Connector {
    /// By the settings for all registries.
    pub(crate) fn new(settings: &Settings) -> Self {
        let resolver = PublicResolver::new(settings);
        let for_configured = Arc::new(resolver.for_configured());
        Self { timeouts: settings.timeouts, for_others: Arc::new(resolver), for_configured }
    }

    /// The clients of all registries that nobody configured.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`].
    pub(crate) fn shared(&self) -> Result<Http, Error> {
        self.http(&tls::system()?, None, &self.for_others).map_err(|error| Error::of_setup(&error))
    }

    /// Those of configured registries that need none of their own, and of Docker Hub.
    ///
    /// # Errors
    ///
    /// [`Error::Setup`].
    pub(crate) fn shared_by_configured(&self) -> Result<Http, Error> {
        self.http(&tls::system()?, None, &self.for_configured).map_err(|error| Error::of_setup(&error))
    }

    /// Those of one registry, which are the `shared` ones where it has neither roots nor a proxy of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`], [`Error::File`], [`Error::Setup`].
    pub(crate) fn of(
        &self,
        host: &RegistryHost,
        upstream: &UpstreamSettings,
        shared: &Http,
    ) -> Result<Http, Error> {
        let tls = match &upstream.ca_file {
            None if upstream.proxy.is_none() => return Ok(shared.clone()),
            None => tls::system()?,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| error.to_string());
                pem.and_then(|pem| tls::with_pem(&pem)).map_err(|why| Error::File {
                    host: host.to_string(),
                    path: path.clone(),
                    why,
                })?
            }
        };
        let wrong = |why| Error::Upstream { host: host.to_string(), why };
        let proxy = upstream.proxy.as_ref().map(proxy).transpose().map_err(wrong)?;
        self.http(&tls, proxy, &self.for_configured).map_err(|error| Error::of_setup(&error))
    }

    fn http(
        &self,
        tls: &ClientConfig,
        proxy: Option<Proxy>,
        resolver: &Arc<PublicResolver>,
    ) -> reqwest::Result<Http> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                // None of the environment's: it would resolve names for us, past the address filter.
                .no_proxy()
                .referer(false)
                // Streams of HTTP/2 share one window: a few clients that read their blobs slowly would hold up
                // every other pull from that registry.
                .http1_only()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(self.timeouts.connect)
                .pool_idle_timeout(IDLE_FOR)
        };
        let public = builder().https_only(true).pool_max_idle_per_host(IDLE_PUBLIC);
        let configured = builder().pool_max_idle_per_host(IDLE_CONFIGURED);
        let (public, configured) = match proxy {
            Some(proxy) => (public.proxy(proxy.clone()), configured.proxy(proxy)),
            None => (public.dns_resolver(Arc::clone(resolver)), configured),
        };
        Ok(Http { public: public.build()?, configured: configured.build()? })
    }
}

impl Http {
    /// The client for what may be reached.
    pub(crate) fn to(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Public => &self.public,
            Reach::Configured => &self.configured,
        }
    }
}

fn proxy(settings: &ProxySettings) -> Result<Proxy, &'static str> {
    let url = &settings.url;
    if !is_http(url) || url.host().is_none() {
        return Err("its `proxy` is not `http://…` or `https://…`");
    }
    if has_userinfo(url) {
        return Err("its `proxy` holds a user name or password; configure these apart from it");
    }
    let proxy = Proxy::all(url.as_str()).map_err(|_why| "its `proxy` is not the URL of one")?;
    Ok(match &settings.credentials {
        Some(own) => proxy.basic_auth(&own.username, own.password.expose_secret()),
        None => proxy,
    })
}
