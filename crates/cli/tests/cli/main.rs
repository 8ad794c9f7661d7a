//! The binary from outside: what it prints, where, and with which exit status. Real processes, loopback sockets, and an
//! environment of which nothing is left to chance.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod export;
#[cfg(test)]
mod help;
#[cfg(test)]
mod import;
#[cfg(test)]
mod log;
#[cfg(test)]
mod output;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod service;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod strangers;
