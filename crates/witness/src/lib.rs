//! C2SP tlog-witness: client and server.
