//! Hosts that nobody configured: public ones over https, whatever name they go by.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci::{Name, RegistryHost};
use testkit::FakeRegistry;
use upstream::{Client, Error, ErrorKind, Lookup, Settings};

use crate::support::{PATIENT, at, host, tag};

/// What a pull from this host says, where its name leads to these addresses.
async fn pull(host: &str, addresses: &[&str]) -> (Error, usize) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let lookup = Lookup::Fixed(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        addresses.clone()
    }));
    let own_hosts = BTreeSet::from(["Tlog.Example".to_owned()]);
    let settings = Settings { lookup, own_hosts, timeouts: PATIENT, ..Settings::default() };
    let name = Name::new(RegistryHost::canonicalize(host).unwrap(), "team/app").unwrap();
    let error = Client::new(settings).unwrap().manifest(&name, &tag("v1")).await.unwrap_err();
    (error, lookups.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_refused_before_anything_connects() {
    for address in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "fe80::1",
    ] {
        let (error, lookups) = pull("registry.example", &[address]).await;
        assert_eq!(error.kind(), ErrorKind::HostRefused, "{address}: {error:?}");
        // Not tried again: it would be the same.
        assert_eq!(lookups, 1, "{address}");
        assert!(!error.to_string().contains(address), "the answer is no map of our network: {error}");
    }
}

#[tokio::test]
async fn one_private_address_among_public_ones_is_one_too_many() {
    for addresses in [["192.0.0.1", "2606:4700::1111"], ["2606:4700::1111", "192.168.0.1"]] {
        let (error, _) = pull("registry.example", &addresses).await;
        assert_eq!(error.kind(), ErrorKind::HostRefused, "{error:?}");
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_unreachable() {
    let (error, lookups) = pull("registry.example", &[]).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(lookups, 2, "once more, as after any failed connection");
}

#[tokio::test]
async fn hosts_that_are_no_public_names_are_not_even_looked_up() {
    for host in [
        "localhost",
        "localhost:5000",
        "127.0.0.1",
        "127.0.0.1:443",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "1.1.1.1:8443",
        "ghcr.io:80",
        "ghcr.io:8443",
        "registry.localhost",
        "printer.local",
        "metadata.google.internal",
        "corp.alt",
        "x.onion",
        "1.0.0.127.in-addr.arpa",
        "tlog.example",
        "TLOG.example.",
        "tlog.example:443",
    ] {
        let Ok(canonical) = RegistryHost::canonicalize(host) else { continue };
        let (error, lookups) = pull(canonical.as_str(), &["127.0.0.1"]).await;
        assert_eq!((error.kind(), lookups), (ErrorKind::HostRefused, 0), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn the_refusal_names_the_host_and_the_way_out() {
    let (error, _) = pull("corp.alt", &[]).await;
    assert_eq!(
        error.to_string(),
        "`corp.alt` may not be asked: its name is not a public one; a registry that is reached otherwise than \
         by its public name over https has to be configured as `[upstreams.\"name.alt\"]`"
    );
}

#[tokio::test]
async fn what_is_configured_for_one_registry_is_not_open_to_another() {
    let registry = FakeRegistry::start().await;
    let settings = Settings {
        upstreams: [(host(), at(&registry.url()))].into(),
        timeouts: PATIENT,
        ..Settings::default()
    };
    let client = Client::new(settings).unwrap();
    for other in ["127.0.0.1", &registry.host_port(), "other.alt"] {
        let name = Name::new(RegistryHost::canonicalize(other).unwrap(), "team/app").unwrap();
        let error = client.manifest(&name, &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostRefused, "{other}: {error:?}");
    }
    assert_eq!(registry.connections(), 0);
}
