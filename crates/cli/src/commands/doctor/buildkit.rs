//! BuildKit: a mirror in `buildkitd.toml` is fail-open whatever else it says.

use toml::{Table, Value};

use super::files::Root;
use super::findings::Findings;
use super::us::Us;

const PATH: &str = "/etc/buildkit/buildkitd.toml";

/// Whether there is anything of it.
pub(super) fn check(us: &Us, root: &Root, findings: &mut Findings) -> bool {
    let Some(text) = root.read(PATH, findings) else { return false };
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let message = format!("is not TOML: {}; buildkitd does not start with it", error.message());
            findings.fail(PATH, message, "correct it");
            return true;
        }
    };
    let before = findings.problems();
    for (name, registry) in table.get("registry").and_then(Value::as_table).into_iter().flatten() {
        let mirrors = registry.get("mirrors").and_then(Value::as_array).into_iter().flatten();
        if mirrors.filter_map(Value::as_str).any(|mirror| us.is(mirror)) {
            findings.fail(
                PATH,
                format!("FAIL-OPEN: after a refusal by the mirror BuildKit asks `{name}` itself, and has no setting against that"),
                format!(
                    "block egress from buildkitd to `{name}`; or write `FROM {}/{name}/…`, which is fail-closed",
                    us.authority()
                ),
            );
        }
    }
    findings.ok_unless_more(before, PATH, "no mirror in it falls back");
    true
}
