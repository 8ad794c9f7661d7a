//! The service: edge, policy, pipeline, pages, administration.
