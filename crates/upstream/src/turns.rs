//! Whose turn it is to look a name up, so that domains whose servers do not answer hold up no others.
//!
//! A look-up cannot be cut short: it holds a thread for as long as the system tries. Each domain therefore goes to one of
//! many lanes, of which those of configured registries with all that they lead to, of registries that were found lately and
//! of all others are apart.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Lanes of each kind, and look-ups in one lane at one time: 288 threads at most, of the 512 that files are read with.
const LANES: usize = 48;
const TURNS: usize = 2;
/// Domains remembered that were found, and for how long.
const MAX_FOUND: usize = 1_024;
const FOUND_FOR: Duration = Duration::from_secs(3_600);
/// Second labels below which a country registers domains: `example.co.uk` is one, and `uk` has many.
const SECOND_LEVELS: [&str; 10] = ["ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"];

/// The turns of all look-ups.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    found: Mutex<HashMap<String, Instant>>,
    for_configured: Lanes,
    for_found: Lanes,
    for_others: Lanes,
    /// Keyed by chance: nobody can choose a domain that shares another's lane.
    hasher: RandomState,
}

/// On whose way a name is looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum For {
    /// A registry that an operator named, or Docker Hub: no client can choose where it leads.
    Configured,
    /// Any other.
    Others,
}

#[derive(Debug)]
struct Lanes(Vec<Arc<Semaphore>>);

impl Turns {
    /// The lane of a name.
    pub(crate) fn lane(&self, name: &str, whose: For, now: Instant) -> Option<Arc<Semaphore>> {
        let domain = domain(name);
        let lanes = match whose {
            For::Configured => &self.for_configured,
            For::Others if self.was_found(domain, now) => &self.for_found,
            For::Others => &self.for_others,
        };
        lanes.of(self.hasher.hash_one(domain))
    }

    /// Notes that a name has addresses.
    pub(crate) fn found(&self, name: &str, now: Instant) {
        let domain = domain(name);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MAX_FOUND && !found.contains_key(domain) {
            found.retain(|_, since| is_recent(*since, now));
        }
        // Those that are in use keep their place, whatever else is pulled.
        if found.len() < MAX_FOUND || found.contains_key(domain) {
            found.insert(domain.to_owned(), now);
        }
    }

    fn was_found(&self, domain: &str, now: Instant) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(domain).is_some_and(|since| is_recent(*since, now))
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self((0..LANES).map(|_lane| Arc::new(Semaphore::new(TURNS))).collect())
    }
}

impl Lanes {
    fn of(&self, hash: u64) -> Option<Arc<Semaphore>> {
        let lane = usize::try_from(hash % LANES as u64).ok()?;
        self.0.get(lane).cloned()
    }
}

fn is_recent(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < FOUND_FOR
}

/// What somebody registered, as nearly as one can tell without the list of public suffixes: whoever has it can make any
/// number of names below it.
fn domain(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let mut dots = name.rmatch_indices('.').map(|(place, _)| place);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else { return name };
    let top = name.get(last + 1..).unwrap_or_default();
    let is_registry =
        top.len() == 2 && SECOND_LEVELS.contains(&name.get(second + 1..last).unwrap_or_default());
    let start = if is_registry { dots.next().map_or(0, |dot| dot + 1) } else { second + 1 };
    name.get(start..).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_somebody_registered() {
        for (name, expected) in [
            ("ghcr.io", "ghcr.io"),
            ("registry-1.docker.io.", "docker.io"),
            ("a.b.evil.example", "evil.example"),
            ("registry.shop.co.uk", "shop.co.uk"),
            ("shop.co.uk", "shop.co.uk"),
            ("co.uk", "co.uk"),
            ("x.co.example", "co.example"),
            ("localhost", "localhost"),
            ("", ""),
        ] {
            assert_eq!(domain(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_one_domain_share_a_lane_and_kinds_of_domains_do_not() {
        let now = Instant::now();
        let turns = Turns::default();
        let lane = |name: &str, now| turns.lane(name, For::Others, now).unwrap();
        assert!(Arc::ptr_eq(&lane("a.evil.example", now), &lane("b.c.evil.example", now)));
        let configured = turns.lane("pkg.ghcr.io", For::Configured, now).unwrap();
        assert!(turns.for_configured.0.iter().any(|own| Arc::ptr_eq(own, &configured)));
        let before = lane("quay.io", now);
        turns.found("cdn.quay.io", now);
        assert!(!Arc::ptr_eq(&before, &lane("quay.io", now)));
        assert!(Arc::ptr_eq(&before, &lane("quay.io", now + FOUND_FOR)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_domains_in_use_keep_their_place() {
        let now = Instant::now();
        let turns = Turns::default();
        turns.found("quay.io", now);
        for number in 0..2 * MAX_FOUND {
            turns.found(&format!("r{number}.example"), now);
        }
        assert_eq!(turns.found.lock().unwrap().len(), MAX_FOUND);
        assert!(turns.was_found("quay.io", now));
        turns.found("new.example", now + FOUND_FOR);
        assert_eq!(turns.found.lock().unwrap().len(), 1);
    }
}
