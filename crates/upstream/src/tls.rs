//! TLS towards registries: whose certificates are believed.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::Verifier;

use crate::Error;

/// With the system's roots. They are read once in a process: that takes longer than all else at start-up.
///
/// # Errors
///
/// [`Error::Setup`], most likely because the system has no roots.
pub(crate) fn system() -> Result<ClientConfig, Error> {
    static SYSTEM: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(known) = SYSTEM.get() {
        return Ok(known.clone());
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let setup = |error: rustls::Error| Error::Setup { why: error.to_string() };
    let verifier = Verifier::new(Arc::clone(&provider)).map_err(setup)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(SYSTEM.get_or_init(|| config).clone())
}
