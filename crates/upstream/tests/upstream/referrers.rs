//! Lists of referrers that take their time: what they hold meanwhile, and for how long.

use oci::{Descriptor, Name};
use testkit::{Answer, FakeRegistry, Gate, Kind, Quirk, When};
use tokio::task::JoinSet;
use upstream::{Client, Error, Settings, Timeouts};

use crate::support::{PATIENT, SHORT, at, client, host, settings};

/// A registry whose lists of `team/app` are nearly as long as one may be, and of which the second half does not come; all
/// others are empty.
async fn registry_of_long_lists() -> (FakeRegistry, Gate) {
    let registry = FakeRegistry::start().await;
    let gate = Gate::closed();
    let of = |repository: &str| When::kind(Kind::Referrers).repository(repository);
    let list = |spaces: usize| {
        Quirk::Answer(Answer::status(200).body(format!("{{\"manifests\":[]{}}}", " ".repeat(spaces))))
    };
    registry.quirk_when(of("team/app"), list(4_000_000));
    registry.quirk_when(of("team/app"), Quirk::HoldBody(gate.clone()));
    registry.quirk_when(of("team/short"), list(0));
    (registry, gate)
}

async fn list(client: Client, repository: &str) -> Result<Vec<Descriptor>, Error> {
    let name = Name::new(host(), repository).unwrap();
    let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    client.referrers(&name, &digest, None).await
}

#[tokio::test]
async fn unfinished_lists_share_a_bounded_memory_and_short_ones_are_read_all_the_same() {
    let (registry, gate) = registry_of_long_lists().await;
    let client = client(&registry);
    let mut lists = JoinSet::new();
    for _list in 0..48 {
        lists.spawn(list(client.clone(), "team/app"));
    }
    let refused = lists.join_next().await.unwrap().unwrap();
    assert!(matches!(refused, Err(Error::NoRoom)), "{refused:?}");
    assert_eq!(list(client.clone(), "team/short").await.unwrap(), []);
    gate.release();
    lists.join_all().await;
    assert_eq!(list(client, "team/app").await.unwrap(), [], "what was held is given back");
}

#[tokio::test]
async fn a_list_has_one_time_limit_however_many_pages_it_has() {
    let (registry, gate) = registry_of_long_lists().await;
    let timeouts = Timeouts { list: SHORT, ..PATIENT };
    let client = Client::new(Settings { timeouts, ..settings(at(&registry.url())) }).unwrap();
    let outcome = list(client, "team/app").await;
    assert!(matches!(outcome, Err(Error::TimedOut { .. })), "{outcome:?}");
    gate.waiting_at_most(0).await;
}
