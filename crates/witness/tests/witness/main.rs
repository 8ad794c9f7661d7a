//! Client, feeder and server from outside, over real loopback sockets.
#![cfg(test)]

mod answers;
mod crash;
mod fake;
mod feeding;
mod log;
mod races;
mod running;
mod serving;
mod sizes;
mod vectors;
