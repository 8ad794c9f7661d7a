//! Which registries clients may name: any, or those on a list.
//!
//! Pure. Knows nothing of how a registry is reached: an address that nobody may reach is refused elsewhere.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use oci::RegistryHost;
use serde::Deserialize;

/// `upstreams_mode`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamsMode {
    /// Any registry, by its public name over https.
    #[default]
    Open,
    /// Those that are configured, and those that `allow` names.
    Listed,
}

/// One entry of `allow`: a registry's name, or `*.` and the domain below which all are meant.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Allowed {
    domain: RegistryHost,
    below: bool,
}

/// The registries that clients may name.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    mode: UpstreamsMode,
    configured: BTreeSet<RegistryHost>,
    allowed: Vec<Allowed>,
}

impl Listing {
    pub(super) fn new(
        mode: UpstreamsMode,
        configured: impl IntoIterator<Item = RegistryHost>,
        allowed: Vec<Allowed>,
    ) -> Self {
        Self { mode, configured: configured.into_iter().collect(), allowed }
    }

    /// Whether clients may name this registry.
    pub fn permits(&self, host: &RegistryHost) -> bool {
        self.mode == UpstreamsMode::Open
            || self.configured.contains(host)
            || self.allowed.iter().any(|allowed| allowed.matches(host))
    }

    /// What was configured.
    pub fn mode(&self) -> UpstreamsMode {
        self.mode
    }

    /// What was configured.
    pub fn allowed(&self) -> &[Allowed] {
        &self.allowed
    }
}

impl Allowed {
    fn matches(&self, host: &RegistryHost) -> bool {
        if !self.below {
            return *host == self.domain;
        }
        let rest = host.as_str().strip_suffix(self.domain.as_str());
        rest.is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |domain| (domain, true));
        let domain = RegistryHost::canonicalize(name).map_err(|error| {
            format!("`{text}`: {error}; write a registry's name such as `ghcr.io`, or `*.example.com`")
        })?;
        Ok(Self { domain, below })
    }
}

impl TryFrom<String> for Allowed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            f.write_str("*.")?;
        }
        f.write_str(self.domain.as_str())
    }
}

impl fmt::Display for UpstreamsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Listed => "listed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> RegistryHost {
        RegistryHost::canonicalize(name).unwrap()
    }

    #[test]
    fn a_list_permits_what_it_names_what_is_configured_and_nothing_else() {
        let allowed = ["ghcr.io", "docker.io", "*.example.com"].map(|text| text.parse().unwrap()).to_vec();
        let listing = Listing::new(UpstreamsMode::Listed, [host("corp.alt")], allowed);
        for name in ["ghcr.io", "index.docker.io", "corp.alt", "a.example.com", "a.b.example.com"] {
            assert!(listing.permits(&host(name)), "{name}");
        }
        for name in
            ["quay.io", "example.com", "evilexample.com", "x.ghcr.io", "example.com.evil.io", "ghcr.io:8443"]
        {
            assert!(!listing.permits(&host(name)), "{name}");
        }
        assert!(Listing::default().permits(&host("quay.io")));
    }

    #[test]
    fn what_is_no_registry_is_refused_and_a_star_stands_for_whole_labels_at_the_front() {
        for wrong in ["", "*", "*.", "ghcr", "a.*.com", "*.*.com", "g*cr.io", "https://ghcr.io"] {
            assert!(wrong.parse::<Allowed>().is_err(), "{wrong}");
        }
        assert_eq!("*.Example.com".parse::<Allowed>().unwrap().to_string(), "*.example.com");
    }
}
