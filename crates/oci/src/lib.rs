//! The registry protocol as types: references, digests, routes, media types, challenges, errors.
