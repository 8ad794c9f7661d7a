//! The service: edge, policy, pipeline, pages, administration.

#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the edge that serves the pages is not in this tree yet")
)]
mod pages;
