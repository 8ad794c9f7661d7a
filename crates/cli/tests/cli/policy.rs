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
    action   observe: upstream may move it, and every digest is recorded before it is served
    because  rule 1 (`index.docker.io/library/*:latest`)
    ");
    insta::assert_snapshot!(environment.run(&["policy", "test", "ghcr.io/org/app:v1"]), @"
    exit 0
    -- stdout
    tag      ghcr.io/org/app:v1
    action   freeze: the first digest that is pulled is recorded and stays what the tag means
    on move  serve-recorded: a pull gets the recorded manifest, with a warning
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
}

#[test]
fn a_tag_that_no_rule_matches_is_frozen() {
    insta::assert_snapshot!(environment().run(&["policy", "test", "docker.io/alpine:3.20"]), @"
    exit 0
    -- stdout
    tag      index.docker.io/library/alpine:3.20
    action   freeze: the first digest that is pulled is recorded and stays what the tag means
    on move  refuse: a pull is refused with both digests
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
    insta::assert_snapshot!(decided("alpine") + &decided("alpine:3") + &protocol, @r#"
    {"schema":1,"reference":"index.docker.io/library/alpine:latest","action":"observe","decided_by":{"kind":"rule","number":1,"match":"index.docker.io/library/*:latest"}}
    {"schema":1,"reference":"index.docker.io/library/alpine:3","action":"freeze","on_move":"refuse","decided_by":{"kind":"default"}}
    {"schema":1,"reference":"ghcr.io/org/app:sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","action":"pass","decided_by":{"kind":"protocol-tag"}}
    "#);
}
