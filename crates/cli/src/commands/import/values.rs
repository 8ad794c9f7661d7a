//! Values that `import` alone takes.
//! It must not know what is done with them.

use std::time::Duration;

use url::Url;

use super::queue::Rate;
use crate::values::Wrong;

/// `https://tlog.example`
pub(super) fn server(text: &str) -> Result<Url, Wrong> {
    let hint =
        "write the URL of the service alone, such as `https://tlog.example` or `http://localhost:8080`";
    let wrong = || Wrong::new(&format!("`{text}` is not the URL of a service"), hint);
    let url = Url::parse(text).map_err(|_syntax| wrong())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && plain { Ok(url) } else { Err(wrong()) }
}

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
    fn a_server_is_a_url_and_nothing_else() {
        for right in ["http://localhost:8080", "https://tlog.example/"] {
            assert!(server(right).is_ok(), "{right}");
        }
        for wrong in [
            "tlog.example",
            "localhost:8080",
            "ftp://tlog.example",
            "https://user@tlog.example",
            "https://tlog.example/v2/",
            "https://tlog.example/?x",
            "https://tlog.example/#x",
            "",
        ] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_a_number_within_bounds() {
        assert_eq!(rate("5").unwrap(), Rate(Duration::from_millis(200)));
        assert_eq!(rate("0.1").unwrap(), Rate(Duration::from_secs(10)));
        for wrong in ["0", "-1", "nan", "inf", "10001", "fast", ""] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
