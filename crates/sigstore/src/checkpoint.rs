//! A checkpoint as it is kept: with its log's own signature, and with others as far as they are few and short.
//!
//! What stands behind the signed text is nobody's word, and a bundle is published; nothing is verified here.

/// Lines of signatures, and bytes of a whole checkpoint: some witnesses, also with keys of tomorrow.
const MAX_LINES: usize = 16;
const MAX_BYTES: usize = 16 * 1024;

/// The same checkpoint with fewer signatures; those in its log's name stay first.
pub(crate) fn slim(note: &str) -> String {
    let Some((text, signatures)) = note.split_once("\n\n") else { return note.to_owned() };
    let origin = text.lines().next().unwrap_or_default();
    let name = origin.split_once(" - ").map_or(origin, |(name, _tree)| name);
    let own = format!("\u{2014} {name} ");
    let (ours, others): (Vec<_>, Vec<_>) = signatures.lines().partition(|line| line.starts_with(&own));
    let mut kept = format!("{text}\n\n");
    for line in ours.into_iter().chain(others).take(MAX_LINES) {
        if kept.len() + line.len() < MAX_BYTES {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logs_own_signature_stays_and_strangers_only_as_far_as_they_are_few() {
        let text = "rekor.example - 7\n1\nAAAA\n\n";
        let own = "\u{2014} rekor.example bG9n\n";
        let witness = "\u{2014} witness.example d2l0\n";
        assert_eq!(slim(&format!("{text}{own}{witness}")), format!("{text}{own}{witness}"));
        let flooded = slim(&format!("{text}{}{own}", witness.repeat(20_000)));
        assert!(flooded.starts_with(&format!("{text}{own}{witness}")) && flooded.len() < 1024, "{flooded}");
        let long = format!("\u{2014} witness.example {}\n", "A".repeat(MAX_BYTES));
        assert_eq!(slim(&format!("{text}{long}{own}{long}")), format!("{text}{own}"));
        assert_eq!(slim("no checkpoint"), "no checkpoint");
    }
}
