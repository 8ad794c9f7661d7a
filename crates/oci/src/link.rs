//! `Link: <…>; rel="next"` of tag lists (RFC 8288, as far as registries use it).
//!
//! Only the query of upstream's link is read; ours always leads back to ourselves.

use crate::RegistryHost;
use crate::route::decode_query_value;

/// Characters of upstream's page tokens.
const MAX_QUERY: usize = 2_048;

/// The query of a list of tags.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TagsQuery {
    /// Tags on a page.
    pub n: Option<u32>,
    /// The tag after which the page begins.
    pub last: Option<String>,
    /// Where upstream said that the page begins, in its own words; then the others are none.
    pub token: Option<PageToken>,
}

/// The query of upstream's link to a next page, where it is not `n` and `last`: some registries write tokens of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageToken(String);

impl PageToken {
    /// Takes a query of `key=value` pairs, of unreserved characters and escapes alone, up to 2,048 characters.
    pub fn parse(query: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let is_key = |key: &str| !key.is_empty() && key != "ns" && key.bytes().all(plain);
        let is_value = |value: &str| {
            value
                .bytes()
                .all(|byte| plain(byte) || matches!(byte, b'%' | b'/' | b':' | b'=' | b',' | b'+' | b'@'))
                && decode_query_value(value).is_some()
        };
        let whole = query.len() <= MAX_QUERY
            && query
                .split('&')
                .all(|pair| pair.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value)));
        whole.then(|| Self(query.to_owned()))
    }

    /// As upstream wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As one value of a query of ours.
    fn escaped(&self) -> String {
        let mut escaped = String::with_capacity(self.0.len() + 16);
        for c in self.0.chars() {
            match c {
                'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~' => escaped.push(c),
                // Ascii, as `parse` saw to it.
                c => escaped.push_str(&format!("%{:02X}", u32::from(c))),
            }
        }
        escaped
    }
}

/// The header's two directions.
#[derive(Clone, Copy, Debug)]
pub struct Link;

impl Link {
    /// The next page out of upstream's header; `None` where there is none that makes sense.
    pub fn next_tags(header: &str) -> Option<TagsQuery> {
        next_targets(header).find_map(tags_query)
    }

    /// The query of the next page as upstream wrote it, for whoever asks that very upstream again.
    pub fn next_query(header: &str) -> Option<&str> {
        next_targets(header).find_map(|target| {
            let (_, query) = target.split_once('?')?;
            let query = query.split('#').next().unwrap_or_default();
            (!query.is_empty() && query.len() <= MAX_QUERY).then_some(query)
        })
    }

    /// Our header, under the name that the client asked for, and with the `ns` that it named the registry by.
    pub fn tags_list(requested_name: &str, namespace: Option<&RegistryHost>, next: &TagsQuery) -> String {
        let mut query = Vec::new();
        if let Some(n) = next.n {
            query.push(format!("n={n}"));
        }
        if let Some(last) = &next.last {
            query.push(format!("last={last}"));
        }
        if let Some(token) = &next.token {
            query.push(format!("token={}", token.escaped()));
        }
        if let Some(namespace) = namespace {
            query.push(format!("ns={namespace}"));
        }
        format!("</v2/{requested_name}/tags/list?{}>; rel=\"next\"", query.join("&"))
    }
}

fn next_targets(header: &str) -> impl Iterator<Item = &str> {
    header.split(",<").flat_map(|part| part.split(", <")).filter_map(|part| {
        let part = part.trim().trim_start_matches('<');
        let (target, parameters) = part.split_once('>')?;
        is_next(parameters).then_some(target)
    })
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(key, value)| {
        key.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
    })
}

fn tags_query(target: &str) -> Option<TagsQuery> {
    let (_, query) = target.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let mut next = TagsQuery::default();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "n" => next.n = value.parse().ok(),
            "last" => next.last = decode_query_value(value).filter(|last| crate::Tag::parse(last).is_ok()),
            _ => {}
        }
    }
    if next.last.is_some() {
        return Some(next);
    }
    Some(TagsQuery { token: Some(PageToken::parse(query)?), ..TagsQuery::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_in_any_spelling() {
        let expected = TagsQuery { n: Some(2), last: Some("v2".to_owned()), token: None };
        for header in [
            "</v2/org/app/tags/list?n=2&last=v2>; rel=\"next\"",
            "<https://reg.example/v2/org/app/tags/list?last=v2&n=2>;rel=next",
            "</x?last=v0>; rel=\"prev\", </v2/org/app/tags/list?n=2&last=v2&x=1>; Rel=\"Next\"",
            "</v2/org/app/tags/list?n=2&last=%762>; rel=\"next\"",
        ] {
            assert_eq!(Link::next_tags(header), Some(expected.clone()), "{header}");
        }
    }

    #[test]
    fn an_opaque_page_token_is_kept_as_it_is() {
        let header = "<https://reg.example/v2/a/referrers/sha256:0?page=b%3D%3D&x=1#f>; rel=\"next\"";
        assert_eq!(Link::next_query(header), Some("page=b%3D%3D&x=1"));
        for none in ["", "</x>; rel=next", "</x?>; rel=next", "</x?a=b>; rel=prev"] {
            assert_eq!(Link::next_query(none), None, "{none}");
        }
        assert_eq!(Link::next_query(&format!("</x?{}>; rel=next", "a".repeat(3_000))), None);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_none() {
        for header in [
            "",
            "<>",
            "</v2/a/tags/list>; rel=\"next\"",
            "</x?n=2&last=v2>; rel=\"prev\"",
            "</x?last=%zz>; rel=next",
            "</x?next_page=%00>; rel=next",
            "</x?ns=evil.example>; rel=next",
            "</x?next_page=a b>; rel=next",
            "</x?next_page>; rel=next",
        ] {
            assert_eq!(Link::next_tags(header), None, "{header}");
        }
    }

    #[test]
    fn a_token_of_upstreams_own_goes_through_our_link_unchanged() {
        let next =
            Link::next_tags("</v2/org/app/tags/list?next_page=gAAA%3D%3D&n=50>; rel=\"next\"").unwrap();
        assert_eq!(next.token.as_ref().unwrap().as_str(), "next_page=gAAA%3D%3D&n=50");
        let link = Link::tags_list("quay.io/org/app", None, &next);
        let (_, query) = link.split_once('?').unwrap();
        let (query, _) = query.split_once('>').unwrap();
        assert_eq!(query, "token=next_page%3DgAAA%253D%253D%26n%3D50");
        let request = crate::Request::parse("GET", "/v2/quay.io/org/app/tags/list", Some(query)).unwrap();
        let crate::Route::TagsList { query, .. } = request.route else { panic!() };
        assert_eq!(query, next);
    }

    #[test]
    fn our_link_stays_in_the_clients_name_space() {
        let next = TagsQuery { n: Some(2), last: Some("v2".to_owned()), token: None };
        let link = Link::tags_list("ghcr.io/org/app", None, &next);
        assert_eq!(link, "</v2/ghcr.io/org/app/tags/list?n=2&last=v2>; rel=\"next\"");
        assert_eq!(Link::next_tags(&link), Some(next.clone()));
        let namespace = RegistryHost::canonicalize("ghcr.io").unwrap();
        let link = Link::tags_list("org/app", Some(&namespace), &next);
        assert_eq!(link, "</v2/org/app/tags/list?n=2&last=v2&ns=ghcr.io>; rel=\"next\"");
    }
}
