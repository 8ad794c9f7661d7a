//! `/api/v1/tags/<registry>/<repository>`: the recorded tags of a repository, as a custom datasource of Renovate reads them.
//!
//! The time is when the log first had the tag at that digest, which is never before it was pushed.

use http::{Method, Response};
use oci::Name;
use serde::Serialize;

use super::{blocking, json};
use crate::app::App;
use crate::edge::body::Body;
use crate::edge::respond::rfc3339;
use crate::error::Error;

#[derive(Serialize)]
struct Releases {
    releases: Vec<Release>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    version: String,
    digest: String,
    release_timestamp: String,
}

/// Answers all of them, oldest first.
pub(crate) async fn releases(app: &App, method: &Method, name: &str) -> Result<Response<Body>, Error> {
    let name = Name::canonicalize(name).map_err(|error| Error::BadRequest { message: error.to_string() })?;
    if let Some(rule) = app.config.policy.denies_repository(&name) {
        return Err(Error::DeniedByPolicy { reference: name.to_string(), rule: rule.to_string() });
    }
    let subject = name.to_string();
    let mut records = blocking(app, &subject, move |ledger| ledger.tags(&name)).await?;
    records.sort_by_key(|record| record.index());
    let releases = records.iter().filter_map(|record| {
        let (_, tag, _) = record.entry().leaf.current()?;
        Some(Release {
            version: tag.to_string(),
            digest: record.digest().to_string(),
            release_timestamp: rfc3339(record.time()),
        })
    });
    json(method, &Releases { releases: releases.collect() })
}
