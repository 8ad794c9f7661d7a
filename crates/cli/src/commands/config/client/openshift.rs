//! `ImageTagMirrorSet` and `ImageDigestMirrorSet` of OpenShift, which writes registries.conf from them.

use super::containerd::listed_only;
use super::setup::{Service, Setup, Unsuited, commented, named, quoted};
use crate::values::Registry;

/// Tags and digests, so that what is pulled by digest needs no other way out.
pub(super) fn openshift(service: &Service<'_>, registries: &[Registry]) -> Result<Setup, Unsuited> {
    named(registries)?;
    let set = |kind: &str, key: &str| {
        let mut text = format!(
            "apiVersion: config.openshift.io/v1\nkind: {kind}\nmetadata:\n  name: tlogistry\nspec:\n  {key}:\n"
        );
        for registry in registries {
            text.push_str(&format!(
                "    - source: {}\n      mirrors:\n        - {}\n      mirrorSourcePolicy: NeverContactSource\n",
                quoted(registry.as_str()),
                quoted(&service.prefix(registry))
            ));
        }
        text
    };
    let body =
        [set("ImageTagMirrorSet", "imageTagMirrors"), set("ImageDigestMirrorSet", "imageDigestMirrors")];
    let file = commented(
        "tlogistry-openshift.yaml",
        &[
            "oc apply -f tlogistry-openshift.yaml",
            "Fail-closed by `NeverContactSource`: with `AllowContactingSource` the registry itself is asked after a refusal.",
        ],
        &body.join("---\n"),
    );
    let mut notes = vec![
        "applying it restarts nodes one after the other, as every change of a node's configuration"
            .to_owned(),
        listed_only(registries),
    ];
    if let Some(ca) = service.ca {
        notes.push(format!(
            "the text of `{ca}` belongs into the config map of `additionalTrustedCA` of image.config.openshift.io/cluster, under `{}`",
            service.authority().replace(':', "..")
        ));
    }
    Ok(Setup::closed(vec![file], notes))
}
