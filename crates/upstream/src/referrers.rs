//! What refers to a manifest: upstream's referrers API, or the tag that clients fall back to where it has none.
//!
//! Lists are upstream's word: they are parsed, bounded, and neither recorded nor believed in any other way.

use bytes::Bytes;
use http::header::{HeaderName, LINK};
use http::{HeaderMap, Method, StatusCode};
use oci::{
    Descriptor, Digest, Link, MAX_MANIFEST, ManifestSelector, ManifestType, Name, Referrers, fallback_tag,
};
use url::Url;

use crate::Error;
use crate::body::read_within;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::room::Room;
use crate::send::Question;

/// Bytes of one list, over all pages: ours is one index, and clients read no more of one.
const MAX_LIST: usize = MAX_MANIFEST;
/// Pages of one list.
const MAX_PAGES: usize = 16;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// A page as it came; it is read once all are there, so that a slow registry makes us hold no more than that, and of
/// that no more than there is room for.
struct Page {
    body: Bytes,
    /// Whether upstream says that it has left out other artifact types.
    filtered: bool,
}

impl Client {
    /// All that refers to `digest`, of one artifact type if that is given.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::InvalidList`] for a list that is none, or has more than 16 pages, 4 MiB or 10,000 descriptors;
    /// [`Error::NoRoom`] for a long one while many others are read.
    pub async fn referrers(
        &self,
        name: &Name,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut room = self.room(name.host());
        let pages = async {
            match self.pages(name, digest, artifact_type, &mut room).await? {
                Some(pages) => Ok(pages),
                None => self.fallback(name, digest).await,
            }
        };
        let pages = tokio::time::timeout(self.timeouts().list, pages).await;
        let pages = pages.map_err(|_late| Error::TimedOut { host: name.host().to_string() })??;
        let mut list = Referrers::default();
        for page in pages {
            let wanted = artifact_type.filter(|_| !page.filtered);
            list = list.with(&page.body, wanted).ok_or(Error::InvalidList)?;
        }
        Ok(list.into_descriptors())
    }

    /// What the API answers; `None` where there is none.
    async fn pages(
        &self,
        name: &Name,
        digest: &Digest,
        artifact_type: Option<&str>,
        room: &mut Room,
    ) -> Result<Option<Vec<Page>>, Error> {
        let endpoint = self.endpoint(name.host())?;
        let path = format!("v2/{}/referrers/{digest}", name.repository());
        let mut url = endpoint.join(&path)?;
        if let Some(kind) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", kind);
        }
        let (mut pages, mut left) = (Vec::new(), MAX_LIST);
        for _page in 0..MAX_PAGES {
            let page = self.referrers_page(&endpoint, name, url.clone(), left, room).await;
            let (headers, body) = match page {
                // Not one of them has the API: by the specification 404, by experience any of these.
                Err(Error::NotFound | Error::UnexpectedStatus { status: 400 | 405 | 406 })
                | Err(Error::ServerError { status: 501 })
                    if pages.is_empty() =>
                {
                    return Ok(None);
                }
                Err(Error::TooLarge { .. }) => return Err(Error::InvalidList),
                page => page?,
            };
            left = left.saturating_sub(body.len());
            let filtered = headers.get(FILTERS_APPLIED).is_some_and(|applied| applied == "artifactType");
            pages.push(Page { body, filtered });
            match next(&headers, &url) {
                Some(next) => url = next,
                None => return Ok(Some(pages)),
            }
        }
        Err(Error::InvalidList)
    }

    async fn referrers_page(
        &self,
        endpoint: &Endpoint,
        name: &Name,
        url: Url,
        left: usize,
        room: &mut Room,
    ) -> Result<(HeaderMap, Bytes), Error> {
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
            let body = read_within(response, name.host().as_str(), left, |bytes| room.take(bytes)).await?;
            Ok((headers, body))
        };
        self.exchange(endpoint, page).await
    }

    /// The index under the fallback tag; where there is none, nothing refers to the manifest.
    async fn fallback(&self, name: &Name, digest: &Digest) -> Result<Vec<Page>, Error> {
        let Some(tag) = fallback_tag(digest) else { return Ok(Vec::new()) };
        match self.manifest(name, &ManifestSelector::Tag(tag)).await {
            Ok(fetched) => Ok(vec![Page { body: fetched.bytes, filtered: false }]),
            Err(Error::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The next page of the same list: only the query of upstream's link counts, so that it leads nowhere else.
fn next(headers: &HeaderMap, url: &Url) -> Option<Url> {
    let lines = headers.get_all(LINK).iter().filter_map(|line| line.to_str().ok());
    let query = lines.filter_map(Link::next_query).next()?;
    let mut next = url.clone();
    next.set_query(Some(query));
    (next != *url).then_some(next)
}
