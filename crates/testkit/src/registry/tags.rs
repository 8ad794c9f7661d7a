//! `tags/list`: pages of a sorted listing and the `Link` to the next one (distribution-spec, "Listing Tags").

use serde_json::json;

use super::draft::Draft;
use super::query;
use super::quirk::Quirk;
use super::record::RecordedRequest;

const LINK: &str = r#"<{next}>; rel="next""#;

/// The page that the query asks for, out of all `tags` of `repository`.
pub(super) fn page(
    repository: &str,
    mut tags: Vec<String>,
    request: &RecordedRequest,
    quirks: &[Quirk],
    own_url: &str,
) -> Draft {
    let number = query::value(request.query.as_deref(), "n").map(|n| n.parse::<usize>());
    let Ok(wanted) = number.transpose() else {
        return Draft::error(400, "UNSUPPORTED", "`n` is not a number");
    };
    if let Some(last) = query::value(request.query.as_deref(), "last") {
        tags.retain(|tag| *tag > last);
    }
    let largest = quirks.iter().find_map(|quirk| match quirk {
        Quirk::TagsPage(largest) => Some(*largest),
        _ => None,
    });
    let limit = [wanted, largest].into_iter().flatten().min().unwrap_or(usize::MAX);
    let more = tags.len() > limit;
    tags.truncate(limit);
    let listed = if quirks.iter().any(|quirk| matches!(quirk, Quirk::TagsNull)) { None } else { Some(&tags) };
    let body = json!({"name": repository, "tags": listed}).to_string();
    let draft = Draft::new(200, body).with("Content-Type", "application/json");
    match tags.last() {
        Some(last) if more => {
            let template = quirks.iter().find_map(|quirk| match quirk {
                Quirk::TagsLink(template) => Some(template.as_str()),
                _ => None,
            });
            let query = format!("n={limit}&last={last}");
            let link = template
                .unwrap_or(LINK)
                .replace("{next}", &format!("/v2/{repository}/tags/list?{query}"))
                .replace("{query}", &query)
                .replace("{self}", own_url);
            draft.with("Link", &link)
        }
        _ => draft,
    }
}
