//! How many connections each client has, so that no one takes all the places that there are.
//!
//! Trusted proxies speak for many and are not counted. Knows nothing of what is said on a connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buckets::Client;
use crate::config::TrustedProxies;

/// Of all clients; there are no more entries than connections.
pub(crate) struct Crowd {
    limit: u32,
    trusted: TrustedProxies,
    counts: Mutex<HashMap<Client, u32>>,
    refused: AtomicU64,
}

/// The place of one connection, until it is dropped.
pub(crate) struct Seat(Option<(Arc<Crowd>, Client)>);

impl Crowd {
    /// So many each; 0: any number.
    pub(crate) fn new(limit: u32, trusted: TrustedProxies) -> Self {
        Self { limit, trusted, counts: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// A place for one more connection of this peer, if it may have one.
    pub(crate) fn seat(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        if self.limit == 0 || self.trusted.trusts(peer) {
            return Some(Seat(None));
        }
        let client = Client::of(peer);
        let mut counts = self.lock();
        let count = counts.entry(client).or_default();
        if *count >= self.limit {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        Some(Seat(Some((Arc::clone(self), client))))
    }

    /// Connections that were closed at once.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((crowd, client)) = self.0.take() else { return };
        let mut counts = crowd.lock();
        if let Some(count) = counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_so_many_places_and_gets_back_those_that_it_leaves() {
        let crowd = Arc::new(Crowd::new(2, TrustedProxies::default()));
        let first = crowd.seat(peer("192.0.2.1"));
        let second = crowd.seat(peer("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.seat(peer("192.0.2.1")).is_none());
        assert!(crowd.seat(peer("192.0.2.2")).is_some());
        assert_eq!(crowd.refused(), 1);
        drop(first);
        assert!(crowd.seat(peer("192.0.2.1")).is_some());
        drop(second);
        assert!(crowd.lock().is_empty());
    }

    #[test]
    fn no_limit_and_no_proxy_is_counted() {
        let unlimited = Arc::new(Crowd::new(0, TrustedProxies::default()));
        let seats: Vec<_> = (0..100).map(|_| unlimited.seat(peer("192.0.2.1"))).collect();
        assert!(seats.iter().all(Option::is_some) && unlimited.lock().is_empty());
    }
}
