//! The pages a person sees: fills the views of `pages` from the log and, for a tag, from upstream.
//!
//! Reads only; asking upstream here records nothing.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Response, StatusCode};
use oci::{ManifestSelector, TagName};
use taglog::{Leaf, TagKey};

use super::body::{Body, full};
use super::respond::{self, rfc3339};
use super::service::open;
use crate::app::App;
use crate::error::Error;
use crate::log_api;
use crate::pages::{self, CurrentView, HistoryView, HomeView, TagState, TagView, UpstreamView};
use crate::resolve::is_gone;

/// How long a page waits for upstream's word.
const UPSTREAM_PATIENCE: Duration = Duration::from_secs(3);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Any path that is neither the registry's, the log's nor a probe's.
pub(super) async fn page(app: &Arc<App>, parts: &Parts) -> Response<Body> {
    match parts.uri.path() {
        "/assets/style.css" => asset("text/css; charset=utf-8", pages::style()),
        "/assets/script.js" => asset("text/javascript; charset=utf-8", pages::script()),
        "/assets/proof.js" => asset("text/javascript; charset=utf-8", pages::proof_module()),
        path => match answer(app, parts, path).await {
            Ok(response) => response,
            Err(error) => problem(app, &error),
        },
    }
}

async fn answer(app: &Arc<App>, parts: &Parts, path: &str) -> Result<Response<Body>, Error> {
    open(app)?;
    if path == "/" {
        return Ok(html(StatusCode::OK, home(app, parts)));
    }
    if path == "/lookup" {
        return lookup(app, parts);
    }
    if let Some(reference) = path.strip_prefix("/t/") {
        let reference = reference.replace("%3A", ":").replace("%3a", ":");
        let view = tag(app, parts, &log_api::tag_name(&reference)?).await?;
        return Ok(html(StatusCode::OK, pages::tag(&view)));
    }
    Err(Error::NotFound { what: path.to_owned() })
}

fn home(app: &App, parts: &Parts) -> String {
    let (host, insecure_http) = host(app, parts);
    pages::home(&HomeView {
        host,
        insecure_http,
        origin: app.ledger.origin().to_owned(),
        vkey: app.ledger.verifier_key().to_string(),
        size: app.published_size(),
    })
}

/// The lookup box works without JavaScript: a GET form that is redirected to the tag's page.
fn lookup(app: &App, parts: &Parts) -> Result<Response<Body>, Error> {
    let query = parts.uri.query().unwrap_or_default();
    let value = url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "reference")
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default();
    // Who pastes our own command means what comes after our name.
    let (host, _) = host(app, parts);
    let pasted = ["docker pull ", "podman pull "].iter().find_map(|command| value.strip_prefix(command));
    let pasted = pasted.unwrap_or(&value).trim_start();
    let value = pasted.strip_prefix(&format!("{host}/")).unwrap_or(&value);
    let target = pages::lookup_target(value).map_err(|message| Error::BadRequest { message })?;
    let mut response = html(StatusCode::SEE_OTHER, String::new());
    let location = HeaderValue::from_str(&target).map_err(|_not_ascii| Error::Internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

async fn tag(app: &Arc<App>, parts: &Parts, subject: &TagName) -> Result<TagView, Error> {
    let reference = subject.to_string();
    let store = |source: ledger::Error| {
        tracing::error!(%reference, error = %source, "a record cannot be read");
        Error::Store { subject: reference.clone(), source: Arc::new(source) }
    };
    let key = TagKey::of(&subject.name, &subject.tag);
    let record = app.ledger.lookup(&key).map_err(store)?;
    log_api::shown(app, subject, record.as_deref())?;
    let history = app.ledger.history(&key).map_err(store)?;
    let upstream = ask_upstream(app, subject, record.as_deref()).await;
    let state = match &record {
        None => TagState::NeverRecorded,
        Some(record) if record.is_frozen() => TagState::Frozen,
        Some(record) if matches!(record.entry().leaf, Leaf::Thaw { .. }) => TagState::Thawed,
        Some(_) => TagState::Observed,
    };
    let current = record.as_ref().map(|record| CurrentView {
        digest: record.digest().to_string(),
        leaf_kind: record.entry().leaf.kind().to_owned(),
        index: record.index(),
        time: rfc3339(record.time()),
        media_type: record.manifest().map_or(String::new(), |(media_type, _)| media_type.as_str().to_owned()),
        size: record.manifest().map(|(_, size)| size),
    });
    let (host, insecure_http) = host(app, parts);
    Ok(TagView {
        host,
        insecure_http,
        short: short(&reference),
        proof_path: format!("/proof/{reference}"),
        state,
        current,
        history: history.iter().map(|entry| history_view(entry.index, &entry.leaf)).collect(),
        upstream,
        log_origin: app.ledger.origin().to_owned(),
        log_size: app.published_size(),
        policy_action: app.config.policy.decide(&subject.name, &subject.tag).effective().to_string(),
        reference: reference.clone(),
    })
}

/// As people write it, where that is still the same tag: `index.docker.io/ghcr.io/app` has no shorter form.
fn short(reference: &str) -> String {
    let shorter = ["index.docker.io/library/", "index.docker.io/"].iter().find_map(|prefix| {
        let rest = reference.strip_prefix(prefix)?;
        let same = oci::Reference::parse(rest).is_ok_and(|parsed| parsed.to_string() == reference);
        same.then_some(rest)
    });
    shorter.unwrap_or(reference).to_owned()
}

/// What upstream says now. A page is not a pull: nothing is recorded, and no doubt is settled here.
async fn ask_upstream(app: &App, subject: &TagName, record: Option<&ledger::Recorded>) -> UpstreamView {
    let Some(record) = record.filter(|_| app.config.listing.permits(subject.name.host())) else {
        return UpstreamView::NotAsked;
    };
    let selector = ManifestSelector::Tag(subject.tag.clone());
    let asked = tokio::time::timeout(UPSTREAM_PATIENCE, app.head_tag(&subject.name, &selector)).await;
    match asked {
        Err(_late) => UpstreamView::Unreachable { why: "no answer in time".to_owned() },
        Ok(Ok(said)) => match said.digest {
            Some(digest) if digest == record.digest().into() => UpstreamView::Same,
            Some(digest) => UpstreamView::Moved { digest: digest.to_string() },
            None => UpstreamView::Unreachable { why: "it names no digest in answer to HEAD".to_owned() },
        },
        Ok(Err(error)) if is_gone(&error) => UpstreamView::Gone,
        Ok(Err(error)) => UpstreamView::Unreachable { why: error.to_string() },
    }
}

fn history_view(index: u64, leaf: &Leaf) -> HistoryView {
    let (digest, other_digest, reason) = match leaf {
        Leaf::Tag(record) | Leaf::Seen(record) => (Some(record.digest), None, None),
        Leaf::Moved { recorded, seen, .. } => (Some(*recorded), Some(*seen), None),
        Leaf::Supersede { old, new, reason, .. } => (Some(*new), Some(*old), Some(reason)),
        Leaf::Thaw { digest, reason, .. } => (Some(*digest), None, Some(reason)),
        Leaf::Log { .. } | Leaf::Close { .. } | Leaf::Index { .. } | Leaf::Unknown { .. } => {
            (None, None, None)
        }
    };
    HistoryView {
        kind: leaf.kind().to_owned(),
        index,
        time: leaf.time().map_or(String::new(), rfc3339),
        digest: digest.map(|digest| digest.to_string()),
        other_digest: other_digest.map(|digest| digest.to_string()),
        reason: reason.map(|reason| reason.as_str().to_owned()),
    }
}

fn host(app: &App, parts: &Parts) -> (String, bool) {
    // HTTP/2 carries the host in the request line.
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let header = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    pages::host_for_commands(header.or(authority), &app.config.public_url)
}

fn problem(app: &App, error: &Error) -> Response<Body> {
    let status = respond::status(app, error);
    let message = respond::message(app, error);
    if let Error::NotPublic = error {
        let mut response = Response::new(full("this is a container registry; its pages are not public\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let page = match error {
        Error::NotFound { what } => pages::not_found(what),
        Error::BadRequest { .. } => {
            pages::problem("That is not a tag", &message, "write it as in `docker pull`, such as alpine:3.20")
        }
        _ => pages::problem("This did not work", &message, "try again in a moment"),
    };
    let mut response = html(status, page);
    respond::retry_after(response.headers_mut(), error, status);
    response
}

fn html(status: StatusCode, page: String) -> Response<Body> {
    let length = page.len();
    let mut response = Response::new(full(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CONTENT_SECURITY_POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn asset(content_type: &'static str, bytes: &'static [u8]) -> Response<Body> {
    let mut response = Response::new(full(bytes::Bytes::from_static(bytes)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn the_short_form_is_the_same_tag() {
        assert_eq!(short("index.docker.io/library/alpine:3"), "alpine:3");
        assert_eq!(short("index.docker.io/org/app:3"), "org/app:3");
        assert_eq!(short("index.docker.io/ghcr.io/app:3"), "index.docker.io/ghcr.io/app:3");
        assert_eq!(short("ghcr.io/org/app:3"), "ghcr.io/org/app:3");
    }
}
