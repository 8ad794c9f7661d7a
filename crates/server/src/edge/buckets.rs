//! How often each client may do something: a rate and a burst, in a table of bounded size.
//!
//! The generic cell rate algorithm: of each client only the time is kept at which it would have used up what it did.
//! Told the time; knows not what is counted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use upstream::Clock;

/// Clients remembered. All beyond share one place, so that many addresses buy nobody anything.
const CAPACITY: usize = 65_536;
/// Between two searches for clients that may be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// A client as limits see it: an IPv4 address, or the /64 that one gets with IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Client(IpAddr);

/// Of all clients.
pub(crate) struct Buckets {
    /// Between two, in the long run.
    interval: Duration,
    /// How far ahead of the long run one may be.
    tolerance: Duration,
    clock: Clock,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    clients: HashMap<Client, Instant>,
    crowd: Option<Instant>,
    swept: Option<Instant>,
}

impl Client {
    /// Whom an address belongs to.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        })
    }
}

impl Buckets {
    /// One each `interval`, and `burst` (at least one) at once after a pause.
    pub(crate) fn new(interval: Duration, burst: u32, clock: Clock) -> Self {
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        Self { interval, tolerance, clock, table: Mutex::default() }
    }

    /// Takes one, or says how long to wait for it.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut table = self.lock();
        let used = table.place(Client::of(address), now);
        let from = (*used).max(now);
        let ahead = from.saturating_duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead.saturating_sub(self.tolerance));
        }
        *used = from.checked_add(self.interval).unwrap_or(from);
        Ok(())
    }

    /// Gives back one that was taken and turned out not to count.
    pub(crate) fn give_back(&self, address: IpAddr) {
        let now = self.clock.now();
        let mut table = self.lock();
        let used = table.place(Client::of(address), now);
        *used = used.checked_sub(self.interval).unwrap_or(now).max(now);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn place(&mut self, client: Client, now: Instant) -> &mut Instant {
        let known = self.clients.contains_key(&client);
        if !known && self.clients.len() >= CAPACITY {
            if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
                self.swept = Some(now);
                self.clients.retain(|_, used| *used > now);
            }
            if self.clients.len() >= CAPACITY {
                return self.crowd.get_or_insert(now);
            }
        }
        self.clients.entry(client).or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Time(Arc<AtomicU64>);

    impl Time {
        fn pass(&self, time: Duration) {
            self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
        }
    }

    fn buckets(burst: u32) -> (Buckets, Time) {
        let (start, passed) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let time = Time(Arc::clone(&passed));
        let clock = Clock::by(move || start + Duration::from_millis(passed.load(Ordering::SeqCst)));
        (Buckets::new(SECOND, burst, clock), time)
    }

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let (buckets, time) = buckets(3);
        for _ in 0..3 {
            assert_eq!(buckets.take(v4(1)), Ok(()));
        }
        assert_eq!(buckets.take(v4(1)), Err(SECOND));
        time.pass(SECOND / 2);
        assert_eq!(buckets.take(v4(1)), Err(SECOND / 2));
        time.pass(SECOND / 2);
        assert_eq!(buckets.take(v4(1)), Ok(()));
        assert_eq!(buckets.take(v4(1)), Err(SECOND));
        assert_eq!(buckets.take(v4(2)), Ok(()));
        time.pass(3 * SECOND);
        for _ in 0..3 {
            assert_eq!(buckets.take(v4(1)), Ok(()));
        }
        assert!(buckets.take(v4(1)).is_err());
    }

    #[test]
    fn one_that_is_given_back_can_be_taken_again_and_no_more_than_that() {
        let (buckets, _) = buckets(1);
        buckets.give_back(v4(1));
        for _ in 0..5 {
            assert_eq!(buckets.take(v4(1)), Ok(()));
            buckets.give_back(v4(1));
        }
        assert_eq!(buckets.take(v4(1)), Ok(()));
        assert!(buckets.take(v4(1)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_mapped_address_is_that_of_ipv4() {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    }

    #[test]
    fn more_clients_than_are_remembered_share_one_place() {
        let (buckets, time) = buckets(1);
        let capacity = u32::try_from(CAPACITY).unwrap();
        for number in 0..capacity {
            assert_eq!(buckets.take(v4(number)), Ok(()));
        }
        assert_eq!(buckets.take(v4(capacity)), Ok(()));
        assert!(buckets.take(v4(capacity + 1)).is_err(), "the shared place is used up");
        assert!(buckets.take(v4(0)).is_err(), "who is remembered stays so");
        assert_eq!(buckets.lock().clients.len(), CAPACITY);
        time.pass(2 * SECOND);
        assert_eq!(buckets.take(v4(capacity + 2)), Ok(()));
        assert_eq!(buckets.lock().clients.len(), 1);
    }
}
