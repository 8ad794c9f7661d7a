//! Names to addresses, every one of them checked before anything connects.
//!
//! The checked addresses are those that are connected to: there is no second look-up between check
//! and use.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use crate::address::check_address;

/// Look-ups at the system at one time. Each holds a thread of the pool that files are read with, and a
/// name whose servers do not answer holds it long after we have stopped waiting.
const LOOKUPS: usize = 128;

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

/// A resolver that gives no address which is not public.
#[derive(Clone, Debug)]
pub(crate) struct PublicResolver {
    lookup: Lookup,
    turns: Arc<Semaphore>,
}

impl PublicResolver {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup, turns: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    async fn addresses(self, name: String) -> io::Result<Vec<SocketAddr>> {
        // The port is the URL's; this one is replaced.
        match self.lookup {
            Lookup::System => {
                let turn = self.turns.acquire_owned().await.map_err(io::Error::other)?;
                tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    Ok((name.as_str(), 0).to_socket_addrs()?.collect())
                })
                .await?
            }
            Lookup::Fixed(lookup) => {
                Ok(lookup(&name).into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = addresses.await?;
            // One private address among public ones is a rebinding attempt or a mistake; either way no.
            for address in &addresses {
                check_address(address.ip())?;
            }
            Ok::<Addrs, Box<dyn std::error::Error + Send + Sync>>(Box::new(addresses.into_iter()))
        })
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
