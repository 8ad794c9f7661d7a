//! Which endpoint a path means. Written here, without the router under test.

/// The endpoints by which requests are counted and quirks are aimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `/v2/`
    Ping,
    /// `/v2/<repository>/manifests/<reference>`
    Manifest,
    /// `/v2/<repository>/blobs/<digest>`
    Blob,
    /// `/v2/<repository>/tags/list`
    Tags,
    /// `/v2/<repository>/referrers/<digest>`
    Referrers,
    /// `/token`, the fake's own token endpoint
    Token,
    /// `/files/…`: what a registry's storage or CDN serves; never asks for credentials
    File,
    /// Anything else
    Other,
}

/// A path taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) repository: Option<String>,
    /// Tag, digest, or what follows `/files/`.
    pub(super) reference: Option<String>,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        if let Some(file) = path.strip_prefix("/files/") {
            return Self { kind: Kind::File, repository: None, reference: Some(file.to_owned()) };
        }
        let bare = |kind| Self { kind, repository: None, reference: None };
        match path {
            "/v2" | "/v2/" => return bare(Kind::Ping),
            "/token" => return bare(Kind::Token),
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return bare(Kind::Other) };
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            return Self { kind: Kind::Tags, repository: Some(repository.to_owned()), reference: None };
        }
        let endpoints =
            [("/manifests/", Kind::Manifest), ("/blobs/", Kind::Blob), ("/referrers/", Kind::Referrers)];
        for (endpoint, kind) in endpoints {
            if let Some((repository, reference)) = rest.rsplit_once(endpoint) {
                let reference = reference.replace("%3A", ":");
                return Self { kind, repository: Some(repository.to_owned()), reference: Some(reference) };
            }
        }
        bare(Kind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_told_from_its_path() {
        for (path, kind, repository, reference) in [
            ("/v2/", Kind::Ping, None, None),
            ("/v2/a/b/manifests/v1", Kind::Manifest, Some("a/b"), Some("v1")),
            ("/v2/manifests/manifests/v1", Kind::Manifest, Some("manifests"), Some("v1")),
            ("/v2/a/blobs/sha256%3Aab", Kind::Blob, Some("a"), Some("sha256:ab")),
            ("/v2/a/tags/list", Kind::Tags, Some("a"), None),
            ("/v2/a/referrers/sha256:ab", Kind::Referrers, Some("a"), Some("sha256:ab")),
            ("/token", Kind::Token, None, None),
            ("/files/x/y", Kind::File, None, Some("x/y")),
            ("/v2/_catalog", Kind::Other, None, None),
        ] {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let expected = Target { kind, repository: owned(repository), reference: owned(reference) };
            assert_eq!(Target::of(path), expected, "{path}");
        }
    }
}
