//! Credentials: which challenge is given, which token is issued, and which is believed.
//! Follows the token flow of the distribution project; every deviation seen in the field is a setting.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::draft::Draft;
use super::record::RecordedRequest;

/// Which field of the token endpoint's answer carries the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFields {
    /// `token` alone.
    Token,
    /// `access_token` alone (Azure).
    AccessToken,
    /// Both, equal (Docker Hub).
    Both,
}

/// What the registry demands. Everything but tokens' contents may be set.
#[derive(Clone, Debug)]
pub struct Auth {
    challenges: Vec<String>,
    account: Option<(String, String)>,
    identity: Option<String>,
    bearer: bool,
    anonymous: bool,
    open_ping: bool,
    private: BTreeSet<String>,
    fields: TokenFields,
    expires_in: Option<u64>,
    expired_status: u16,
    wrong_scope_status: u16,
    token_prefix: String,
}

impl Auth {
    /// Tokens from the fake's own endpoint, for anybody, one per repository.
    #[must_use]
    pub fn bearer() -> Self {
        Self {
            challenges: vec![r#"Bearer realm="{realm}",service="{service}",scope="{scope}""#.to_owned()],
            account: None,
            identity: None,
            bearer: true,
            anonymous: true,
            open_ping: false,
            private: BTreeSet::new(),
            fields: TokenFields::Both,
            expires_in: Some(300),
            expired_status: 401,
            wrong_scope_status: 401,
            token_prefix: "token".to_owned(),
        }
    }

    /// User name and password on every request, and nothing else.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self { bearer: false, ..Self::bearer() }
            .challenges(&[r#"Basic realm="{service}""#])
            .account(user, password)
    }

    /// These `WWW-Authenticate` lines, one header line each; none at all for a bare 401. Replaced are `{realm}`
    /// (the fake's token endpoint), `{service}` (its host and port) and `{scope}`.
    #[must_use]
    pub fn challenges(mut self, lines: &[&str]) -> Self {
        self.challenges = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// An account that the token endpoint (or, with [`Auth::basic`], every endpoint) knows.
    /// Another name or password is refused; no credentials still get an anonymous token.
    #[must_use]
    pub fn account(mut self, user: &str, password: &str) -> Self {
        self.account = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// An identity token that the token endpoint takes for the account, posted as a `refresh_token`
    /// (distribution `oauth.md`). Without one it knows no POST.
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.identity = Some(token.to_owned());
        self
    }

    /// The token endpoint refuses who has no account.
    #[must_use]
    pub fn accounts_only(mut self) -> Self {
        self.anonymous = false;
        self
    }

    /// Anonymous tokens are issued for this repository too, but are not good for it (Docker Hub).
    #[must_use]
    pub fn private(mut self, repository: &str) -> Self {
        self.private.insert(repository.to_owned());
        self
    }

    /// `/v2/` answers without credentials.
    #[must_use]
    pub fn open_ping(mut self) -> Self {
        self.open_ping = true;
        self
    }

    /// Where the token is in the endpoint's answer.
    #[must_use]
    pub fn fields(mut self, fields: TokenFields) -> Self {
        self.fields = fields;
        self
    }

    /// `expires_in` in seconds; `None` leaves it out.
    #[must_use]
    pub fn expires_in(mut self, seconds: Option<u64>) -> Self {
        self.expires_in = seconds;
        self
    }

    /// The status for a token that was good once: 401, or 400 (ECR public).
    #[must_use]
    pub fn expired_status(mut self, status: u16) -> Self {
        self.expired_status = status;
        self
    }

    /// The status for a good token of another scope: 401, or 403 (cgr.dev).
    #[must_use]
    pub fn wrong_scope_status(mut self, status: u16) -> Self {
        self.wrong_scope_status = status;
        self
    }

    /// What issued tokens begin with, so that a test can tell whose token it sees.
    #[must_use]
    pub fn token_prefix(mut self, prefix: &str) -> Self {
        self.token_prefix = prefix.to_owned();
        self
    }

    fn knows(&self, basic: &str) -> bool {
        self.account.as_ref().is_some_and(|(user, password)| {
            STANDARD.decode(basic).is_ok_and(|given| given == format!("{user}:{password}").as_bytes())
        })
    }

    /// The `WWW-Authenticate` lines for this request.
    fn rendered(&self, request: &RecordedRequest, host: &str) -> Vec<String> {
        let scope = request.repository.as_ref().map(|repository| format!("repository:{repository}:pull"));
        let render = |line: &String| {
            let line = line.replace("{realm}", &format!("http://{host}/token")).replace("{service}", host);
            match &scope {
                Some(scope) => line.replace("{scope}", scope),
                None => line.replace(r#",scope="{scope}""#, "").replace("{scope}", ""),
            }
        };
        self.challenges.iter().map(render).collect()
    }
}

/// A token and what it was asked for.
#[derive(Debug)]
struct Issued {
    scopes: Vec<String>,
    service: Option<String>,
    with_account: bool,
}

/// The demands in force and the tokens that are out.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) auth: Option<Auth>,
    issued: BTreeMap<String, Issued>,
    expired: BTreeSet<String>,
    count: usize,
}

impl Guard {
    /// `None` lets the request in.
    pub(super) fn refusal(&self, request: &RecordedRequest, host: &str) -> Option<Draft> {
        let auth = self.auth.as_ref()?;
        if auth.open_ping && request.repository.is_none() {
            return None;
        }
        let challenges = auth.rendered(request, host);
        let refuse = |status, code, message| {
            let mut draft = Draft::error(status, code, message);
            if status == 401 {
                challenges.iter().for_each(|line| draft.add("WWW-Authenticate", line));
            }
            Some(draft)
        };
        let unauthorized = || refuse(401, "UNAUTHORIZED", "authentication required");
        let Some((scheme, credentials)) =
            request.header("authorization").and_then(|line| line.split_once(' '))
        else {
            return unauthorized();
        };
        if !auth.bearer {
            return if scheme == "Basic" && auth.knows(credentials) { None } else { unauthorized() };
        }
        if scheme != "Bearer" {
            return unauthorized();
        }
        if self.expired.contains(credentials) {
            return refuse(auth.expired_status, "DENIED", "your authorization token has expired");
        }
        let Some(token) = self.issued.get(credentials) else { return unauthorized() };
        if !token.is_for(request, &challenges) {
            return refuse(auth.wrong_scope_status, "DENIED", "the token is for something else");
        }
        let private = request.repository.as_ref().is_some_and(|name| auth.private.contains(name));
        if private && !token.with_account { unauthorized() } else { None }
    }

    /// The answer of the token endpoint.
    pub(super) fn issue(&mut self, request: &RecordedRequest) -> Draft {
        let Some(auth) = &self.auth else { return Draft::error(404, "UNSUPPORTED", "no tokens here") };
        let basic = request.header("authorization").and_then(|line| line.strip_prefix("Basic "));
        let posted = request.method == "POST";
        let refused = match (posted, &auth.identity, basic) {
            (true, None, _) => return Draft::error(405, "UNSUPPORTED", "no tokens for what is posted"),
            (true, Some(identity), _) => {
                request.form_values("grant_type") != ["refresh_token"]
                    || request.form_values("refresh_token") != [identity.as_str()]
            }
            (false, _, Some(credentials)) => !auth.knows(credentials),
            (false, _, None) => !auth.anonymous,
        };
        if refused {
            return Draft::error(401, "UNAUTHORIZED", "incorrect username or password");
        }
        self.count += 1;
        let token = format!("{}-{}", auth.token_prefix, self.count);
        let values = |key| if posted { request.form_values(key) } else { request.query_values(key) };
        let issued = Issued {
            scopes: values("scope"),
            service: values("service").into_iter().next(),
            with_account: posted || basic.is_some(),
        };
        let mut fields = Map::new();
        if auth.fields != TokenFields::AccessToken {
            fields.insert("token".to_owned(), Value::from(token.as_str()));
        }
        if auth.fields != TokenFields::Token {
            fields.insert("access_token".to_owned(), Value::from(token.as_str()));
        }
        if let Some(seconds) = auth.expires_in {
            fields.insert("expires_in".to_owned(), Value::from(seconds));
        }
        self.issued.insert(token, issued);
        Draft::new(200, Value::from(fields).to_string()).with("Content-Type", "application/json")
    }

    /// From now on every token that is out was good once.
    pub(super) fn expire(&mut self) {
        self.expired.extend(std::mem::take(&mut self.issued).into_keys());
    }
}

impl Issued {
    /// A token is good for the scope and the service that the Bearer challenge names; where it names no scope,
    /// for pulls from the repository.
    fn is_for(&self, request: &RecordedRequest, challenges: &[String]) -> bool {
        let bearer = challenges
            .iter()
            .find_map(|line| line.to_ascii_lowercase().find("bearer ").and_then(|start| line.get(start..)));
        let named = |key: &str| bearer.and_then(|challenge| parameter(challenge, key));
        let pull = || request.repository.as_ref().map(|name| format!("repository:{name}:pull"));
        let scope = named("scope").or_else(pull);
        let scope_fits = scope.is_none_or(|scope| self.scopes.contains(&scope));
        scope_fits && named("service").is_none_or(|service| self.service.as_ref() == Some(&service))
    }
}

/// The value of one parameter of a challenge that this file wrote: quoted without escapes, or bare.
fn parameter(challenge: &str, key: &str) -> Option<String> {
    let start = challenge.find(&format!("{key}="))? + key.len() + 1;
    let value = challenge.get(start..)?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([',', ' ']).next(),
    };
    value.map(str::to_owned)
}
