//! A log with records, in front of a registry, and copies of it. It must not know what a test asks of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use testkit::{FakeRegistry, Image, wire};
use tlog::{SignedCheckpoint, VerifierKey};

use crate::environment::TestEnvironment;
use crate::service::Service;

/// A log called `tlog.example/log`.
pub(crate) struct Copies {
    pub(crate) environment: TestEnvironment,
    pub(crate) registry: FakeRegistry,
    pub(crate) vkey: VerifierKey,
}

impl Copies {
    /// Made, and not opened by any server.
    pub(crate) fn new() -> Self {
        let environment = TestEnvironment::new();
        let registry = FakeRegistry::start_blocking();
        configure(&environment, &registry, "origin = \"tlog.example/log\"");
        let made = environment.run(&["init"]).succeeded();
        Self { environment, registry, vkey: made.stdout.trim_end().parse().unwrap() }
    }

    /// With these tags recorded by a server that has stopped, and then exported to `export`.
    pub(crate) async fn exported(tags: &[&str]) -> Self {
        let copies = Self::new();
        copies.record(tags).await;
        let _exported = copies.environment.run(&["export", "export"]).succeeded();
        copies
    }

    /// Other keys in the table `[log]`.
    pub(crate) fn configure(&self, log: &str) {
        configure(&self.environment, &self.registry, log);
    }

    /// Starts a server, pulls `corp.alt/team/app` with each of these tags for the first time, and stops it.
    pub(crate) async fn record(&self, tags: &[&str]) {
        let mut service = Service::start(&self.environment);
        self.pull(&service, tags).await;
        service.stop();
    }

    /// Pulls each of these tags for the first time.
    pub(crate) async fn pull(&self, service: &Service, tags: &[&str]) {
        for tag in tags {
            self.registry.push_image("team/app", tag, &Image::oci(tag));
            let reply = wire::get(&manifest(service, tag)).await;
            assert_eq!((reply.status, reply.header("tlog-first-seen")), (200, Some("true")), "{tag}");
        }
    }

    /// From here on another data directory, which is not there.
    pub(crate) fn move_to(&mut self, directory: &str) {
        let directory = self.environment.path(directory);
        self.environment.set("TLOGISTRY_DATA_DIR", directory.to_str().unwrap());
    }

    /// From here on another data directory, with nothing in it but these files of the first one.
    pub(crate) fn move_with(&mut self, directory: &str, files: &[&str]) {
        let from = self.environment.data_dir();
        self.move_to(directory);
        let to = self.environment.path(directory);
        fs::create_dir(&to).unwrap();
        for file in files {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }

    /// The checkpoint of an export.
    pub(crate) fn checkpoint(&self, export: &str) -> SignedCheckpoint {
        let path = self.environment.path(export).join("checkpoint");
        fs::read_to_string(path).unwrap().parse().unwrap()
    }

    /// Everything in an export.
    pub(crate) fn files(&self, export: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let root = self.environment.path(export);
        read(&root, &root, &mut files);
        files
    }

    /// A web server that knows nothing of logs, with an export below the URL that is returned.
    pub(crate) fn mirror(&self, export: &str) -> (FakeRegistry, String) {
        let web = FakeRegistry::start_blocking();
        for (path, bytes) in self.files(export) {
            web.push_file(&format!("mirror/{path}"), bytes, "application/octet-stream");
        }
        let url = format!("{}/files/mirror", web.url());
        (web, url)
    }
}

/// Where a server has the manifest of `corp.alt/team/app:<tag>`.
pub(crate) fn manifest(service: &Service, tag: &str) -> String {
    format!("{}/v2/corp.alt/team/app/manifests/{tag}", service.url)
}

fn configure(environment: &TestEnvironment, registry: &FakeRegistry, log: &str) {
    let upstream = format!("[upstreams.\"corp.alt\"]\nurl = \"{}\"\n", registry.url());
    environment.write("config.toml", &format!("[log]\n{log}\n{upstream}"));
}

fn read(root: &Path, directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}
