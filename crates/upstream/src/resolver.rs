//! Names to addresses, every one of them checked before anything connects.
//!
//! The checked addresses are those that are connected to: there is no second look-up between check
//! and use. Where a look-up hangs, or it is not its turn, the addresses are used that were found and checked last.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::check_address;
use crate::last::LastFound;
use crate::settings::{Clock, Settings};
use crate::turns::{For, Turns};

/// The addresses of a name.
pub type LookupFunction = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

/// How names are resolved.
#[derive(Clone)]
pub enum Lookup {
    /// As the system does it.
    System,
    /// By this function: for tests of names that lead to addresses which they should not.
    Fixed(Arc<LookupFunction>),
}

/// Too many names of a domain, or of one that shares its lane, are being looked up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it is not its turn to be looked up")]
pub(crate) struct NoTurn;

/// Why there are no addresses; whoever waited for them is told the same.
#[derive(Clone, Debug)]
pub(crate) struct Failed(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be looked up")
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

type Answer = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, Failed>>>;

/// A resolver that gives no address which is not public.
#[derive(Clone, Debug)]
pub(crate) struct PublicResolver {
    lookup: Lookup,
    turns: Arc<Turns>,
    whose: For,
    clock: Clock,
    /// For a turn, and for an answer where there is an older one; less than for the connection, so that a registry is not
    /// blamed for the queue.
    wait: Duration,
    /// Names that are being looked up.
    asked: Arc<Mutex<HashMap<String, Answer>>>,
    last: Arc<LastFound>,
}

impl PublicResolver {
    /// For registries that nobody configured.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            lookup: settings.lookup.clone(),
            turns: Arc::default(),
            whose: For::Others,
            clock: settings.clock.clone(),
            wait: settings.timeouts.connect / 2,
            asked: Arc::default(),
            last: Arc::default(),
        }
    }

    /// For those that are configured and all that they lead to; shares with the other only what all look-ups may take.
    pub(crate) fn for_configured(&self) -> Self {
        Self { whose: For::Configured, asked: Arc::default(), last: Arc::default(), ..self.clone() }
    }

    /// Every address of a name, checked.
    async fn addresses(self, name: String) -> Result<Vec<SocketAddr>, Failed> {
        let answer = self.answer(&name);
        let found = tokio::time::timeout(self.wait, answer.clone()).await;
        match found {
            Ok(Err(failed)) if failed.0.is::<NoTurn>() => self.last(&name).ok_or(failed),
            Ok(found) => found,
            Err(_late) => match self.last(&name) {
                Some(last) => Ok(last),
                None => answer.await,
            },
        }
    }

    /// Whoever asks for a name that is being looked up gets the same answer.
    fn answer(&self, name: &str) -> Answer {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asked.get(name) {
            return answer.clone();
        }
        let answer = self.clone().look_up(name.to_owned()).boxed().shared();
        asked.insert(name.to_owned(), answer.clone());
        // By itself: whoever asked first may give up.
        tokio::spawn(self.clone().wait_for(name.to_owned(), answer.clone()));
        answer
    }

    async fn wait_for(self, name: String, answer: Answer) {
        if let Ok(found) = answer.await {
            self.last.note(&name, found, self.clock.now());
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    fn last(&self, name: &str) -> Option<Vec<SocketAddr>> {
        self.last.of(name, self.clock.now())
    }

    async fn look_up(self, name: String) -> Result<Vec<SocketAddr>, Failed> {
        self.addresses_by_turn(name).await.map_err(|error| Failed(error.into()))
    }

    async fn addresses_by_turn(
        self,
        name: String,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let lane = self.turns.lane(&name, self.whose, self.clock.now()).ok_or(NoTurn)?;
        let turn = tokio::time::timeout(self.wait, lane.acquire_owned()).await.map_err(|_late| NoTurn)??;
        let (lookup, asked) = (self.lookup, name.clone());
        let addresses = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            lookup.addresses(&asked)
        });
        let addresses = addresses.await??;
        // One private address among public ones is a rebinding attempt or a mistake; either way no.
        for address in &addresses {
            check_address(address.ip())?;
        }
        if !addresses.is_empty() {
            self.turns.found(&name, self.clock.now());
        }
        Ok(addresses)
    }
}

impl Lookup {
    /// Takes as long as it takes.
    fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        // The port is the URL's; this one is replaced.
        match self {
            Self::System => Ok((name, 0).to_socket_addrs()?.collect()),
            Self::Fixed(lookup) => {
                Ok(lookup(name).into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move { Ok::<Addrs, _>(Box::new(addresses.await?.into_iter())) })
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Fixed(_) => "Fixed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc::{Sender, channel};

    use tokio::task::JoinSet;

    use super::*;
    use crate::Timeouts;

    /// A resolver for which names with `dead` in them wait until the sender is dropped.
    fn with_dead_servers(wait: Duration) -> (PublicResolver, Sender<()>) {
        let (alive, dead) = channel();
        let dead = Mutex::new(dead);
        let lookup = Lookup::Fixed(Arc::new(move |name| {
            if name.contains("dead") {
                let _released = dead.lock().unwrap().recv();
            }
            vec![IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1))]
        }));
        let settings = Settings {
            lookup,
            timeouts: Timeouts { connect: wait, ..Timeouts::default() },
            ..Settings::default()
        };
        (PublicResolver::new(&settings), alive)
    }

    fn ask(asking: &mut JoinSet<bool>, resolver: &PublicResolver, name: &str) {
        let addresses = resolver.clone().addresses(name.to_owned());
        asking.spawn(async move { addresses.await.is_ok() });
    }

    #[tokio::test]
    async fn a_domain_whose_servers_do_not_answer_holds_up_no_other() {
        let (resolver, _alive) = with_dead_servers(Duration::from_secs(600));
        let mut asking = JoinSet::new();
        for number in 0..1_000 {
            ask(&mut asking, &resolver, &format!("r{number}.dead.example"));
        }
        // One of these may share its lane, but not all.
        for number in 0..20 {
            ask(&mut asking, &resolver, &format!("r.alive{number}.example"));
        }
        assert!(asking.join_next().await.unwrap().unwrap());
        asking.abort_all();
    }

    #[tokio::test]
    async fn registries_that_are_configured_or_were_found_do_not_wait_for_strangers() {
        let (resolver, _alive) = with_dead_servers(Duration::from_secs(600));
        let find = |name: &str| resolver.clone().addresses(name.to_owned());
        find("auth.quay.io").await.unwrap();
        let mut asking = JoinSet::new();
        for number in 0..1_000 {
            ask(&mut asking, &resolver, &format!("r.dead{number}.example"));
        }
        for name in ["quay.io", "cdn.quay.io"] {
            find(name).await.unwrap();
        }
        let configured = resolver.for_configured();
        for name in ["ghcr.io", "pkg-containers.githubusercontent.com"] {
            configured.clone().addresses(name.to_owned()).await.unwrap();
        }
        asking.abort_all();
    }

    /// A crowd at one registry is one look-up, and a name that takes its time is waited for by all.
    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_ask_at_one_time() {
        let (resolver, alive) = with_dead_servers(Duration::from_millis(1));
        let mut asking = JoinSet::new();
        for _pull in 0..1_000 {
            ask(&mut asking, &resolver, "registry.dead.example");
        }
        tokio::task::yield_now().await;
        assert_eq!(resolver.asked.lock().unwrap().len(), 1);
        drop(alive);
        assert!(asking.join_all().await.into_iter().all(|found| found));
        for _turn in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(resolver.asked.lock().unwrap().is_empty());
    }

    /// A resolver that has found `registry.example` once, and whose look-ups then wait until the sender is dropped.
    async fn with_servers_that_died() -> (PublicResolver, Sender<()>) {
        let (alive, dead) = channel();
        let (dead, asked) = (Mutex::new(dead), std::sync::atomic::AtomicBool::new(false));
        let lookup = Lookup::Fixed(Arc::new(move |_name| {
            if asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
                let _released = dead.lock().unwrap().recv();
            }
            vec![IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1))]
        }));
        let timeouts = Timeouts { connect: Duration::from_millis(2), ..Timeouts::default() };
        let resolver = PublicResolver::new(&Settings { lookup, timeouts, ..Settings::default() });
        resolver.clone().addresses("registry.example".to_owned()).await.unwrap();
        while !resolver.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        (resolver, alive)
    }

    #[tokio::test]
    async fn what_was_found_last_is_used_while_a_look_up_hangs_or_it_is_not_its_turn() {
        let (resolver, alive) = with_servers_that_died().await;
        let find = |name: &str| resolver.clone().addresses(name.to_owned());
        let last = find("registry.example").await.unwrap();
        assert_eq!(last[0].ip(), IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)));
        // Its look-up has one turn of the lane, and the next name below it the other.
        let mut asking = JoinSet::new();
        ask(&mut asking, &resolver, "next.registry.example");
        for number in 0..10 {
            ask(&mut asking, &resolver, &format!("r{number}.registry.example"));
        }
        resolver.asked.lock().unwrap().remove("registry.example");
        assert_eq!(find("registry.example").await.unwrap(), last);
        drop(alive);
        asking.join_all().await;
    }

    #[tokio::test]
    async fn whoever_gets_no_turn_is_told_so() {
        let (resolver, _alive) = with_dead_servers(Duration::from_millis(1));
        let mut asking = JoinSet::new();
        for number in 0..3 {
            let addresses = resolver.clone().addresses(format!("r{number}.dead.example"));
            asking.spawn(async move { addresses.await.unwrap_err().0.is::<NoTurn>() });
        }
        assert!(asking.join_next().await.unwrap().unwrap());
        asking.abort_all();
    }
}
