//! What an `Authorization` header shows (RFC 7617, RFC 6750).
//!
//! Pure. More than one such header, or one that is too long, shows nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};

/// Bytes of a name and a password together, or of a token.
const MAX: usize = 4 * 1024;

/// What a client shows of itself.
#[derive(Debug)]
pub(super) enum Shown {
    /// `docker login` and all that ask a person; the password may be a token.
    Password { name: String, password: SecretString },
    /// A token alone.
    Token(SecretString),
}

impl Shown {
    /// Whose it claims to be.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Password { name, .. } => Some(name),
            Self::Token(_) => None,
        }
    }

    /// What may be a token.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Password { password: token, .. } | Self::Token(token) => Some(token.expose_secret()),
        }
    }
}

/// Reads it; nothing where there is none that makes sense.
pub(super) fn read(headers: &HeaderMap) -> Option<Shown> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().filter(|line| line.len() <= 2 * MAX)?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    let (scheme, rest) = line.trim().split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty() && rest.len() <= MAX).then(|| Shown::Token(rest.into()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok().filter(|text| text.len() <= MAX)?;
    let (name, password) = decoded.split_once(':')?;
    Some(Shown::Password { name: name.to_owned(), password: password.into() })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn shown(lines: &[&str]) -> Option<(Option<String>, String)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        let shown = read(&headers)?;
        Some((shown.name().map(str::to_owned), shown.token().unwrap().to_owned()))
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        let ci = Some((Some("ci".to_owned()), "hunter:2".to_owned()));
        assert_eq!(shown(&["Basic Y2k6aHVudGVyOjI="]), ci);
        assert_eq!(shown(&["bASIC  Y2k6aHVudGVyOjI= "]), ci);
        assert_eq!(shown(&["bearer abc"]), Some((None, "abc".to_owned())));
    }

    #[test]
    fn what_makes_no_sense_shows_nothing() {
        let long = format!("Bearer {}", "a".repeat(5_000));
        for lines in [
            &[][..],
            &[""],
            &["Basic"],
            &["Basic !"],
            &["Basic Y2k="],
            &["Basic /w=="],
            &["Bearer "],
            &["Digest a=b"],
            &["Bearer a", "Bearer a"],
            &[&long],
        ] {
            assert_eq!(shown(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic Y2k6aHVudGVyOjI="));
        assert!(!format!("{:?}", read(&headers)).contains("hunter"));
    }
}
