//! The pages a person sees. Knows no log and no registry: views in, HTML out.

use url::Url;

pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'";
pub(crate) struct HomeView {
    pub(crate) host: String,
    pub(crate) insecure_http: bool,
    pub(crate) origin: String,
    pub(crate) vkey: String,
    pub(crate) size: u64,
}
pub(crate) enum TagState {
    Frozen,
    Observed,
    Thawed,
    NeverRecorded,
}
pub(crate) struct CurrentView {
    pub(crate) digest: String,
    pub(crate) leaf_kind: String,
    pub(crate) index: u64,
    pub(crate) time: String,
    pub(crate) media_type: String,
    pub(crate) size: Option<u64>,
}
pub(crate) struct HistoryView {
    pub(crate) kind: String,
    pub(crate) index: u64,
    pub(crate) time: String,
    pub(crate) digest: Option<String>,
    pub(crate) other_digest: Option<String>,
    pub(crate) reason: Option<String>,
}
pub(crate) enum UpstreamView {
    NotAsked,
    Same,
    Moved { digest: String },
    Gone,
    Unreachable { why: String },
}
pub(crate) struct TagView {
    pub(crate) host: String,
    pub(crate) insecure_http: bool,
    pub(crate) short: String,
    pub(crate) reference: String,
    pub(crate) proof_path: String,
    pub(crate) state: TagState,
    pub(crate) current: Option<CurrentView>,
    pub(crate) history: Vec<HistoryView>,
    pub(crate) upstream: UpstreamView,
    pub(crate) log_origin: String,
    pub(crate) log_size: u64,
    pub(crate) policy_action: String,
}
pub(crate) fn home(_: &HomeView) -> String {
    String::new()
}
pub(crate) fn tag(_: &TagView) -> String {
    String::new()
}
pub(crate) fn not_found(_: &str) -> String {
    String::new()
}
pub(crate) fn problem(_: &str, _: &str, _: &str) -> String {
    String::new()
}
pub(crate) fn style() -> &'static [u8] {
    b""
}
pub(crate) fn script() -> &'static [u8] {
    b""
}
pub(crate) fn lookup_target(_: &str) -> Result<String, String> {
    Err(String::new())
}
pub(crate) fn host_for_commands(_: Option<&str>, _: &Url) -> (String, bool) {
    (String::new(), false)
}
