//! Which rule decides about a tag, for each way of deciding.

use crate::environment::TestEnvironment;

const RULES: &str = "\
[[policy]]
match = \"index.docker.io/library/*:latest\"
action = \"observe\"

[[policy]]
match = \"ghcr.io/org/**\"
action = \"freeze\"
on_move = \"serve-recorded\"

[[policy]]
match = \"quay.io/**\"
action = \"deny\"

[[policy]]
match = \"corp.alt/**\"
action = \"pass\"

[[policy]]
match_regex = 'registry\\.example/app:v\\d+'
action = \"follow\"
on_gone = \"serve\"
min_age = \"3d\"
on_young = \"serve-old\"
mode = \"dry-run\"
";

fn environment() -> TestEnvironment {
    let environment = TestEnvironment::new();
    environment.write("config.toml", RULES);
    environment
}

#[test]
fn a_tag_that_a_rule_matches_is_told_the_rule() {
    let environment = environment();
    insta::assert_snapshot!(environment.run(&["policy", "test", "alpine"]), @"
    exit 0
    -- stdout
    tag      index.docker.io/library/alpine:latest
    action   observe: upstream may move it; every digest is recorded before it is served, a new one with a warning
    on gone  refuse: a pull is answered with 404 and the record
    because  rule 1 (`index.docker.io/library/*:latest`)
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", "ghcr.io/org/app:v1"]), @"
    exit 0
    -- stdout
    tag      ghcr.io/org/app:v1
    action   freeze: the first digest that is pulled is recorded and stays what the tag means
    on move  serve-recorded: a pull gets the recorded manifest, with a warning
    on gone  refuse: a pull is answered with 404 and the record
    because  rule 2 (`ghcr.io/org/**`)
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", "quay.io/org/app:v1"]), @"
    exit 0
    -- stdout
    tag      quay.io/org/app:v1
    action   deny: refused
    because  rule 3 (`quay.io/**`)
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", "corp.alt/app"]), @"
    exit 0
    -- stdout
    tag      corp.alt/app:latest
    action   pass: served as upstream has it, neither recorded nor checked
    because  rule 4 (`corp.alt/**`)
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", "registry.example/app:v12"]), @r"
    exit 0
    -- stdout
    tag      registry.example/app:v12
    action   follow: upstream may move it; every digest is recorded before it is served
    on gone  serve: a pull gets the recorded manifest, with a warning
    min age  3d, serve-old: a pull gets the newest digest that the log knows for longer, with a warning
    mode     dry-run: what would be refused is logged, counted and served with a warning
    because  rule 5 (`registry\.example/app:v\d+`)
    ");
}

#[test]
fn a_tag_that_no_rule_matches_is_frozen() {
    insta::assert_snapshot!(environment().run(&["policy", "test", "docker.io/alpine:3.20"]), @"
    exit 0
    -- stdout
    tag      index.docker.io/library/alpine:3.20
    action   freeze: the first digest that is pulled is recorded and stays what the tag means
    on move  refuse: a pull is refused with both digests
    on gone  refuse: a pull is answered with 404 and the record
    because  default: no rule matches
    ");
}

#[test]
fn a_tag_that_the_protocol_rewrites_passes() {
    let reference = format!("ghcr.io/org/app:sha256-{}.sig", "a".repeat(64));
    insta::assert_snapshot!(environment().run(&["policy", "test", &reference]), @"
    exit 0
    -- stdout
    tag      ghcr.io/org/app:sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.sig
    action   pass: served as upstream has it, neither recorded nor checked
    because  built in: a tag that the protocol itself rewrites
    ");
}

#[test]
fn programs_get_each_way_of_deciding() {
    let environment = environment();
    let decided = |reference: &str| {
        environment.run(&["policy", "test", reference, "--output", "json"]).succeeded().stdout
    };
    let protocol = decided(&format!("ghcr.io/org/app:sha256-{}", "a".repeat(64)));
    insta::assert_snapshot!(decided("alpine") + &decided("alpine:3") + &decided("registry.example/app:v1") + &protocol, @r#"
    {"schema":1,"reference":"index.docker.io/library/alpine:latest","action":"observe","mode":"enforce","on_gone":"refuse","decided_by":{"kind":"rule","number":1,"match":"index.docker.io/library/*:latest"}}
    {"schema":1,"reference":"index.docker.io/library/alpine:3","action":"freeze","mode":"enforce","on_move":"refuse","on_gone":"refuse","decided_by":{"kind":"default"}}
    {"schema":1,"reference":"registry.example/app:v1","action":"follow","mode":"dry-run","on_gone":"serve","min_age_seconds":259200,"on_young":"serve-old","decided_by":{"kind":"rule","number":5,"match":"registry\\.example/app:v\\d+"}}
    {"schema":1,"reference":"ghcr.io/org/app:sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","action":"pass","mode":"enforce","decided_by":{"kind":"protocol-tag"}}
    "#);
}

#[test]
fn rules_too_tangled_to_be_decided_about_are_told_before_anybody_pulls() {
    let environment = TestEnvironment::new();
    let rule = "[[policy]]\nmatch_regex = 'ghcr\\.io/org/app:(.*a.{14}|v.*|[^v].*)'\naction = \"deny\"\n";
    environment.write("config.toml", rule);
    insta::assert_snapshot!(environment.run(&["policy", "test", "ghcr.io/org/app:v1"]), @r"
    exit 0
    -- stdout
    tag      ghcr.io/org/app:v1
    action   deny: refused
    because  rule 1 (`ghcr\.io/org/app:(.*a.{14}|v.*|[^v].*)`)
    digests  refused: the rules are too tangled to tell whether they deny every tag of this repository
    ");
    let checked = environment.run(&["config", "check"]).succeeded();
    assert!(checked.stderr.contains("too tangled to tell"), "{}", checked.stderr);
}
