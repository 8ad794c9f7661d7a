//! The raw query: `ns`, the page of a list, and the filter of referrers. Histories read their own.

use super::RouteError;
use crate::name::shortened;
use crate::{PageToken, RegistryHost, Tag, TagsQuery};

/// The largest page that is asked of upstream.
const MAX_PAGE: u32 = 10_000;

/// The parameters that mean something.
#[derive(Default)]
pub(super) struct Query {
    pub(super) namespace: Option<RegistryHost>,
    pub(super) page: TagsQuery,
    pub(super) artifact_type: Option<String>,
}

impl Query {
    /// Reads the parameters that mean something; others are ignored, and never passed on.
    pub(super) fn parse(query: &str) -> Result<Self, RouteError> {
        let mut parsed = Self::default();
        for (key, raw) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let page = || RouteError::Page(shortened(raw));
            match key {
                "ns" => {
                    let value = decode_query_value(raw).ok_or(RouteError::Namespace)?;
                    if parsed.namespace.replace(RegistryHost::canonicalize(&value)?).is_some() {
                        return Err(RouteError::Namespace);
                    }
                }
                "n" => parsed.page.n = Some(raw.parse::<u32>().map_err(|_number| page())?.min(MAX_PAGE)),
                "last" => {
                    let value = decode_query_value(raw).ok_or_else(page)?;
                    parsed.page.last =
                        Some(Tag::parse(&value).map_err(|_not_a_tag| page())?.as_str().to_owned());
                }
                "token" => {
                    let value = decode_query_value(raw).ok_or_else(page)?;
                    parsed.page.token = Some(PageToken::parse(&value).ok_or_else(page)?);
                }
                "artifactType" => {
                    let value =
                        decode_query_value(raw).filter(|value| value.len() <= 255).ok_or_else(page)?;
                    parsed.artifact_type = Some(value);
                }
                _ => {}
            }
        }
        // The token holds whatever upstream meant by them.
        if parsed.page.token.is_some() {
            (parsed.page.n, parsed.page.last) = (None, None);
        }
        Ok(parsed)
    }
}

/// Percent-decodes one value to printable ASCII; `None` for anything else.
pub(crate) fn decode_query_value(raw: &str) -> Option<String> {
    let mut decoded = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(bytes.next()?)? << 4 | digit(bytes.next()?)?
            }
            byte => byte,
        };
        if !(b' '..=b'~').contains(&byte) {
            return None;
        }
        decoded.push(char::from(byte));
    }
    Some(decoded)
}
