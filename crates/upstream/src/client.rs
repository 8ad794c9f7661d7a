//! The client: the registries, their tokens, and the time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use oci::RegistryHost;

use crate::Error;
use crate::allowance::Allowances;
use crate::endpoint::Endpoint;
use crate::endpoints::Endpoints;
use crate::room::{Room, Rooms};
use crate::settings::{Clock, Settings, Timeouts};
use crate::token::Tokens;

/// The label of every registry that nobody configured.
const OTHER: &str = "other";

/// A client of any number of registries; cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    endpoints: Endpoints,
    timeouts: Timeouts,
    clock: Clock,
    tokens: Tokens,
    allowances: Allowances,
    rooms: Rooms,
}

impl Client {
    /// Sets up TLS and resolvers; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] for a registry that is configured and cannot be asked as it is;
    /// [`Error::Setup`], most likely because the system has no root certificates.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            endpoints: Endpoints::new(&settings)?,
            timeouts: settings.timeouts,
            clock: settings.clock,
            tokens: Tokens::default(),
            allowances: Allowances::default(),
            rooms: Rooms::default(),
        })))
    }

    /// The name of a configured registry, or `other`: a metric's label that no client can make up.
    pub fn label(&self, host: &RegistryHost) -> &str {
        self.0.endpoints.configured(host).map_or(OTHER, |endpoint| endpoint.host.as_str())
    }

    /// Whether credentials are configured for a registry.
    pub fn has_credentials(&self, host: &RegistryHost) -> bool {
        self.0.endpoints.configured(host).is_some_and(|endpoint| !endpoint.account.is_nobody())
    }

    /// How many more pulls each registry said last that it allows, by [`Client::label`]; only those that said so.
    pub fn allowances(&self) -> BTreeMap<String, u64> {
        self.0.allowances.snapshot()
    }

    pub(crate) fn note_allowance(&self, host: &RegistryHost, headers: &HeaderMap) {
        self.0.allowances.note(self.label(host), headers);
    }

    pub(crate) fn endpoint(&self, host: &RegistryHost) -> Result<Arc<Endpoint>, Error> {
        self.0.endpoints.of(host)
    }

    /// For a list of this registry.
    pub(crate) fn room(&self, host: &RegistryHost) -> Room {
        self.0.rooms.room(self.0.endpoints.configured(host).is_some())
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
}

impl fmt::Debug for Client {
    /// Tokens and credentials are none of a log's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let configured: Vec<&str> = self.0.endpoints.names().collect();
        f.debug_struct("Client").field("configured", &configured).finish_non_exhaustive()
    }
}
