//! The order of `docs/request-handling.md`: of two things that are wrong, the earlier one answers.

use testkit::{Kind, Quirk};

use crate::place::{Place, error};

const RULES: &str = "[[policy]]\nmatch = \"corp.alt/denied/**\"\naction = \"deny\"\n[[policy]]\nmatch = \"other.alt/denied/**\"\naction = \"deny\"\n[[policy]]\nmatch = \"corp.alt/passing/**\"\naction = \"pass\"";

#[tokio::test]
async fn the_earlier_step_answers() {
    let place = Place::new().await.tables(RULES);
    let service = place.start().await;
    let image = place.push("team/app", "v1");
    service.pull("team/app", "v1").await;
    place.push("team/app", "v1");
    place.push("passing/app", "v1");
    // (what is wrong, method, path, status, code, questions to upstream)
    for (case, method, path, status, code, asked) in [
        ("1 the method before the path", "PUT", "/v2/corp.alt/../x", 405, "UNSUPPORTED", 0),
        ("2 the path before the name", "GET", "/v2/corp.alt/A/../manifests/v1", 400, "NAME_INVALID", 0),
        (
            "2 the namespace before the endpoint's argument",
            "GET",
            "/v2/corp.alt/a/manifests/.v1?ns=x.alt&ns=x.alt",
            400,
            "NAME_INVALID",
            0,
        ),
        ("2 the name before the policy", "GET", "/v2/corp.alt/denied/A/manifests/v1", 400, "NAME_INVALID", 0),
        (
            "3 the policy before the address filter",
            "GET",
            "/v2/other.alt/denied/x/manifests/v1",
            403,
            "DENIED",
            0,
        ),
        ("3 the policy before the record", "GET", "/v2/corp.alt/denied/app/manifests/v1", 403, "DENIED", 0),
        (
            "4 the record before the bytes: one HEAD, one GET",
            "GET",
            "/v2/corp.alt/team/app/manifests/v1",
            403,
            "MANIFEST_UNVERIFIED",
            2,
        ),
        (
            "5 a tag that passes: one GET, no record",
            "GET",
            "/v2/corp.alt/passing/app/manifests/v1",
            200,
            "",
            1,
        ),
        (
            "5 an unknown tag: one GET, which finds nothing",
            "GET",
            "/v2/corp.alt/team/app/manifests/none",
            404,
            "MANIFEST_UNKNOWN",
            1,
        ),
    ] {
        place.registry.forget();
        let reply = service.request(method, path).send().await;
        assert_eq!(reply.status, status, "{case}: {}", reply.text());
        if !code.is_empty() {
            assert_eq!(error(&reply).0, code, "{case}");
        }
        assert_eq!(place.registry.requests_of(Kind::Manifest).len(), asked, "{case}");
    }
    // 6: what cannot be recorded is not served, though upstream has it.
    place.push("team/app", "v2");
    place.clock.set(0);
    assert_eq!(service.pull("team/app", "v2").await.status, 503);
    // What is stored needs nobody: not the clock, not upstream.
    place.registry.quirk(Quirk::Status(500));
    assert_eq!(service.pull("team/app", "v1").await.body, image.manifest);
    assert_eq!(service.pull("team/app", &image.digest).await.body, image.manifest);
}
