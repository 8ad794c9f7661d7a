//! All registries that are asked: those that are configured, and of the others the latest.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use oci::RegistryHost;

use crate::Error;
use crate::connector::{Connector, Http};
use crate::endpoint::{Endpoint, lower_case};
use crate::settings::Settings;

/// Registries remembered that nobody configured.
const CAPACITY: usize = 1_024;

/// By host.
pub(crate) struct Endpoints {
    configured: HashMap<RegistryHost, Arc<Endpoint>>,
    others: Mutex<HashMap<RegistryHost, Arc<Endpoint>>>,
    own_hosts: Arc<BTreeSet<String>>,
    http: Http,
    docker_hub: Http,
}

impl Endpoints {
    /// Those that are configured.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] for one that cannot be asked as it is; [`Error::Setup`].
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let own_hosts = Arc::new(lower_case(&settings.own_hosts));
        let connector = Connector::new(settings);
        let shared = connector.shared_by_configured()?;
        let endpoint = |(host, upstream)| {
            let http = connector.of(host, upstream, &shared)?;
            let endpoint = Endpoint::configured(host, upstream, &own_hosts, http)?;
            Ok((RegistryHost::clone(host), Arc::new(endpoint)))
        };
        let configured = settings.upstreams.iter().map(endpoint).collect::<Result<_, Error>>()?;
        let (http, docker_hub) = (connector.shared()?, shared.clone());
        Ok(Self { configured, others: Mutex::default(), own_hosts, http, docker_hub })
    }

    /// One that is configured.
    pub(crate) fn configured(&self, host: &RegistryHost) -> Option<&Endpoint> {
        self.configured.get(host).map(Arc::as_ref)
    }

    /// The names of those that are configured.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.configured.keys().map(RegistryHost::as_str)
    }

    /// Any that may be asked.
    ///
    /// # Errors
    ///
    /// [`Error::HostRefused`].
    pub(crate) fn of(&self, host: &RegistryHost) -> Result<Arc<Endpoint>, Error> {
        if let Some(endpoint) = self.configured.get(host) {
            return Ok(Arc::clone(endpoint));
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = others.get(host) {
            return Ok(Arc::clone(endpoint));
        }
        // Everybody pulls from it, and no client can choose where it leads.
        let http = if *host == RegistryHost::docker_hub() { &self.docker_hub } else { &self.http };
        let endpoint = Arc::new(Endpoint::public(host, &self.own_hosts, http.clone())?);
        if others.len() >= CAPACITY {
            others.retain(|_, known| Arc::strong_count(known) > 1);
        }
        if others.len() < CAPACITY {
            others.insert(host.clone(), Arc::clone(&endpoint));
        }
        Ok(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> RegistryHost {
        RegistryHost::canonicalize(&format!("r{number}.example")).unwrap()
    }

    #[test]
    fn memory_is_bounded_whatever_is_pulled() {
        let endpoints = Endpoints::new(&Settings::default()).unwrap();
        let in_use = endpoints.of(&host(0)).unwrap();
        for number in 1..3 * CAPACITY {
            endpoints.of(&host(number)).unwrap();
        }
        assert!(endpoints.others.lock().unwrap().len() <= CAPACITY);
        assert!(Arc::ptr_eq(&in_use, &endpoints.of(&host(0)).unwrap()));
    }

    #[test]
    fn more_registries_in_use_than_are_remembered_are_asked_all_the_same() {
        let endpoints = Endpoints::new(&Settings::default()).unwrap();
        let in_use: Vec<_> = (0..CAPACITY + 2).map(|number| endpoints.of(&host(number)).unwrap()).collect();
        assert_eq!(in_use.len(), CAPACITY + 2);
        assert_eq!(endpoints.others.lock().unwrap().len(), CAPACITY);
    }
}
