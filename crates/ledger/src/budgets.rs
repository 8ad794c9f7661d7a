//! What may be recorded in a day: limits from the configuration and the counts against them (design §4).
//! Counts live in memory and start again with the process. It must not know the clock (the day is passed in) or the store.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use taglog::TagKey;

/// Seconds of a day; windows are UTC days.
const DAY: u64 = 86_400;
/// Clients counted one by one; those that come later in the day share one count, so that memory stays bounded.
const CLIENTS: usize = 65_536;

/// The `[limits]` of the configuration; 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// First records of a key that one client (an IPv4 address, an IPv6 /64) may cause in a day.
    pub new_records_per_client_per_day: u64,
    /// First records of a key from one upstream in a day.
    pub new_records_per_upstream_per_day: u64,
    /// Bytes of manifests kept in a day.
    pub manifest_bytes_per_day: u64,
    /// `moved` leaves of one tag in a day.
    pub moved_per_tag_per_day: u64,
    /// `seen` leaves of one tag in a day, after its first.
    pub seen_per_tag_per_day: u64,
    /// Free bytes of disk below which nothing new is recorded.
    pub min_free: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            new_records_per_client_per_day: 10_000,
            new_records_per_upstream_per_day: 100_000,
            manifest_bytes_per_day: 2 << 30,
            moved_per_tag_per_day: 16,
            seen_per_tag_per_day: 64,
            min_free: 1 << 30,
        }
    }
}

impl Budgets {
    /// No limit at all.
    pub const UNLIMITED: Self = Self {
        new_records_per_client_per_day: 0,
        new_records_per_upstream_per_day: 0,
        manifest_bytes_per_day: 0,
        moved_per_tag_per_day: 0,
        seen_per_tag_per_day: 0,
        min_free: 0,
    };
}

/// Which budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// `new_records_per_client_per_day`
    Client,
    /// `new_records_per_upstream_per_day`
    Upstream,
    /// `manifest_bytes_per_day`
    ManifestBytes,
    /// `moved_per_tag_per_day`
    Moved,
    /// `seen_per_tag_per_day`
    Seen,
}

impl Budget {
    /// The key in the configuration's `[limits]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "new_records_per_client_per_day",
            Self::Upstream => "new_records_per_upstream_per_day",
            Self::ManifestBytes => "manifest_bytes_per_day",
            Self::Moved => "moved_per_tag_per_day",
            Self::Seen => "seen_per_tag_per_day",
        }
    }
}

/// What one leaf or kept manifest costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charge {
    pub(crate) client: Option<IpAddr>,
    pub(crate) upstream: Option<String>,
    pub(crate) manifest_bytes: u64,
    pub(crate) moved: Option<TagKey>,
    pub(crate) seen: Option<TagKey>,
}

/// Counts of the current day.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    day: u64,
    clients: HashMap<Option<IpAddr>, u64>,
    upstreams: HashMap<String, u64>,
    manifest_bytes: u64,
    moved: HashMap<TagKey, u64>,
    seen: HashMap<TagKey, u64>,
}

impl Spent {
    /// Takes `charge` from the budgets of the day of `now`, all of it or nothing.
    pub(crate) fn charge(&mut self, limits: &Budgets, now: u64, charge: &Charge) -> Result<(), Budget> {
        let day = now / DAY;
        if day != self.day {
            *self = Self { day, ..Self::default() };
        }
        let client = charge.client.map(|address| self.client(address));
        let spent = |used: Option<&u64>, limit: u64| limit != 0 && used.copied().unwrap_or(0) >= limit;
        if client.is_some_and(|c| spent(self.clients.get(&c), limits.new_records_per_client_per_day)) {
            return Err(Budget::Client);
        }
        if charge
            .upstream
            .as_ref()
            .is_some_and(|u| spent(self.upstreams.get(u), limits.new_records_per_upstream_per_day))
        {
            return Err(Budget::Upstream);
        }
        let bytes = self.manifest_bytes.saturating_add(charge.manifest_bytes);
        if charge.manifest_bytes != 0
            && limits.manifest_bytes_per_day != 0
            && bytes > limits.manifest_bytes_per_day
        {
            return Err(Budget::ManifestBytes);
        }
        if charge.moved.is_some_and(|key| spent(self.moved.get(&key), limits.moved_per_tag_per_day)) {
            return Err(Budget::Moved);
        }
        if charge.seen.is_some_and(|key| spent(self.seen.get(&key), limits.seen_per_tag_per_day)) {
            return Err(Budget::Seen);
        }
        self.manifest_bytes = bytes;
        // A budget without a limit needs no memory.
        add(&mut self.clients, client, limits.new_records_per_client_per_day);
        add(&mut self.upstreams, charge.upstream.clone(), limits.new_records_per_upstream_per_day);
        add(&mut self.moved, charge.moved, limits.moved_per_tag_per_day);
        add(&mut self.seen, charge.seen, limits.seen_per_tag_per_day);
        Ok(())
    }

    /// Gives back what a failed batch had taken: a full disk must not also spend the day's budgets.
    pub(crate) fn refund(&mut self, charge: &Charge) {
        let client = charge.client.map(|address| self.client(address));
        take(&mut self.clients, client.as_ref());
        take(&mut self.upstreams, charge.upstream.as_ref());
        take(&mut self.moved, charge.moved.as_ref());
        take(&mut self.seen, charge.seen.as_ref());
        self.manifest_bytes = self.manifest_bytes.saturating_sub(charge.manifest_bytes);
    }

    /// The count a client falls into: its own, or the shared one once there are too many.
    fn client(&self, address: IpAddr) -> Option<IpAddr> {
        let network = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
                || IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
                IpAddr::V4,
            ),
        };
        (self.clients.len() < CLIENTS || self.clients.contains_key(&Some(network))).then_some(network)
    }
}

/// Seconds from `now` until the next UTC day, when all counts start again.
pub(crate) fn seconds_until_tomorrow(now: u64) -> u64 {
    DAY - now % DAY
}

fn add<K: Eq + Hash>(counts: &mut HashMap<K, u64>, key: Option<K>, limit: u64) {
    if let (Some(key), 1..) = (key, limit) {
        *counts.entry(key).or_default() += 1;
    }
}

fn take<K: Eq + Hash>(counts: &mut HashMap<K, u64>, key: Option<&K>) {
    if let Some(count) = key.and_then(|key| counts.get_mut(key)) {
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Budgets = Budgets { new_records_per_client_per_day: 2, ..Budgets::UNLIMITED };

    fn by(client: &str) -> Charge {
        Charge { client: Some(client.parse().unwrap()), ..Charge::default() }
    }

    #[test]
    fn a_spent_budget_returns_with_the_next_day() {
        let mut spent = Spent::default();
        let now = 10 * DAY + 5;
        assert_eq!(spent.charge(&LIMITS, now, &by("192.0.2.1")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, now, &by("192.0.2.1")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, now, &by("192.0.2.1")), Err(Budget::Client));
        assert_eq!(spent.charge(&LIMITS, now, &by("192.0.2.2")), Ok(()));
        let tomorrow = now + seconds_until_tomorrow(now);
        assert_eq!(spent.charge(&LIMITS, tomorrow - 1, &by("192.0.2.1")), Err(Budget::Client));
        assert_eq!(spent.charge(&LIMITS, tomorrow, &by("192.0.2.1")), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_and_mapped_ones_are_one_client() {
        let mut spent = Spent::default();
        assert_eq!(spent.charge(&LIMITS, 0, &by("2001:db8::1")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("2001:db8::2")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("2001:db8::3")), Err(Budget::Client));
        assert_eq!(spent.charge(&LIMITS, 0, &by("2001:db8:0:1::3")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("::ffff:192.0.2.9")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("192.0.2.9")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("::ffff:192.0.2.9")), Err(Budget::Client));
    }

    #[test]
    fn a_refused_charge_takes_nothing_from_any_budget() {
        let limits =
            Budgets { new_records_per_client_per_day: 1, manifest_bytes_per_day: 100, ..Budgets::UNLIMITED };
        let mut spent = Spent::default();
        let charge = |bytes| Charge { manifest_bytes: bytes, ..by("192.0.2.1") };
        assert_eq!(spent.charge(&limits, 0, &charge(101)), Err(Budget::ManifestBytes));
        assert_eq!(spent.charge(&limits, 0, &charge(100)), Ok(()));
        assert_eq!(spent.charge(&limits, 0, &charge(0)), Err(Budget::Client));
    }

    #[test]
    fn a_refund_restores_every_budget() {
        let limits = Budgets {
            new_records_per_client_per_day: 1,
            new_records_per_upstream_per_day: 1,
            manifest_bytes_per_day: 10,
            moved_per_tag_per_day: 1,
            seen_per_tag_per_day: 1,
            min_free: 0,
        };
        let charge = Charge {
            upstream: Some("docker".to_owned()),
            manifest_bytes: 10,
            moved: Some(TagKey::from_bytes([1; 64])),
            seen: Some(TagKey::from_bytes([2; 64])),
            ..by("192.0.2.1")
        };
        let mut spent = Spent::default();
        for _ in 0..3 {
            assert_eq!(spent.charge(&limits, 0, &charge), Ok(()));
            spent.refund(&charge);
        }
    }

    #[test]
    fn clients_beyond_the_bound_share_one_count() {
        let mut spent = Spent::default();
        for client in 0..u32::try_from(CLIENTS).unwrap() {
            let address = IpAddr::V4(client.into());
            let charge = Charge { client: Some(address), ..Charge::default() };
            assert_eq!(spent.charge(&LIMITS, 0, &charge), Ok(()));
        }
        assert_eq!(spent.charge(&LIMITS, 0, &by("203.0.113.1")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("203.0.113.2")), Ok(()));
        assert_eq!(spent.charge(&LIMITS, 0, &by("203.0.113.3")), Err(Budget::Client));
        assert_eq!(spent.charge(&LIMITS, 0, &by("0.0.0.7")), Ok(()), "a known client keeps its own count");
    }
}
