//! Reading a log as a stranger: replaying it, client state, evidence, monitoring.
