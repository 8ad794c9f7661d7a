//! Which rule decides about a tag, and about what has none.

use proptest::prelude::*;

use super::*;

fn rule(pattern: &str, action: Action) -> Rule {
    let matcher = match pattern.strip_prefix("regex ") {
        Some(expression) => Matcher::Regex(Box::new(expression.parse().unwrap())),
        None => Matcher::Glob(pattern.parse().unwrap()),
    };
    Rule { matcher, action, terms: Terms::default() }
}

fn decide(rules: &[(&str, Action)], name: &str, tag: &str) -> Decision {
    let rules = rules.iter().map(|(pattern, action)| rule(pattern, *action)).collect();
    Policy::new(rules, Defaults::default())
        .decide(&Name::parse_canonical(name).unwrap(), &Tag::parse(tag).unwrap())
}

#[test]
fn a_tag_that_no_rule_matches_is_frozen() {
    let decision = decide(&[], "ghcr.io/org/app", "v1");
    assert_eq!(decision.action, Action::Freeze);
    assert_eq!(decision.reason, Reason::Default);
}

#[test]
fn the_first_matching_rule_wins() {
    let rules = [("ghcr.io/org/*:latest", Action::Observe), ("ghcr.io/**", Action::Deny)];
    assert_eq!(decide(&rules, "ghcr.io/org/app", "latest").action, Action::Observe);
    assert_eq!(decide(&rules, "ghcr.io/org/app", "v1").action, Action::Deny);
    assert_eq!(decide(&rules, "quay.io/org/app", "v1").action, Action::Freeze);
}

#[test]
fn tags_that_the_protocol_rewrites_pass_unless_denied() {
    let hex = "a".repeat(64);
    for tag in [format!("sha256-{hex}"), format!("sha512-{hex}"), format!("sha256-{hex}.sig")] {
        assert_eq!(decide(&[("**", Action::Freeze)], "ghcr.io/org/app", &tag).action, Action::Pass);
        assert_eq!(decide(&[("**", Action::Deny)], "ghcr.io/org/app", &tag).action, Action::Deny);
    }
}

#[test]
fn a_repository_is_denied_where_each_of_its_tags_is() {
    assert!(denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/evil/app"));
    assert!(denied(&[("ghcr.io/evil/*:*", Action::Deny)], "ghcr.io/evil/app"));
    assert!(!denied(&[("ghcr.io/evil/*:v*", Action::Deny)], "ghcr.io/evil/app"));
    assert!(!denied(&[("ghcr.io/evil/**", Action::Deny)], "ghcr.io/good/app"));
    let some_allowed = [("ghcr.io/evil/app:v1", Action::Freeze), ("**", Action::Deny)];
    assert!(!denied(&some_allowed, "ghcr.io/evil/app"));
    assert!(denied(&some_allowed, "ghcr.io/evil/app2"));
    assert!(!denied(&[], "ghcr.io/evil/app"));
    let by_regex = [(r"regex ghcr\.io/good/app:v\d+", Action::Freeze), (r"regex ghcr\.io/.*", Action::Deny)];
    assert!(!denied(&by_regex, "ghcr.io/good/app"));
    assert!(denied(&by_regex, "ghcr.io/evil/app"));
}

fn denied(rules: &[(&str, Action)], name: &str) -> bool {
    let rules = rules.iter().map(|(pattern, action)| rule(pattern, *action));
    let name = Name::parse_canonical(name).unwrap();
    Policy::new(rules.collect(), Defaults::default()).denies_repository(&name).is_some()
}

#[test]
fn an_expression_denies_a_repository_where_it_matches_every_tag_that_there_can_be() {
    for (tags, every) in [
        (".*", true),
        (".+", true),
        (r"[\w.-]+", true),
        (r"\w[\w.-]{0,127}", true),
        ("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", true),
        ("[^.-].*", true),
        ("[^/:]*", true),
        ("(v.*|[^v].*)", true),
        ("(?i)[a-z0-9_][a-z0-9_.-]*", true),
        (r"\w[\w.-]{0,126}", false),
        (r"\w[\w.-]{1,127}", false),
        (r"\w+", false),
        ("[a-z].*", false),
        ("v.*", false),
    ] {
        let pattern = format!(r"regex ghcr\.io/evil/.*:{tags}");
        assert_eq!(denied(&[(&pattern, Action::Deny)], "ghcr.io/evil/app"), every, "{tags}");
        assert!(!denied(&[(&pattern, Action::Deny)], "ghcr.io/good/app"), "{tags}");
    }
}

#[test]
fn rules_that_deny_every_tag_together_deny_the_repository() {
    let halves = [
        ("ghcr.io/evil/app:v*", Action::Deny),
        ("ghcr.io/evil/app:v1", Action::Freeze),
        (r"regex ghcr\.io/evil/.*:[^v].*", Action::Deny),
    ];
    assert!(denied(&halves, "ghcr.io/evil/app"), "what is allowed was denied before");
    assert!(!denied(&halves[1..], "ghcr.io/evil/app"));
    assert!(!denied(&halves, "ghcr.io/evil/other"));
}

#[test]
fn a_long_list_of_allowed_tags_denies_no_repository() {
    let tags: Vec<String> = (0..200).map(|n| format!("ghcr.io/org/app:{n:040x}")).collect();
    let mut rules: Vec<_> = tags.iter().map(|tag| (tag.as_str(), Action::Freeze)).collect();
    rules.push(("**", Action::Deny));
    assert!(!denied(&rules, "ghcr.io/org/app"));
    assert!(denied(&rules, "ghcr.io/org/other"));
    rules.insert(0, ("ghcr.io/org/app:000*", Action::Deny));
    assert!(denied(&rules, "ghcr.io/org/app"), "each of them was denied before");
}

#[test]
fn an_expression_too_tangled_to_be_decided_about_denies() {
    let tangled = r"regex ghcr\.io/evil/app:(.*a.{14}|.*)";
    assert!(denied(&[(tangled, Action::Deny)], "ghcr.io/evil/app"));
    assert!(!denied(&[(tangled, Action::Deny)], "ghcr.io/good/app"));
    assert!(!denied(&[("ghcr.io/evil/app:a*", Action::Freeze), (tangled, Action::Deny)], "ghcr.io/evil/app"));
}

#[test]
fn what_an_allowing_expression_has_is_found_however_tangled_it_is() {
    let most = r"regex .*:[\w-]*-.{40}";
    for allowed in ["regex .*:.*-.{40}", r"regex .*:.*-[\w-]{20}", r"regex .*:.*a.{14}", most] {
        let rules = [(allowed, Action::Freeze), ("**", Action::Deny)];
        assert!(!denied(&rules, "ghcr.io/org/app"), "{allowed}");
        let some_denied_before = [("ghcr.io/org/app:0*", Action::Deny), rules[0], rules[1]];
        assert!(!denied(&some_denied_before, "ghcr.io/org/app"), "{allowed}");
    }
    let all_denied_before = [("regex .*:.*-.*", Action::Deny), (most, Action::Freeze), ("**", Action::Deny)];
    assert!(denied(&all_denied_before, "ghcr.io/org/app"));
    let all_denied_before = all_denied_before.map(|(pattern, action)| rule(pattern, action)).to_vec();
    assert!(Policy::new(all_denied_before, Defaults::default()).undecided().is_empty());
}

#[test]
fn rules_that_are_too_tangled_to_be_decided_about_are_named() {
    let tangled = r"regex ghcr\.io/evil/app:(.*a.{14}|.*)";
    let name = |name: &str| Name::parse_canonical(name).unwrap();
    let undecided = Policy::new(vec![rule(tangled, Action::Deny)], Defaults::default());
    assert_eq!(undecided.undecided().len(), 1);
    assert!(undecided.is_undecided_about(&name("ghcr.io/evil/app")));
    assert!(!undecided.is_undecided_about(&name("ghcr.io/good/app")));
    assert!(undecided.undecided()[0].to_string().contains("rule 1"));
}

#[test]
fn what_is_remembered_of_repositories_is_bounded() {
    let patterns: Vec<String> = (0..2 * MAX_REMEMBERED).map(|n| format!("ghcr.io/org/r{n}:**")).collect();
    let rules = patterns.iter().map(|pattern| rule(pattern, Action::Deny)).collect();
    let policy = Policy::new(rules, Defaults::default());
    for _round in 0..2 {
        for number in 0..2 * MAX_REMEMBERED {
            let name = Name::parse_canonical(&format!("ghcr.io/org/r{number}")).unwrap();
            let reason = policy.denies_repository(&name).unwrap().to_string();
            assert!(reason.contains(&format!("rule {} ", number + 1)), "{reason}");
            assert!(policy.remembered.lock().unwrap().len() <= MAX_REMEMBERED);
        }
    }
    policy.remembered.lock().unwrap().clear();
    for number in 0..MAX_REMEMBERED {
        let name = Name::parse_canonical(&format!("ghcr.io/other/x{number}")).unwrap();
        assert_eq!(policy.denies_repository(&name), None);
    }
    assert_eq!(policy.remembered.lock().unwrap().len(), 1, "what rules do not tell apart is one");
}

proptest! {
    #[test]
    fn no_tag_of_a_denied_repository_can_be_pulled(
        rules in prop::collection::vec((0..8_usize, any::<bool>()), 1..5),
        tag in "[ab_][ab.-]{0,4}",
    ) {
        let patterns = [
            "**", "*/r:a*", "x.io/r:*b", "regex .*:[^b].*", "regex .*:a+", "regex .*:[ab].*", "regex .*[_.-].*", "**a**",
        ];
        let rules: Vec<_> = rules
            .iter()
            .map(|(pattern, deny)| (patterns[*pattern], if *deny { Action::Deny } else { Action::Freeze }))
            .collect();
        if denied(&rules, "x.io/r") {
            prop_assert_eq!(decide(&rules, "x.io/r", &tag).action, Action::Deny);
        } else {
            let letters = ["", "a", "b", "c"];
            let mut tags = letters.iter().flat_map(|a| letters.map(|b| format!("{a}{b}")));
            let mut tags = tags.by_ref().flat_map(|ab| letters.map(|c| format!("{ab}{c}")));
            let may_be_pulled = |tag: String| {
                Tag::parse(&tag).is_ok() && decide(&rules, "x.io/r", &tag).action != Action::Deny
            };
            prop_assert!(tags.any(may_be_pulled), "given without a tag that is");
        }
    }
}

#[test]
fn a_rule_that_is_only_tried_out_denies_no_repository() {
    let dry = Terms { mode: Some(Mode::DryRun), ..Terms::default() };
    let deny = Rule { terms: dry, ..rule("ghcr.io/evil/**", Action::Deny) };
    let name = Name::parse_canonical("ghcr.io/evil/app").unwrap();
    let policy = Policy::new(vec![deny], Defaults::default());
    assert_eq!(policy.denies_repository(&name), None);
    let decision = policy.decide(&name, &Tag::parse("v1").unwrap());
    assert_eq!((decision.action, decision.is_dry_run()), (Action::Deny, true));
}

#[test]
fn what_a_rule_says_goes_before_what_is_general() {
    let terms = Terms {
        on_move: Some(OnMove::ServeRecorded),
        on_gone: Some(OnGone::Serve),
        mode: Some(Mode::Enforce),
        min_age: Some(Duration::from_secs(9)),
        on_young: OnYoung::ServeOld,
    };
    let said = Rule { terms, ..rule("ghcr.io/org/app:v1", Action::Observe) };
    let defaults = Defaults { mode: Mode::DryRun, ..Defaults::default() };
    let policy = Policy::new(vec![said], defaults);
    let name = Name::parse_canonical("ghcr.io/org/app").unwrap();
    let decide = |tag: &str| policy.decide(&name, &Tag::parse(tag).unwrap());
    let (one, other) = (decide("v1"), decide("v2"));
    assert_eq!((one.on_move, one.on_gone, one.mode), (OnMove::ServeRecorded, OnGone::Serve, Mode::Enforce));
    assert_eq!((one.min_age, one.on_young), (Some(Duration::from_secs(9)), OnYoung::ServeOld));
    assert_eq!((other.on_move, other.on_gone, other.mode), (OnMove::Refuse, OnGone::Refuse, Mode::DryRun));
    assert_eq!(other.min_age, None);
}

#[test]
fn look_alikes_of_protocol_tags_are_frozen() {
    let hex = "a".repeat(64);
    for tag in [
        format!("sha256-{}", "a".repeat(63)),
        format!("sha256-{}", "A".repeat(64)),
        format!("sha256-{hex}.exe"),
        format!("sha256-{hex}.sig.sig"),
        format!("sha384-{hex}"),
        format!("x-sha256-{hex}"),
    ] {
        assert_eq!(decide(&[], "ghcr.io/org/app", &tag).action, Action::Freeze, "{tag}");
    }
}
