//! The service: edge, policy, pipeline, pages, administration.
//!
//! [`serve`] is all that a program needs. Knows no SQL, no signatures' making and no Merkle trees:
//! those are the ledger's.

#![forbid(unsafe_code)]

pub mod admin;
mod app;
mod auth;
mod blobs;
mod collector;
pub mod config;
mod cosigning;
mod edge;
mod error;
mod evidence;
mod health;
mod history;
mod log_api;
mod pages;
pub mod policy;
mod referrers;
mod reload;
mod resolve;
mod start;
mod tags_list;
pub mod telemetry;

pub use self::auth::AccountsError;
pub use self::cosigning::{CosigningError, ask_witnesses};
pub use self::edge::certificates::CertificateError;
pub use self::start::{
    Reload, ServeError, Service, Surroundings, check, ledger_options, new_log_options, serve,
    upstream_settings,
};
