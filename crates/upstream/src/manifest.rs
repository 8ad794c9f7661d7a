//! Manifests: what a tag is by upstream's word, and its bytes hashed by us.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use oci::{Digest, MAX_MANIFEST, Manifest, ManifestSelector, ManifestType, Name, Sha256Digest};

use crate::Error;
use crate::body::read_bounded;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::send::{Question, date};

/// What upstream says of a manifest without sending it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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
    /// An upstream that knows no HEAD, or names no one digest, gives an answer without a digest.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn head_manifest(&self, name: &Name, selector: &ManifestSelector) -> Result<Head, Error> {
        let endpoint = self.endpoint(name.host())?;
        let asked = self.ask_manifest(Method::HEAD, &endpoint, name, selector);
        match self.exchange(&endpoint, asked).await {
            Ok(response) if response.status() == StatusCode::OK => {
                let headers = response.headers();
                let size = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(Head { digest: claimed_digest(headers), size, date: date(headers) })
            }
            Ok(_)
            | Err(
                Error::Encoded | Error::UnexpectedStatus { status: 405 } | Error::ServerError { status: 501 },
            ) => Ok(Head::default()),
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
        if let ManifestSelector::Digest(digest @ Digest::Other { .. }) = selector {
            return Err(Error::UncheckableDigest { digest: digest.clone() });
        }
        let endpoint = self.endpoint(name.host())?;
        let fetched = async {
            let response = self.ask_manifest(Method::GET, &endpoint, name, selector).await?;
            if response.status() != StatusCode::OK {
                return Err(Error::UnexpectedStatus { status: response.status().as_u16() });
            }
            let headers = response.headers().clone();
            let bytes = read_bounded(response, name.host().as_str(), MAX_MANIFEST).await?;
            Ok((headers, bytes))
        };
        let (headers, bytes) = self.exchange(&endpoint, fetched).await?;
        let computed = Sha256Digest::of(&bytes);
        if let ManifestSelector::Digest(asked) = selector {
            check_digest(asked, &bytes, computed)?;
        }
        // Only a header that cannot be read is as good as none: one that names another digest is a lie.
        for claimed in digest_headers(&headers) {
            check_digest(&claimed, &bytes, computed)?;
        }
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let manifest = Manifest::validate(&bytes, content_type)?;
        Ok(FetchedManifest { bytes, digest: computed, manifest, date: date(&headers) })
    }

    async fn ask_manifest(
        &self,
        method: Method,
        endpoint: &Endpoint,
        name: &Name,
        selector: &ManifestSelector,
    ) -> Result<reqwest::Response, Error> {
        let question = Question {
            method,
            url: endpoint.manifest(name, selector)?,
            accept: Some(ManifestType::ACCEPT),
            extra: Vec::new(),
            follow: true,
        };
        Ok(self.ask(endpoint, name, &question).await?.response)
    }
}

fn check_digest(claimed: &Digest, bytes: &[u8], computed: Sha256Digest) -> Result<(), Error> {
    let fits = match claimed {
        Digest::Sha256(claimed) => *claimed == computed,
        // One that cannot be checked says nothing against the bytes.
        claimed => claimed.is_of(bytes).unwrap_or(true),
    };
    if fits { Ok(()) } else { Err(Error::DigestLies { claimed: claimed.clone(), computed }) }
}

/// The one digest that is named, if it is one.
fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    let mut claimed = digest_headers(headers);
    let first = claimed.next()?;
    claimed.all(|other| other == first).then_some(first)
}

/// All digests that are named and can be read.
fn digest_headers(headers: &HeaderMap) -> impl Iterator<Item = Digest> {
    let lines = headers.get_all("docker-content-digest").iter();
    lines.filter_map(|line| Digest::parse(line.to_str().ok()?.trim()).ok())
}
