//! The bundles that a service shows of its records: fetched with bounds, and believed after every check.

use std::time::Duration;

use reqwest::StatusCode;
use sigstore::{Sigstore, Verified};
use url::Url;

use crate::error::CommandError;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a bundle.
const MAX_BUNDLE: usize = 1024 * 1024;

/// A service that is asked.
pub(super) struct Published<'a> {
    client: reqwest::Client,
    service: Url,
    sigstore: &'a Sigstore,
}

impl<'a> Published<'a> {
    pub(super) fn of(service: &str, sigstore: &'a Sigstore) -> Result<Self, CommandError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(CommandError::new)?;
        let service = Url::parse(service).map_err(CommandError::new)?;
        Ok(Self { client, service, sigstore })
    }

    /// The record whose statement was signed as this hash (hexadecimal), if there is one that passes every check.
    pub(super) async fn statement(&self, hash: &str) -> Result<Option<Verified>, CommandError> {
        let record = self.record(&format!("bundle/pae/{hash}")).await?;
        Ok(record.filter(|record| hex(record.pae_hash) == hash))
    }

    /// The record that a tag has now, likewise.
    pub(super) async fn tag(&self, reference: &str) -> Result<Option<Verified>, CommandError> {
        let record = self.record(&format!("bundle/{reference}")).await?;
        Ok(record.filter(|record| record.statement.reference == reference))
    }

    async fn record(&self, path: &str) -> Result<Option<Verified>, CommandError> {
        let service = &self.service;
        let url = service.join(path).map_err(CommandError::new)?;
        let mut response = self.client.get(url).send().await.map_err(CommandError::new)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => {
                let why =
                    anyhow::anyhow!("`{service}` answers with status {status} when it is asked for a bundle");
                return Err(CommandError::new(why)
                    .hinted("its log has to be public, or this address allowed to read it"));
            }
        }
        let mut bundle = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(CommandError::new)? {
            if bundle.len() + chunk.len() > MAX_BUNDLE {
                return Ok(None);
            }
            bundle.extend_from_slice(&chunk);
        }
        self.sigstore.prepare().await.map_err(CommandError::new)?;
        Ok(self.sigstore.verify(&bundle).ok())
    }
}

pub(super) fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
