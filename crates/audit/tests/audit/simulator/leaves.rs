//! Leaves as text, so that any of them can be wrong.

use oci::{Name, Tag, TagName};
use tlog::Hash;

const TYPE: &str = "application/vnd.oci.image.index.v1+json";
const NAMES: [&str; 5] = [
    "index.docker.io/library/alpine",
    "ghcr.io/org/app",
    "quay.io/a/b",
    "registry.k8s.io/pause",
    "reg.example:5000/x/y-z",
];

pub(crate) fn name(number: usize) -> &'static str {
    NAMES[number % NAMES.len()]
}

pub(crate) fn digest(of: &str) -> String {
    format!("sha256:{}", Hash::of(of).to_hex())
}

pub(crate) fn tag(name: &str, tag: &str, digest: &str, time: u64) -> String {
    format!("tag {name} {tag} {digest}\ntime {time}\ntype {TYPE}\nsize 1638\n")
}

pub(crate) fn seen(name: &str, tag: &str, digest: &str, time: u64) -> String {
    format!("seen {name} {tag} {digest}\ntime {time}\ntype {TYPE}\nsize 1638\n")
}

pub(crate) fn moved(name: &str, tag: &str, recorded: &str, seen: &str, time: u64) -> String {
    format!("moved {name} {tag} {recorded} {seen}\ntime {time}\n")
}

pub(crate) fn supersede(name: &str, tag: &str, old: &str, new: &str, time: u64) -> String {
    format!("supersede {name} {tag} {old} {new}\ntime {time}\nreason rebuilt, ticket 17\n")
}

pub(crate) fn thaw(name: &str, tag: &str, digest: &str, time: u64) -> String {
    format!("thaw {name} {tag} {digest}\ntime {time}\nreason a moving tag\n")
}

pub(crate) fn close(time: u64) -> String {
    format!("close\ntime {time}\nreason key compromised\n")
}

pub(crate) fn tag_of(name: &str, tag: &str) -> TagName {
    TagName { name: Name::parse_canonical(name).unwrap(), tag: Tag::parse(tag).unwrap() }
}
