//! The whole service over real loopback sockets, in front of a registry with quirks.

mod admin;
mod blobs;
mod by_digest;
mod edge;
mod first_sight;
mod headers;
mod herd;
mod limits;
mod log;
mod moved;
mod observed;
mod order;
mod pages;
mod place;
mod privacy;
mod recheck;
mod starting;
mod tags;
