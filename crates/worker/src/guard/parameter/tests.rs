//! The guard of a task, asked of services that answer as AWS does, on the wire.

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use waybill_model::failure::RetryPolicy;

use super::*;

fn caller(arn: &str) -> (u16, String) {
    let text = format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>x</UserId>\
         <Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    (200, text)
}

/// Both services at one address: STS answers in XML, SSM in JSON, as the SDK asks each.
async fn services(caller: (u16, String), parameter: (u16, &'static str)) -> SdkConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    // It ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !is_whole(&asked) {
                let mut more = [0; 4096];
                match connection.read(&mut more).await {
                    Ok(size @ 1..) => asked.extend_from_slice(&more[..size]),
                    _ => break,
                }
            }
            let (status, body) = if String::from_utf8_lossy(&asked).contains("Action=GetCallerIdentity") {
                caller.clone()
            } else {
                let named = String::from_utf8_lossy(&asked).contains(r#""Name":"/waybill/guard/waybill-task""#);
                assert!(named, "another parameter was asked for");
                (parameter.0, parameter.1.to_owned())
            };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = connection.write_all((head + &body).as_bytes()).await;
        }
    });
    let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(endpoint)
        .build()
}

/// Whether a request has come with all of its body.
fn is_whole(asked: &[u8]) -> bool {
    let Some(head) = asked.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&asked[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    asked.len() >= head + 4 + length.unwrap_or(0)
}

const TASK: &str = "arn:aws:sts::111122223333:assumed-role/waybill-task/0123456789abcdef";
const FOUND: &str = r#"{"Parameter":{"Name":"/waybill/guard/waybill-task","Type":"SecureString","Value":"guard = 1",
    "ARN":"arn:aws:ssm:eu-central-1:111122223333:parameter/waybill/guard/waybill-task"}}"#;

async fn read(parameter: (u16, &'static str)) -> Result<String, (Reason, bool)> {
    let parameter = Parameter::of(&services(caller(TASK), parameter).await).await.expect("a role");
    assert_eq!(parameter.name(), "/waybill/guard/waybill-task");
    parameter.read().await.map_err(|lost| {
        let passing = matches!(lost, Lost::Unreached(_));
        (lost.into_refusal().reason, passing)
    })
}

#[tokio::test]
async fn the_guard_is_the_parameter_of_the_workers_own_role() {
    assert_eq!(read((200, FOUND)).await, Ok("guard = 1".to_owned()));
}

#[tokio::test]
async fn a_guard_that_is_missing_denied_or_anothers_is_none_and_a_failing_service_passes() {
    let code = |code: &'static str| -> &'static str {
        Box::leak(format!(r#"{{"__type":"{code}","message":"no"}}"#).into_boxed_str())
    };
    assert_eq!(read((400, code("ParameterNotFound"))).await, Err((Reason::Missing, false)));
    assert_eq!(read((400, code("AccessDeniedException"))).await, Err((Reason::Unreadable, false)));
    assert_eq!(read((400, code("ThrottlingException"))).await, Err((Reason::Unreached, true)));
    assert_eq!(read((500, code("InternalServerError"))).await, Err((Reason::Unreached, true)));
    let others = FOUND.replace("eu-central-1:111122223333", "eu-central-1:444455556666");
    assert_eq!(read((200, Box::leak(others.into_boxed_str()))).await, Err((Reason::Unreadable, false)));
    assert_eq!(read((200, "{}")).await, Err((Reason::Unreadable, false)));
}

#[tokio::test]
async fn a_worker_whose_identity_is_no_role_has_no_guard() {
    for arn in ["arn:aws:iam::111122223333:user/eve", "arn:aws:sts::444455556666:assumed-role/waybill-task/x"] {
        let refused = Parameter::of(&services(caller(arn), (200, FOUND)).await).await.err().expect("refused");
        assert_eq!(refused.reason, Reason::Missing);
    }
}

#[tokio::test]
async fn who_can_not_tell_whose_guard_it_is_yet_is_asked_again_by_the_next_attempt() {
    let error = |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    for (status, code, reason) in [
        (403, "AccessDenied", Reason::Missing),
        (503, "ServiceUnavailable", Reason::Unreached),
        (400, "Throttling", Reason::Unreached),
    ] {
        let config = services((status, error(code)), (200, FOUND)).await;
        let refused = Parameter::of(&config).await.err().expect("refused");
        assert_eq!(refused.reason, reason, "{code}: {}", refused.message);
        assert_eq!(refused.reason.failure().policy() == RetryPolicy::Retry, reason == Reason::Unreached);
    }
    let nobody = SdkConfig::builder().region(Region::from_static("eu-central-1")).endpoint_url("http://127.0.0.1:1");
    let keys = SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"));
    let nobody = nobody.behavior_version(BehaviorVersion::latest()).credentials_provider(keys);
    let refused = Parameter::of(&nobody.retry_config(RetryConfig::disabled()).build()).await.err().expect("refused");
    assert_eq!(refused.reason, Reason::Unreached);
}

#[test]
fn a_role_is_read_from_its_arn_and_anything_else_is_no_role() {
    for partition in ["aws", "aws-us-gov", "aws-cn"] {
        let arn = format!("arn:{partition}:sts::111122223333:assumed-role/waybill-task/0123456789abcdef");
        let caller = caller_of(&arn).expect("a caller");
        assert_eq!((caller.account.as_str(), caller.role.as_str()), ("111122223333", "waybill-task"));
    }
    for arn in [
        "",
        "arn:aws:iam::111122223333:user/eve",
        "arn:aws:iam::111122223333:root",
        "arn:aws:sts::111122223333:federated-user/eve",
        "arn:aws:sts::111122223333:assumed-role/role",
        "arn:aws:sts::111122223333:assumed-role/../x/session",
        "arn:aws:sts::111122223333:assumed-role//session",
        "arn:aws:sts::11112222333:assumed-role/role/session",
        "arn:aws:sts::111122223333:assumed-role/a b/session",
        "arn:aws:sts::111122223333:assumed-role/role/session/more",
    ] {
        assert_eq!(caller_of(arn), None, "{arn}");
    }
}

/// The environment belongs to a process, so a process of its own asks: this test again.
#[tokio::test]
async fn no_proxy_of_the_environment_is_asked_for_the_keys_or_the_guard_of_a_role() {
    const ASKS: &str = "WAYBILL_TEST_ASKS_FOR_ITS_GUARD";
    if std::env::var_os(ASKS).is_some() {
        // The first connection tells; who waits for it ends this process.
        let _ = Parameter::find().await;
        return;
    }
    let name = "guard::parameter::tests::no_proxy_of_the_environment_is_asked_for_the_keys_or_the_guard_of_a_role";
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "AKIDEXAMPLE"));
    for (asked, scheme, keys) in
        [("AWS_ENDPOINT_URL", "https", &keys[..]), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http", &[])]
    {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = |scheme, of: &TcpListener| format!("{scheme}://{}", of.local_addr().expect("its address"));
        let mut asks = tokio::process::Command::new(std::env::current_exe().expect("this program"));
        asks.args(["--exact", name]).env_clear().env(ASKS, "1").env("AWS_REGION", "eu-central-1");
        asks.envs(keys.iter().copied()).env(asked, url(scheme, &door));
        asks.envs(["HTTPS_PROXY", "HTTP_PROXY"].map(|name| (name, url("http", &proxy))));
        let mut asking = asks.kill_on_drop(true).spawn().expect("a process");
        let led = tokio::select! {
            came = door.accept() => came.map(|_| false).expect("a connection"),
            came = proxy.accept() => came.map(|_| true).expect("a connection"),
            ended = asking.wait() => panic!("it asked nobody: {ended:?}"),
        };
        assert!(!led, "the proxy was asked where {asked} names the service");
    }
}
