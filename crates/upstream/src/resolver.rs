//! Names to addresses, every one of them checked before anything connects.
//!
//! The checked addresses are those that are connected to: there is no second look-up between check
//! and use.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::check_address;

/// How names are resolved.
#[derive(Clone)]
pub enum Lookup {
    /// As the system does it.
    System,
    /// By this function: for tests of names that lead to addresses which they should not.
    Fixed(Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>),
}

/// A resolver that gives no address which is not public.
#[derive(Clone, Debug)]
pub(crate) struct PublicResolver(pub(crate) Lookup);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.0.clone();
        Box::pin(async move {
            let addresses = lookup.addresses(name.as_str()).await?;
            // One private address among public ones is a rebinding attempt or a mistake; either way no.
            for address in &addresses {
                check_address(address.ip())?;
            }
            Ok::<Addrs, Box<dyn std::error::Error + Send + Sync>>(Box::new(addresses.into_iter()))
        })
    }
}

impl Lookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        match self {
            // The port is the URL's; this one is replaced.
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            Self::Fixed(lookup) => {
                Ok(lookup(name).into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
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
