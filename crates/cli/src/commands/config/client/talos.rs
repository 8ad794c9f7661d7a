//! `RegistryMirrorConfig` documents of Talos.

use super::containerd::listed_only;
use super::setup::{Service, Setup, Unsuited, commented, quoted};
use crate::values::Registry;

/// One document for each registry.
pub(super) fn talos(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    let documents: Vec<_> = registries
        .iter()
        .map(|registry| {
            format!(
                "apiVersion: v1alpha1\nkind: RegistryMirrorConfig\nname: {}\nendpoints:\n  - url: {}\nskipFallback: true\n",
                quoted(registry.as_str()),
                quoted(service.url())
            )
        })
        .collect();
    let file = commented(
        "tlogistry-talos.yaml",
        &[
            "talosctl patch machineconfig --patch @tlogistry-talos.yaml",
            "Fail-closed by `skipFallback: true`: without it the registry itself is asked after a refusal.",
        ],
        &documents.join("---\n"),
    );
    let mut notes = vec![
        "a Talos that does not know `RegistryMirrorConfig` has the same keys under `machine.registries.mirrors`"
            .to_owned(),
        listed_only(registries),
    ];
    if let Some(ca) = service.ca {
        notes.push(format!(
            "a `RegistryTLSConfig` named `{}` has to hold the text of `{ca}` as its `ca`",
            service.authority()
        ));
    }
    Ok(Setup::closed(vec![file], notes))
}
