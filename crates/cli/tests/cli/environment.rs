//! A place to run the binary in: an empty environment, a home and a configuration of its own, a fixed width.
//! It must not know any verb.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use insta::internals::SettingsBindDropGuard;

/// Dropped at the end of a test, together with everything in it.
pub(crate) struct TestEnvironment {
    root: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    _filters: SettingsBindDropGuard,
}

/// What a run printed, and how it ended.
#[must_use = "look at what it printed, or at its exit status"]
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnvironment {
    /// An empty configuration file, which keeps that of the machine out.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let filters = filters(root.path());
        let mut environment = Self { root, variables: BTreeMap::new(), _filters: filters };
        environment.write("config.toml", "");
        for (variable, value) in [
            ("HOME", environment.path("home")),
            ("TLOGISTRY_CONFIG", environment.path("config.toml")),
            ("TMPDIR", environment.path("")),
        ] {
            environment.set(variable, value.to_str().unwrap());
        }
        environment.set("COLUMNS", "100");
        environment
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, and the directories that it is in.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Sets an environment variable for every run from now on.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.to_owned(), value.to_owned());
    }

    /// Where the log is, when nothing else is said.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("home/.local/state/tlogistry")
    }

    /// The binary, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tlogistry"));
        command.args(arguments).env_clear().envs(&self.variables).current_dir(self.root.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        Output {
            status: output.status.code().expect("an exit status, not a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Output {
    /// For runs whose success is not what the test is about.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// For runs that have to succeed, and of which nothing is looked at.
    pub(crate) fn done(self) {
        assert_eq!(self.status, 0, "{self}");
    }

    /// What was printed, which has to be one line of JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}", self.status)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n-- {name}")?;
            }
            for line in text.lines() {
                write!(f, "\n{}", line.trim_end())?;
            }
        }
        Ok(())
    }
}

/// Replaces what differs from run to run.
fn filters(root: &Path) -> SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    for root in [root.canonicalize().unwrap(), root.to_owned()] {
        settings.add_filter(&root.display().to_string(), "$$ROOT");
    }
    settings.add_filter(r"\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", "+<id>+<key>");
    settings.add_filter(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<time>");
    settings.add_filter(r#""time":[0-9]{10}"#, r#""time":"<time>""#);
    settings.add_filter(r"\b(127\.0\.0\.1|0\.0\.0\.0|localhost):[0-9]{5}\b", "$1:<port>");
    settings.add_filter(r"process [0-9]+", "process <id>");
    settings.add_filter(r"\b[0-9]+ bytes\b", "<n> bytes");
    // A new key is no news of the error.
    settings.add_filter(r"expected one of `[a-z_`, ]+`", "expected one of <keys>");
    settings.bind_to_scope()
}
