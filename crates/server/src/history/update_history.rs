//! `_chainguard/history`: the format of Chainguard's tag history API, which scripts and digestabot read.
//!
//! Oldest first, at most 1,000 records: the newest of those that were asked for, so that `.history[-1]` is the current one.

use http::{Method, Response};
use jiff::Timestamp;
use oci::{Name, Tag, TimeSpan};
use serde::Serialize;

use super::{changes, json};
use crate::app::App;
use crate::edge::body::Body;
use crate::edge::respond::rfc3339;
use crate::error::Error;

const MAX_RECORDS: usize = 1_000;

#[derive(Serialize)]
struct History {
    history: Vec<Update>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    update_timestamp: String,
    digest: String,
}

/// Answers all of it, or what lies within `span`.
pub(crate) async fn update_history(
    app: &App,
    method: &Method,
    name: &Name,
    tag: &Tag,
    span: &TimeSpan,
) -> Result<Response<Body>, Error> {
    let within = |time: u64| {
        let time = i64::try_from(time).ok().and_then(|time| Timestamp::from_second(time).ok());
        span.start.is_none_or(|start| time.is_some_and(|time| time >= start))
            && span.end.is_none_or(|end| time.is_some_and(|time| time <= end))
    };
    let mut history: Vec<Update> = changes(app, name, tag)
        .await?
        .iter()
        .filter(|change| within(change.time))
        .map(|change| Update { update_timestamp: rfc3339(change.time), digest: change.digest.to_string() })
        .collect();
    history.drain(..history.len().saturating_sub(MAX_RECORDS));
    json(method, &History { history })
}
