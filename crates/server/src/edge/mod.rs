//! The network side: accepting, dispatching, and the one place where outcomes become HTTP.
//!
//! Everything a client sends is parsed here or in `oci`, and nothing of it passes on unparsed.

mod activity;
mod admission;
pub(crate) mod body;
pub(crate) mod buckets;
pub(crate) mod certificates;
mod client;
pub(crate) mod crowd;
mod idle;
pub(crate) mod listen;
mod pace;
mod pages;
pub(crate) mod request_id;
pub(crate) mod respond;
pub(crate) mod service;
pub(crate) mod untaken;
