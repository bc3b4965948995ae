//! A throw-away emulator of AWS that checks signatures and enforces policies: ministack, in memory, on loopback.
//!
//! It is no AWS: what a test shows here, it shows of our requests and of how we read answers.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::programs::{free_port, program};

/// How long a server may take to answer first.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account that everything is in; its id as access key is its root.
pub const ACCOUNT: &str = "222222222222";
/// The region that everything is in.
pub const REGION: &str = "eu-central-1";

/// Calls as the root, read from standard input, their answers written as JSON.
const CALLS: &str = "
import boto3, json, sys
endpoint, account, region = sys.argv[1:]
answers = []
for service, operation, arguments in json.load(sys.stdin):
    client = boto3.client(service, endpoint_url=endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key='root')
    answers.append(getattr(client, operation)(**arguments))
json.dump(answers, sys.stdout, default=str)
";

/// A running emulator.
pub struct Aws {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

/// A user's key pair.
pub struct Keys {
    /// Access key id.
    pub id: String,
    /// Secret key.
    pub secret: String,
}

impl Aws {
    /// An empty account.
    ///
    /// # Panics
    /// When the program is missing or does not start.
    pub async fn start() -> Self {
        for _ in 0..5 {
            let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
            let child = Command::new(program("secrets", "ministack"))
                .env("TMPDIR", folder.path())
                .envs([("AUTH", "true"), ("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0"), ("BIND_HOST", "127.0.0.1")])
                .envs([("GATEWAY_PORT", port.to_string().as_str()), ("MINISTACK_REGION", REGION)])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("start ministack");
            let mut server = Self { child, port, _folder: folder };
            if server.answers().await {
                return server;
            }
        }
        panic!("ministack did not start");
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls of the root: service, operation and arguments by their names in boto3. Their answers.
    ///
    /// # Panics
    /// When one of them is refused.
    #[must_use]
    pub fn root(&self, calls: &Value) -> Vec<Value> {
        let mut python = Command::new(program("secrets", "python"))
            .args(["-c", CALLS, &self.endpoint(), ACCOUNT, REGION])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run python");
        python.stdin.take().expect("its input").write_all(calls.to_string().as_bytes()).expect("write");
        let output = python.wait_with_output().expect("its output");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// A user that may do what this policy document says.
    ///
    /// # Panics
    /// When the emulator refuses.
    #[must_use]
    pub fn user(&self, name: &str, policy: &Value) -> Keys {
        let answers = self.root(&json!([
            ["iam", "create_user", { "UserName": name }],
            ["iam", "put_user_policy", { "UserName": name, "PolicyName": "p", "PolicyDocument": policy.to_string() }],
            ["iam", "create_access_key", { "UserName": name }],
        ]));
        let text = |field: &str| answers[2]["AccessKey"][field].as_str().expect("a key").to_owned();
        Keys { id: text("AccessKeyId"), secret: text("SecretAccessKey") }
    }

    async fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // a poll of the server, bounded above
        }
        false
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
