//! The four manifest types that are asked for, recorded and served.

use std::fmt;

/// A manifest's media type. Schema 1 is not among them: its digest is not that of its bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ManifestType {
    /// An OCI image index.
    OciIndex,
    /// A Docker manifest list.
    DockerList,
    /// An OCI image manifest.
    OciManifest,
    /// A Docker schema 2 manifest.
    DockerManifest,
}

impl ManifestType {
    /// All of them, in the order of [`ManifestType::ACCEPT`].
    pub const ALL: [Self; 4] = [Self::OciIndex, Self::DockerList, Self::OciManifest, Self::DockerManifest];

    /// The one `Accept` that upstream ever sees: what a tag means must not depend on who asks first.
    pub const ACCEPT: &'static str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

    /// As headers and leaves write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// Parses a `Content-Type`: case and parameters do not matter. `None` for any other type.
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(essence))
    }

    /// Whether it lists other manifests.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

impl fmt::Display for ManifestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_parse_whatever_their_case_and_parameters() {
        for known in ManifestType::ALL {
            assert_eq!(ManifestType::parse(known.as_str()), Some(known));
            assert_eq!(
                ManifestType::parse(&format!("{} ; charset=utf-8", known.as_str().to_uppercase())),
                Some(known)
            );
        }
        for other in
            ["", "text/html", "application/json", "application/vnd.docker.distribution.manifest.v1+prettyjws"]
        {
            assert_eq!(ManifestType::parse(other), None, "{other}");
        }
    }

    #[test]
    fn all_types_are_asked_for_in_one_line() {
        let asked: Vec<_> = ManifestType::ACCEPT.split(", ").map(ManifestType::parse).collect();
        assert_eq!(asked, ManifestType::ALL.map(Some));
    }
}
