//! Forged, stale and malformed tokens: every one is refused before it reaches the database.

use aws_lc_rs::hmac;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

const OTHER: [u8; 64] = [7; 64];

struct Forge {
    keys: TokenKeys,
    kid: String,
    secret: Vec<u8>,
    _dir: tempfile::TempDir,
}

fn forge() -> Forge {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = KeyDirectory::created(dir.path());
    let opened = TokenKeys::open(&keys, "here", Duration::from_secs(600)).expect("keys");
    let line = std::fs::read_to_string(dir.path().join(KEY_FILE)).expect("the key file");
    let (kid, _, secret) = keyring::read_line(line.trim()).expect("a key");
    Forge { keys: opened, kid, secret: secret.to_vec(), _dir: dir }
}

impl Forge {
    fn header(&self) -> Value {
        json!({ "alg": "HS512", "typ": "at+jwt", "kid": self.kid })
    }

    fn claims() -> Value {
        let now = seconds();
        json!({
            "iss": "waybill", "aud": "waybill:here", "sub": UserId::generate(), "org": OrgId::generate(),
            "sid": SessionId::generate(), "jti": RequestId::generate(), "iat": now, "nbf": now, "exp": now + 600,
        })
    }

    /// Signs any header and claims, given as JSON text, with any key.
    fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        Self::sign(&header.to_string(), &Self::claims().to_string(), &self.secret)
    }

    fn with_claim(&self, name: &str, value: &str) -> String {
        let mut claims = Self::claims();
        claims[name] = json!("@@");
        let text = claims.to_string().replace("\"@@\"", value);
        Self::sign(&self.header().to_string(), &text, &self.secret)
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = Self::claims();
        claims.as_object_mut().expect("claims").remove(name);
        Self::sign(&self.header().to_string(), &claims.to_string(), &self.secret)
    }

    fn refuses(&self, what: &str, token: &str) {
        assert!(self.keys.verify(token).is_err(), "accepted: {what}");
    }
}

#[test]
fn a_minted_token_is_good_and_says_who_and_nothing_else() {
    let forge = forge();
    let (org, user, session) = (OrgId::generate(), UserId::generate(), SessionId::generate());
    let token = forge.keys.mint(org, user, session).expect("a token");
    let claims = forge.keys.verify(token.expose_secret()).expect("a good token");
    assert_eq!((claims.org, claims.sub, claims.sid), (org, user, session));
    assert_eq!(claims.exp - claims.iat, 600);
    assert!(
        forge
            .keys
            .verify(&Forge::sign(&forge.header().to_string(), &Forge::claims().to_string(), &forge.secret))
            .is_ok()
    );
}

#[test]
fn h1_unsigned_and_other_algorithms_are_refused() {
    let forge = forge();
    for alg in ["none", "None", "NONE", "HS256", "HS384", "RS256", "ES256", "EdDSA", "hs512", ""] {
        forge.refuses(alg, &forge.with_header(|header| header["alg"] = json!(alg)));
        let unsigned = forge.with_header(|header| header["alg"] = json!(alg));
        let (signed, _) = unsigned.rsplit_once('.').expect("a signature");
        forge.refuses("an empty signature", &format!("{signed}."));
        forge.refuses("no signature", signed);
    }
    let good = Forge::sign(&forge.header().to_string(), &Forge::claims().to_string(), &forge.secret);
    let (signed, _) = good.rsplit_once('.').expect("a signature");
    forge.refuses("an empty signature", &format!("{signed}."));
}

#[test]
fn h2_keys_are_looked_up_in_the_map_only() {
    let forge = forge();
    let long = "k".repeat(8 << 10);
    for kid in ["../../dev/null", "/dev/null", "' OR 1=1", "", "0", long.as_str(), "\u{0}"] {
        forge.refuses(kid, &forge.with_header(|header| header["kid"] = json!(kid)));
    }
    for field in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "cty"] {
        forge.refuses(field, &forge.with_header(|header| header[field] = json!("https://attacker.example/keys")));
    }
    forge.refuses("no kid", &forge.with_header(|header| drop(header.as_object_mut().map(|h| h.remove("kid")))));
    forge.refuses("a kid that is a number", &forge.with_header(|header| header["kid"] = json!(1)));
}

#[test]
fn h3_times_that_are_no_whole_numbers_are_refused() {
    let forge = forge();
    let now = seconds();
    for name in ["exp", "nbf", "iat"] {
        for value in [
            format!("\"{}\"", now + 60),
            format!("{}.5", now + 60),
            "1e400".into(),
            "1e30".into(),
            "null".into(),
            "-1".into(),
            "true".into(),
            "[]".into(),
        ] {
            forge.refuses(&format!("{name} = {value}"), &forge.with_claim(name, &value));
        }
        forge.refuses(&format!("no {name}"), &forge.without_claim(name));
    }
}

/// The table of forgeries, one line each.
#[test]
fn t17_sixty_forgeries_are_refused() {
    let forge = forge();
    let now = seconds();
    let mut table: Vec<(String, String)> = Vec::new();
    for name in ["iss", "aud", "sub", "org", "sid", "jti", "iat", "nbf", "exp"] {
        table.push((format!("{name} missing"), forge.without_claim(name)));
        table.push((format!("{name} null"), forge.with_claim(name, "null")));
        table.push((format!("{name} a list"), forge.with_claim(name, "[]")));
        table.push((format!("{name} an object"), forge.with_claim(name, "{}")));
    }
    for (name, value) in [
        ("iss", "\"other\""),
        ("aud", "\"waybill:elsewhere\""),
        ("aud", "\"waybill\""),
        ("sub", "\"org_01jd8m2v5k0000000000000001\""),
        ("org", "\"usr_01jd8m2v5k0000000000000001\""),
        ("sid", "\"../x\""),
        ("jti", "\"x\""),
        ("role", "\"administrator\""),
        ("admin", "true"),
    ] {
        table.push((format!("{name} = {value}"), forge.with_claim(name, value)));
    }
    for (name, value) in [("exp", now - 31), ("exp", 0), ("nbf", now + 60), ("iat", now + 60), ("iat", now + 601)] {
        table.push((format!("{name} = {value}"), forge.with_claim(name, &value.to_string())));
    }
    for typ in ["JWT", "at+JWT", "id_token", "refresh+jwt", ""] {
        table.push((format!("typ {typ}"), forge.with_header(|header| header["typ"] = json!(typ))));
    }
    let good = Forge::sign(&forge.header().to_string(), &Forge::claims().to_string(), &forge.secret);
    let other = Forge::sign(&forge.header().to_string(), &Forge::claims().to_string(), &OTHER);
    table.push(("another key".into(), other));
    table.push(("a short key".into(), Forge::sign(&forge.header().to_string(), &Forge::claims().to_string(), b"")));
    table.push(("a changed payload".into(), swap_payload(&good)));
    table.push(("four parts".into(), format!("{good}.x")));
    table.push(("two parts".into(), good.rsplit_once('.').expect("parts").0.into()));
    table.push(("nothing".into(), String::new()));
    table.push(("padding".into(), format!("{good}=")));
    table.push(("white space".into(), format!(" {good}")));
    table.push(("too long".into(), format!("{good}{}", "A".repeat(LONGEST))));
    table.push(("a key twice in the header".into(), twice(&forge)));
    table.push(("not JSON".into(), Forge::sign("{", "{", &forge.secret)));
    assert!(table.len() >= 60, "{} cases", table.len());
    for (what, token) in &table {
        forge.refuses(what, token);
    }
    assert!(forge.keys.verify(&good).is_ok(), "the table's own good token");
}

fn swap_payload(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(Forge::claims().to_string()), parts[2])
}

fn twice(forge: &Forge) -> String {
    let header = format!(r#"{{"alg":"none","alg":"HS512","typ":"at+jwt","kid":"{}"}}"#, forge.kid);
    Forge::sign(&header, &Forge::claims().to_string(), &forge.secret)
}

#[test]
fn f24_a_rotation_is_taken_up_without_a_restart_and_one_at_once_refuses_what_was_signed_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let keys = KeyDirectory::created(dir.path());
    let running = TokenKeys::open(&keys, "here", Duration::from_secs(600)).expect("keys");
    let mint = || running.mint(OrgId::generate(), UserId::generate(), SessionId::generate()).expect("a token");
    let good = |token: &SecretString| running.verify(token.expose_secret()).is_ok();
    let old = mint();
    assert!(!running.reload().expect("read"), "nothing has changed");
    // As if it had been rotated so long ago that the new key signs by now.
    let then = seconds() - SPREAD.as_secs();
    rotate(&keys, running.life(), then, false).expect("rotated");
    assert!(running.reload().expect("read"));
    let new = mint();
    let kid = |token: &SecretString| token.expose_secret().split('.').next().map(str::to_owned);
    assert_ne!(kid(&old), kid(&new), "the new key signs");
    assert!(good(&old) && good(&new), "and the old one still checks");
    rotate(&keys, running.life(), seconds(), true).expect("rotated");
    running.reload().expect("read");
    assert!(!good(&old) && !good(&new) && good(&mint()));
    std::fs::write(dir.path().join(KEY_FILE), "damaged").expect("damage");
    assert!(running.reload().is_err() && good(&mint()), "the keys in use stay");
}
