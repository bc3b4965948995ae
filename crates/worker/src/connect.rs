//! From a plan's endpoints to sources and destinations, with ways to their secrets, each of which was tried once. A system that this build leaves out is
//! refused by name.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcs")]
mod gcs;

use std::path::Path;
use std::sync::Arc;

use waybill_connectors::dial::{Dialer, Rules};
#[cfg(any(feature = "mysql", feature = "postgres"))]
use waybill_connectors::source::References;
use waybill_model::FailureCode;
use waybill_model::plan::{
    Azure, FileSource, Gcs, MySql, Plan, Postgres, S3, S3Access, Side, System, azure_place, gcs_place,
};
#[cfg(any(feature = "mysql", feature = "postgres"))]
use waybill_model::plan::{Ca, Ssh};
#[cfg(any(feature = "mysql", feature = "postgres", feature = "aws"))]
use waybill_model::secret::SecretRef;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "aws"))]
use waybill_pipeline::Credential;
use waybill_pipeline::{Bucket, Budget, Destination, Fault, FaultResult, Source};

use crate::secret::{Resolver, Servers};

/// What a bucket that is only read from is told of memory: its uploads are never begun.
const READING: u64 = 64 << 20;

/// What both ends are opened with.
pub struct Means {
    /// Checks every address.
    pub dialer: Dialer,
    /// Follows references to secrets.
    pub secrets: Resolver,
}

impl Means {
    /// Those of a worker without a guard.
    #[must_use]
    pub fn unguarded() -> Self {
        let dialer = Dialer::new(Rules::local());
        Self { secrets: Resolver::new(dialer.clone(), Servers::Any), dialer }
    }
}

/// What a plan has opened.
pub(crate) enum Ends {
    /// Both ends of a pipeline.
    Both(Arc<dyn Source>, Destination),
    /// A source that is looked at by itself.
    Source(Arc<dyn Source>),
    /// A destination that is looked at by itself.
    Destination(Destination),
}

impl Ends {
    /// The bucket, where one was opened.
    pub(crate) fn bucket(&self) -> Option<&Arc<dyn Bucket>> {
        match self {
            Self::Both(_, destination) | Self::Destination(destination) => destination.bucket(),
            Self::Source(_) => None,
        }
    }
}

/// The ends that a plan names: both of a pipeline, or the one that is to be looked at.
pub(crate) async fn open(plan: &Plan, run: &str, budget: &Budget, means: &Means) -> FaultResult<Ends> {
    Ok(match plan.lone() {
        Some(Side::Source) => Ends::Source(source(&plan.from.system, run, means).await?),
        Some(Side::Destination) => {
            Ends::Destination(destination(&plan.to.system, budget.per_lane(1), run, means).await?)
        }
        None => {
            let (source, destination) = ends(plan, run, budget, means).await?;
            Ends::Both(source, destination)
        }
    })
}

/// Both ends of a plan.
pub(crate) async fn ends(
    plan: &Plan,
    run: &str,
    budget: &Budget,
    means: &Means,
) -> FaultResult<(Arc<dyn Source>, Destination)> {
    let source = source(&plan.from.system, run, means).await?;
    let memory = budget.per_lane(plan.limits.parallel);
    Ok((source, destination(&plan.to.system, memory, run, means).await?))
}

/// The destination of a plan: a database, or a bucket.
pub async fn destination(system: &System, memory: u64, run: &str, means: &Means) -> FaultResult<Destination> {
    match system {
        System::Postgres(settings) => postgres_target(settings, run, means).await,
        _ => bucket(system, memory, means).await.map(Destination::Bucket),
    }
}

/// The source of a plan. `run` is what the source's own lists of sessions show; every
/// connection goes through the dialer.
pub async fn source(system: &System, run: &str, means: &Means) -> FaultResult<Arc<dyn Source>> {
    match system {
        System::Sqlite { path } => sqlite(path),
        System::Postgres(settings) => postgres(settings, run, means).await,
        System::MySql(settings) => mysql(settings, run, means).await,
        System::Files(settings) => files(settings, means).await,
        System::Local { .. } | System::S3(_) | System::Azure(_) | System::Gcs(_) => {
            let text = format!("a connection of type {} is a destination, not a source: use `files`", system.kind());
            Err(Fault::new(FailureCode::SpecRefused, text))
        }
    }
}

/// The bucket of a plan. `memory` is what one lane may take in all, by which uploads choose the size of their parts.
pub async fn bucket(system: &System, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    match system {
        System::Local { path } => local(Path::new(path), Missing::Make),
        System::S3(settings) => s3(settings, memory, means).await,
        System::Azure(settings) => azure(settings, memory, means).await,
        System::Gcs(settings) => gcs(settings, memory, means).await,
        System::Sqlite { .. } | System::Postgres(_) | System::MySql(_) | System::Files(_) => {
            let text = format!("a connection of type {} is a source, not a destination", system.kind());
            Err(Fault::new(FailureCode::SpecRefused, text))
        }
    }
}

/// The bucket at `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix`, `gs://bucket/prefix` or a plain
/// path; in a cloud with the environment's own credentials.
pub async fn bucket_at(url: &str) -> FaultResult<Arc<dyn Bucket>> {
    if url.starts_with("azure://") {
        let place = azure_place(url).ok_or_else(|| {
            Fault::new(FailureCode::SpecRefused, "the address needs the form azure://account/container/prefix")
        })?;
        return azure_at(place).await;
    }
    if url.starts_with("gs://") {
        let text = "the address needs the form gs://bucket/prefix";
        return gcs_at(gcs_place(url).ok_or_else(|| Fault::new(FailureCode::SpecRefused, text))?).await;
    }
    let Some(place) = url.strip_prefix("s3://") else {
        return local(Path::new(url.strip_prefix("file://").unwrap_or(url)), Missing::Refuse);
    };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/').to_owned();
    let settings = S3 { bucket: bucket.to_owned(), prefix, access: S3Access::default() };
    s3(&settings, READING, &Means::unguarded()).await
}

/// What happens to a directory that is not there.
#[derive(Clone, Copy)]
enum Missing {
    Make,
    Refuse,
}

#[cfg(feature = "local")]
fn local(path: &Path, missing: Missing) -> FaultResult<Arc<dyn Bucket>> {
    use waybill_connectors::bucket::local::LocalBucket;
    let bucket = match missing {
        Missing::Make => LocalBucket::open(path)?,
        Missing::Refuse => LocalBucket::existing(path)?,
    };
    Ok(Arc::new(bucket))
}

#[cfg(not(feature = "local"))]
fn local(_: &Path, _: Missing) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("local"))
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str) -> FaultResult<Arc<dyn Source>> {
    Ok(Arc::new(waybill_connectors::source::sqlite::SqliteSource::new(path)))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str) -> FaultResult<Arc<dyn Source>> {
    Err(left_out("sqlite"))
}

#[cfg(feature = "postgres")]
async fn postgres(settings: &Postgres, run: &str, means: &Means) -> FaultResult<Arc<dyn Source>> {
    use waybill_connectors::source::postgres::PostgresSource;
    let (password, ways) = proofs(settings, means).await?;
    Ok(Arc::new(PostgresSource::with(settings, password, &ways, run)?.through(means.dialer.clone())))
}

#[cfg(feature = "postgres")]
async fn postgres_target(settings: &Postgres, run: &str, means: &Means) -> FaultResult<Destination> {
    use waybill_connectors::database::postgres::PostgresDatabase;
    let (password, ways) = proofs(settings, means).await?;
    let database = PostgresDatabase::with(settings, password, &ways, run)?.through(means.dialer.clone());
    Ok(Destination::Database(Arc::new(database)))
}

/// What a connection to a PostgreSQL server proves itself by, at either end of a pipeline.
#[cfg(feature = "postgres")]
async fn proofs(settings: &Postgres, means: &Means) -> FaultResult<(Option<Arc<dyn Credential>>, References)> {
    let password = credential(settings.password.as_ref(), means).await?;
    let client = (settings.client_cert.as_ref(), settings.client_key.as_ref());
    Ok((password, ways(settings.ca.as_ref(), client, settings.ssh.as_ref(), means).await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres_target(_: &Postgres, _: &str, _: &Means) -> FaultResult<Destination> {
    Err(left_out("postgres"))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &Postgres, _: &str, _: &Means) -> FaultResult<Arc<dyn Source>> {
    Err(left_out("postgres"))
}

#[cfg(feature = "mysql")]
async fn mysql(settings: &MySql, run: &str, means: &Means) -> FaultResult<Arc<dyn Source>> {
    use waybill_connectors::source::mysql::MySqlSource;
    let password = credential(settings.password.as_ref(), means).await?;
    let client = (settings.client_cert.as_ref(), settings.client_key.as_ref());
    let ways = ways(settings.ca.as_ref(), client, settings.ssh.as_ref(), means).await?;
    Ok(Arc::new(MySqlSource::with(settings, password, &ways, run)?.through(means.dialer.clone())))
}

#[cfg(not(feature = "mysql"))]
async fn mysql(_: &MySql, _: &str, _: &Means) -> FaultResult<Arc<dyn Source>> {
    Err(left_out("mysql"))
}

/// The way to what a reference names. One that can't be followed fails here, before anything is opened.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "aws"))]
async fn followed(reference: &SecretRef, means: &Means) -> FaultResult<Arc<dyn Credential>> {
    means.secrets.resolve(reference).await?;
    Ok(means.secrets.credential(reference))
}

/// The same, where a connection has one.
#[cfg(any(feature = "mysql", feature = "postgres"))]
async fn credential(reference: Option<&SecretRef>, means: &Means) -> FaultResult<Option<Arc<dyn Credential>>> {
    match reference {
        Some(reference) => followed(reference, means).await.map(Some),
        None => Ok(None),
    }
}

/// The ways to what the other references of a server's connection name.
#[cfg(any(feature = "mysql", feature = "postgres"))]
async fn ways(
    ca: Option<&Ca>,
    (certificate, key): (Option<&SecretRef>, Option<&SecretRef>),
    ssh: Option<&Ssh>,
    means: &Means,
) -> FaultResult<References> {
    Ok(References {
        ca: credential(ca.and_then(Ca::reference), means).await?,
        client_cert: credential(certificate, means).await?,
        client_key: credential(key, means).await?,
        ssh_key: credential(ssh.map(|ssh| &ssh.key), means).await?,
    })
}

#[cfg(feature = "files")]
async fn files(settings: &FileSource, means: &Means) -> FaultResult<Arc<dyn Source>> {
    use waybill_connectors::source::files::{Address, Files, of_source};
    let access = settings.s3.clone().unwrap_or_default();
    let bucket = match Address::read(&settings.url)? {
        Address::Directory(path) => local(&path, Missing::Refuse),
        Address::S3 { bucket, prefix } => s3(&S3 { bucket, prefix, access }, READING, means).await,
        Address::Azure { account, container, prefix } => {
            let access = settings.azure.clone().unwrap_or_default();
            azure(&Azure { account, container, prefix, access }, READING, means).await
        }
        Address::Gcs { bucket, prefix } => {
            gcs(&Gcs { bucket, prefix, access: *settings.gcs.clone().unwrap_or_default() }, READING, means).await
        }
    };
    Ok(Arc::new(Files::new(bucket.map_err(of_source)?)))
}

#[cfg(not(feature = "files"))]
async fn files(_: &FileSource, _: &Means) -> FaultResult<Arc<dyn Source>> {
    Err(left_out("files"))
}

#[cfg(feature = "aws")]
async fn s3(settings: &S3, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    use waybill_connectors::bucket::s3::{S3Bucket, StaticKeys, Way};
    let S3 { bucket, prefix, access } = settings;
    let keys = match (&access.access_key, &access.secret_key) {
        (Some(key), Some(value)) => Some(StaticKeys::new(followed(key, means).await?, followed(value, means).await?)),
        (None, None) => None,
        _ => {
            let text = "`access-key` and `secret-key` go together: give both, or none to use the worker's own role";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
    };
    let way = Way { access, keys, dialer: means.dialer.clone() };
    Ok(Arc::new(S3Bucket::connect(bucket, prefix, way, memory).await?))
}

#[cfg(not(feature = "aws"))]
async fn s3(_: &S3, _: u64, _: &Means) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("aws"))
}

#[cfg(feature = "azure")]
async fn azure(settings: &Azure, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    azure::open(settings, memory, means).await
}

#[cfg(not(feature = "azure"))]
async fn azure(_: &Azure, _: u64, _: &Means) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("azure"))
}

/// A container with the environment's own credentials.
#[cfg(feature = "azure")]
async fn azure_at((account, container, prefix): (&str, &str, &str)) -> FaultResult<Arc<dyn Bucket>> {
    let (account, container, prefix) = (account.to_owned(), container.to_owned(), prefix.to_owned());
    let settings = Azure { account, container, prefix, access: azure::of_environment() };
    azure(&settings, READING, &Means::unguarded()).await
}

#[cfg(not(feature = "azure"))]
async fn azure_at(_: (&str, &str, &str)) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("azure"))
}

#[cfg(feature = "gcs")]
async fn gcs(settings: &Gcs, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    gcs::open(settings, memory, means).await
}

#[cfg(not(feature = "gcs"))]
async fn gcs(_: &Gcs, _: u64, _: &Means) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("gcs"))
}

/// A bucket of Google's with the environment's own credentials.
#[cfg(feature = "gcs")]
async fn gcs_at((bucket, prefix): (&str, &str)) -> FaultResult<Arc<dyn Bucket>> {
    let settings = Gcs { bucket: bucket.to_owned(), prefix: prefix.to_owned(), access: gcs::of_environment() };
    gcs(&settings, READING, &Means::unguarded()).await
}

#[cfg(not(feature = "gcs"))]
async fn gcs_at(_: (&str, &str)) -> FaultResult<Arc<dyn Bucket>> {
    Err(left_out("gcs"))
}

/// A build without a connector says which feature it lacks.
#[cfg(not(all(
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "files",
    feature = "local",
    feature = "aws",
    feature = "azure",
    feature = "gcs"
)))]
fn left_out(feature: &str) -> Fault {
    Fault::new(FailureCode::SpecRefused, format!("this worker was built without the feature `{feature}`"))
}
