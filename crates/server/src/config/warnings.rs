//! What is allowed and still worth a word: each line says what could happen and the way out.
//!
//! Looks at the data directory's mode and at the names of environment variables; refuses nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::nearest;
use super::layers::Origin;
use super::{Config, environment};

impl Config {
    /// Everything that an operator should hear of at the start.
    pub fn warnings(&self) -> Vec<String> {
        let open = !self.listen.ip().is_loopback();
        let clear = self.auth.is_some() && self.tls.is_none() && open && self.public_url.scheme() == "http";
        let closed = self.had_credentials
            && !self.has_credentials()
            && !self.public
            && self.origins.of("public") == &Origin::Default;
        let searched = self.sigstore.as_ref().is_some_and(|sigstore| sigstore.settings.store_attestation);
        [
            self.ephemeral.then(|| {
                "`data_dir = \"ephemeral\"`: run one instance only; records are found again by Rekor's index, which may \
                 leave some out, and then a tag is recorded anew"
                    .to_owned()
            }),
            (self.ephemeral && !searched).then(|| {
                "without `sigstore.store_attestation = true` a record of a digest that upstream does not serve any more \
                 cannot be read back from Rekor, and its tag is refused"
                    .to_owned()
            }),
            writable_by_others(&self.data_dir),
            clear.then(|| {
                "passwords of clients cross the network in the clear: set `[tls]`, or a `public_url` of https if something \
                 in front of this service speaks TLS"
                    .to_owned()
            }),
            self.undecided(),
            closed.then(|| {
                "upstream credentials were configured once, so the log may name private repositories, and `/log`, `/proof` \
                 and the pages stay closed; open them with `public = true` and `publish_names = true`"
                    .to_owned()
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What looks like a policy that allows something, and allows nothing by digest.
    fn undecided(&self) -> Option<String> {
        let rules: Vec<String> = self.policy.undecided().iter().map(ToString::to_string).collect();
        (!rules.is_empty()).then(|| {
            format!(
                "whether {} denies every tag of a repository is too tangled to tell, so digests, blobs and lists of such \
                 repositories are refused; write simpler expressions: `.*` before a counted repetition is what tangles",
                rules.join(", ")
            )
        })
    }
}

/// A line for each variable that looks like one of ours and is none.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = || environment::names().chain(environment::OF_OTHER_VERBS.iter().copied());
    let mut unknown: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with("TLOGISTRY_") && !of_kubernetes(name))
        .filter(|name| known().all(|known| known != name))
        .collect();
    unknown.sort_unstable();
    let say = |name: String| {
        let hint = nearest(&name, known()).map(|known| format!("; did you mean `{known}`?"));
        format!("environment variable `{name}` sets nothing{}", hint.unwrap_or_default())
    };
    unknown.into_iter().map(say).collect()
}

/// Kubernetes tells every pod of the services beside it; one is often called `tlogistry`.
fn of_kubernetes(name: &str) -> bool {
    let name = name.trim_start_matches("TLOGISTRY_");
    name.split('_').next_back() == Some("PORT")
        || name.contains("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || name.contains("_TCP") && name.contains("PORT_")
        || name.starts_with("PORT_")
}

/// Whoever can write there can replace the key and the records.
fn writable_by_others(data_dir: &Path) -> Option<String> {
    let mode = std::fs::metadata(data_dir).ok()?.permissions().mode() & 0o7777;
    let directory = data_dir.display();
    (mode & 0o002 != 0).then(|| {
        format!(
            "every user of this machine can write to the data directory `{directory}` (mode {mode:04o}), and so replace \
             the log's key and records: `chmod o-w {directory}`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_variable_is_told_with_the_nearest_known_one() {
        let warnings = |names: &[&str]| unknown_variables(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(
            warnings(&[
                "TLOGISTRY_LISTN",
                "PATH",
                "TLOGISTRY_LISTEN",
                "TLOGISTRY_SERVER",
                "TLOGISTRY_ZZZZZZZZ"
            ]),
            [
                "environment variable `TLOGISTRY_LISTN` sets nothing; did you mean `TLOGISTRY_LISTEN`?",
                "environment variable `TLOGISTRY_ZZZZZZZZ` sets nothing"
            ]
        );
        let pod = [
            "TLOGISTRY_SERVICE_HOST",
            "TLOGISTRY_PORT",
            "TLOGISTRY_PORT_8080_TCP_ADDR",
            "TLOGISTRY_SERVICE_PORT_HTTP",
        ];
        assert!(warnings(&pod).is_empty());
    }

    #[test]
    fn a_data_directory_that_everybody_can_write_to_is_told_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (mode, told) in [(0o700, false), (0o750, false), (0o777, true), (0o1777, true)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            let warning = writable_by_others(path);
            assert_eq!(warning.is_some(), told, "{mode:o}");
            assert!(warning.is_none_or(
                |warning| warning.contains("chmod o-w") && warning.contains(&format!("{mode:04o}"))
            ));
        }
        assert_eq!(writable_by_others(&path.join("not there")), None);
    }
}
