//! Whether a request is looked at, by whom it comes from: not too many, and from somebody who may.
//!
//! Decided before anything of the path is believed but which part of the service it is for. Decides nothing about tags.

use std::net::IpAddr;

use http::request::Parts;
use oci::Name;

use crate::app::App;
use crate::auth::Refused;
use crate::error::Error;

/// Probes are always answered. Everything else counts against its client's rate; `/v2/` and `/metrics` need a login where
/// there are any, and the log, proofs and pages where they are not public.
pub(super) async fn admit(app: &App, parts: &Parts, client: IpAddr) -> Result<(), Error> {
    let path = parts.uri.path();
    if is_probe(path) {
        return Ok(());
    }
    if let Some(rates) = &app.rates {
        rates.take(client).map_err(|retry_after| {
            app.metrics.turned_away("rate");
            Error::TooManyRequests { retry_after }
        })?;
    }
    let Some(auth) = app.auth.as_ref().filter(|_| needs_login(app, path)) else { return Ok(()) };
    auth.admit(&parts.headers, client).await.map_err(|refused| match refused {
        Refused::Unknown => Error::Unauthorized { shown: false },
        Refused::Wrong => {
            app.metrics.turned_away("login");
            // Not at a higher level: anybody can have it written.
            tracing::info!(%client, "a login was turned down");
            Error::Unauthorized { shown: true }
        }
        Refused::Slow { wait } => {
            app.metrics.turned_away("attempts");
            Error::TooManyAttempts { retry_after: wait }
        }
        Refused::Busy => Error::LoginsBusy,
    })
}

/// Whether it is for whoever watches over the service, from wherever that is.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// Whether an answer is not for everybody: because a login was needed for it, or because the operator keeps the log to
/// those who are let through by something in front of us.
pub(super) fn is_private(app: &App, path: &str) -> bool {
    !app.config.public || app.auth.is_some() && needs_login(app, path)
}

fn needs_login(app: &App, path: &str) -> bool {
    let registry = path == "/v2" || path.starts_with("/v2/");
    registry || path == "/metrics" || !app.config.public
}

/// Refuses a registry that is not on the list, where there is one.
pub(super) fn listed(app: &App, name: &Name) -> Result<(), Error> {
    if app.config.listing.permits(name.host()) {
        return Ok(());
    }
    Err(Error::NotListed { host: name.host().to_string() })
}
