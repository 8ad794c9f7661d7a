//! Values of a query string, decoded. Knows nothing of what they mean.

/// All values of `key`, in order.
pub(super) fn values(query: Option<&str>, key: &str) -> Vec<String> {
    query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name) == key).then(|| decode(value))
        })
        .collect()
}

/// The first value of `key`.
pub(super) fn value(query: Option<&str>, key: &str) -> Option<String> {
    values(query, key).into_iter().next()
}

fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match (byte, escaped(tail)) {
            (b'%', Some(value)) => {
                rest = tail.get(2..).unwrap_or_default();
                value
            }
            (b'+', _) => b' ',
            _ => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn escaped(tail: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_keep_their_order() {
        let query = Some("scope=repository%3Aa%2Fb%3Apull&service=x+y&scope=aws&flag");
        assert_eq!(values(query, "scope"), ["repository:a/b:pull", "aws"]);
        assert_eq!(value(query, "service").as_deref(), Some("x y"));
        assert_eq!(value(query, "flag").as_deref(), Some(""));
        assert_eq!(value(query, "absent"), None);
        assert_eq!(value(Some("a=100%"), "a").as_deref(), Some("100%"));
    }
}
