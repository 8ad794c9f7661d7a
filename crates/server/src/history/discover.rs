//! Which extensions of the registry API there are (distribution-spec, `extensions/_oci.md`).
//!
//! Knows no histories.

use http::{Method, Response};
use serde::Serialize;

use super::json;
use crate::edge::body::Body;
use crate::error::Error;

#[derive(Serialize)]
struct List {
    extensions: [Extension; 2],
}

#[derive(Serialize)]
struct Extension {
    name: &'static str,
    url: &'static str,
    description: &'static str,
    endpoints: &'static [&'static str],
}

/// The same for the registry and for each repository.
pub(crate) fn extensions(method: &Method) -> Result<Response<Body>, Error> {
    json(
        method,
        &List {
            extensions: [
                Extension {
                    name: "_oci",
                    url: "https://github.com/opencontainers/distribution-spec/pull/606",
                    description: "What a tag was, with a proof of each entry",
                    endpoints: &["_oci/tag-history"],
                },
                Extension {
                    name: "_chainguard",
                    url: "https://edu.chainguard.dev/chainguard/chainguard-images/how-to-use/using-the-tag-history-api/",
                    description: "What a tag was, in the format of Chainguard's tag history API",
                    endpoints: &["_chainguard/history"],
                },
            ],
        },
    )
}
