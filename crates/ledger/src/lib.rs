//! The running tag log: sequencer, store, recovery, published checkpoint.
