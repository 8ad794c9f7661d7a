//! The registry client: credentials, address filter, redirects, retries, limits.
