//! Witnesses on real sockets: ours, each behind a front that passes its answers on or says something else instead.
//! Knows a log only by its checkpoints.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ledger::Ledger;
use testkit::wire;
use tlog::{Note, Policy, SignatureLine, SignedCheckpoint, VerifierKey, verify_cosignature};
use tokio::net::TcpListener;
use tokio::sync::watch;
use witness::Settings;
use witness::server::{Log, Logs, Now};

use crate::place::{Place, START};

/// What a log hears of a witness.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Say {
    /// What the witness says.
    Truth,
    /// The same between 40 signature lines of strangers.
    Grease,
    /// Its cosignatures with one bit flipped.
    Lie,
    /// Something else.
    Status(u16, &'static str),
    /// Nothing, until it is to say something else.
    Nothing,
}

/// Everything that is no cosignature.
pub(crate) const BAD: [Say; 9] = [
    Say::Status(409, ""),
    Say::Status(409, "1\n"),
    Say::Status(409, "1000000\n"),
    Say::Status(422, ""),
    Say::Status(500, ""),
    Say::Status(200, "garbage"),
    Say::Status(200, ""),
    Say::Lie,
    Say::Nothing,
];

/// A running witness and its front.
pub(crate) struct Witness {
    name: String,
    key: VerifierKey,
    front: SocketAddr,
    say: watch::Sender<Say>,
    asked: watch::Sender<usize>,
    _directory: tempfile::TempDir,
}

impl Witness {
    /// One that knows the log of `log`.
    async fn start(name: &str, log: &VerifierKey) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (database, key_file) =
            (directory.path().join("witness.db"), directory.path().join("witness.key"));
        let key = witness::create(&database, &key_file, name).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let real = listener.local_addr().unwrap();
        let logs = Logs::new(vec![Log { origin: log.name().to_owned(), keys: vec![log.clone()] }]).unwrap();
        let now = Now::new(|| u64::try_from(START).unwrap());
        let settings = Settings { listener, connections: 64, database, key_file, logs, now };
        tokio::spawn(witness::serve(settings, std::future::pending()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = listener.local_addr().unwrap();
        let (say, asked) = (watch::Sender::new(Say::Truth), watch::Sender::new(0));
        tokio::spawn(serve(listener, real, say.clone(), asked.clone()));
        Self { name: name.to_owned(), key, front, say, asked, _directory: directory }
    }

    /// From now on.
    pub(crate) fn say(&self, say: Say) {
        self.say.send_replace(say);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Returns when it was asked more often than that.
    pub(crate) async fn asked_beyond(&self, count: usize) {
        self.asked.subscribe().wait_for(|asked| *asked > count).await.unwrap();
    }

    fn policy_line(&self) -> String {
        format!("witness {} {} http://{}\n", self.name, self.key, self.front)
    }
}

async fn serve(
    listener: TcpListener,
    real: SocketAddr,
    say: watch::Sender<Say>,
    asked: watch::Sender<usize>,
) -> Infallible {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (say, asked) = (say.clone(), asked.clone());
        let service = service_fn(move |request| answer(request, real, say.clone(), asked.clone()));
        let connection =
            http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    request: Request<Incoming>,
    real: SocketAddr,
    say: watch::Sender<Say>,
    asked: watch::Sender<usize>,
) -> io::Result<Response<Full<Bytes>>> {
    let (method, url) = (request.method().to_string(), format!("http://{real}{}", request.uri().path()));
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let now = *say.borrow();
    asked.send_modify(|asked| *asked += 1);
    let (status, text) = match now {
        Say::Status(status, text) => (status, text.to_owned()),
        Say::Nothing => {
            drop(say.subscribe().wait_for(|say| *say != Say::Nothing).await);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Say::Truth | Say::Grease | Say::Lie => {
            let reply = wire::Request::new(&method, &url).body(body).send().await;
            let text = match now {
                Say::Grease if reply.status == 200 => format!("{0}{1}{0}", strangers(20), reply.text()),
                Say::Lie if reply.status == 200 => flipped(reply.text()),
                _ => reply.text().to_owned(),
            };
            (reply.status, text)
        }
    };
    Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
}

/// Signature lines that nobody knows.
pub(crate) fn strangers(count: u8) -> String {
    let line = |number| SignatureLine::new("stranger.example", [number; 4], vec![number; 76]).unwrap();
    (0..count).map(|number| format!("{}\n", line(number))).collect()
}

/// The lines with the last bit of each signature flipped.
fn flipped(lines: &str) -> String {
    let lines = SignatureLine::parse_lines(lines).unwrap();
    let flip = |line: &SignatureLine| {
        let mut blob = line.signature().to_vec();
        *blob.last_mut().unwrap() ^= 1;
        format!("{}\n", SignatureLine::new(line.name(), line.id(), blob).unwrap())
    };
    lines.iter().map(flip).collect()
}

/// A log that is not served yet, its witnesses, and the policy by which clients check it.
pub(crate) struct Witnessed {
    pub(crate) place: Place,
    pub(crate) witnesses: Vec<Witness>,
    pub(crate) policy: Policy,
    pub(crate) log: VerifierKey,
}

impl Witnessed {
    /// `threshold` of `count` witnesses are enough, with more keys of `[log]`.
    pub(crate) async fn new(threshold: usize, count: usize, keys: &str) -> Self {
        let place = Place::new().await;
        let log = Ledger::init(&server::new_log_options(&place.config().unwrap())).unwrap();
        let mut witnesses = Vec::new();
        for number in 0..count {
            witnesses.push(Witness::start(&format!("witness.example/w{number}"), &log).await);
        }
        let names: Vec<&str> = witnesses.iter().map(|witness| witness.name.as_str()).collect();
        let lines: String = witnesses.iter().map(Witness::policy_line).collect();
        let policy = format!("{lines}group enough {threshold} {}\nquorum enough\n", names.join(" "));
        let file = place.directory.path().join("witnesses.policy");
        std::fs::write(&file, &policy).unwrap();
        let place = place.tables(&format!(
            "[log]\nwitnesses_file = \"{}\"\nwitness_interval = \"100ms\"\n{keys}",
            file.display()
        ));
        Self { place, witnesses, policy: policy.parse().unwrap(), log }
    }

    /// One witness whose cosignature is demanded. A pull waits for it no longer than it takes to ask.
    pub(crate) async fn demanded() -> Self {
        let mut witnessed = Self::new(1, 1, "publish = \"require\"").await;
        witnessed.place.cover_timeout = Duration::ZERO;
        witnessed
    }

    /// The first witness.
    pub(crate) fn witness(&self) -> &Witness {
        &self.witnesses[0]
    }

    /// Whether enough witnesses have cosigned a checkpoint of the log.
    pub(crate) fn satisfied_by(&self, note: &str) -> bool {
        let checkpoint: SignedCheckpoint = note.parse().unwrap();
        checkpoint.verify(&self.log).unwrap();
        is_satisfied(&self.policy, checkpoint.note())
    }
}

/// Whether the cosignatures of `note` are enough for `policy`; none may be wrong.
pub(crate) fn is_satisfied(policy: &Policy, note: &Note) -> bool {
    let cosigned: BTreeSet<&str> = policy
        .witnesses()
        .filter(|(_, key, _)| match verify_cosignature(note, key) {
            Ok(_) => true,
            Err(tlog::Error::NotSigned { .. }) => false,
            Err(error) => panic!("{error}"),
        })
        .map(|(name, ..)| name)
        .collect();
    policy.is_satisfied_by(&cosigned)
}

/// Asks again until it is so, for a minute at most.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about that {what}");
}
