//! The one place where outcomes become HTTP: statuses, headers, and the OCI error envelope.
//!
//! Answers are built from scratch; no header of upstream is copied. Knows nothing of how an
//! outcome came about.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER, WARNING, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, Response, StatusCode};
use jiff::Timestamp;
use oci::{Digest, Envelope, ErrorCode};
use serde_json::json;

use super::body::{Body, full};
use ledger::AppendError;

use crate::app::App;
use crate::error::{Error, Moved, RecordHead, What, Young};
use crate::health::why_read_only;
use crate::resolve::Served;

/// The last second of the year 9999.
const LAST_HTTP_DATE: u64 = 253_402_300_799;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const TLOG_ERROR: HeaderName = HeaderName::from_static("tlog-error");
const TLOG_FIRST_SEEN: HeaderName = HeaderName::from_static("tlog-first-seen");
const TLOG_INTEGRATED_TIME: HeaderName = HeaderName::from_static("tlog-integratedtime");
const TLOG_LOG: HeaderName = HeaderName::from_static("tlog-log");
const TLOG_LOG_INDEX: HeaderName = HeaderName::from_static("tlog-logindex");
const TLOG_PROOF: HeaderName = HeaderName::from_static("tlog-proof");
const TLOG_RECORDED_DIGEST: HeaderName = HeaderName::from_static("tlog-recorded-digest");
const TLOG_UPSTREAM_DIGEST: HeaderName = HeaderName::from_static("tlog-upstream-digest");
const TLOG_UUID: HeaderName = HeaderName::from_static("tlog-uuid");

/// Header lines of a manifest's answer at most; a map that knows them from the start does not grow thrice.
const MANIFEST_HEADERS: usize = 20;

/// A manifest never changes under its digest. `public` also of an answer to a login: see [`keep_private`].
pub(crate) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// What a tag means must be asked each time: a cache in front must not freeze or mix.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Puts on every `/v2/` answer what all of them carry: bodies under our origin are upstream's
/// choice, so none may become active content.
pub(crate) fn registry_headers(headers: &mut HeaderMap) {
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
}

/// For an answer that is not for whoever asks: no cache may give it to somebody else, and no other site's script read it.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    let cache = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or("no-cache");
    if cache != "no-store" {
        let cache = format!("private, {}", cache.trim_start_matches("public, "));
        insert(headers, CACHE_CONTROL, cache);
    }
}

/// A manifest, by tag or by digest; a HEAD has all but the bytes.
pub(crate) fn manifest(app: &App, method: &Method, served: &Served) -> Response<Body> {
    let bytes = &served.manifest.bytes;
    let mut response =
        Response::new(full(if method == Method::HEAD { bytes.slice(..0) } else { bytes.clone() }));
    let headers = response.headers_mut();
    headers.reserve(MANIFEST_HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(served.manifest.media_type.as_str()));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let digest = served.digest.to_string();
    insert(headers, ETAG, ["\"", &digest, "\""].concat());
    insert(headers, CONTENT_DIGEST, digest);
    headers.insert(CACHE_CONTROL, if served.by_digest { IMMUTABLE } else { NO_CACHE });
    if let Some(record) = &served.record {
        record_headers(app, headers, record);
    }
    if let Some(since) = served.record.as_ref().map(|record| record.time).or(served.since) {
        insert(headers, LAST_MODIFIED, http_date(since));
    }
    if served.first_seen {
        headers.insert(TLOG_FIRST_SEEN, HeaderValue::from_static("true"));
    }
    if let Some(digest) = &served.moved_to {
        insert(headers, TLOG_UPSTREAM_DIGEST, digest.to_string());
    }
    if let Some(warning) = &served.warning {
        insert(headers, WARNING, format!("299 - \"{}\"", quoted(warning)));
    }
    response
}

/// Whether a request's `If-None-Match` names this digest, quoted or not (RFC 9110 §13.1.2; both are seen).
pub(crate) fn names(request: &HeaderMap, digest: &Digest) -> bool {
    if !request.contains_key(http::header::IF_NONE_MATCH) {
        return false;
    }
    let digest = digest.to_string();
    request.get_all(http::header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|line| {
        line.split(',').any(|tag| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digest
        })
    })
}

/// 304 with the headers of the 200 that it stands for.
pub(crate) fn unchanged(app: &App, served: &Served) -> Response<Body> {
    let mut response = manifest(app, &Method::HEAD, served);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// An error of the registry API, as the OCI envelope.
pub(crate) fn error(app: &App, error: &Error) -> Response<Body> {
    let (status, code) = status_and_code(app, error);
    let (message, detail) = message_and_detail(app, error);
    let text = Envelope { code, message: message.clone(), detail }.to_json();
    let mut response = Response::new(full(text.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    retry_after(headers, error, status);
    challenge(headers, status);
    match error {
        Error::Moved(moved) => {
            record_headers(app, headers, &moved.record);
            insert(headers, TLOG_UPSTREAM_DIGEST, moved.seen.to_string());
            insert(headers, TLOG_ERROR, ascii(&message));
        }
        Error::Gone(record) => record_headers(app, headers, record),
        Error::Young(young) => {
            record_headers(app, headers, &young.record);
            insert(headers, TLOG_ERROR, ascii(&message));
        }
        _ => {}
    }
    response
}

/// Status of an error outside `/v2/`, where there is no envelope.
pub(crate) fn status(app: &App, error: &Error) -> StatusCode {
    status_and_code(app, error).0
}

/// What an error says to a person, and to a program.
pub(crate) fn message(app: &App, error: &Error) -> String {
    message_and_detail(app, error).0
}

/// `Retry-After`, for the statuses whose clients look for it.
pub(crate) fn retry_after(headers: &mut HeaderMap, error: &Error, status: StatusCode) {
    // Rounded up: who comes back a moment too early is turned away again.
    let seconds = |wait: Duration| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    let wait = error.retry_after().map(|wait| seconds(wait).max(1));
    let waits = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(seconds) = wait.or_else(|| waits.then_some(5)) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// What `docker login`, skopeo and containerd look for before they show a password. Its realm is never upstream's.
pub(crate) fn challenge(headers: &mut HeaderMap, status: StatusCode) {
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tlogistry\""));
    }
}

/// The original's four headers, the log that they speak of, and ours.
fn record_headers(app: &App, headers: &mut HeaderMap, record: &RecordHead) {
    match &record.logged {
        Some(logged) => {
            insert(headers, TLOG_UUID, logged.entry.uuid.clone());
            headers.insert(TLOG_LOG_INDEX, HeaderValue::from(logged.entry.index));
            insert(headers, TLOG_INTEGRATED_TIME, rfc3339(logged.entry.time));
            headers.insert(TLOG_LOG, logged.log.clone());
        }
        None => {
            insert(headers, TLOG_UUID, record.leaf_hash.to_hex());
            headers.insert(TLOG_LOG_INDEX, HeaderValue::from(record.index));
            insert(headers, TLOG_INTEGRATED_TIME, rfc3339(record.time));
            headers.insert(TLOG_LOG, app.origin_header.clone());
        }
    }
    insert(headers, TLOG_RECORDED_DIGEST, record.digest.to_string());
    // A URL that is closed to whoever asks proves nothing.
    if app.config.shows_log() {
        insert(headers, TLOG_PROOF, app.proof_url(&record.name, &record.tag));
    }
}

fn status_and_code(app: &App, error: &Error) -> (StatusCode, ErrorCode) {
    match error {
        Error::Route(route) => {
            let status = StatusCode::from_u16(route.status()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, route.code())
        }
        Error::Moved(_) => (StatusCode::FORBIDDEN, app.config.refusal_code.into()),
        Error::Gone(_) => (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
        Error::DeniedByPolicy { .. }
        | Error::BlobsDenied
        | Error::NotListed { .. }
        | Error::Young(_)
        | Error::Contradicted { .. } => (StatusCode::FORBIDDEN, ErrorCode::Denied),
        Error::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized),
        Error::TooManyAttempts { .. } | Error::TooManyRequests { .. } | Error::Untaken { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
        }
        Error::LoginsBusy | Error::Evidence { .. } | Error::Unsearched { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
        }
        Error::Upstream { what, source, .. } => upstream_status(*what, source),
        Error::NotRecorded { known, source, .. } => append_status(*known, source),
        Error::Store { .. } | Error::Internal => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
        Error::NotYetPublished { .. } | Error::Unprovable { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
        }
        Error::NotFound { .. } | Error::NotPublic => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
        Error::Algorithm { .. } | Error::RequestBody => (StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
        Error::Unsupported { .. } => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        Error::BadRequest { .. } => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
    }
}

/// oci.md-style table: what upstream's failure is for the client. Never 401, and never a refusal's 403
/// but where our own credentials were turned down.
fn upstream_status(what: What, error: &upstream::Error) -> (StatusCode, ErrorCode) {
    use upstream::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => {
            let code = match what {
                What::Blob => ErrorCode::BlobUnknown,
                What::Manifest => ErrorCode::ManifestUnknown,
                What::Repository => ErrorCode::NameUnknown,
            };
            (StatusCode::NOT_FOUND, code)
        }
        Kind::Denied { had_credentials: false } => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
        Kind::Denied { had_credentials: true } => (StatusCode::FORBIDDEN, ErrorCode::Denied),
        Kind::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests),
        Kind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Unavailable),
        Kind::RangeNotSatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid),
        Kind::HostRefused => (StatusCode::FORBIDDEN, ErrorCode::Denied),
        Kind::InvalidManifest => (StatusCode::BAD_GATEWAY, ErrorCode::ManifestInvalid),
        Kind::DigestLies => (StatusCode::BAD_GATEWAY, ErrorCode::DigestInvalid),
        Kind::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        Kind::Unavailable => (StatusCode::BAD_GATEWAY, ErrorCode::Unavailable),
    }
}

/// Beyond a budget a new tag is one request too many; an observed tag is served again when there is room.
fn append_status(known: bool, error: &AppendError) -> (StatusCode, ErrorCode) {
    if !known && matches!(error, AppendError::Budget { .. }) {
        (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
    }
}

fn message_and_detail(app: &App, error: &Error) -> (String, Option<serde_json::Value>) {
    match error {
        Error::Moved(moved) => (moved_message(app, moved), Some(moved_detail(app, moved))),
        Error::Gone(record) => (
            format!(
                "tag {name}:{tag} was withdrawn upstream; log entry {index} ({time}) recorded {digest}; its manifest is still here: pull {name}@{digest}",
                name = record.name,
                tag = record.tag,
                index = record.index,
                time = rfc3339(record.time),
                digest = record.digest
            ),
            Some(record_detail(app, record)),
        ),
        Error::Young(young) => (young_message(young), Some(young_detail(app, young))),
        Error::NotRecorded { subject, known, source } => {
            if let AppendError::NotYetPublished { .. } = **source {
                let why = "its witnesses have not cosigned it yet; pull again in a moment";
                return (format!("{subject} is recorded, but {why}"), None);
            }
            let what = if *known { "has a new digest upstream, which" } else { "is new here and" };
            let why = match &**source {
                AppendError::ReadOnly(why) => why_read_only(why),
                why => why.to_string(),
            };
            (format!("{subject} {what} cannot be recorded now, so it is not served: {why}"), None)
        }
        Error::Store { subject, .. } => (
            format!("our own record of {subject} fails its check; the operator must run `tlogistry fsck`"),
            None,
        ),
        Error::Evidence { subject, source } if matches!(**source, sigstore::Error::File { .. }) => (
            format!(
                "{subject} cannot be recorded in public now: a file of this service's cannot be used; the operator's log says which"
            ),
            None,
        ),
        Error::NotPublic => ("the log, proofs and pages of this service are not public".to_owned(), None),
        Error::Internal => ("internal error; the operator's log has the details".to_owned(), None),
        other => (other.to_string(), None),
    }
}

/// One sentence that a person can act on: it is all that most clients print.
fn moved_message(app: &App, moved: &Moved) -> String {
    let record = &moved.record;
    let evidence = if app.config.shows_log() {
        format!("; evidence: {}", app.page_url(&record.name, &record.tag))
    } else {
        String::new()
    };
    format!(
        "tag {name}:{tag} moved: log entry {index} ({time}) has {recorded}, upstream now serves {seen}; \
         to have what was recorded pull {name}@{recorded}; if the move is legitimate the operator can record it \
         with `tlogistry supersede {name}:{tag} {seen} --reason TEXT`{evidence}",
        name = record.name,
        tag = record.tag,
        index = record.index,
        time = rfc3339(record.time),
        recorded = record.digest,
        seen = moved.seen,
    )
}

/// When the wait is over, so that nobody has to ask for it.
fn young_message(young: &Young) -> String {
    let record = &young.record;
    format!(
        "tag {name}:{tag} is {digest}, first seen {since} (log entry {index}); by this service's policy (`min_age`) \
         it is served from {from} on",
        name = record.name,
        tag = record.tag,
        digest = record.digest,
        since = rfc3339(young.since),
        index = record.index,
        from = rfc3339(young.from),
    )
}

fn young_detail(app: &App, young: &Young) -> serde_json::Value {
    let mut detail = record_detail(app, &young.record);
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("served_from".to_owned(), json!(rfc3339(young.from)));
    }
    detail
}

fn moved_detail(app: &App, moved: &Moved) -> serde_json::Value {
    let mut detail = record_detail(app, &moved.record);
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("upstream".to_owned(), json!(moved.seen.to_string()));
    }
    detail
}

fn record_detail(app: &App, record: &RecordHead) -> serde_json::Value {
    let mut detail = json!({
        "reference": format!("{}:{}", record.name, record.tag),
        "recorded": record.digest.to_string(),
        "index": record.index,
        "time": rfc3339(record.time),
        "log": app.ledger.origin(),
    });
    if let Some(detail) = detail.as_object_mut().filter(|_| app.config.shows_log()) {
        detail.insert("proof".to_owned(), json!(app.proof_url(&record.name, &record.tag)));
    }
    detail
}

/// Unix seconds as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_beyond_year_9999| seconds.to_string(), |time| time.to_string())
}

/// Unix seconds as HTTP writes them (RFC 9110 §5.6.7).
pub(crate) fn http_date(seconds: u64) -> String {
    let beyond = Duration::from_secs(seconds.min(LAST_HTTP_DATE));
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + beyond)
}

/// For a header's quoted string (RFC 9110 §5.6.4), in one line of ASCII.
fn quoted(text: &str) -> String {
    ascii(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// Text for people and programs alike, which nobody keeps.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Values are made of parsed, ASCII parts; one that is not goes without its header.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    match HeaderValue::try_from(value) {
        Ok(value) => {
            headers.insert(name, value);
        }
        Err(error) => tracing::error!(%name, %error, "a header's value is not one"),
    }
}
