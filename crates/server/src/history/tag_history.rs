//! `_oci/tag-history`: the draft of distribution-spec pull request 606, with a link to a proof beside each entry.
//!
//! An unknown tag has an empty history: 404 would say that there is no such endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::LINK;
use http::{HeaderValue, Method, Response};
use jiff::Timestamp;
use oci::{Descriptor, Digest, HistoryQuery, ManifestType, Name, RegistryHost, Tag, referrers_index};

use super::{Change, answer, changes};
use crate::app::App;
use crate::edge::body::Body;
use crate::edge::respond::rfc3339;
use crate::error::Error;
use crate::resolve::by_digest;

/// Entries on a page whose number the client leaves open.
const PAGE: u32 = 100;

/// Answers one page, newest first; `requested` is the name as the client wrote it, `namespace` the registry that its `?ns=`
/// named.
pub(crate) async fn tag_history(
    app: &Arc<App>,
    method: &Method,
    (name, tag): (&Name, &Tag),
    requested: &str,
    namespace: Option<&RegistryHost>,
    query: &HistoryQuery,
) -> Result<Response<Body>, Error> {
    let wanted = |change: &Change| is_wanted(query, change);
    let all: Vec<Change> = match query.n {
        Some(0) => Vec::new(),
        _ => changes(app, name, tag).await?.into_iter().rev().filter(wanted).collect(),
    };
    let length = usize::try_from(query.n.unwrap_or(PAGE)).unwrap_or(usize::MAX);
    let page = all.get(..length).unwrap_or(&all);
    let mut descriptors = Vec::with_capacity(page.len());
    for change in page {
        descriptors.push(descriptor(app, name, change).await?);
    }
    let mut response = answer(method, ManifestType::OciIndex.as_str(), referrers_index(&descriptors));
    if let Some(last) = page.last().filter(|_| page.len() < all.len()) {
        let namespace = namespace.map(|namespace| format!("&ns={namespace}")).unwrap_or_default();
        let query = query.further(last.index);
        let link = format!("</v2/{requested}/_oci/tag-history/{tag}?{query}{namespace}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(LINK, link);
        }
    }
    Ok(response)
}

fn is_wanted(query: &HistoryQuery, change: &Change) -> bool {
    let time = i64::try_from(change.time).ok().and_then(|time| Timestamp::from_second(time).ok());
    query.before.is_none_or(|before| time.is_some_and(|time| time < before))
        && query.since.is_none_or(|since| time.is_some_and(|time| time >= since))
        && query.digest.as_ref().is_none_or(|digest| *digest == Digest::from(change.digest))
        && query.below.is_none_or(|below| change.index < below)
}

async fn descriptor(app: &Arc<App>, name: &Name, change: &Change) -> Result<Descriptor, Error> {
    let (media_type, size) = match change.manifest {
        Some(manifest) => manifest,
        None => {
            let manifest = by_digest::manifest(app, name, change.digest.into()).await?.manifest;
            (manifest.media_type, manifest.bytes.len() as u64)
        }
    };
    let mut annotations = BTreeMap::from([
        ("org.opencontainers.distribution.tag.event".to_owned(), "created".to_owned()),
        ("org.opencontainers.distribution.tag.timestamp".to_owned(), rfc3339(change.time)),
        ("dev.tlogistry.log.index".to_owned(), change.index.to_string()),
    ]);
    if app.config.public {
        annotations.insert("dev.tlogistry.log.proof".to_owned(), app.entry_proof_url(change.index));
    }
    Ok(Descriptor { media_type, digest: change.digest.into(), size, artifact_type: None, annotations })
}
