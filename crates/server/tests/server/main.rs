//! The whole service over real loopback sockets, in front of a registry with quirks.

#[cfg(test)]
mod access;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod begun;
#[cfg(test)]
mod blobs;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod by_digest;
#[cfg(test)]
mod collecting;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod cosigning;
#[cfg(test)]
mod deciding;
#[cfg(test)]
mod earliest;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod ephemeral;
#[cfg(test)]
mod first_sight;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod herd;
#[cfg(test)]
mod history;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log;
#[cfg(test)]
mod moved;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod order;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod place;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod public;
#[cfg(test)]
mod recheck;
#[cfg(test)]
mod referrers;
#[cfg(test)]
mod renamed;
#[cfg(test)]
mod repins;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sigstore_place;
#[cfg(test)]
mod ssrf;
#[cfg(test)]
mod starting;
#[cfg(test)]
mod tags;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod witnesses;
