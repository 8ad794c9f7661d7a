//! Who is let in, what it costs, and what a wrong password gets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use super::*;
use crate::config::AuthConfig;

/// `htpasswd -nbBC 4 ci hunter2`, and the reference encoder of argon2 for `s3cret`.
fn users() -> String {
    let bcrypt = bcrypt::hash_with_salt("hunter2", 4, *b"sixteen bytes ok").unwrap();
    format!("# people\nci:{}\n\nbob:{}\n", bcrypt.format_for_version(bcrypt::Version::TwoY), argon2())
}

fn argon2() -> String {
    use argon2::password_hash::phc::{ParamsString, Salt};
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let context = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params.clone());
    let salt = Salt::new(b"sixteen bytes ok").unwrap();
    let mut output = [0; 32];
    context.hash_password_into(b"s3cret", &salt, &mut output).unwrap();
    let hash = argon2::password_hash::phc::PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(19),
        params: ParamsString::try_from(&params).unwrap(),
        salt: Some(salt),
        hash: Some(argon2::password_hash::phc::Output::new(&output).unwrap()),
    };
    hash.to_string()
}

fn tokens() -> String {
    format!("deploy:{}\n", oci::Sha256Digest::of("tok-123"))
}

struct Place {
    directory: tempfile::TempDir,
    passed: Arc<AtomicU64>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), passed: Arc::default() }
    }

    fn file(&self, name: &str, content: &str) -> Option<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        Some(path)
    }

    fn auth(&self) -> Auth {
        let files = AuthConfig {
            users_file: self.file("users", &users()),
            tokens_file: self.file("tokens", &tokens()),
        };
        let (start, passed) = (Instant::now(), Arc::clone(&self.passed));
        let clock = Clock::by(move || start + Duration::from_secs(passed.load(Ordering::SeqCst)));
        Auth::new(Accounts::load(&files).unwrap(), clock)
    }

    fn error(&self, users: &str, tokens: &str) -> String {
        let files =
            AuthConfig { users_file: self.file("users", users), tokens_file: self.file("tokens", tokens) };
        Accounts::load(&files).unwrap_err().to_string()
    }
}

fn shows(value: &str) -> HeaderMap {
    [(AUTHORIZATION, HeaderValue::from_str(value).unwrap())].into_iter().collect()
}

fn basic(name: &str, password: &str) -> HeaderMap {
    shows(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
}

fn client(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

#[tokio::test]
async fn passwords_and_tokens_let_in_whose_they_are() {
    let place = Place::new();
    let auth = place.auth();
    for (headers, outcome) in [
        (basic("ci", "hunter2"), Ok(())),
        (basic("bob", "s3cret"), Ok(())),
        (basic("deploy", "tok-123"), Ok(())),
        (shows("Bearer tok-123"), Ok(())),
        (basic("ci", "hunter"), Err(Refused::Wrong)),
        (basic("ci", "s3cret"), Err(Refused::Wrong)),
        (basic("bob", "hunter2"), Err(Refused::Wrong)),
        (basic("ci", ""), Err(Refused::Wrong)),
        (basic("ci", "tok-123"), Err(Refused::Wrong)),
        (basic("", "tok-123"), Err(Refused::Wrong)),
        (shows("Bearer hunter2"), Err(Refused::Wrong)),
        (HeaderMap::new(), Err(Refused::Unknown)),
        (shows("Negotiate abc"), Err(Refused::Unknown)),
    ] {
        assert_eq!(auth.admit(&headers, client(1)).await, outcome, "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_checked_like_one_that_does_and_never_let_in() {
    let place = Place::new();
    let auth = place.auth();
    // The hash that is checked instead is bob's: with his password as well it is nobody.
    assert_eq!(auth.admit(&basic("nobody", "s3cret"), client(1)).await, Err(Refused::Wrong));
    let accounts = auth.accounts.load_full();
    assert_eq!(accounts.slow("nobody").text(), accounts.slow("bob").text());
    assert!(!Slow::nobody().is(&"".into()));
}

#[tokio::test]
async fn what_was_right_is_not_checked_again_for_a_while() {
    let place = Place::new();
    let auth = place.auth();
    let right = basic("ci", "hunter2");
    let pulls = (0..20).map(|_| auth.admit(&right, client(1)));
    assert!(futures_util::future::join_all(pulls).await.iter().all(Result::is_ok));
    // Nothing can be checked any more; what is remembered needs no check.
    auth.work.close();
    assert_eq!(auth.admit(&right, client(1)).await, Ok(()));
    assert_eq!(auth.admit(&basic("bob", "s3cret"), client(1)).await, Err(Refused::Busy));
    place.passed.store(300, Ordering::SeqCst);
    assert_eq!(auth.admit(&right, client(1)).await, Err(Refused::Busy));
}

#[test]
fn a_client_that_hangs_up_makes_no_room_for_another_check_while_its_own_goes_on() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let place = Place::new();
        let auth = place.auth();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        // Holds the only thread for checks up.
        let before = tokio::task::spawn_blocking(move || gate.recv());
        for number in 1..4 {
            let hung_up = auth.admit(&basic("ci", &number.to_string()), client(number)).now_or_never();
            assert_eq!(hung_up, None);
        }
        assert_eq!(auth.work.available_permits(), 0);
        drop(go);
        before.await.unwrap().unwrap_err();
        assert_eq!(auth.admit(&basic("ci", "hunter2"), client(5)).await, Ok(()));
        let all = u32::try_from(AT_ONE_TIME).unwrap();
        drop(auth.work.acquire_many(all).await.unwrap());
    });
}

#[tokio::test]
async fn one_who_is_wrong_again_and_again_has_to_wait_and_nobody_else() {
    let place = Place::new();
    let auth = place.auth();
    auth.admit(&basic("ci", "hunter2"), client(1)).await.unwrap();
    for number in 0..ATTEMPTS {
        let outcome = auth.admit(&basic("bob", &number.to_string()), client(1)).await;
        assert_eq!(outcome, Err(Refused::Wrong));
    }
    let right = basic("bob", "s3cret");
    assert_eq!(auth.admit(&right, client(1)).await, Err(Refused::Slow { wait: ATTEMPT_EACH }));
    assert!(matches!(auth.admit(&shows("Bearer x"), client(1)).await, Err(Refused::Slow { .. })));
    assert_eq!(auth.admit(&basic("ci", "hunter2"), client(1)).await, Ok(()), "who is remembered is let in");
    assert_eq!(auth.admit(&right, client(2)).await, Ok(()));
    place.passed.store(ATTEMPT_EACH.as_secs(), Ordering::SeqCst);
    assert_eq!(auth.admit(&basic("bob", "x"), client(1)).await, Err(Refused::Wrong));
}

#[tokio::test]
async fn one_who_is_right_may_be_so_as_often_as_it_likes() {
    let place = Place::new();
    let auth = place.auth();
    for number in 0..3 * ATTEMPTS {
        place.passed.store(u64::from(number) * 301, Ordering::SeqCst);
        assert_eq!(auth.admit(&basic("ci", "hunter2"), client(1)).await, Ok(()));
    }
}

#[tokio::test]
async fn a_user_who_is_removed_is_out_at_once_and_a_bad_file_changes_nothing() {
    let place = Place::new();
    let auth = place.auth();
    auth.admit(&basic("ci", "hunter2"), client(1)).await.unwrap();
    place.file("users", "ci:oops\n");
    let error = auth.reload().unwrap_err().to_string();
    assert!(error.contains("`auth.users_file`") && error.contains("users:1:"), "{error}");
    assert_eq!(auth.admit(&basic("ci", "hunter2"), client(1)).await, Ok(()));
    place.file(
        "users",
        &users()
            .lines()
            .filter(|line| !line.starts_with("ci:"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    auth.reload().unwrap();
    assert_eq!(auth.admit(&basic("ci", "hunter2"), client(1)).await, Err(Refused::Wrong));
    assert_eq!(auth.admit(&basic("bob", "s3cret"), client(1)).await, Ok(()));
}

#[tokio::test]
async fn the_last_who_may_pull_is_out_when_the_files_name_nobody_any_more() {
    let place = Place::new();
    let auth = place.auth();
    auth.admit(&basic("ci", "hunter2"), client(1)).await.unwrap();
    place.file("users", "# all gone\n");
    place.file("tokens", "");
    auth.reload().unwrap();
    for headers in [basic("ci", "hunter2"), basic("deploy", "tok-123"), shows("Bearer tok-123")] {
        assert_eq!(auth.admit(&headers, client(1)).await, Err(Refused::Wrong));
    }
    assert!(auth.knows_nobody());
    place.file("users", &users());
    auth.reload().unwrap();
    assert_eq!(auth.admit(&basic("ci", "hunter2"), client(2)).await, Ok(()));
    assert!(!auth.knows_nobody());
}

#[test]
fn a_file_that_is_wrong_is_told_by_line_and_without_what_is_in_it() {
    let place = Place::new();
    let cost = users().lines().nth(1).unwrap().replace("$04$", "$16$");
    let memory = argon2().replace("m=64", "m=999999");
    for (users, words) in [
        ("ci:secret-in-clear".to_owned(), "users:1: neither bcrypt"),
        ("# x\n\nci:$apr1$abc$secret".to_owned(), "users:3: neither bcrypt"),
        ("ci:$2y$10$short".to_owned(), "not a whole bcrypt hash"),
        ("ci:$argon2id$v=19$oops".to_owned(), "not a whole argon2id hash"),
        ("secret-line".to_owned(), "`name:hash`"),
        (format!(":{}", argon2()), "the name is missing"),
        (cost, "cost over 15"),
        (format!("bob:{memory}"), "256 MiB"),
        (format!("a:{0}\na:{0}", argon2()), "users:2: this name has a line already"),
    ] {
        let message = place.error(&users, "");
        assert!(message.contains(words), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
    for tokens in ["a:tok-123", "a:sha256:abc", "a:md5:abc"] {
        let message = place.error("", tokens);
        assert!(message.contains("`auth.tokens_file`") && message.contains("sha256sum"), "{message}");
    }
    assert!(place.error("", "# nobody\n").contains("htpasswd -B"));
}
