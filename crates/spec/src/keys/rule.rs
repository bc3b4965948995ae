//! Rules for text values: what may stand in a name, a host, a path, a URL.
//!
//! A rule says why it refuses in words that don't repeat the value. Rules are about shape; they look nothing up.

use crate::diagnostic::{Code, is_hidden};

/// What a text must obey.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// The code of a breach.
    pub(crate) code: Code,
    /// Why a text is refused.
    pub(crate) check: fn(&str) -> Result<(), &'static str>,
    /// The same for editors, as far as a regular expression can say it.
    pub(crate) pattern: Option<&'static str>,
}

const fn rule(code: Code, check: fn(&str) -> Result<(), &'static str>, pattern: Option<&'static str>) -> Rule {
    Rule { code, check, pattern }
}

/// Names of connections, pipelines and data planes.
pub(crate) const NAME: Rule = rule(Code::Name, name, Some("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"));
/// Names that belong to the source: tables, columns, databases, users.
pub(crate) const FOREIGN: Rule = rule(Code::Name, foreign, None);
/// Host names and addresses.
pub(crate) const HOST: Rule = rule(Code::BadValue, host, Some("^[A-Za-z0-9._:-]{1,253}$"));
/// Fingerprints of public keys.
pub(crate) const FINGERPRINT: Rule = rule(Code::BadValue, fingerprint, Some("^SHA256:[A-Za-z0-9+/]{43}$"));
/// Paths on the worker.
pub(crate) const PATH: Rule = rule(Code::BadValue, path, None);
/// Where file sources begin.
pub(crate) const FILES_URL: Rule = rule(Code::BadValue, files_url, Some("^(file:///|s3://|azure://|gs://)"));
/// Other services than the public ones.
pub(crate) const ENDPOINT: Rule = rule(Code::BadValue, endpoint, Some("^https?://[^/@?#]+/?$"));
/// S3 buckets.
pub(crate) const BUCKET: Rule = rule(Code::BadValue, bucket, Some("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"));
/// Storage accounts of Azure.
pub(crate) const ACCOUNT: Rule = rule(Code::BadValue, account, Some("^[a-z0-9]{3,24}$"));
/// Containers of Azure.
pub(crate) const CONTAINER: Rule = rule(Code::BadValue, container, Some("^[a-z0-9](-?[a-z0-9]){2,62}$"));
/// Directories of Microsoft Entra.
pub(crate) const TENANT: Rule = rule(Code::BadValue, tenant, Some("^[A-Za-z0-9.-]{1,253}$"));
/// Applications and identities of Microsoft Entra.
pub(crate) const CLIENT: Rule = rule(Code::BadValue, client, Some("^[0-9A-Fa-f-]{36}$"));
/// Encryption scopes of Azure.
pub(crate) const SCOPE: Rule = rule(Code::BadValue, scope, Some("^[A-Za-z0-9-]{3,63}$"));
/// Buckets of Google Cloud Storage.
pub(crate) const GCS_BUCKET: Rule = rule(Code::BadValue, gcs_bucket, Some("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"));
/// Keys of Cloud KMS.
pub(crate) const KMS_KEY: Rule =
    rule(Code::BadValue, kms_key, Some("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"));
/// Keys of AWS KMS.
pub(crate) const AWS_KEY: Rule = rule(
    Code::BadValue,
    aws_key,
    Some("^arn:aws[a-z-]*:kms:[a-z0-9-]{1,64}:[0-9]{12}:(key|alias)/[A-Za-z0-9:/_-]{1,250}$"),
);
/// Projects of Google Cloud.
pub(crate) const PROJECT: Rule = rule(Code::BadValue, project, Some("^[a-z0-9][a-z0-9.:-]{4,61}[a-z0-9]$"));
/// Prefixes below a bucket.
pub(crate) const PREFIX: Rule = rule(Code::BadValue, prefix, None);
/// Regions.
pub(crate) const REGION: Rule = rule(Code::BadValue, region, Some("^[a-z0-9-]{1,64}$"));
/// Cron lines, looked at more closely by `cron`.
pub(crate) const CRON: Rule = rule(Code::Cron, crate::cron::check_line, None);
/// Time zones.
pub(crate) const ZONE: Rule = rule(Code::Zone, crate::cron::check_zone, None);
/// One ASCII character.
pub(crate) const CHARACTER: Rule = rule(Code::BadValue, character, Some("^[ -~\\t]$"));
/// Types of CSV columns.
pub(crate) const CSV_TYPE: Rule = rule(
    Code::BadValue,
    csv_type,
    Some("^(text|boolean|bigint|double|date|timestamp|timestamptz|decimal\\([0-9]{1,2}, ?[0-9]{1,2}\\))$"),
);
/// Any short text.
pub(crate) const ANY: Rule = rule(Code::BadValue, any, None);

fn name(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(letter) && text.bytes().last().is_some_and(letter);
    if ends && text.len() <= 63 && text.bytes().all(|b| letter(b) || b == b'-' || b == b'_') {
        Ok(())
    } else {
        Err("a name has 1 to 63 lower-case letters, digits, - and _, and begins and ends with a letter or digit")
    }
}

fn foreign(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        Err("the name is empty")
    } else if text.len() > 512 {
        Err("the name is longer than 512 bytes")
    } else if text.chars().any(is_hidden) {
        Err("the name holds control or invisible characters")
    } else {
        Ok(())
    }
}

fn host(text: &str) -> Result<(), &'static str> {
    if text.starts_with('/') || text.starts_with('@') {
        return Err("a socket path is no host: connections go over TCP");
    }
    let fits = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    if !fits {
        return Err("a host is one name or address, without scheme, user, options or a list of hosts");
    }
    if text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_err() {
        return Err("the port stands under its own key `port`");
    }
    Ok(())
}

fn fingerprint(text: &str) -> Result<(), &'static str> {
    let read = text.parse::<waybill_model::plan::Fingerprint>();
    read.map(drop).map_err(|_| "a fingerprint is SHA256: and 43 characters, as `ssh-keygen -lf` prints it")
}

fn csv_type(text: &str) -> Result<(), &'static str> {
    use waybill_model::plan::{CsvType, NoCsvType};

    text.parse::<CsvType>().map(drop).map_err(|_| NoCsvType::TEXT)
}

fn path(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 4096 || text.chars().any(char::is_control) {
        Err("a path has 1 to 4096 bytes and no control characters")
    } else if text.starts_with("file:") || text.contains("://") {
        Err("a path is written without a scheme: /data/lake or ./lake")
    } else {
        Ok(())
    }
}

fn files_url(text: &str) -> Result<(), &'static str> {
    let rest = match (text.strip_prefix("file://"), text.strip_prefix("s3://")) {
        (Some(path), _) if path.starts_with('/') => path,
        (Some(_), _) => return Err("file:// takes an absolute path: file:///data/in"),
        (_, Some(rest)) => {
            bucket(rest.split('/').next().unwrap_or(rest))?;
            rest
        }
        _ => other_url(text)?,
    };
    plain_segments(rest.trim_matches('/'))
}

fn other_url(text: &str) -> Result<&str, &'static str> {
    if let Some(rest) = text.strip_prefix("gs://") {
        gcs_bucket(rest.split('/').next().unwrap_or(rest))?;
        return Ok(rest);
    }
    let forms =
        "write file:///absolute/directory, s3://bucket/prefix, azure://account/container/prefix or gs://bucket/prefix";
    let rest = text.strip_prefix("azure://").ok_or(forms)?;
    let mut names = rest.split('/');
    account(names.next().unwrap_or_default())?;
    container(names.next().unwrap_or_default())?;
    Ok(rest)
}

fn account(text: &str) -> Result<(), &'static str> {
    let fits = (3..=24).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if fits { Ok(()) } else { Err("a storage account's name has 3 to 24 lower-case letters and digits") }
}

fn container(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let words = text.split('-').all(|word| !word.is_empty() && word.bytes().all(letter));
    if (3..=63).contains(&text.len()) && words {
        Ok(())
    } else {
        Err("a container's name has 3 to 63 lower-case letters and digits, with single - between them")
    }
}

fn tenant(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let fits = (1..=253).contains(&text.len()) && text.bytes().all(letter) && !text.contains("..");
    if fits { Ok(()) } else { Err("a directory is its id, or a domain of it such as example.onmicrosoft.com") }
}

fn client(text: &str) -> Result<(), &'static str> {
    let fits = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if fits { Ok(()) } else { Err("a client id is a UUID: 00000000-0000-0000-0000-000000000000") }
}

fn scope(text: &str) -> Result<(), &'static str> {
    let fits = (3..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits { Ok(()) } else { Err("an encryption scope's name has 3 to 63 letters, digits and -") }
}

fn plain_segments(text: &str) -> Result<(), &'static str> {
    if text.len() > 1024 || text.chars().any(is_hidden) {
        Err("at most 1024 bytes and no control or invisible characters")
    } else if !text.is_empty() && text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Err("no part of it may be empty, `.` or `..`")
    } else {
        Ok(())
    }
}

fn prefix(text: &str) -> Result<(), &'static str> {
    if text.starts_with('/') || text.ends_with('/') {
        return Err("a prefix has no slash at its ends");
    }
    plain_segments(text)
}

fn endpoint(text: &str) -> Result<(), &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else {
        return Err("write an endpoint with its scheme: https://objects.example.com");
    };
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !rest.ends_with(']') => (name, Some(port)),
        _ => (rest, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("the port of the endpoint is not a number up to 65535, or it holds more than host and port");
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    host(bare).map_err(|_| "an endpoint holds a scheme, a host and a port; no user, path or options")
}

fn bucket(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (3..=63).contains(&text.len())
        && text.bytes().all(|b| letter(b) || b == b'-' || b == b'.')
        && text.bytes().next().is_some_and(letter)
        && text.bytes().last().is_some_and(letter)
        && !text.contains("..");
    if fits { Ok(()) } else { Err("a bucket's name has 3 to 63 lower-case letters, digits, - and .") }
}

fn gcs_bucket(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (3..=222).contains(&text.len())
        && text.bytes().all(|b| letter(b) || b"-_.".contains(&b))
        && text.bytes().next().is_some_and(letter)
        && text.bytes().last().is_some_and(letter)
        && !text.contains("..");
    if fits { Ok(()) } else { Err("a bucket's name has 3 to 222 lower-case letters, digits, -, _ and .") }
}

fn aws_key(text: &str) -> Result<(), &'static str> {
    let low = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let named = |text: &str| {
        let name = text.strip_prefix("key/").or_else(|| text.strip_prefix("alias/")).unwrap_or_default();
        (1..=250).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
    };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "kms", region, account, key]
            if partition.starts_with("aws")
                && low(partition)
                && (1..=64).contains(&region.len())
                && low(region)
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && named(key) =>
        {
            Ok(())
        }
        _ => Err("a key is named by its ARN: arn:aws:kms:REGION:ACCOUNT:key/ID, or …:alias/NAME"),
    }
}

fn kms_key(text: &str) -> Result<(), &'static str> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
            && !name.contains("..")
    };
    let names: Vec<&str> = text.split('/').collect();
    match names.as_slice() {
        ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key]
            if text.len() <= 512 && [project, location, ring, key].iter().all(|name| is_name(name)) =>
        {
            Ok(())
        }
        _ => Err("a key is named projects/P/locations/L/keyRings/R/cryptoKeys/K"),
    }
}

fn project(text: &str) -> Result<(), &'static str> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (6..=63).contains(&text.len())
        && text.bytes().all(|b| letter(b) || b"-.:".contains(&b))
        && text.bytes().next().is_some_and(letter)
        && text.bytes().last().is_some_and(letter);
    if fits { Ok(()) } else { Err("a project's id has 6 to 63 lower-case letters, digits and -") }
}

fn region(text: &str) -> Result<(), &'static str> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits { Ok(()) } else { Err("a region has lower-case letters, digits and -, such as eu-west-1") }
}

fn character(text: &str) -> Result<(), &'static str> {
    match text.as_bytes() {
        [b' '..=b'~' | b'\t'] => Ok(()),
        _ => Err("write exactly one ASCII character"),
    }
}

fn any(text: &str) -> Result<(), &'static str> {
    if text.len() > 1024 || text.chars().any(is_hidden) {
        Err("at most 1024 bytes and no control or invisible characters")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn table(rule: Rule, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!((rule.check)(text), Ok(()), "{text:?}");
        }
        for text in bad {
            assert!((rule.check)(text).is_err(), "{text:?} passed");
        }
    }

    #[test]
    fn names_hold_nothing_that_a_terminal_a_sheet_or_a_page_would_run() {
        let long = "x".repeat(10_000);
        let bad = ["", "a\0b", "a\nb", "\u{1b}[31m", "\u{202e}abc", &long, "<script>", "=cmd()", "-a", "a-", "A", "ä"];
        table(NAME, &["a", "shop-nightly", "x_1", "0"], &bad);
        table(
            FOREIGN,
            &["public.orders", "a\"b", "../x", "😀", "<script>", "=cmd()"],
            &["", "a\0b", "a\nb", "\u{1b}", "\u{202e}a", &long],
        );
    }

    #[test]
    fn a_host_is_no_socket_no_list_and_no_url() {
        let bad = ["", "/var/run/postgresql", "@abstract", "a,b", "postgres://x", "a b", "u@h", "h?x=1", "h:5432"];
        table(HOST, &["db.internal", "127.0.0.1", "::1", "db_1"], &bad);
    }

    #[test]
    fn addresses_hold_no_user_and_no_options() {
        let bad =
            ["s3.example.com", "https://u:p@h", "https://h/x", "https://h?x", "ftp://h", "https://h:99999", "https://"];
        table(ENDPOINT, &["https://objects.example.com", "http://127.0.0.1:9000", "http://[::1]:9000/"], &bad);
        let bad =
            ["/data", "file://data", "s3://", "s3://k:s@bucket/x", "s3://bucket/../x", "file:///a//b", "http://x/"];
        table(FILES_URL, &["file:///data/in", "s3://bucket/pre/fix", "s3://bucket", "file:///data/in/"], &bad);
        table(
            FILES_URL,
            &["azure://shop/lake", "azure://shop/lake/raw"],
            &["azure://shop", "azure://s/lake", "azure://shop/a--b"],
        );
        table(
            FILES_URL,
            &["gs://lake", "gs://lake_1.example.com/raw"],
            &["gs://", "gs://Lake/x", "gs://k:s@lake/x", "gs://a..b"],
        );
        table(
            GCS_BUCKET,
            &["lake", "raw_shop-1.example.com"],
            &["ab", "-ab", "lake-", "Lake", "a/b", "a..b", &"a".repeat(223)],
        );
        table(
            KMS_KEY,
            &["projects/example-1/locations/europe-west3/keyRings/lake/cryptoKeys/own"],
            &[
                "",
                "own",
                "projects/p/locations/l/keyRings/r/cryptoKeys/..",
                "projects/p/locations/l/keyRings/r/cryptoKeys/k&x=1",
            ],
        );
        table(PROJECT, &["example-1", "example.com:shop"], &["", "short", "Example-1", "example/1", "example-1-"]);
        table(ACCOUNT, &["shop", "lake01"], &["ab", "Shop", "a-b", &"a".repeat(25), "evil.example"]);
        table(CONTAINER, &["lake", "raw-shop-1"], &["ab", "-ab", "a--b", "Raw", "a/b"]);
        table(
            TENANT,
            &["00000000-0000-0000-0000-000000000000", "example.onmicrosoft.com"],
            &["", "a/b", "a..b", "a?b"],
        );
        table(
            CLIENT,
            &["00000000-0000-0000-0000-00000000000f"],
            &["", "waybill", "0000000000000000000000000000000000/0"],
        );
        table(SCOPE, &["own-key"], &["", "a b", "a/b"]);
        table(PATH, &["./lake", "/data/shop.db"], &["", "file:shop.db?mode=rw", "s3://x/y", "a\0b"]);
        table(PREFIX, &["", "raw/shop"], &["/raw", "raw/", "a//b", "a/../b"]);
    }
}
