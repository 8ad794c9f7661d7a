//! A running `serve`, with what it logs. It must not know what a test asks of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::FakeRegistry;

use crate::environment::TestEnvironment;

/// How long anything may take before a test fails; never waited for otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub(crate) struct Service {
    child: Child,
    lines: Receiver<String>,
    /// Everything that was read of standard error.
    pub(crate) log: Vec<String>,
    /// `http://127.0.0.1:<port>`
    pub(crate) url: String,
}

impl Service {
    /// Starts on a port of the system's choice and waits until it listens.
    pub(crate) fn start(environment: &TestEnvironment) -> Self {
        let mut service = Self::spawn(environment);
        let line = service.wait_for("\"message\":\"listening\"");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        service.url = format!("http://{}", line["address"].as_str().unwrap());
        service
    }

    /// A witness for the log of this key, once it listens.
    pub(crate) fn witness(environment: &TestEnvironment, log_key: &str) -> Self {
        let verb = ["witness", "serve", "--listen", "127.0.0.1:0", "--log-key", log_key];
        let mut witness = Self::spawn_verb(environment, &verb);
        let line = witness.wait_for("the witness listens on");
        witness.url = line.split(' ').next_back().unwrap().to_owned();
        witness
    }

    /// Starts and waits for nothing.
    pub(crate) fn spawn(environment: &TestEnvironment) -> Self {
        Self::spawn_verb(environment, &["serve", "--listen", "127.0.0.1:0"])
    }

    fn spawn_verb(environment: &TestEnvironment, verb: &[&str]) -> Self {
        let mut command = environment.command(verb);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // A test that has ended reads no more.
                let _received = sender.send(line.unwrap());
            }
        });
        Self { child, lines, log: Vec::new(), url: String::new() }
    }

    /// The next line of standard error that holds `words`.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{words}` in:\n{}", self.log.join("\n")));
            self.log.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit status, once standard error has ended.
    pub(crate) fn end(&mut self) -> Option<i32> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap().code(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.log.join("\n")),
            }
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.end(), Some(0), "{}", self.log.join("\n"));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail for a process that has ended, which is as good.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A registry, and a configuration that reaches it as `corp.alt`.
pub(crate) fn upstream(environment: &TestEnvironment) -> FakeRegistry {
    let registry = FakeRegistry::start_blocking();
    let table = format!("[upstreams.\"corp.alt\"]\nurl = \"{}\"\n", registry.url());
    environment.write("config.toml", &table);
    registry
}
