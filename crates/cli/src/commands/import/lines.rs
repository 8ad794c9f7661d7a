//! Lines of a text of any size, with a bound for each.
//! It must not know what is in them.

use std::io::{self, BufRead, ErrorKind};

/// Bytes of a line.
const MAX_LINE: usize = 4096;

/// A line, without what ends it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) text: Result<String, Unreadable>,
    /// Bytes that it takes, its end included.
    pub(super) length: u64,
    /// Whether a line feed ends it, as it does all but the last.
    pub(super) is_whole: bool,
}

/// A line that is no text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    #[error("the line is not UTF-8")]
    NotUtf8,
}

/// The next line, if there is one.
///
/// # Errors
/// Whatever reading says.
pub(super) fn next(reader: &mut impl BufRead) -> io::Result<Option<Line>> {
    let (mut bytes, mut length, mut is_whole) = (Vec::new(), 0_u64, false);
    while !is_whole {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let piece = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        // One byte beyond the bound tells that it was reached.
        let room = (MAX_LINE + 1).saturating_sub(bytes.len());
        bytes.extend(piece.iter().take(room));
        is_whole = end.is_some();
        let used = piece.len() + usize::from(is_whole);
        length += used as u64;
        reader.consume(used);
    }
    if length == 0 {
        return Ok(None);
    }
    let text = if bytes.len() > MAX_LINE {
        Err(Unreadable::TooLong)
    } else {
        String::from_utf8(bytes).map_err(|_bytes| Unreadable::NotUtf8)
    };
    Ok(Some(Line { text, length, is_whole }))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &[u8], buffer: usize) -> Vec<Line> {
        let mut reader = BufReader::with_capacity(buffer, text);
        std::iter::from_fn(|| next(&mut reader).unwrap()).collect()
    }

    #[test]
    fn lines_are_the_same_whatever_pieces_they_are_read_in() {
        let long = [&[b'x'; MAX_LINE][..], b"\n", &[b'y'; MAX_LINE + 1], b"\n"].concat();
        let text = [b"one\n\n", &long[..], b"\xff\ntorn"].concat();
        let line =
            |text: &str| Line { text: Ok(text.to_owned()), length: text.len() as u64 + 1, is_whole: true };
        let no_text = |error, length| Line { text: Err(error), length, is_whole: true };
        let expected = [
            line("one"),
            line(""),
            line(&"x".repeat(MAX_LINE)),
            no_text(Unreadable::TooLong, MAX_LINE as u64 + 2),
            no_text(Unreadable::NotUtf8, 2),
            Line { text: Ok("torn".to_owned()), length: 4, is_whole: false },
        ];
        for buffer in [1, 3, 1000, 100_000] {
            assert_eq!(lines(&text, buffer), expected, "{buffer}");
        }
        assert_eq!(lines(b"", 10), []);
    }
}
