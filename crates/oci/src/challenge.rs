//! `WWW-Authenticate` (RFC 9110 §11.6.1) as registries really write it.
//!
//! Several lines, several challenges on one line, quotes left out, commas within quotes. Which
//! challenge is answered, and to whom, is the caller's matter.

/// The scheme of a challenge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// `Basic`
    Basic,
    /// `Bearer`
    Bearer,
    /// Anything else, as written.
    Other(String),
}

/// One challenge with its parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// Compared without case.
    pub scheme: Scheme,
    parameters: Vec<(String, String)>,
}

/// Challenges read at most.
const MAX_CHALLENGES: usize = 16;

impl Challenge {
    /// A parameter by its name in lower case; the first, where it stands twice.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Where tokens are issued.
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// Whom the token is for.
    pub fn service(&self) -> Option<&str> {
        self.parameter("service")
    }

    /// What the token has to allow.
    pub fn scope(&self) -> Option<&str> {
        self.parameter("scope")
    }
}

/// All challenges of all header lines, in order. What cannot be read is left out.
pub fn parse_challenges<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for line in lines {
        let mut reader = Reader { rest: line };
        while let Some(challenge) = reader.challenge() {
            challenges.push(challenge);
            if challenges.len() >= MAX_CHALLENGES {
                return challenges;
            }
        }
    }
    challenges
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn challenge(&mut self) -> Option<Challenge> {
        self.skip_separators();
        let scheme = self.token()?;
        let scheme = match scheme {
            scheme if scheme.eq_ignore_ascii_case("basic") => Scheme::Basic,
            scheme if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
            other => Scheme::Other(other.to_owned()),
        };
        let mut parameters = Vec::new();
        loop {
            let before = self.rest;
            self.skip_separators();
            match self.parameter() {
                Some(parameter) => parameters.push(parameter),
                None if self.skip_token68(before) => {}
                None => {
                    self.rest = before;
                    return Some(Challenge { scheme, parameters });
                }
            }
        }
    }

    /// `key = value`; leaves everything as it was where there is none.
    fn parameter(&mut self) -> Option<(String, String)> {
        let before = self.rest;
        let parameter = self.token().and_then(|key| {
            self.skip_spaces();
            self.rest = self.rest.strip_prefix('=')?;
            self.skip_spaces();
            let value = if self.rest.starts_with('"') { self.quoted()? } else { self.bare() };
            Some((key.to_ascii_lowercase(), value))
        });
        if parameter.is_none() {
            self.rest = before;
        }
        parameter
    }

    /// `Negotiate YII…==`: directly behind the scheme, without a comma before it.
    fn skip_token68(&mut self, before: &str) -> bool {
        let follows_scheme = before.starts_with(' ') && !before.trim_start().starts_with(',');
        let end = self.rest.find([',', ' ']).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        let is_token68 = token.ends_with('=') || (token.len() > 8 && rest.trim_start().starts_with(','));
        if follows_scheme && is_token68 && !token.contains('"') {
            self.rest = rest;
            return true;
        }
        false
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c: char| !is_token_character(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end)?;
        if token.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(token)
    }

    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                character => value.push(character),
            }
        }
        None
    }

    /// A value whose quotes were left out ends at a comma or space.
    fn bare(&mut self) -> String {
        let end = self.rest.find([',', ' ', '\t']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        value.to_owned()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Challenge {
        let challenges = parse_challenges([line]);
        assert_eq!(challenges.len(), 1, "{line}: {challenges:?}");
        challenges.into_iter().next().unwrap()
    }

    #[test]
    fn challenges_of_real_registries_are_understood() {
        for (line, realm, service, scope) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/alpine:pull"),
            ),
            (
                r#"bearer realm="https://gcr.io/v2/token",service=gcr.io"#,
                "https://gcr.io/v2/token",
                Some("gcr.io"),
                None,
            ),
            (
                r#"Bearer realm="https://us-docker.pkg.dev/v2/token""#,
                "https://us-docker.pkg.dev/v2/token",
                None,
                None,
            ),
            (
                r#"Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws""#,
                "https://public.ecr.aws/token/",
                Some("public.ecr.aws"),
                Some("aws"),
            ),
            (
                r#"Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:g/p:pull",error="invalid_token""#,
                "https://gitlab.com/jwt/auth",
                Some("container_registry"),
                Some("repository:g/p:pull"),
            ),
            (
                r#"Bearer realm="https://x/t",scope="repository:a:pull,push",error="insufficient_scope""#,
                "https://x/t",
                None,
                Some("repository:a:pull,push"),
            ),
            (r#"Bearer realm="https://x/t\"y""#, "https://x/t\"y", None, None),
            (r#"BEARER  Realm = "https://x/t" , Service = "s""#, "https://x/t", Some("s"), None),
        ] {
            let challenge = one(line);
            assert_eq!(challenge.scheme, Scheme::Bearer, "{line}");
            assert_eq!(
                (challenge.realm(), challenge.service(), challenge.scope()),
                (Some(realm), service, scope),
                "{line}"
            );
        }
        let nexus = one(r#"Basic realm="Sonatype Nexus Repository Manager""#);
        assert_eq!(
            (nexus.scheme.clone(), nexus.realm()),
            (Scheme::Basic, Some("Sonatype Nexus Repository Manager"))
        );
        assert_eq!(
            one(r#"Bearer realm="x",error="insufficient_scope""#).parameter("error"),
            Some("insufficient_scope")
        );
    }

    #[test]
    fn several_challenges_on_one_line_and_on_several_are_told_apart() {
        let quay = parse_challenges([
            r#"Basic realm="quay.io", Bearer realm="https://quay.io/v2/auth",service="quay.io""#,
        ]);
        assert_eq!(quay.len(), 2);
        assert_eq!(quay[1].service(), Some("quay.io"));
        let two = parse_challenges(["Negotiate", r#"Basic realm="x""#]);
        assert_eq!(two[0].scheme, Scheme::Other("Negotiate".to_owned()));
        assert_eq!((two[1].scheme.clone(), two[1].realm()), (Scheme::Basic, Some("x")));
        let one_line = parse_challenges([r#"Negotiate, Basic realm="x""#]);
        assert_eq!(one_line.len(), 2);
        let token68 = parse_challenges([r#"Negotiate YIIabcDEF/+==, Basic realm="x""#]);
        assert_eq!(token68.len(), 2);
        assert_eq!(token68[1].realm(), Some("x"));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert!(parse_challenges([]).is_empty());
        assert!(parse_challenges(["", " , ,", "\"\""]).is_empty());
        let unterminated = parse_challenges([r#"Bearer realm="unterminated"#]);
        assert!(unterminated.iter().all(|challenge| challenge.realm().is_none()));
        assert_eq!(parse_challenges(std::iter::repeat_n("Basic", 100)).len(), 16);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic_or_run_for_ever(line: String) {
            prop_assert!(parse_challenges([line.as_str()]).len() <= 16);
        }

        #[test]
        fn a_quoted_value_is_read_back(value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("Bearer realm=\"{quoted}\",service=s");
            let challenges = parse_challenges([line.as_str()]);
            prop_assert_eq!(challenges[0].realm(), Some(value.as_str()));
            prop_assert_eq!(challenges[0].service(), Some("s"));
        }
    }
}
