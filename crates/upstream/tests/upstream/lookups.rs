//! Who waits for names whose servers do not answer, and who does not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::{Name, RegistryHost};
use testkit::{FakeRegistry, Quirk};
use tokio::task::JoinSet;
use upstream::{Client, Error, Lookup, Settings, Timeouts, UpstreamSettings};

use crate::support::{PATIENT, at, host, tag};

async fn pull(client: Client, host: RegistryHost) -> Result<(), Error> {
    let name = Name::new(host, "team/app").unwrap();
    client.manifest(&name, &tag("v1")).await.map(drop)
}

#[tokio::test]
async fn what_a_configured_registry_leads_to_is_not_looked_up_after_names_of_strangers() {
    let (alive, dead) = channel::<()>();
    let dead = Mutex::new(dead);
    let lookup = Lookup::Fixed(Arc::new(move |name| {
        if name.contains("dead") {
            let _released = dead.lock().unwrap().recv();
        }
        // Refused, so that nothing is connected to; but it was looked up.
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
    }));
    let registry = FakeRegistry::start().await;
    registry.quirk(Quirk::Redirect(307, "https://cdn.example/x".to_owned()));
    let named = |name: &str| RegistryHost::canonicalize(name).unwrap();
    let settings = Settings {
        lookup,
        upstreams: [(host(), at(&registry.url())), (named("ghcr.io"), UpstreamSettings::default())].into(),
        timeouts: Timeouts { connect: Duration::from_secs(2), ..PATIENT },
        ..Settings::default()
    };
    let client = Client::new(settings).unwrap();
    let mut strangers = JoinSet::new();
    for number in 0..1_000 {
        strangers.spawn(pull(client.clone(), named(&format!("r.dead{number}.example"))));
    }
    // All lanes of strangers are full once one of these is told that it is not its turn.
    while !matches!(strangers.join_next().await.unwrap().unwrap(), Err(Error::Busy { .. })) {}
    for host in [named("docker.io"), named("ghcr.io"), host()] {
        let outcome = pull(client.clone(), host.clone()).await;
        assert!(matches!(outcome, Err(Error::HostRefused { .. })), "{host}: {outcome:?}");
    }
    strangers.abort_all();
    drop(alive);
}
