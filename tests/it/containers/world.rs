//! Everything that a run in a customer's cloud needs, in one network without a way out: the emulator of AWS with two accounts, a
//! container engine with the worker's image, a database, and the product. The customer's side is made from the documents that
//! are shipped: policies rendered from the templates, the task definition from the generated CloudFormation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use waybill_tests::binaries::{binary, python, repository};
use waybill_tests::grants::{Rendered, render, values};
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::aws::{ACCOUNT, Emulator, Keys, REGION, Tasks};
use waybill_tests::services::engine::Engine;
use waybill_tests::services::network::{HERE, Network};
use waybill_tests::services::postgres::{Postgres, Setup};

use crate::cli::Cli;
use crate::postgres::tls::{Authority, authority, leaf};

/// The orchestrator's own account.
const ORCHESTRATOR: &str = "111111111111";
/// The data plane.
pub(super) const PLANE: &str = "aws-prod";
/// The pipeline.
pub(super) const PIPELINE: &str = "shop-nightly";
/// The bucket that tables go to, and where in it.
pub(super) const BUCKET: &str = "example-lake";
/// Rows of the source.
pub(super) const ROWS: i64 = 5_000;
/// The database's name for workers.
const SOURCE: &str = "shop-database.internal.example";
const PASSWORD: &str = "only-the-keeper-of-secrets-knows";
/// The image that tasks run: the shipped one, which trusts the authority of this cloud too.
const IMAGE: &str = "waybill-worker:here";

/// The whole of it. What is started last ends first.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) emulator: Emulator,
    pub(super) engine: Engine,
    pub(super) database: Postgres,
    /// The customer's documents and names, with the data plane's own external id.
    pub(super) grants: Rendered,
    /// The orchestrator's long-lived keys.
    pub(super) orchestrator: Keys,
    /// Digest of [`IMAGE`].
    pub(super) image: String,
    /// What the 43 calls of the grants' own proof came to here.
    pub(super) enforced: BTreeMap<String, String>,
}

/// Tells a story in a world of its own. The thread goes into the world's network first, so that whatever it starts is there.
pub(super) fn story(tell: impl AsyncFnOnce(&mut World) -> Result<()>) -> Result<()> {
    // These come from a registry where they are not here yet, which is out of reach then.
    let _tools = ["grants", "readers"].map(python);
    let _network = Network::enter()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut world = World::start().await?;
        let told = tell(&mut world).await;
        told.with_context(|| {
            let workers =
                world.emulator.started().iter().map(|container| world.log_of(&task_of(container))).collect::<String>();
            format!("{workers}\n{}\n{}\n{}", world.sandbox.log(), world.emulator.log(), world.engine.log())
        })
    })
}

impl World {
    async fn start() -> Result<Self> {
        // The database's certificate comes from another one, which the image does not know.
        let (authority, own) = (authority(), authority());
        let database = database(&own).await;
        let (engine, image) = engine(&authority)?;
        let emulator = emulator(&engine, &authority)?;
        let may = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": format!("arn:aws:iam::{ACCOUNT}:role/waybill-launch") },
        ]});
        let orchestrator = emulator.user_of(ORCHESTRATOR, "orchestrator", &may);
        let sandbox = Sandbox::start(options(&emulator, &orchestrator)).await?;
        let cli = Cli { dir: sandbox.dir.path() };
        let login = ["login", "--state", "state", "--email", "admin@example.com", "--password-stdin"];
        let output = cli.with_input(&login, "a long enough phrase for tests\n");
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let plane = cli.json(0, &["data-plane", "add", "aws", PLANE]);
        let external_id = plane["external_id"].as_str().context("an external id")?;
        let grants = granted(&emulator, external_id, &own)?;
        let enforced = emulator.enforce(&grants)?;
        let world = Self { sandbox, emulator, engine, database, grants, orchestrator, image, enforced };
        world.put_guard(&world.guard()?);
        world.finish_the_customers_side()?;
        world.register()?;
        Ok(world)
    }

    /// The command line, logged in.
    pub(super) fn cli(&self) -> Cli<'_> {
        Cli { dir: self.sandbox.dir.path() }
    }

    /// A name of the customer's side, such as `cluster`.
    pub(super) fn name(&self, of: &str) -> &str {
        &self.grants.names[of]
    }

    /// ARN of one of the customer's roles.
    pub(super) fn role(&self, of: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}", self.name(of))
    }

    /// The guard of the module's example, for this image and this database.
    pub(super) fn guard(&self) -> Result<String> {
        let example = std::fs::read_to_string(repository().join("terraform/aws/examples/existing-network/guard.toml"))?;
        let images = format!("guard = 1\nimages = [\"{}\"]", self.image);
        let there = format!("{SOURCE}:{}", self.database.port());
        let text = example.replace("guard = 1", &images).replace(&format!("{SOURCE}:5432"), &there);
        ensure!(text.contains(&images) && text.contains(&there), "{text}");
        Ok(format!("{text}\n[network]\negress = [\"{HERE}/32\"]\n"))
    }

    /// Puts a guard where the workers' role finds it.
    pub(super) fn put_guard(&self, text: &str) {
        let put = json!({ "Name": self.grants.guard_parameter, "Type": "String", "Value": text, "Overwrite": true });
        let _ = self.emulator.root(&json!([["ssm", "put_parameter", put]]));
    }

    /// What the module makes besides roles and clusters, which are there already.
    fn finish_the_customers_side(&self) -> Result<()> {
        let policy = self.grants.documents[&format!("bucket {BUCKET}")].to_string();
        let _ = self.emulator.root(&json!([
            ["logs", "create_log_group", { "logGroupName": self.name("log_group") }],
            ["ecs", "register_task_definition", self.task_definition()?],
            ["s3", "put_bucket_policy", { "Bucket": BUCKET, "Policy": policy }],
        ]));
        Ok(())
    }

    /// The task definition that is shipped, for this image.
    fn task_definition(&self) -> Result<Value> {
        let text = std::fs::read_to_string(repository().join("terraform/aws/generated/cloudformation.json"))?;
        let template: Value = serde_json::from_str(&text)?;
        let filled = |name: &str| match name {
            "Image" => IMAGE.to_owned(),
            "TaskRole" => self.role("task_role"),
            "ExecutionRole" => self.role("execution_role"),
            "LogGroup" => self.name("log_group").to_owned(),
            "AWS::Region" => REGION.to_owned(),
            name => template["Parameters"][name]["Default"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(as_asked(&template["Resources"]["WorkerTask"]["Properties"], &filled))
    }

    /// Tells the product where the customer's side is, and what to move.
    fn register(&self) -> Result<()> {
        let (role, task_role) = (self.role("launch_role"), self.role("task_role"));
        let cli = self.cli();
        let place = ["--region", REGION, "--cluster", self.name("cluster"), "--task-family", self.name("family")];
        let network = ["--subnet", "subnet-0a1b2c3d4e5f60718", "--security-group", "sg-0a1b2c3d4e5f60718"];
        let roles = ["data-plane", "set", PLANE, "--role-arn", &role, "--task-role-arn", &task_role];
        cli.json(0, &[&roles[..], &place, &network].concat());
        std::fs::write(self.sandbox.path("shop.waybill.yaml"), self.document()?)?;
        cli.json(0, &["apply", "-f", "shop.waybill.yaml"]);
        Ok(())
    }

    /// The pipeline of the guide, for this database.
    pub(super) fn document(&self) -> Result<String> {
        let guide = std::fs::read_to_string(repository().join("docs/aws.md"))?;
        let text = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).context("a pipeline")?;
        let here = format!("port: {}, database: postgres", self.database.port());
        let text = text.replace("database: shop", &here);
        ensure!(
            text.contains(&here) && text.contains(SOURCE) && text.contains(BUCKET) && text.contains(REGION),
            "{text}"
        );
        Ok(text)
    }

    /// What a task's container wrote, from the log group of the customer's account.
    pub(super) fn log_of(&self, task: &str) -> String {
        let stream = format!("run/worker/{task}");
        let asked =
            json!([["logs", "get_log_events", { "logGroupName": self.name("log_group"), "logStreamName": stream }]]);
        let answer = self.emulator.root(&asked);
        let events = answer[0]["events"].as_array().cloned().unwrap_or_default();
        events.iter().filter_map(|event| event["message"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Copies the table out of the bucket and returns its place.
    pub(super) fn table(&self) -> Result<PathBuf> {
        let place = tempfile::tempdir_in(self.sandbox.dir.path())?.keep();
        self.emulator.copy((BUCKET, "raw/public.orders/"), &place);
        Ok(place)
    }
}

/// The task that a container was started for: the last part of its ARN.
fn task_of(container: &Value) -> String {
    World::arn_of(container).rsplit('/').next().unwrap_or_default().to_owned()
}

/// A part of a CloudFormation template as the service's own call takes it: other letters, and what is referred to.
fn as_asked(value: &Value, filled: &impl Fn(&str) -> String) -> Value {
    let first_small =
        |key: &str| -> String { key.chars().take(1).flat_map(char::to_lowercase).chain(key.chars().skip(1)).collect() };
    match value {
        Value::Object(fields) => match fields.iter().next().filter(|_| fields.len() == 1) {
            Some((key, name)) if key == "Ref" => Value::String(filled(name.as_str().unwrap_or_default())),
            Some((key, of)) if key == "Fn::GetAtt" => Value::String(filled(of[0].as_str().unwrap_or_default())),
            Some((key, text)) if key == "Fn::Sub" => {
                Value::String(text.as_str().unwrap_or_default().replace("${Name}", &filled("Name")))
            }
            _ => Value::Object(
                fields.iter().map(|(key, inner)| (first_small(key), as_asked(inner, filled))).collect::<Map<_, _>>(),
            ),
        },
        Value::Array(items) => items.iter().map(|item| as_asked(item, filled)).collect(),
        other => other.clone(),
    }
}

/// A database that takes a password and TLS from containers, with a certificate in the name that they call it by.
async fn database(authority: &Authority) -> Postgres {
    let (certificate, key) = leaf(authority, &[SOURCE], false);
    let listening = format!("listen_addresses = '127.0.0.1,{HERE}'");
    let access = format!("hostssl all waybill {HERE}/24 scram-sha-256");
    let server = Postgres::with(Setup {
        settings: &["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", &listening],
        access: &[&access],
        files: &[("server.crt", &certificate), ("server.key", &key)],
        ..Setup::default()
    });
    server
        .run(&format!(
            "CREATE TABLE orders AS SELECT g AS id, 'order ' || g AS name FROM generate_series(1::int8, {ROWS}) g;
             CREATE ROLE waybill LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON orders TO waybill"
        ))
        .await;
    server
}

/// An engine that has the image, and the digest of that.
fn engine(authority: &Authority) -> Result<(Engine, String)> {
    let engine = Engine::start()?;
    let images = tempfile::tempdir()?;
    let own = || binary("waybill-worker").parent().expect("a directory").to_path_buf();
    // Such as a release build, whose start is the one to measure.
    let programs = std::env::var_os("IMAGE_PROGRAMS").map_or_else(own, PathBuf::from);
    let mut build = Command::new("python3");
    build.arg(repository().join("deploy/images/build.py")).args(["--level", "0", "--binaries"]).arg(programs);
    let built = build.arg("--out").arg(images.path()).arg("worker").output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let archive = images.path().join("worker.tar").display().to_string();
    engine.docker(&["load", "--quiet", "--input", &archive])?;
    let image = engine.trusting("waybill-worker:latest", &authority.pem, IMAGE)?;
    Ok((engine, image))
}

/// The cloud, which tasks find by its own names.
fn emulator(engine: &Engine, authority: &Authority) -> Result<Emulator> {
    let (services, buckets) = (format!("*.{REGION}.amazonaws.com"), format!("*.s3.{REGION}.amazonaws.com"));
    let (certificate, key) = leaf(authority, &[&services, &buckets, &HERE.to_string()], false);
    let of = |service: &str| format!("{service}.{REGION}.amazonaws.com");
    let names = [of("sts"), of("ssm"), of("secretsmanager"), of(&format!("{BUCKET}.s3")), SOURCE.to_owned()];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Emulator::with(&Tasks { engine, names: &names, certificate: &certificate, key: &key, authority: &authority.pem })
}

/// An orchestrator that containers reach, and whose cloud is the emulator.
fn options(emulator: &Emulator, keys: &Keys) -> Options {
    let set = [
        ("WAYBILL__SERVER__API", format!("{HERE}:0")),
        ("WAYBILL__SERVER__WORKER", format!("{HERE}:0")),
        ("WAYBILL__SERVER__NAMES", HERE.to_string()),
        ("WAYBILL__AWS__ECS_ENDPOINT", emulator.endpoint()),
        ("WAYBILL__AWS__STS_ENDPOINT", emulator.endpoint()),
        ("WAYBILL__AWS__S3_ENDPOINT", emulator.endpoint()),
        ("WAYBILL__BOUNDS__START_TIMEOUT", "60s".to_owned()),
        ("AWS_ACCESS_KEY_ID", keys.id.clone()),
        ("AWS_SECRET_ACCESS_KEY", keys.secret.clone()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    let orchestrator = set.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Options { orchestrator, ..Options::default() }
}

/// The customer's documents for this data plane, and the source's secret and CA, which are put into the account here.
fn granted(emulator: &Emulator, external_id: &str, authority: &Authority) -> Result<Rendered> {
    let secret = json!({ "Name": "shop-database", "SecretString": PASSWORD });
    let ca = json!({ "Name": "/waybill/shop-ca", "Value": authority.pem, "Type": "String" });
    let made = emulator.root(&json!([["secretsmanager", "create_secret", secret], ["ssm", "put_parameter", ca]]));
    let mut values = values();
    values["external_id"] = external_id.into();
    values["secret_arns"] = json!([made[0]["ARN"]]);
    values["parameter_arns"] = json!([format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/waybill/shop-ca")]);
    let grants = render(&values)?;
    ensure!(values["region"] == REGION && values["account"] == ACCOUNT, "the documents are for another place");
    Ok(grants)
}
