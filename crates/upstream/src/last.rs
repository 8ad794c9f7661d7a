//! The addresses of names that were found last, for while they cannot be looked up.
//!
//! Knows not whether they are public: only what was checked is put here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Names remembered, addresses of each, and for how long.
const MAX_NAMES: usize = 1_024;
const MAX_ADDRESSES: usize = 16;
const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// What was found, and when.
#[derive(Debug)]
struct Found {
    addresses: Vec<SocketAddr>,
    since: Instant,
}

/// By name.
#[derive(Debug, Default)]
pub(crate) struct LastFound(Mutex<HashMap<String, Found>>);

impl LastFound {
    /// Notes what was found just now.
    pub(crate) fn note(&self, name: &str, mut addresses: Vec<SocketAddr>, now: Instant) {
        addresses.truncate(MAX_ADDRESSES);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_NAMES && !known.contains_key(name) {
            known.retain(|_, found| found.is_recent(now));
        }
        // Those that are in use keep their place, whatever else is pulled.
        if !addresses.is_empty() && (known.len() < MAX_NAMES || known.contains_key(name)) {
            known.insert(name.to_owned(), Found { addresses, since: now });
        }
    }

    /// What was found within the hour.
    pub(crate) fn of(&self, name: &str, now: Instant) -> Option<Vec<SocketAddr>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|found| found.is_recent(now)).map(|found| found.addresses.clone())
    }
}

impl Found {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < KEPT_FOR
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn names_and_their_addresses_are_bounded_and_forgotten_after_an_hour() {
        let (last, now) = (LastFound::default(), Instant::now());
        let found = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), 0); 2 * MAX_ADDRESSES];
        for number in 0..2 * MAX_NAMES {
            last.note(&format!("r{number}.example"), found.clone(), now);
        }
        assert_eq!(last.0.lock().unwrap().len(), MAX_NAMES);
        assert_eq!(last.of("r0.example", now).unwrap().len(), MAX_ADDRESSES);
        assert_eq!(last.of("r0.example", now + KEPT_FOR), None);
        last.note("new.example", found, now + KEPT_FOR);
        assert_eq!(last.0.lock().unwrap().len(), 1);
    }
}
