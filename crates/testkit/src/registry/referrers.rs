//! `referrers/<digest>` (distribution-spec, "Listing Referrers"), for a registry that has been given it as a quirk.

use serde_json::{Value, json};

use super::content::Content;
use super::draft::Draft;
use super::query;
use super::quirk::Quirk;
use super::record::RecordedRequest;
use crate::media_type::OCI_INDEX;

/// One page of what has `digest` as its subject; nothing without the quirk.
pub(super) fn list(
    held: &Content,
    repository: &str,
    digest: &str,
    request: &RecordedRequest,
    quirks: &[Quirk],
) -> Option<Draft> {
    let (page, filters) = quirks.iter().find_map(|quirk| match quirk {
        Quirk::Referrers { page, filters } => Some((*page, *filters)),
        _ => None,
    })?;
    let query = request.query.as_deref();
    let kind = query::value(query, "artifactType").filter(|_| filters);
    let mut all: Vec<Value> = held
        .manifests(repository)
        .filter_map(|(own, stored)| {
            let manifest: Value = serde_json::from_slice(&stored.bytes).ok()?;
            let refers = manifest.pointer("/subject/digest")?.as_str()? == digest;
            let artifact = manifest.get("artifactType").cloned().unwrap_or_default();
            let wanted = kind.as_deref().is_none_or(|kind| artifact == kind);
            (refers && wanted).then(|| {
                json!({
                    "mediaType": stored.media_type, "digest": own, "size": stored.bytes.len(),
                    "artifactType": artifact, "annotations": manifest.get("annotations").unwrap_or(&json!({})),
                })
            })
        })
        .collect();
    let from = query::value(query, "token").and_then(|token| token.parse().ok()).unwrap_or(0_usize);
    all.drain(..from.min(all.len()));
    let more = all.len() > page;
    all.truncate(page);
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": all}).to_string();
    let mut draft = Draft::new(200, index).with("Content-Type", OCI_INDEX);
    if let Some(kind) = &kind {
        draft = draft.with("OCI-Filters-Applied", "artifactType");
        if more {
            let link = format!(
                "</v2/{repository}/referrers/{digest}?artifactType={}&token={}>; rel=\"next\"",
                kind.replace('+', "%2B"),
                from + page
            );
            return Some(draft.with("Link", &link));
        }
    }
    if more {
        draft = draft.with("Link", &format!("<?token={}>; rel=\"next\"", from + page));
    }
    Some(draft)
}
