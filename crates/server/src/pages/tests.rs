//! Every page in every state. With `TLOGISTRY_PAGES_DIR` set the pages are also written there, to be looked at.

use super::*;

const STATES: [TagState; 4] =
    [TagState::Frozen, TagState::Observed, TagState::Thawed, TagState::NeverRecorded];
const POLICIES: [&str; 6] = ["freeze", "observe", "follow", "pass", "deny", "of-a-later-version"];
const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;`{{ 7 * 191 }}";

fn digest(letter: &str) -> String {
    oci::Sha256Digest::of(letter).to_string()
}

fn upstreams() -> [(&'static str, UpstreamView); 5] {
    [
        ("same", UpstreamView::Same),
        ("moved", UpstreamView::Moved { digest: digest("b") }),
        ("gone", UpstreamView::Gone),
        ("unreachable", UpstreamView::Unreachable { why: "no answer in time".to_owned() }),
        ("not-asked", UpstreamView::NotAsked),
    ]
}

fn entry(kind: &str, index: u64, digest: &str, other: Option<String>, reason: Option<&str>) -> HistoryView {
    HistoryView {
        kind: kind.to_owned(),
        index,
        time: "2026-11-23T10:00:00Z".to_owned(),
        digest: Some(digest.to_owned()),
        other_digest: other,
        reason: reason.map(str::to_owned),
    }
}

fn history(state: TagState) -> Vec<HistoryView> {
    let (a, b) = (digest("a"), digest("b"));
    let why = Some("rebuilt by the publisher, ticket 17");
    match state {
        TagState::Frozen => vec![
            entry("tag", 4_711, &digest("c"), None, None),
            entry("moved", 12_002, &digest("c"), Some(a.clone()), None),
            entry("supersede", 12_340, &a, Some(digest("c")), why),
            entry("moved", 20_001, &a, Some(b), None),
        ],
        TagState::Observed => {
            vec![entry("seen", 4_711, &b, None, None), entry("seen", 4_800, &a, None, None)]
        }
        TagState::Thawed => vec![entry("tag", 4_711, &a, None, None), entry("thaw", 4_800, &a, None, why)],
        TagState::NeverRecorded => Vec::new(),
    }
}

fn tag_view(state: TagState, upstream: UpstreamView) -> TagView {
    let recorded = state != TagState::NeverRecorded;
    TagView {
        host: "localhost:8080".to_owned(),
        insecure_http: false,
        reference: "index.docker.io/library/alpine:3.20".to_owned(),
        short: "alpine:3.20".to_owned(),
        proof_path: "/proof/index.docker.io/library/alpine:3.20".to_owned(),
        state,
        current: recorded.then(|| CurrentView {
            digest: digest("a"),
            leaf_kind: if state == TagState::Thawed { "thaw" } else { "tag" }.to_owned(),
            index: 4_711,
            time: "2026-11-23T10:00:00Z".to_owned(),
            media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
            size: Some(9_218),
        }),
        history: history(state),
        upstream,
        log_origin: "localhost:8080/log".to_owned(),
        log_size: 20_480,
        policy_action: "freeze".to_owned(),
    }
}

fn home_view() -> HomeView {
    let public_url = url::Url::parse("http://localhost:8080").unwrap();
    let (host, insecure_http) = host_for_commands(Some("localhost:8080"), &public_url);
    HomeView {
        host,
        insecure_http,
        origin: "localhost:8080/log".to_owned(),
        vkey: "localhost:8080/log+28c1a534+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c".to_owned(),
        size: 20_480,
    }
}

/// A long name on a plain-http host, which is what breaks layouts.
fn long(view: TagView) -> TagView {
    let name = "very-long-registry-name.internal.example.com/platform/observability/a-component_with__a-remarkably-long-name";
    let tag = "v2026.11.23-rc.1-feature-the-branch-nobody-should-have-named-like-this";
    TagView {
        host: "tlog.internal.example.com:8080".to_owned(),
        insecure_http: true,
        reference: format!("{name}:{tag}"),
        short: format!("{name}:{tag}"),
        proof_path: format!("/proof/{name}:{tag}"),
        ..view
    }
}

fn every_page() -> Vec<(String, String)> {
    let mut pages = vec![
        ("home".to_owned(), home(&home_view())),
        (
            "home-insecure".to_owned(),
            home(&HomeView { host: "10.0.0.7:8080".to_owned(), insecure_http: true, size: 1, ..home_view() }),
        ),
        ("not-found".to_owned(), not_found("/wp-login.php")),
        (
            "problem".to_owned(),
            problem(
                "That is not a tag",
                &lookup_target("https://hub.docker.com/_/alpine").unwrap_err(),
                "write it as in `docker pull`, such as alpine:3.20",
            ),
        ),
    ];
    for state in STATES {
        for (name, upstream) in upstreams() {
            for policy in POLICIES {
                let view = TagView { policy_action: policy.to_owned(), ..tag_view(state, upstream.clone()) };
                pages.push((format!("tag-{}-{name}-{policy}", state_name(state)), tag(&view)));
                pages.push((format!("long-{}-{name}-{policy}", state_name(state)), tag(&long(view))));
            }
        }
    }
    pages
}

fn state_name(state: TagState) -> &'static str {
    match state {
        TagState::Frozen => "frozen",
        TagState::Observed => "observed",
        TagState::Thawed => "thawed",
        TagState::NeverRecorded => "never",
    }
}

/// Complains of markup that does not nest, and of all that the content security policy forbids.
fn check(name: &str, page: &str) {
    const VOID: [&str; 5] = ["!doctype", "meta", "link", "input", "br"];
    let mut open = Vec::new();
    for piece in page.split('<').skip(1) {
        let (markup, _text) = piece.split_once('>').unwrap_or_else(|| panic!("{name}: an open `<`: {piece}"));
        let element = markup.split_whitespace().next().unwrap_or_default();
        if let Some(closed) = element.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{name}: </{closed}>");
        } else if !VOID.contains(&element) {
            open.push(element);
        }
        let names = markup.split('"').step_by(2).flat_map(str::split_whitespace);
        for attribute in names.skip(1) {
            assert!(!attribute.starts_with("on") && !attribute.starts_with("style="), "{name}: <{markup}>");
        }
        assert!(element != "script" || markup.contains("src=\"/assets/"), "{name}: <{markup}>");
        assert!(!markup.contains("href=\"http") && !markup.contains("src=\"http"), "{name}: <{markup}>");
    }
    assert_eq!(open, Vec::<&str>::new(), "{name}");
    for (once, count) in
        [("<h1", 1), ("<main", 1), ("<title>", 1), ("id=\"reference\"", page.matches("<form").count())]
    {
        assert_eq!(page.matches(once).count(), count, "{name}: {once}");
    }
}

#[test]
fn every_page_is_sound_html_that_its_policy_lets_work() {
    let directory = std::env::var_os("TLOGISTRY_PAGES_DIR").map(std::path::PathBuf::from);
    for (name, page) in every_page() {
        check(&name, &page);
        if let Some(directory) = &directory {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join(format!("{name}.html")), page).unwrap();
        }
    }
}

#[test]
fn every_state_and_every_answer_of_upstream_is_said_in_words() {
    for state in STATES {
        for (name, upstream) in upstreams() {
            let page = tag(&tag_view(state, upstream));
            assert!(
                page.contains(&format!("{}</strong>", state_name(state).replace("never", "never recorded"))),
                "{state:?}"
            );
            let recorded = state != TagState::NeverRecorded;
            let said = match name {
                "moved" => page.contains("<h2 id=\"h-moved\">Upstream "),
                name => page.contains(&format!("\">{}</strong>", name.replace('-', " "))),
            };
            assert_eq!(said, recorded, "{state:?} {name}");
            assert_eq!(page.contains("<table"), recorded, "{state:?} {name}");
            assert!(page.contains("data-proof=\"/proof/index.docker.io/library/alpine:3.20\""));
            assert!(page.contains("data-reference=\"index.docker.io/library/alpine:3.20\""));
        }
    }
}

#[test]
fn a_moved_frozen_tag_shows_both_digests_and_what_to_do() {
    let page = tag(&tag_view(TagState::Frozen, UpstreamView::Moved { digest: digest("b") }));
    assert!(page.contains("Upstream moved this tag"));
    assert!(page.contains(&format!("docker pull localhost:8080/alpine@{}", digest("a"))));
    assert!(page.contains(&format!("tlogistry supersede alpine:3.20 {} --reason", digest("b"))));
    let page = tag(&tag_view(TagState::Observed, UpstreamView::Moved { digest: digest("b") }));
    assert!(!page.contains("Upstream moved this tag") && !page.contains("supersede"));
    assert!(page.contains("Upstream has a newer digest"));
}

#[test]
fn a_tag_that_was_never_recorded_says_how_to_record_it() {
    let with = |policy: &str| {
        tag(&TagView {
            policy_action: policy.to_owned(),
            ..tag_view(TagState::NeverRecorded, UpstreamView::NotAsked)
        })
    };
    for policy in ["freeze", "observe", "follow"] {
        assert!(with(policy).contains("Pull it through this service"));
        assert!(with(policy).contains("docker pull localhost:8080/alpine:3.20"));
    }
    assert!(with("pass").contains("pulling it records nothing"));
    assert!(
        with("deny").contains("cannot be recorded here") && !with("deny").contains("docker pull localhost")
    );
}

#[test]
fn hostile_names_are_text_wherever_they_stand() {
    let text = HOSTILE.to_owned();
    let home_page = home(&HomeView {
        host: text.clone(),
        insecure_http: true,
        origin: text.clone(),
        vkey: text.clone(),
        size: 1,
    });
    let mut pages = vec![home_page, not_found(HOSTILE), problem(HOSTILE, HOSTILE, HOSTILE)];
    for state in STATES {
        pages.push(tag(&TagView {
            host: text.clone(),
            insecure_http: true,
            reference: text.clone(),
            short: text.clone(),
            proof_path: text.clone(),
            current: Some(CurrentView {
                digest: text.clone(),
                leaf_kind: text.clone(),
                index: 1,
                time: text.clone(),
                media_type: text.clone(),
                size: None,
            }),
            history: vec![entry(HOSTILE, 1, HOSTILE, Some(text.clone()), Some(HOSTILE))],
            upstream: UpstreamView::Moved { digest: text.clone() },
            log_origin: text.clone(),
            policy_action: text.clone(),
            ..tag_view(state, UpstreamView::Gone)
        }));
        pages.push(tag(&tag_view(state, UpstreamView::Unreachable { why: text.clone() })));
    }
    for page in pages {
        check("hostile", &page);
        assert!(!page.contains("<script>") && !page.contains("<img"));
        assert!(!page.contains("1337"), "a template was rendered twice");
    }
}

#[test]
fn a_repository_that_looks_like_another_registry_keeps_its_own() {
    let page = tag(&TagView {
        reference: "index.docker.io/ghcr.io/app:v1".to_owned(),
        short: "ghcr.io/app:v1".to_owned(),
        ..tag_view(TagState::Frozen, UpstreamView::Same)
    });
    assert!(page.contains("docker pull localhost:8080/index.docker.io/ghcr.io/app:v1<"));
    assert!(!page.contains("docker pull localhost:8080/ghcr.io"));
}

#[test]
fn a_registry_with_a_port_gets_no_command_that_docker_cannot_read() {
    let name = "reg.example:5000/x:v1".to_owned();
    let view = tag_view(TagState::Frozen, UpstreamView::Same);
    let page = tag(&TagView { reference: name.clone(), short: name, ..view });
    assert!(!page.contains("docker pull localhost"));
    assert!(page.contains("as a mirror of the registry"));
}

#[test]
fn plain_http_is_warned_of_only_where_docker_refuses_it() {
    let view = tag_view(TagState::Frozen, UpstreamView::Same);
    assert!(!tag(&view).contains("insecure-registries"));
    assert!(!home(&home_view()).contains("insecure-registries"));
    let view = TagView { host: "10.0.0.7:8080".to_owned(), insecure_http: true, ..view };
    assert!(tag(&view).contains("insecure-registries"));
    assert!(tag(&view).contains("--server http://10.0.0.7:8080"));
}

#[test]
fn the_policy_of_the_pages_allows_nothing_inline_and_nothing_foreign() {
    for forbidden in ["unsafe", "http:", "https:", "*"] {
        assert!(!CONTENT_SECURITY_POLICY.contains(forbidden));
    }
    for demanded in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"]
    {
        assert!(CONTENT_SECURITY_POLICY.contains(demanded));
    }
    assert!(!CONTENT_SECURITY_POLICY.contains("  "));
}

#[test]
fn the_scripts_load_nothing_and_the_one_for_copying_stays_small() {
    let script = std::str::from_utf8(script()).unwrap();
    assert!(script.lines().count() < 100);
    let module = std::str::from_utf8(proof_module()).unwrap();
    for forbidden in ["innerHTML", "eval(", "http://", "https://", "import "] {
        assert!(!script.contains(forbidden) && !module.contains(forbidden), "{forbidden}");
    }
    assert!(!std::str::from_utf8(style()).unwrap().contains("url("));
}
