//! Every form of a reference, and every way to get one wrong.

use super::SecretRefError as E;
use super::*;

const VERSION: &str = "0f5c6c6e-4f9f-4e55-9a0e-3f1f0f1c2b3a";

#[test]
fn reads_references_and_prints_them_back() {
    for text in [
        "env://SHOP_PASSWORD",
        "file:///run/secrets/shop",
        "aws-sm://prod/shop-db",
        "aws-sm://rds!db-5a1c#password",
        "aws-sm://prod/shop#password?stage=AWSPREVIOUS",
        "aws-sm://arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/shop-AbCdEf#password",
        "aws-sm://arn:aws-us-gov:secretsmanager:us-gov-west-1:111122223333:secret:shop-AbCdEf",
        "aws-ssm://db-password",
        "aws-ssm:///prod/shop/password",
        "aws-ssm://arn:aws-cn:ssm:cn-north-1:111122223333:parameter/prod/shop",
        "vault://kv/shop#password",
        "vault://kv/team/shop/db#user.name?version=12",
    ] {
        assert_eq!(text.parse::<SecretRef>().map(|r| r.to_string()).as_deref(), Ok(text));
        assert!(SecretRef::SCHEMES.iter().any(|scheme| text.starts_with(scheme)), "{text}");
    }
    let text = format!("aws-sm://shop?version={VERSION}");
    assert_eq!(text.parse::<SecretRef>().map(|r| r.to_string()), Ok(text));
}

#[test]
fn a_literal_is_refused_and_not_repeated() {
    let error = "hunter2".parse::<SecretRef>().expect_err("a literal");
    assert_eq!(error, E::Literal);
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn a_reference_that_can_not_be_followed_says_what_is_wrong_with_it() {
    for (text, error) in [
        ("env://", E::BadName),
        ("env://A-B", E::BadName),
        ("file://etc/x", E::RelativePath),
        ("aws-sm://", E::BadSecretName),
        ("aws-sm://a b", E::BadSecretName),
        ("aws-sm://a//b", E::BadSecretName),
        ("aws-sm://a/../b", E::BadSecretName),
        ("aws-sm://shop#", E::BadKey),
        ("aws-sm://shop#a#b", E::BadKey),
        ("aws-sm://shop?stage=AWSCURRENT#key", E::BadKey),
        ("aws-sm://shop?version=3", E::BadVersion),
        ("aws-sm://shop?version", E::BadVersion),
        ("aws-sm://shop?region=eu-central-1", E::BadVersion),
        ("aws-sm://arn:aws:ssm:eu-central-1:111122223333:parameter/x", E::BadArn),
        ("aws-sm://arn:aws:secretsmanager:eu-central-1:1111:secret:x", E::BadArn),
        ("aws-sm://arn:aws:secretsmanager:evil.example/:111122223333:secret:x", E::BadArn),
        ("aws-sm://arn:aws:secretsmanager:eu-central-1:111122223333:secret:", E::BadArn),
        ("aws-ssm://", E::BadParameterName),
        ("aws-ssm:////a", E::BadParameterName),
        ("aws-ssm://a#key", E::BadParameterName),
        ("aws-ssm://a?version=1", E::BadVersion),
        ("aws-ssm://a:1", E::BadParameterName),
        ("vault://kv#key", E::BadVaultPath),
        ("vault://kv/#key", E::BadVaultPath),
        ("vault://kv/../sys#key", E::BadVaultPath),
        ("vault://vault.example:8200/kv/shop#key", E::BadVaultPath),
        ("vault://kv/%2e%2e/sys#key", E::BadVaultPath),
        ("vault://kv/shop", E::KeyMissing),
        ("vault://kv/shop#key?version=0", E::BadVersion),
        ("vault://kv/shop#key?version=+1", E::BadVersion),
        ("vault://kv/shop#key?version=99999999999", E::BadVersion),
    ] {
        assert_eq!(text.parse::<SecretRef>(), Err(error), "{text}");
    }
}

#[test]
fn the_region_is_the_arn_s() {
    let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop-AbCdEf";
    let Ok(SecretRef::AwsSecret(named)) = format!("aws-sm://{arn}#password").parse() else { panic!("no reference") };
    assert_eq!((named.id(), named.key(), named.region()), (arn, Some("password"), Some("eu-central-1")));
    let Ok(SecretRef::AwsParameter(own)) = "aws-ssm:///shop".parse() else { panic!("no reference") };
    assert_eq!((own.name(), own.region()), ("/shop", None));
}
