//! Values that `import` alone takes.
//! It must not know what is done with them.

use std::time::Duration;

use url::Url;

use super::queue::Rate;
use crate::values::Wrong;

/// The same without its path, of which clients that pull know nothing either.
pub(super) fn root(mut url: Url) -> Url {
    url.set_path("/");
    url
}

/// References a second.
pub(super) fn rate(text: &str) -> Result<Rate, Wrong> {
    let range = 0.001..=10_000.0;
    let rate = text.parse::<f64>().ok().filter(|rate| range.contains(rate));
    let rate = rate.ok_or_else(|| {
        Wrong::new(
            &format!("`{text}` is not a number of references a second"),
            "write a number from 0.001 to 10000, such as `5`, or `0.1` for one in ten seconds",
        )
    })?;
    Ok(Rate(Duration::from_secs_f64(rate.recip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_within_bounds() {
        assert_eq!(rate("5").unwrap(), Rate(Duration::from_millis(200)));
        assert_eq!(rate("0.1").unwrap(), Rate(Duration::from_secs(10)));
        for wrong in ["0", "-1", "nan", "inf", "10001", "fast", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
