//! The raw path: what it may hold, and its parts.
//!
//! Nothing is decoded here; whoever asks replaces the one escape that is allowed.

use super::RouteError;
use crate::name::names_a_registry;
use crate::{Name, RegistryHost};

/// Bytes of a path.
const MAX_PATH: usize = 1_024;

/// Which escapes a path holds.
pub(super) enum Escapes {
    None,
    Colons,
}

/// Refuses paths that no client has a reason to send.
pub(super) fn check_path(path: &str) -> Result<Escapes, RouteError> {
    if path.len() > MAX_PATH {
        return Err(RouteError::PathTooLong);
    }
    let mut escapes = Escapes::None;
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        if !after.get(..2).is_some_and(|escape| escape.eq_ignore_ascii_case("3A")) {
            return Err(RouteError::Path("an escape"));
        }
        escapes = Escapes::Colons;
        rest = after;
    }
    if path.contains('\\') {
        return Err(RouteError::Path("a backslash"));
    }
    if path.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return Err(RouteError::Path("a byte that is not printable ASCII"));
    }
    if path.contains("//") {
        return Err(RouteError::Path("an empty component"));
    }
    if path.split('/').any(|component| matches!(component, "." | "..")) {
        return Err(RouteError::Path("a `.` or `..` component"));
    }
    Ok(escapes)
}

/// What of a repository is asked for, unread.
pub(super) enum Endpoint<'a> {
    Manifest(&'a str),
    Blob(&'a str),
    TagsList,
    Referrers(&'a str),
    Extensions,
    TagHistory(&'a str),
    UpdateHistory(&'a str),
}

/// Splits `<name>/<endpoint>`: the last two components are the endpoint's, whatever the name holds; three where the first of
/// them begins with `_`, which no name does.
pub(super) fn split(rest: &str) -> Option<(&str, Endpoint<'_>)> {
    let (before, last) = rest.rsplit_once('/')?;
    let (name, kind) = before.rsplit_once('/')?;
    if let Some((name, extension)) = name.rsplit_once('/').filter(|(_, last)| last.starts_with('_')) {
        let endpoint = match (extension, kind, last) {
            ("_oci", "ext", "discover") => Endpoint::Extensions,
            ("_oci", "tag-history", tag) => Endpoint::TagHistory(tag),
            ("_chainguard", "history", tag) => Endpoint::UpdateHistory(tag),
            _ => return None,
        };
        return Some((name, endpoint));
    }
    let endpoint = match (kind, last) {
        ("manifests", selector) => Endpoint::Manifest(selector),
        ("blobs", digest) => Endpoint::Blob(digest),
        ("tags", "list") => Endpoint::TagsList,
        ("referrers", digest) => Endpoint::Referrers(digest),
        _ => return None,
    };
    Some((name, endpoint))
}

/// `?ns=` is authoritative; a path that repeats it as its first component is stripped once, and a
/// path that names another registry contradicts it.
pub(super) fn name(requested: &str, namespace: Option<&RegistryHost>) -> Result<Name, RouteError> {
    let Some(namespace) = namespace else { return Ok(Name::canonicalize(requested)?) };
    let Some((first, rest)) = requested.split_once('/') else {
        return Ok(Name::new(namespace.clone(), requested)?);
    };
    if names_a_registry(first) {
        if RegistryHost::canonicalize(first).ok().as_ref() == Some(namespace) {
            return Ok(Name::new(namespace.clone(), rest)?);
        }
        return Err(RouteError::Namespace);
    }
    Ok(Name::new(namespace.clone(), requested)?)
}
