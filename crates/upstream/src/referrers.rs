//! What refers to a manifest: upstream's referrers API, or the tag that clients fall back to where it has none.
//!
//! Lists are upstream's word: they are parsed, bounded, and neither recorded nor believed in any other way.

use http::header::{HeaderName, LINK};
use http::{HeaderMap, Method, StatusCode};
use oci::{Descriptor, Digest, Link, ManifestSelector, ManifestType, Name, fallback_tag, parse_referrers};
use url::Url;

use crate::Error;
use crate::body::read_bounded;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::send::Question;

/// Bytes of one page.
const MAX_PAGE: usize = 4 * 1024 * 1024;
/// Pages of one list.
const MAX_PAGES: usize = 16;
/// Descriptors of one list, over all pages.
const MAX_ALL: usize = 10_000;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Client {
    /// All that refers to `digest`, of one artifact type if that is given.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::InvalidList`] for a list that is none, or has more than 16 pages.
    pub async fn referrers(
        &self,
        name: &Name,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let endpoint = self.endpoint(name.host())?;
        let path = format!("v2/{}/referrers/{digest}", name.repository());
        let mut url = endpoint.join(&path)?;
        if let Some(kind) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", kind);
        }
        let mut all = Vec::new();
        for _page in 0..MAX_PAGES {
            let page = self.referrers_page(&endpoint, name, url.clone()).await;
            let (headers, body) = match page {
                // Not one of them has the API: by the specification 404, by experience any of these.
                Err(Error::NotFound | Error::UnexpectedStatus { status: 400 | 405 | 406 })
                | Err(Error::ServerError { status: 501 })
                    if all.is_empty() =>
                {
                    return self.fallback(name, digest, artifact_type).await;
                }
                Err(Error::TooLarge { .. }) => return Err(Error::InvalidList),
                page => page?,
            };
            let descriptors = parse_referrers(&body).ok_or(Error::InvalidList)?;
            let filtered = headers.get(FILTERS_APPLIED).is_some_and(|applied| applied == "artifactType");
            all.extend(descriptors.into_iter().filter(|one| filtered || is_of_kind(one, artifact_type)));
            if all.len() > MAX_ALL {
                return Err(Error::InvalidList);
            }
            match next(&headers, &url) {
                Some(next) => url = next,
                None => return Ok(all),
            }
        }
        Err(Error::InvalidList)
    }

    async fn referrers_page(
        &self,
        endpoint: &Endpoint,
        name: &Name,
        url: Url,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let page = async {
            let question = Question {
                method: Method::GET,
                url,
                accept: Some(ManifestType::OciIndex.as_str()),
                extra: Vec::new(),
                follow: true,
            };
            let response = self.ask(endpoint, name, &question).await?.response;
            if response.status() != StatusCode::OK {
                return Err(Error::UnexpectedStatus { status: response.status().as_u16() });
            }
            let headers = response.headers().clone();
            let body = read_bounded(response, name.host().as_str(), MAX_PAGE).await?;
            Ok((headers, body.to_vec()))
        };
        self.exchange(endpoint, page).await
    }

    /// The index under the fallback tag; where there is none, nothing refers to the manifest.
    async fn fallback(
        &self,
        name: &Name,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let Some(tag) = fallback_tag(digest) else { return Ok(Vec::new()) };
        match self.manifest(name, &ManifestSelector::Tag(tag)).await {
            Ok(fetched) => {
                let mut all = parse_referrers(&fetched.bytes).ok_or(Error::InvalidList)?;
                all.retain(|one| is_of_kind(one, artifact_type));
                Ok(all)
            }
            Err(Error::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn is_of_kind(descriptor: &Descriptor, artifact_type: Option<&str>) -> bool {
    artifact_type.is_none_or(|kind| descriptor.artifact_type.as_deref() == Some(kind))
}

/// The next page of the same list: only the query of upstream's link counts, so that it leads nowhere else.
fn next(headers: &HeaderMap, url: &Url) -> Option<Url> {
    let lines = headers.get_all(LINK).iter().filter_map(|line| line.to_str().ok());
    let query = lines.filter_map(Link::next_query).next()?;
    let mut next = url.clone();
    next.set_query(Some(query));
    (next != *url).then_some(next)
}
