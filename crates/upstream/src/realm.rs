//! Whether a token service belongs to the registry that names it.
//!
//! A challenge is the registry's word, and credentials go where it points: so it may point to
//! itself, above or below itself, to a known pair, or to what an operator allows. Where we have no
//! credentials to lose it may point beside itself, too.

use url::Url;

use crate::Error;
use crate::endpoint::{Endpoint, Reach, has_userinfo, same_origin};

/// Registries whose tokens come from another domain of the same house.
const KNOWN: [(&str, &str); 6] = [
    ("index.docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.ipv6.docker.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
    ("lscr.io", "ghcr.io"),
    ("registry.redhat.io", "sso.redhat.com"),
    ("registry.connect.redhat.com", "sso.redhat.com"),
];

/// The realm as a URL, and which client may ask it.
pub(crate) fn check(endpoint: &Endpoint, realm: &str) -> Result<(Url, Reach), Error> {
    let refused = |shown: &str| Error::RealmRefused {
        host: endpoint.host.to_string(),
        realm: shown.chars().take(160).collect(),
    };
    let url = Url::parse(realm).map_err(|_why| refused("not a URL"))?;
    let shown = url.host_str().unwrap_or_default().to_owned();
    if has_userinfo(&url) {
        return Err(refused(&shown));
    }
    if same_origin(&url, endpoint.base()) {
        let reach = endpoint.reach(&url).map_err(|_why| refused(&shown))?;
        return Ok((url, reach));
    }
    if endpoint.allows_token_host(&url) {
        return Ok((url, Reach::Configured));
    }
    let anonymous = endpoint.account.is_nobody();
    let related =
        [endpoint.host.as_str(), endpoint.base().host_str().unwrap_or_default()].iter().any(|host| {
            *host == shown
                || KNOWN.contains(&(host, shown.as_str()))
                || is_below(host, &shown)
                || is_below(&shown, host)
                || anonymous && is_beside(host, &shown)
        });
    if !related {
        return Err(refused(&shown));
    }
    match endpoint.reach(&url) {
        Ok(Reach::Public) => Ok((url, Reach::Public)),
        Ok(Reach::Configured) | Err(_) => Err(refused(&shown)),
    }
}

/// Whether both are right below the same domain: strangers, where that domain is a public suffix.
fn is_beside(a: &str, b: &str) -> bool {
    let parent = |host: &str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    parent(a).filter(|parent| parent.contains('.')).is_some_and(|above| parent(b) == Some(above))
}

/// Whether `below` is a sub-domain of `above`, which has to be more than a top-level domain.
fn is_below(below: &str, above: &str) -> bool {
    above.contains('.') && below.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use oci::RegistryHost;

    use super::*;
    use crate::endpoints::Endpoints;
    use crate::{Credentials, Settings, UpstreamSettings};

    fn endpoint(host: &str, upstream: Option<UpstreamSettings>) -> Arc<Endpoint> {
        let host = RegistryHost::canonicalize(host).unwrap();
        match upstream {
            Some(upstream) => {
                let upstreams = [(host.clone(), upstream)].into();
                Endpoints::new(&Settings { upstreams, ..Settings::default() }).unwrap().of(&host).unwrap()
            }
            None => Endpoints::new(&Settings::default()).unwrap().of(&host).unwrap(),
        }
    }

    #[test]
    fn token_services_of_the_same_house_are_asked() {
        for (host, realm) in [
            ("docker.io", "https://auth.docker.io/token"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("public.ecr.aws", "https://public.ecr.aws/token/"),
            ("gcr.io", "https://gcr.io/v2/token?x=1"),
            ("example.com", "https://auth.example.com/token"),
            ("registry.example.com", "https://auth.example.com/token"),
            ("docker.elastic.co", "https://docker-auth.elastic.co/auth"),
        ] {
            assert_eq!(check(&endpoint(host, None), realm).unwrap().1, Reach::Public, "{realm}");
        }
    }

    #[test]
    fn token_services_of_strangers_are_not_asked() {
        for (host, realm) in [
            ("ghcr.io", "https://evil.example/token"),
            ("ghcr.io", "http://ghcr.io/token"),
            ("ghcr.io", "https://ghcr.io:8443/token"),
            ("ghcr.io", "https://ghcr.io@evil.example/token"),
            ("ghcr.io", "https://u:p@ghcr.io/token"),
            ("ghcr.io", "https://169.254.169.254/token"),
            ("ghcr.io", "http://169.254.169.254/latest/meta-data/"),
            ("ghcr.io", "https://xghcr.io/token"),
            ("ghcr.io", "https://io/token"),
            ("a.example.com", "https://example.org/token"),
            ("example.com", "https://example.net/token"),
            ("a.example.com", "https://x.b.example.com/token"),
            ("ghcr.io", "file:///etc/passwd"),
            ("ghcr.io", "not a url"),
            ("ghcr.io", "https://localhost/token"),
            ("quay.io", "https://auth.docker.io/token"),
        ] {
            assert!(
                matches!(check(&endpoint(host, None), realm), Err(Error::RealmRefused { .. })),
                "{realm}"
            );
        }
    }

    #[test]
    fn credentials_are_not_sent_beside_the_registry() {
        let credentials = Credentials { username: "u".to_owned(), password: "p".into() };
        let upstream = UpstreamSettings { credentials: Some(credentials), ..UpstreamSettings::default() };
        let with = endpoint("registry.example.com", Some(upstream));
        assert!(check(&with, "https://auth.example.com/token").is_err());
        assert!(check(&with, "https://example.com/token").is_ok());
        assert!(check(&with, "https://auth.registry.example.com/token").is_ok());
    }

    #[test]
    fn a_configured_upstream_may_issue_its_own_tokens_and_name_others() {
        let upstream = UpstreamSettings {
            url: Some(Url::parse("http://127.0.0.1:5001").unwrap()),
            token_hosts: BTreeSet::from(["127.0.0.1:5002".to_owned(), "login.example".to_owned()]),
            ..UpstreamSettings::default()
        };
        let endpoint = endpoint("corp.alt", Some(upstream));
        for realm in
            ["http://127.0.0.1:5001/token", "http://127.0.0.1:5002/token", "https://login.example/token"]
        {
            assert_eq!(check(&endpoint, realm).unwrap().1, Reach::Configured, "{realm}");
        }
        for realm in
            ["http://127.0.0.1:5003/token", "http://login.example/token", "https://other.example/token"]
        {
            assert!(check(&endpoint, realm).is_err(), "{realm}");
        }
    }
}
