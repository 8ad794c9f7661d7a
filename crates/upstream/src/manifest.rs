//! Manifests: what a tag is by upstream's word, and its bytes hashed by us.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, StatusCode};
use oci::{Digest, MAX_MANIFEST, Manifest, ManifestSelector, ManifestType, Name, Sha256Digest};

use crate::Error;
use crate::body::read_bounded;
use crate::client::Client;
use crate::send::Question;

/// What upstream says of a manifest without sending it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// By its header, if it has a grammatical one.
    pub digest: Option<Digest>,
    /// Bytes, by its header.
    pub size: Option<u64>,
    /// Unix seconds of the answer's `Date`.
    pub date: Option<i64>,
}

/// A manifest whose bytes were hashed and checked here.
#[derive(Clone, Debug)]
pub struct FetchedManifest {
    /// As they came.
    pub bytes: Bytes,
    /// Of the bytes.
    pub digest: Sha256Digest,
    /// What they say.
    pub manifest: Manifest,
    /// Unix seconds of the answer's `Date`.
    pub date: Option<i64>,
}

impl Client {
    /// Asks what a tag or digest is, without its bytes.
    ///
    /// Upstreams that know no HEAD give an answer without a digest.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn head_manifest(&self, name: &Name, selector: &ManifestSelector) -> Result<Head, Error> {
        let nothing = Head { digest: None, size: None, date: None };
        let asked = self.ask_manifest(Method::HEAD, name, selector);
        match self.in_time(name, asked).await {
            Ok(response) => {
                let headers = response.headers();
                let size = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(Head { digest: digest_header(headers), size, date: date_header(headers) })
            }
            Err(Error::UnexpectedStatus { status: 405 | 501 } | Error::ServerError { status: 501 }) => {
                Ok(nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches a manifest, hashes and validates it.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::DigestLies`] when a digest header, or the digest asked for, does not fit
    /// the bytes.
    pub async fn manifest(&self, name: &Name, selector: &ManifestSelector) -> Result<FetchedManifest, Error> {
        let fetched = async {
            let response = self.ask_manifest(Method::GET, name, selector).await?;
            if response.status() != StatusCode::OK {
                return Err(Error::UnexpectedStatus { status: response.status().as_u16() });
            }
            let headers = response.headers().clone();
            let bytes = read_bounded(response, name.host().as_str(), MAX_MANIFEST).await?;
            Ok((headers, bytes))
        };
        let (headers, bytes) = self.in_time(name, fetched).await?;
        let computed = Sha256Digest::of(&bytes);
        if let ManifestSelector::Digest(asked) = selector {
            check_digest(asked, &bytes, computed)?;
        }
        // Only a header that cannot be read is as good as none: one that names another digest is a lie.
        if let Some(claimed) = digest_header(&headers) {
            check_digest(&claimed, &bytes, computed)?;
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let manifest = Manifest::validate(&bytes, content_type)?;
        Ok(FetchedManifest { bytes, digest: computed, manifest, date: date_header(&headers) })
    }

    async fn ask_manifest(
        &self,
        method: Method,
        name: &Name,
        selector: &ManifestSelector,
    ) -> Result<reqwest::Response, Error> {
        let endpoint = self.endpoint(name.host())?;
        let question = Question {
            method,
            url: endpoint.manifest(name, selector)?,
            accept: Some(ManifestType::ACCEPT),
            extra: Vec::new(),
            follow: true,
        };
        Ok(self.ask(&endpoint, name.repository(), &question).await?.response)
    }

    /// Bounds the whole of an exchange.
    pub(crate) async fn in_time<T>(
        &self,
        name: &Name,
        exchange: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(self.settings().timeouts.total, exchange)
            .await
            .unwrap_or_else(|_late| Err(Error::TimedOut { host: name.host().to_string() }))
    }
}

fn check_digest(claimed: &Digest, bytes: &[u8], computed: Sha256Digest) -> Result<(), Error> {
    if claimed.is_of(bytes) == Some(false) {
        return Err(Error::DigestLies { claimed: claimed.clone(), computed });
    }
    Ok(())
}

fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get("docker-content-digest")?.to_str().ok()?.trim()).ok()
}

fn date_header(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}
