//! Lists of tags, page by page.

use http::Method;
use http::header::LINK;
use oci::{Link, Name, Tag, TagsQuery};
use serde::Deserialize;

use crate::Error;
use crate::body::read_bounded;
use crate::client::Client;
use crate::send::Question;

/// Bytes of one page.
const MAX_PAGE: usize = 4 * 1024 * 1024;

/// One page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagsPage {
    /// Grammatical ones, in upstream's order.
    pub tags: Vec<String>,
    /// What to ask for the next page.
    pub next: Option<TagsQuery>,
}

#[derive(Deserialize)]
struct Body {
    /// Some registries answer null for none.
    tags: Option<Vec<String>>,
}

impl Client {
    /// Asks for one page.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn tags(&self, name: &Name, query: &TagsQuery) -> Result<TagsPage, Error> {
        let endpoint = self.endpoint(name.host())?;
        let page = async {
            let mut url = endpoint.join(&format!("v2/{}/tags/list", name.repository()))?;
            url.set_query(query.token.as_ref().map(oci::PageToken::as_str));
            if let Some(n) = query.n {
                url.query_pairs_mut().append_pair("n", &n.to_string());
            }
            if let Some(last) = &query.last {
                url.query_pairs_mut().append_pair("last", last);
            }
            let question = Question {
                method: Method::GET,
                url,
                accept: Some("application/json"),
                extra: Vec::new(),
                follow: true,
            };
            let response = self.ask(&endpoint, name, &question).await?.response;
            let links: Vec<String> = response
                .headers()
                .get_all(LINK)
                .iter()
                .filter_map(|line| Some(line.to_str().ok()?.to_owned()))
                .collect();
            let body = read_bounded(response, name.host().as_str(), MAX_PAGE).await?;
            Ok((links, body))
        };
        let (links, body) = self.exchange(&endpoint, page).await.map_err(|error| match error {
            Error::TooLarge { .. } => Error::InvalidList,
            error => error,
        })?;
        let body: Body = serde_json::from_slice(&body).map_err(|_why| Error::InvalidList)?;
        let mut tags = body.tags.unwrap_or_default();
        tags.retain(|tag| Tag::parse(tag).is_ok());
        Ok(TagsPage { tags, next: links.iter().find_map(|link| Link::next_tags(link)) })
    }
}
