//! The service: edge, policy, pipeline, pages, administration.
//!
//! [`serve`] is all that a program needs. Knows no SQL, no signatures' making and no Merkle trees:
//! those are the ledger's.

#![forbid(unsafe_code)]

pub mod admin;
mod app;
mod blobs;
mod collector;
pub mod config;
mod cosigning;
mod edge;
mod error;
mod health;
mod log_api;
mod pages;
pub mod policy;
mod referrers;
mod resolve;
mod start;
mod tags_list;
pub mod telemetry;

pub use self::cosigning::CosigningError;
pub use self::start::{
    ServeError, Service, Surroundings, ledger_options, new_log_options, serve, upstream_settings,
};
