//! Fakes for tests: a registry with quirks over real sockets, a hand-moved clock, builders.
