//! The signer against services that do what the real ones do, until they do not. The numbers in brackets are those of the
//! faults of the original program that each test rules out.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod consulting;
#[cfg(test)]
mod continuing;
#[cfg(test)]
mod index;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod originals;
#[cfg(test)]
mod place;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod renaming;
#[cfg(test)]
mod trusting;
#[cfg(test)]
mod unreadable;
