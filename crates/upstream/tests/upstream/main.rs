//! The client from outside, against registries on loopback sockets: what is sent, what is believed, what is refused.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod blobs;
#[cfg(test)]
mod challenges;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod content;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod digests;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod lookups;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod referrers;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod statuses;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
