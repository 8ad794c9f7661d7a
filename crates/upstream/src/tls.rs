//! TLS towards registries: whose certificates are believed.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
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
    let config = with_roots(Vec::new()).map_err(|error| Error::Setup { why: error.to_string() })?;
    Ok(SYSTEM.get_or_init(|| config).clone())
}

/// With the system's roots and those of this PEM, or why not.
pub(crate) fn with_pem(pem: &[u8]) -> Result<ClientConfig, String> {
    let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_why| "it is not PEM".to_owned())?;
    if roots.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    with_roots(roots).map_err(|error| error.to_string())
}

fn with_roots(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}
