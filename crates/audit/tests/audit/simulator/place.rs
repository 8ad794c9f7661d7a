//! Where a log can be read: a directory, and a web server on a loopback socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{Http, Source};
use testkit::FakeRegistry;

use super::Log;

/// A directory of files, gone when dropped.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn of(log: &Log) -> Self {
        let directory = Self::empty();
        directory.write(log);
        directory
    }

    /// Adds the files of a log, over those that are there.
    pub(crate) fn write(&self, log: &Log) {
        for (path, bytes) in log.files() {
            self.put(&path, &bytes);
        }
    }

    /// Another directory with the same files.
    pub(crate) fn copied(&self) -> Self {
        let copy = Self::empty();
        let mut open = vec![self.owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(self.path()).unwrap().display().to_string();
                    copy.put(&name, &fs::read(&path).unwrap());
                }
            }
        }
        copy
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        fs::read(self.path().join(path)).unwrap()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn owned(&self) -> PathBuf {
        self.path().to_owned()
    }

    pub(crate) fn source(&self) -> Source {
        Source::directory(self.path())
    }
}

/// A web server that shows a log below `<prefix>/log`, and proofs.
pub(crate) struct Web(pub(crate) FakeRegistry);

impl Web {
    pub(crate) fn of(log: &Log) -> Self {
        let web = Self(FakeRegistry::start_blocking());
        web.show(log);
        web
    }

    pub(crate) fn show(&self, log: &Log) {
        for (path, bytes) in log.files() {
            self.0.push_file(&format!("log/{path}"), bytes, "application/octet-stream");
        }
    }

    pub(crate) fn prove(&self, log: &Log, name: &str, tag: &str) {
        let proof = log.proof(&super::tag_of(name, tag));
        self.0.push_file(&format!("proof/{name}:{tag}"), proof, "text/plain");
    }

    /// The proof at an earlier checkpoint, by the query that asks for it.
    pub(crate) fn prove_at(&self, query: &str, log: &Log, name: &str, tag: &str) {
        let proof = log.proof(&super::tag_of(name, tag));
        self.0.push_file(&format!("proof/{name}:{tag}?{query}"), proof, "text/plain");
    }

    /// The server's prefix.
    pub(crate) fn url(&self) -> String {
        format!("{}/files", self.0.url())
    }

    pub(crate) fn log_url(&self) -> String {
        format!("{}/log", self.url())
    }

    pub(crate) fn source(&self) -> Source {
        Source::open(&self.url(), &impatient()).unwrap()
    }
}

/// Asks twice and waits for nothing in between.
pub(crate) fn impatient() -> Http {
    Http { tries: 2, backoff: Duration::ZERO, ..Http::default() }
}
