//! What is answered to a request, decided in the order in which the functions stand here.

use bytes::Bytes;
use serde_json::json;

use super::content::{Content, Stored};
use super::draft::Draft;
use super::kind::Kind;
use super::listen::Silence;
use super::query;
use super::quirk::Quirk;
use super::record::RecordedRequest;
use super::{Shared, dress, lock, range, referrers, tags};
use crate::digest::sha256_digest;
use crate::media_type::{DOCKER_LIST, OCI_INDEX, SCHEMA1};

/// The order of decisions. Connection, then waiting, then answers that ask nothing, then method, credentials,
/// redirects, content; what the content quirks and headers do comes last and applies to whatever was decided.
pub(super) async fn answer(shared: &Shared, request: &RecordedRequest) -> Result<Draft, Silence> {
    let quirks = shared.rules.applying_to(request);
    for quirk in &quirks {
        match quirk {
            Quirk::Reset => return Err(Silence::Reset),
            Quirk::HangUp => return Err(Silence::Close),
            Quirk::HoldHeaders(gate) => gate.pass().await,
            _ => {}
        }
    }
    let mut draft = if let Some(fixed) = quirks.iter().find_map(|quirk| unconditional(quirk, request)) {
        fixed
    } else if let Some(refusal) = wrong_method(request) {
        refusal
    } else if let Some(refusal) = refused_credentials(shared, request) {
        refusal
    } else if let Some(redirect) = quirks.iter().find_map(|quirk| redirect(shared, quirk, request)) {
        redirect
    } else {
        let mut found = content(shared, request, &quirks);
        if found.status == 200 {
            dress::content(&mut found, &quirks, request);
        }
        let ranged = matches!(request.kind, Kind::Blob | Kind::File) && found.status == 200;
        let ignored = quirks.iter().any(|quirk| matches!(quirk, Quirk::NoRange));
        if ranged && !ignored { range::apply(found, request) } else { found }
    };
    if let Some(clock) = &*lock(&shared.clock) {
        draft.set("Date", &clock.http_date());
    }
    dress::wire(&mut draft, &quirks, request);
    Ok(draft)
}

fn unconditional(quirk: &Quirk, request: &RecordedRequest) -> Option<Draft> {
    match quirk {
        Quirk::Status(status) => Some(Draft::error(*status, code(*status), "the fake was told to say this")),
        Quirk::TooManyRequests(retry_after) => {
            let draft = Draft::error(429, "TOOMANYREQUESTS", "you have reached your pull rate limit");
            Some(match retry_after {
                Some(when) => draft.with("Retry-After", when),
                None => draft,
            })
        }
        Quirk::Answer(answer) => {
            let mut draft = Draft::new(answer.status, answer.body.clone());
            answer.headers.iter().for_each(|(name, value)| draft.add(name, value));
            Some(draft)
        }
        Quirk::HeadNotSupported if request.method == "HEAD" => {
            Some(Draft::error(405, "UNSUPPORTED", "the operation is unsupported").with("Allow", "GET"))
        }
        Quirk::RefusesAuthorization if request.headers.contains_key("authorization") => {
            Some(Draft::new(400, "Only one auth mechanism allowed").with("Content-Type", "text/plain"))
        }
        _ => None,
    }
}

fn wrong_method(request: &RecordedRequest) -> Option<Draft> {
    let posted = request.method == "POST" && request.kind == Kind::Token;
    let known = posted || matches!(request.method.as_str(), "GET" | "HEAD");
    (!known)
        .then(|| Draft::error(405, "UNSUPPORTED", "the operation is unsupported").with("Allow", "GET, HEAD"))
}

/// What was pushed under the path with its query, or else under the path alone.
fn file(held: &Content, path: &str, query: Option<&str>) -> Option<Stored> {
    let with_query = query.and_then(|query| held.file(&format!("{path}?{query}")));
    with_query.or_else(|| held.file(path))
}

fn refused_credentials(shared: &Shared, request: &RecordedRequest) -> Option<Draft> {
    let open = matches!(request.kind, Kind::Token | Kind::File);
    if open { None } else { lock(&shared.guard).refusal(request, &shared.host()) }
}

fn redirect(shared: &Shared, quirk: &Quirk, request: &RecordedRequest) -> Option<Draft> {
    let (status, location) = match quirk {
        Quirk::Redirect(status, template) => (*status, fill(shared, template, request)),
        Quirk::RedirectLoop => (307, request.path_and_query()),
        Quirk::RedirectHops(hops) => {
            let hop = query::value(request.query.as_deref(), "hop").map_or(0, |hop| hop.parse().unwrap_or(0));
            (hop < *hops).then(|| (307, format!("{}?hop={}", request.path, hop + 1)))?
        }
        _ => return None,
    };
    Some(Draft::new(status, Bytes::new()).with("Location", &location))
}

fn fill(shared: &Shared, template: &str, request: &RecordedRequest) -> String {
    let repository = request.repository.as_deref().unwrap_or_default();
    let reference = request.reference.as_deref().unwrap_or_default();
    let digest = lock(&shared.content)
        .manifest(repository, reference)
        .map_or_else(|| reference.to_owned(), |stored| sha256_digest(&stored.bytes));
    template
        .replace("{path}", &request.path_and_query())
        .replace("{repository}", repository)
        .replace("{reference}", reference)
        .replace("{digest}", &digest)
        .replace("{self}", &shared.url())
}

fn content(shared: &Shared, request: &RecordedRequest, quirks: &[Quirk]) -> Draft {
    let held = lock(&shared.content);
    let repository = request.repository.as_deref().unwrap_or_default();
    let reference = request.reference.as_deref().unwrap_or_default();
    match request.kind {
        Kind::Ping => Draft::new(200, "{}").with("Content-Type", "application/json"),
        Kind::Token => lock(&shared.guard).issue(request),
        Kind::Manifest => match manifest(&held, repository, reference, request, quirks) {
            Some(stored) => served(&stored),
            None => Draft::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        },
        Kind::Blob => match held.blob(repository, reference) {
            Some(bytes) => {
                let media_type = "application/octet-stream".to_owned();
                served(&Stored { bytes: bytes.clone(), media_type }).with("Accept-Ranges", "bytes")
            }
            None => Draft::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        },
        Kind::File => match file(&held, reference, request.query.as_deref()) {
            Some(stored) => {
                let mut draft = served(&stored).with("Accept-Ranges", "bytes");
                draft.headers.remove("docker-content-digest");
                draft
            }
            None => Draft::new(404, "no such file").with("Content-Type", "text/plain"),
        },
        Kind::Tags => match held.tags(repository) {
            Some(all) => tags::page(repository, all, request, quirks, &shared.url()),
            None => Draft::error(404, "NAME_UNKNOWN", "repository name not known to registry"),
        },
        Kind::Referrers => {
            referrers::list(&held, repository, reference, request, quirks).unwrap_or_else(no_endpoint)
        }
        Kind::Other => no_endpoint(),
    }
}

fn no_endpoint() -> Draft {
    Draft::new(404, "404 page not found").with("Content-Type", "text/plain")
}

/// The manifest for this request; the quirks of content negotiation decide here.
fn manifest(
    held: &Content,
    repository: &str,
    reference: &str,
    request: &RecordedRequest,
    quirks: &[Quirk],
) -> Option<Stored> {
    let stored = held.manifest(repository, reference)?;
    let accept = request.header_lines("accept").join(",");
    let is_list = [OCI_INDEX, DOCKER_LIST].contains(&stored.media_type.as_str());
    for quirk in quirks {
        match quirk {
            Quirk::Schema1WithoutAccept if accept.is_empty() => {
                let bytes = json!({"schemaVersion": 1, "name": repository, "tag": reference}).to_string();
                return Some(Stored { bytes: bytes.into(), media_type: SCHEMA1.to_owned() });
            }
            Quirk::Amd64ChildWithoutListTypes
                if is_list && ![OCI_INDEX, DOCKER_LIST].iter().any(|list| accept.contains(list)) =>
            {
                return held.amd64_child(repository, stored).cloned();
            }
            Quirk::StrictAccept if !accept.contains(&stored.media_type) => return None,
            _ => {}
        }
    }
    Some(stored.clone())
}

fn served(stored: &Stored) -> Draft {
    let digest = sha256_digest(&stored.bytes);
    Draft::new(200, stored.bytes.clone())
        .with("Content-Type", &stored.media_type)
        .with("Docker-Content-Digest", &digest)
        .with("ETag", &format!("\"{digest}\""))
}

/// The code that registries use with a status.
fn code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "MANIFEST_UNKNOWN",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    }
}
