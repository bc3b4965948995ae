//! Signatures: what counts, what was changed, whose they are and until when.

use super::*;

const PLAN: &[u8] = br#"{"pipeline":"p","limits":{"parallel":2,"memory":0}}"#;
const NOW: Micros = Micros(1_000_000);
const LATER: Micros = Micros(2_000_000);

fn guard(key: &SigningKey, more: &str) -> Guard {
    let text = format!("guard = 1\nrequire_signed_specs = true\n[signers.release]\nkey = \"{}\"\n{more}", key.public());
    Guard::parse(&text).expect("a guard")
}

fn reason(guard: &Guard, plan: &[u8], signature: &str, now: Micros) -> Option<Reason> {
    check_signature(guard, plan, Some(signature), now).map(|refusal| refusal.reason)
}

#[test]
fn a_plan_that_was_signed_is_taken_and_every_change_of_it_is_not() {
    let key = SigningKey::generate().expect("a key");
    let (guard, signature) = (guard(&key, ""), key.sign(PLAN, LATER));
    assert_eq!(reason(&guard, PLAN, &signature, NOW), None);
    assert_eq!(verify(&guard, PLAN, &signature, NOW).map(|signer| signer.name.as_str()), Ok("release"));
    for at in 0..PLAN.len() {
        let mut changed = PLAN.to_vec();
        changed[at] ^= 1;
        assert_eq!(reason(&guard, &changed, &signature, NOW), Some(Reason::SignatureInvalid));
    }
}

#[test]
fn h46_expired_foreign_and_reordered_are_told_apart_and_refused() {
    let (key, other) = (SigningKey::generate().expect("a key"), SigningKey::generate().expect("a key"));
    let (guard, signature) = (guard(&key, ""), key.sign(PLAN, LATER));
    assert_eq!(reason(&guard, PLAN, &signature, LATER), Some(Reason::SignatureExpired));
    assert_eq!(reason(&guard, PLAN, &other.sign(PLAN, LATER), NOW), Some(Reason::Signer));
    let reordered = br#"{"limits":{"memory":0,"parallel":2},"pipeline":"p"}"#;
    assert_eq!(reason(&guard, reordered, &signature, NOW), Some(Reason::SignatureInvalid));
    let longer = signature.replacen(&LATER.0.to_string(), "9000000", 1);
    assert_eq!(reason(&guard, PLAN, &longer, NOW), Some(Reason::SignatureInvalid), "the end is signed too");
    let claimed = other.sign(PLAN, LATER).replacen(&other.public().id(), &key.public().id(), 1);
    assert_eq!(reason(&guard, PLAN, &claimed, NOW), Some(Reason::SignatureInvalid));
    assert_eq!(check_signature(&guard, PLAN, None, NOW).map(|refusal| refusal.reason), Some(Reason::Unsigned));
}

#[test]
fn a_signer_whose_time_is_over_does_not_count() {
    let key = SigningKey::generate().expect("a key");
    let guard = guard(&key, "expires = 1970-01-01T00:00:01Z\n");
    assert_eq!(reason(&guard, PLAN, &key.sign(PLAN, LATER), NOW), Some(Reason::Signer));
}

#[test]
fn no_text_breaks_the_reading_of_signatures() {
    let key = SigningKey::generate().expect("a key");
    let (guard, good) = (guard(&key, ""), key.sign(PLAN, LATER));
    let spelled = good.replacen(&format!(".{}.", LATER.0), &format!(".+{}.", LATER.0), 1);
    let long = format!("{good}{}", "A".repeat(100_000));
    for text in ["", ".", "wbs1...", "wbs2.a.1.AA", &good[..good.len() - 1], &format!("{good}."), &spelled, &long] {
        assert_eq!(reason(&guard, PLAN, text, NOW), Some(Reason::SignatureInvalid), "{text:.80}");
    }
}

#[test]
fn keys_are_read_back_and_other_texts_are_not_keys() {
    let key = SigningKey::generate().expect("a key");
    let again = SigningKey::read(&key.to_pem().expect("a file")).expect("the key again");
    assert_eq!(again.public(), key.public());
    assert_eq!(key.public().to_string().parse(), Ok(key.public()));
    for text in ["", "ed25519:", "ed25519:AAAA", "rsa:AAAA"] {
        assert_eq!(text.parse::<PublicKey>(), Err(SignError::PublicKey), "{text}");
    }
    for text in ["", BEGIN, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
        assert!(SigningKey::read(text).is_err(), "{text}");
    }
}
