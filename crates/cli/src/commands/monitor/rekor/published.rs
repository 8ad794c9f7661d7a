//! The bundles that a service shows of its records: fetched with bounds, and believed after every check.

use audit::{Error, Http, Source};
use sigstore::{Sigstore, Verified};
use url::Url;

use crate::error::CommandError;

/// Bytes of a bundle.
const MAX_BUNDLE: usize = 1024 * 1024;

/// A service that is asked.
pub(super) struct Published<'a> {
    source: Source,
    sigstore: &'a Sigstore,
}

impl<'a> Published<'a> {
    pub(super) fn of(service: &str, sigstore: &'a Sigstore) -> Result<Self, CommandError> {
        // An export has no bundles, so a directory would explain nothing.
        let service = Url::parse(service).map_err(CommandError::new)?;
        let source = Source::open(service.as_str(), &Http::default())?;
        Ok(Self { source, sigstore })
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
        let bundle = match self.source.text(path, MAX_BUNDLE).await {
            Ok(bundle) => bundle,
            // Not there, or no bundle.
            Err(Error::Missing { .. } | Error::TooLarge { .. } | Error::Malformed { .. }) => return Ok(None),
            Err(error @ Error::Status { .. }) => {
                return Err(CommandError::from(error)
                    .hinted("its log has to be public, or this address allowed to read it"));
            }
            Err(error) => return Err(error.into()),
        };
        self.sigstore.prepare().await.map_err(CommandError::new)?;
        Ok(self.sigstore.verify(bundle.as_bytes()).ok())
    }
}

pub(super) fn hex(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
