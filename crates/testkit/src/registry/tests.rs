//! The quirks, seen on the wire.

mod bodies;
mod connection;
mod content;
mod credentials;
mod headers;
mod negotiation;
mod ranges;
mod redirects;
mod statuses;
mod tag_pages;
mod tokens;

use super::*;
use crate::wire::{self, Reply};

async fn with_image() -> (FakeRegistry, Image) {
    let registry = FakeRegistry::start().await;
    let image = Image::oci("one");
    registry.push_image("team/app", "v1", &image);
    (registry, image)
}

fn manifest_url(registry: &FakeRegistry, reference: &str) -> String {
    format!("{}/v2/team/app/manifests/{reference}", registry.url())
}

async fn get_tag(registry: &FakeRegistry) -> Reply {
    wire::get(&manifest_url(registry, "v1")).await
}

async fn head_tag(registry: &FakeRegistry) -> Reply {
    wire::head(&manifest_url(registry, "v1")).await
}
