//! The files of users and tokens: names and hashes, line by line.
//!
//! Users are what `htpasswd -B` writes (bcrypt), or argon2id in the PHC form; tokens are long and random, so one SHA-256
//! is enough. A file that is wrong anywhere is refused as a whole. Messages name the line and never what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};
use oci::Sha256Digest;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::AuthConfig;
use crate::reload::Watched;

/// Bytes of a file, and lines.
const MAX_FILE: u64 = 1024 * 1024;
const MAX_LINES: usize = 10_000;
/// Each step doubles the time; 15 takes some three seconds.
const MAX_COST: u32 = 15;
/// Of argon2, in KiB, passes and lanes.
const MAX_MEMORY: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
/// Checked for names that do not exist where no user says how slow that should be; nobody knows its password.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// One of them cannot be read.
    #[error("`auth.{key}`: `{}` cannot be read: {why}", path.display())]
    Unreadable {
        /// Which key of `[auth]`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// In short.
        why: String,
    },
    /// One of them has a line that is wrong.
    #[error("`auth.{key}`: {}:{line}: {why}", path.display())]
    Line {
        /// Which key of `[auth]`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there, and what to write.
        why: &'static str,
    },
    /// Nobody could pull.
    #[error(
        "`[auth]`: there is neither a user nor a token in its files; make one with `htpasswd -B -c FILE NAME`"
    )]
    Nobody,
}

/// Everybody.
#[derive(Debug)]
pub(crate) struct Accounts {
    files: AuthConfig,
    watched: Arc<Watched>,
    users: BTreeMap<String, Slow>,
    tokens: BTreeMap<String, [u8; 32]>,
}

/// The hash of a password, slow to check.
#[derive(Clone, Debug)]
pub(super) struct Slow {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Bcrypt,
    Argon2id,
    /// Of a name that does not exist: takes as long, and is never right.
    Nobody,
}

impl Accounts {
    /// Reads both files, which have to name somebody.
    ///
    /// # Errors
    ///
    /// [`AccountsError`]
    pub(crate) fn load(files: &AuthConfig) -> Result<Self, AccountsError> {
        let paths = [files.users_file.clone(), files.tokens_file.clone()];
        let accounts = Self::read(files, Arc::new(Watched::new(paths.into_iter().flatten())))?;
        if accounts.is_empty() { Err(AccountsError::Nobody) } else { Ok(accounts) }
    }

    /// The same files, as they are now: without anybody as well, for the last account can be withdrawn like any other.
    pub(super) fn again(&self) -> Result<Self, AccountsError> {
        Self::read(&self.files, Arc::clone(&self.watched))
    }

    fn read(files: &AuthConfig, watched: Arc<Watched>) -> Result<Self, AccountsError> {
        let users = table("users_file", files.users_file.as_deref(), Slow::parse)?;
        let tokens = table("tokens_file", files.tokens_file.as_deref(), token)?;
        Ok(Self { files: files.clone(), watched, users, tokens })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched)
    }

    /// Whether it is a token; of this name, where one is given. All are looked at, whichever it is.
    pub(super) fn knows_token(&self, name: Option<&str>, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.tokens.iter().fold(false, |known, (owner, stored)| {
            let right = bool::from(stored.ct_eq(&hash)) && name.is_none_or(|name| name == owner);
            known | right
        })
    }

    /// What a password of this name is checked against.
    pub(super) fn slow(&self, name: &str) -> Slow {
        match self.users.get(name) {
            Some(slow) => slow.clone(),
            // As slow as one that exists, so that time does not tell which names do.
            None => self
                .users
                .values()
                .next()
                .map_or_else(Slow::nobody, |slow| Slow { text: Arc::clone(&slow.text), kind: Kind::Nobody }),
        }
    }
}

impl Slow {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let kind = if text.starts_with("$2") {
            let parts: bcrypt::HashParts = text
                .parse()
                .map_err(|_why| "this is not a whole bcrypt hash; make the line with `htpasswd -B`")?;
            if parts.get_cost() > MAX_COST {
                return Err("this bcrypt hash has a cost over 15: each login would take seconds");
            }
            Kind::Bcrypt
        } else if text.starts_with("$argon2id$") {
            let wrong = "this is not a whole argon2id hash";
            let hash = PasswordHash::new(text).map_err(|_why| wrong)?;
            let params = argon2::Params::try_from(&hash).map_err(|_why| wrong)?;
            if params.m_cost() > MAX_MEMORY || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
                return Err("this argon2id hash costs more than 256 MiB, 16 passes or 16 lanes");
            }
            Kind::Argon2id
        } else {
            return Err(
                "neither bcrypt (`$2y$…`) nor argon2id (`$argon2id$…`); make the line with `htpasswd -B FILE NAME`",
            );
        };
        Ok(Self { text: text.into(), kind })
    }

    /// Of a name that does not exist.
    pub(super) fn nobody() -> Self {
        Self { text: NOBODY.into(), kind: Kind::Nobody }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is the hash of this password. Takes long.
    pub(super) fn is(&self, password: &SecretString) -> bool {
        let password = password.expose_secret();
        let right = if self.text.starts_with("$argon2id$") {
            PasswordHash::new(&self.text)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        } else {
            bcrypt::verify(password, &self.text).unwrap_or(false)
        };
        right && self.kind != Kind::Nobody
    }
}

fn token(text: &str) -> Result<[u8; 32], &'static str> {
    let wrong =
        "a line is `name:sha256:` and 64 hexadecimal digits, as `printf %s TOKEN | sha256sum` prints them";
    let digest = Sha256Digest::parse(text).map_err(|_why| wrong)?;
    Ok(*digest.as_bytes())
}

/// Lines of `name:value`; blank ones and those that begin with `#` are skipped.
fn table<T>(
    key: &'static str,
    path: Option<&Path>,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<BTreeMap<String, T>, AccountsError> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let text = read(path).map_err(|why| AccountsError::Unreadable { key, path: path.to_owned(), why })?;
    let mut table = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why| AccountsError::Line { key, path: path.to_owned(), line: number + 1, why };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("a line is `name:hash`"))?;
        if name.is_empty() {
            return Err(wrong("the name is missing before the colon"));
        }
        if table.len() >= MAX_LINES {
            return Err(wrong("there are more than 10000 lines"));
        }
        let value = parse(value).map_err(wrong)?;
        if table.insert(name.to_owned(), value).is_some() {
            return Err(wrong("this name has a line already"));
        }
    }
    Ok(table)
}

fn read(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_FILE) {
        return Err("it is larger than 1 MiB".to_owned());
    }
    Ok(text)
}
