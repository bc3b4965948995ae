//! What a browser is given, over a build of two files and over none.

use super::*;

const SITE: &[Asset] = &[
    Asset { path: "/index.html", plain: b"<!doctype html>", br: Some(b"br"), gz: Some(b"gz") },
    Asset { path: "/assets/index-1a2b.js", plain: b"plain", br: Some(b"br"), gz: None },
    Asset { path: "/favicon.svg", plain: b"<svg/>", br: None, gz: None },
];

fn ask(assets: &[Asset], path: &str, headers: &[(HeaderName, &'static str)]) -> Option<Response<Bytes>> {
    let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    answer_of(assets, &Method::GET, path, &headers.collect())
}

fn html() -> [(HeaderName, &'static str); 1] {
    [(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")]
}

fn header_of<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[test]
fn every_page_is_the_index_and_nothing_else_is() {
    for path in ["/", "/pipelines", "/runs/run_01?level=error", "/a/b/c"] {
        let page = ask(SITE, path, &html()).unwrap_or_else(|| panic!("{path}"));
        assert_eq!((page.status(), &page.body()[..]), (StatusCode::OK, &b"<!doctype html>"[..]), "{path}");
        assert_eq!(header_of(&page, "cache-control"), "no-store");
    }
    for path in [
        "/assets/index-0000.js",
        "/assets/",
        "/assets/x",
        "/old.js",
        "/a/b.map",
        "/assets/../index.html",
        "/index.html",
    ] {
        assert!(ask(SITE, path, &html()).is_none(), "{path}");
    }
    // What programs ask for is not answered with a page.
    for accept in ["*/*", "application/json", "text/html;q=0", "text/html;q=x"] {
        assert!(ask(SITE, "/pipelines", &[(header::ACCEPT, accept)]).is_none(), "{accept}");
    }
    assert!(ask(SITE, "/", &[]).is_some(), "whoever asks for the front page means it");
    assert!(answer_of(SITE, &Method::POST, "/", &HeaderMap::new()).is_none());
}

#[test]
fn hashed_names_are_kept_for_ever_and_others_never() {
    let script = ask(SITE, "/assets/index-1a2b.js", &[]).expect("the script");
    assert_eq!(header_of(&script, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(header_of(&script, "content-type"), "text/javascript; charset=utf-8");
    let icon = ask(SITE, "/favicon.svg", &[]).expect("the icon");
    assert_eq!((header_of(&icon, "cache-control"), header_of(&icon, "content-type")), ("no-store", "image/svg+xml"));
}

#[test]
fn the_smallest_form_that_the_browser_takes_is_sent() {
    let sent = |path: &str, takes: &'static str| {
        let response = ask(SITE, path, &[(header::ACCEPT_ENCODING, takes)]).expect("an asset");
        (header_of(&response, "content-encoding").to_owned(), header_of(&response, "vary").to_owned())
    };
    let varied = |coding: &str| (coding.to_owned(), "accept-encoding".to_owned());
    assert_eq!(sent("/", "gzip, deflate, br"), varied("br"));
    assert_eq!(sent("/", "gzip, br;q=0"), varied("gzip"));
    assert_eq!(sent("/", "*"), varied("br"));
    assert_eq!(sent("/", "identity"), varied(""));
    assert_eq!(sent("/", "br;q=x"), varied(""));
    assert_eq!(sent("/assets/index-1a2b.js", "gzip"), varied(""));
    assert_eq!(sent("/favicon.svg", "br"), (String::new(), String::new()));
}

#[test]
fn t22_every_answer_carries_the_strict_policy() {
    for assets in [SITE, &[]] {
        let page = ask(assets, "/", &html()).expect("a page");
        assert_eq!(header_of(&page, "content-security-policy"), POLICY);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header_of(&page, name), value);
        }
        assert!(page.headers().get("set-cookie").is_none());
    }
    for word in
        ["default-src 'none'", "require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(POLICY.contains(word), "{word}");
    }
    for word in ["unsafe", "http:", "https:", "blob:", "*"] {
        assert!(!POLICY.contains(word), "{word}");
    }
}

#[test]
fn a_build_without_the_console_says_how_to_make_one() {
    let page = ask(&[], "/pipelines", &html()).expect("a page");
    let text = String::from_utf8_lossy(page.body()).into_owned();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("deploy/dev/console.sh build") && !text.contains("<script"), "{text}");
    assert!(ask(&[], "/assets/index-1a2b.js", &html()).is_none());
}
