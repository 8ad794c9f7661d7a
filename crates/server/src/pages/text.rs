//! Small forms that templates print: numbers, times, words for a shell, sentences with code in them.
//!
//! Gives text, never HTML; escaping is the templates' matter.

/// Digits in groups of three.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `2026-11-23T10:00:00Z` as people read it; any other text as it is.
pub(super) fn readable_time(rfc3339: &str) -> String {
    match rfc3339.strip_suffix('Z').and_then(|time| time.split_once('T')) {
        Some((date, time)) => format!("{date} {time} UTC"),
        None => rfc3339.to_owned(),
    }
}

/// One word of a POSIX shell, quoted where that is needed.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-./:=@_".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A piece of a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Piece {
    /// The words.
    pub(super) text: String,
    /// Whether they stood between backticks.
    pub(super) code: bool,
}

/// A message such as our errors give, as a sentence: backticks mark code, the first letter is upper
/// case, and a full stop ends it.
pub(super) fn sentence(message: &str) -> Vec<Piece> {
    let paired = message.matches('`').count().is_multiple_of(2);
    let parts: Vec<&str> = if paired { message.split('`').collect() } else { vec![message] };
    let mut pieces: Vec<Piece> = parts
        .iter()
        .enumerate()
        .map(|(place, part)| Piece { text: (*part).to_owned(), code: !place.is_multiple_of(2) })
        .filter(|piece| !piece.text.is_empty())
        .collect();
    if let Some(first) = pieces.first_mut().filter(|piece| !piece.code) {
        let mut letters = first.text.chars();
        first.text =
            letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter().chain(letters).collect();
    }
    if !message.ends_with(['.', '!', '?']) && !pieces.is_empty() {
        pieces.push(Piece { text: ".".to_owned(), code: false });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (7, "7"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")]
        {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(readable_time("2026-11-23T10:00:00Z"), "2026-11-23 10:00:00 UTC");
        assert_eq!(readable_time("99999999999999"), "99999999999999");
    }

    #[test]
    fn a_word_never_leaves_its_quotes() {
        let key = "tlog.example/log+28c1a534+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
        assert_eq!(shell_word(key), key);
        assert_eq!(shell_word("a;reboot"), "'a;reboot'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn messages_become_sentences() {
        let piece = |text: &str, code| Piece { text: text.to_owned(), code };
        assert_eq!(
            sentence("write one such as `alpine:3.20`"),
            [piece("Write one such as ", false), piece("alpine:3.20", true), piece(".", false)]
        );
        assert_eq!(
            sentence("`A` is not lower case."),
            [piece("A", true), piece(" is not lower case.", false)]
        );
        assert_eq!(sentence("a lone ` mark"), [piece("A lone ` mark", false), piece(".", false)]);
        assert_eq!(sentence(""), []);
    }
}
