//! What a browser says that it takes: pages, and which packed forms.

use http::{HeaderMap, HeaderName, header};

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
    Plain,
}

/// Whether the request is one for a page. `*/*` alone is what programs send.
pub(crate) fn takes_html(headers: &HeaderMap) -> bool {
    weighed(headers, &header::ACCEPT).any(|(name, weight)| name == "text/html" && weight > 0.0)
}

/// The smallest form that there is and that the client takes.
pub(crate) fn coding(headers: &HeaderMap, has_brotli: bool, has_gzip: bool) -> Coding {
    let takes = |wanted: &str| {
        let found = |name: &str| weighed(headers, &header::ACCEPT_ENCODING).find(|(own, _)| own == name);
        found(wanted).or_else(|| found("*")).is_some_and(|(_, weight)| weight > 0.0)
    };
    if has_brotli && takes("br") {
        Coding::Brotli
    } else if has_gzip && takes("gzip") {
        Coding::Gzip
    } else {
        Coding::Plain
    }
}

/// The items of a list with their weights; one whose weight can't be read weighs nothing.
fn weighed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (String, f32)> + 'a {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        (name, weight.unwrap_or(0.0))
    })
}
