//! What may be signed after a restart, by what witnesses say they hold.

use tlog::{Note, Policy, verify_cosignature};
use witness::{Sizes, Witness, sizes};

use crate::fake::{Fake, Say, client, key};
use crate::log::Log;

/// Two of `a`, `b` and `c`.
fn two_of_three() -> Policy {
    let line = |name| format!("witness {name} {}\n", key(name).verifier());
    format!("{}{}{}group two 2 a b c\nquorum two\n", line("a"), line("b"), line("c")).parse().unwrap()
}

/// Whether signing may begin at size 8 after these answers of `a`, `b` and `c`, and who is above.
async fn allowed(says: [Say; 3]) -> (bool, Vec<(String, u64)>) {
    let said = said(says).await;
    let above = said.above().map(|(name, size)| (name.to_owned(), size)).collect();
    (said.allow_signing(&two_of_three()), above)
}

/// What `a`, `b` and `c` said to a log of size 8.
async fn said(says: [Say; 3]) -> Sizes {
    let mut fakes = Vec::new();
    for (name, say) in ["a", "b", "c"].into_iter().zip(says) {
        fakes.push(Fake::new(name, [say]).await);
    }
    let witnesses: Vec<Witness> = fakes.iter().map(Fake::witness).collect();
    let said = sizes(&client(), &witnesses, &Log::new().checkpoint(8)).await;
    for fake in &fakes {
        assert_eq!(fake.requests(), [Log::new().request(0, 8)]);
    }
    said
}

fn holds(size: u64) -> Say {
    Say::status(409, format!("{size}\n"))
}

#[tokio::test]
async fn signing_begins_when_a_quorum_holds_no_more_than_we_have() {
    assert_eq!(allowed([holds(8), holds(3), Say::status(500, "")]).await, (true, vec![]));
    assert_eq!(allowed([holds(1), holds(8), holds(9)]).await, (true, vec![("c".to_owned(), 9)]));
}

#[tokio::test]
async fn signing_waits_while_a_quorum_is_missing_or_above() {
    let above = vec![("a".to_owned(), 9), ("b".to_owned(), 80)];
    assert_eq!(allowed([holds(9), holds(80), holds(8)]).await, (false, above));
    for silent in
        [Say::status(500, ""), Say::status(409, ""), Say::status(409, "0\n"), Say::status(200, "8\n")]
    {
        let says = [holds(8), silent.clone(), silent];
        assert_eq!(allowed(says).await, (false, vec![]));
    }
}

#[tokio::test]
async fn signing_is_out_of_the_question_only_when_the_others_are_no_quorum() {
    for (says, forbidden) in [
        ([holds(9), holds(80), holds(8)], true),
        ([holds(9), holds(80), Say::status(500, "")], true),
        ([holds(9), holds(8), Say::status(500, "")], false),
        ([holds(9), Say::status(500, ""), Say::status(409, "")], false),
        ([Say::status(500, ""), Say::status(409, ""), Say::status(404, "")], false),
    ] {
        let said = said(says).await;
        assert_eq!(said.forbid_signing(&two_of_three()), forbidden, "{said:?}");
    }
}

#[tokio::test]
async fn without_a_quorum_nobody_is_waited_for() {
    let said = sizes(&client(), &[], &Log::new().checkpoint(8)).await;
    assert!(said.allow_signing(&"quorum none\n".parse().unwrap()));
    assert!(!said.allow_signing(&two_of_three()));
}

#[tokio::test]
async fn one_that_held_nothing_has_cosigned_what_was_published() {
    let fake = Fake::new("a", [Say::Cosign(9)]).await;
    let published = Log::new().checkpoint(8);
    let said = sizes(&client(), &[fake.witness()], &published).await;
    let held = said.reports()["a"].as_ref().unwrap();
    assert_eq!(held.size, 0);
    let mut note: Note = published.into_note();
    note.push(held.cosigned.clone().unwrap().line);
    assert_eq!(verify_cosignature(&note, &key("a").verifier()), Ok(9));
}
