//! A database whose certificate comes from an authority of the customer's own. The worker, whose image knows no such authority,
//! finds it by a reference, as it finds the password.

use serde_json::json;
use waybill_tests::services::aws::Emulator;
use waybill_tests::services::postgres::{Postgres, Setup};

use super::{Ended, Story, Variable, aws};
use crate::postgres::tls::{Authority, authority, client, leaf};

const PASSWORD: &str = "right-horse-battery";

/// A database that `reader` reaches over TLS alone, with a certificate of this authority.
async fn database(authority: &Authority) -> Story {
    asking(authority, "hostssl all reader 127.0.0.1/32 scram-sha-256").await
}

/// The same with another rule for `reader`.
async fn asking(authority: &Authority, rule: &str) -> Story {
    let (certificate, key) = leaf(authority, &["localhost"], false);
    let server = Postgres::with(Setup {
        settings: &[
            "ssl = on",
            "ssl_cert_file = 'server.crt'",
            "ssl_key_file = 'server.key'",
            "ssl_ca_file = 'root.crt'",
        ],
        access: &[rule, "host all reader all reject"],
        files: &[("server.crt", &certificate), ("server.key", &key), ("root.crt", &authority.pem)],
        ..Setup::default()
    });
    Story::on(server, PASSWORD).await
}

/// What the worker makes of a connection with this `ca`, and these options.
async fn reads(story: &Story, ca: Option<&str>, environment: &[Variable], options: &[&str]) -> Ended {
    let ca = ca.map_or_else(|| "tls: verify-full".to_owned(), |ca| format!("ca: '{ca}'"));
    reads_by(story, &ca, environment, options).await
}

/// What it makes of one with these keys.
async fn reads_by(story: &Story, keys: &str, environment: &[Variable], options: &[&str]) -> Ended {
    let document =
        story.document("env://SHOP_PASSWORD").replace("tls: disable", keys).replace("127.0.0.1", "localhost");
    let password = [("SHOP_PASSWORD", PASSWORD.to_owned())];
    let output = story.moving(&document, environment).envs(password).args(options).output().await;
    Ended::of(output.expect("run the worker"))
}

fn delivered(ended: &Ended, case: &str) {
    assert_eq!(ended.exit, Some(0), "{case}: {}", ended.said);
}

fn refused(ended: &Ended, tells: &[&str]) {
    assert!(ended.exit.is_some_and(|code| code != 0), "{tells:?}: {}", ended.said);
    for told in tells {
        assert!(ended.said.contains(told), "no {told} in: {}", ended.said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h18_an_authority_that_a_reference_leads_to_is_trusted_and_no_other() {
    let (own, other) = (authority(), authority());
    let story = database(&own).await;
    let file = story.file("ca.pem", &own.pem);
    let known = [("SHOP_CA", own.pem.clone()), ("OTHER_CA", other.pem)];
    for reference in ["env://SHOP_CA", &file] {
        delivered(&reads(&story, Some(reference), &known, &[]).await, reference);
    }
    let stranger = reads(&story, None, &known, &[]).await;
    refused(&stranger, &["tls_failed", "`ca`, a file on the worker or a reference"]);
    refused(&reads(&story, Some("env://OTHER_CA"), &known, &[]).await, &["tls_failed", "BadSignature"]);
    refused(&reads(&story, Some("env://NO_CA"), &known, &[]).await, &["secret_not_found", "env://NO_CA"]);
    // A plan may name any secret: what it holds stays there.
    let misled = reads(&story, Some("env://SHOP_PASSWORD"), &known, &[]).await;
    refused(&misled, &["tls_failed", "env://SHOP_PASSWORD", "no PEM certificate"]);
    assert!(!misled.said.contains(PASSWORD), "{}", misled.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn p49_an_authority_that_lies_in_aws_is_found_by_the_workers_own_role() {
    let own = authority();
    let story = database(&own).await;
    let account = Emulator::start().expect("the emulator");
    let parameter = |name: &str| json!(["ssm", "put_parameter", { "Name": name, "Value": own.pem, "Type": "String" }]);
    let text = json!({ "ca": own.pem }).to_string();
    let _ = account.root(&json!([
        parameter("/shop/ca"),
        parameter("/other/ca"),
        ["secretsmanager", "create_secret", { "Name": "shop/tls", "SecretString": text }],
    ]));
    let keys = account.user("worker", &aws::policy());
    let environment = aws::environment(account.endpoint(), &keys);
    for reference in ["aws-ssm:///shop/ca", "aws-sm://shop/tls#ca"] {
        delivered(&reads(&story, Some(reference), &environment, &[]).await, reference);
    }
    let denied = reads(&story, Some("aws-ssm:///other/ca"), &environment, &[]).await;
    refused(&denied, &["secret_access_denied", "ssm:GetParameter"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t01_an_authority_is_looked_up_only_where_the_guard_lists_its_reference() {
    let own = authority();
    let story = database(&own).await;
    let (port, lake, known) = (story.server.port(), story.path("lake"), [("SHOP_CA", own.pem.clone())]);
    let guard = |secrets: &str| {
        let text = format!(
            "guard = 1\nsecrets = [{secrets}]\n[read]\nconnectors = [\"postgres\"]\nhosts = [\"localhost:{port}\"]\n\
             [write]\nconnectors = [\"local\"]\npaths = [\"{}\"]\n[network]\nspecial = [\"127.0.0.1\", \"::1\"]\n",
            lake.display()
        );
        story.file("guard.toml", &text).replace("file://", "")
    };
    let narrow = guard("\"env://SHOP_PASSWORD\"");
    let ended = reads(&story, Some("env://SHOP_CA"), &known, &["--guard", &narrow]).await;
    refused(&ended, &["policy_denied", "env://SHOP_CA", "`secrets`"]);
    let wide = guard("\"env://SHOP_PASSWORD\", \"env://SHOP_CA\"");
    delivered(&reads(&story, Some("env://SHOP_CA"), &known, &["--guard", &wide]).await, "both are listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_references_lead_to_logs_in_and_a_wrong_one_says_what_to_do() {
    let own = authority();
    let story = asking(&own, "hostssl all reader 127.0.0.1/32 scram-sha-256 clientcert=verify-full").await;
    let (certificate, key) = client(&own, "reader", false);
    let (foreign, foreign_key) = client(&authority(), "reader", false);
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let key = story.file("client.key", &key);
    let known = [
        ("SHOP_CA", own.pem.clone()),
        ("SHOP_CERT", certificate),
        ("FOREIGN", foreign),
        ("FOREIGN_KEY", foreign_key),
        ("LOCKED", locked.to_owned()),
    ];
    let by = |certificate: &str, key: &str| {
        format!("ca: 'env://SHOP_CA', client-cert: 'env://{certificate}', client-key: '{key}'")
    };
    delivered(&reads_by(&story, &by("SHOP_CERT", &key), &known, &[]).await, "the right one");
    let ended = reads_by(&story, &by("FOREIGN", "env://FOREIGN_KEY"), &known, &[]).await;
    refused(&ended, &["client_certificate_refused", "DecryptError", "`client-cert` and `client-key`"]);
    let ended = reads_by(&story, &by("SHOP_CERT", "env://LOCKED"), &known, &[]).await;
    refused(&ended, &["secret_unresolved", "env://LOCKED", "passphrase", "openssl pkey"]);
    assert!(!ended.said.contains("hunter2"), "{}", ended.said);
}
