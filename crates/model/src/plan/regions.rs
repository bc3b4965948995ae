//! Where the parts of a plan stand, as far as it says so: regions of buckets and of secrets, by their fields.

use super::{Azure, FileSource, Gcs, Plan, S3, System};

/// A field that ties a connection to a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRegion<'p> {
    /// The connection.
    pub connection: &'p str,
    /// The field below it as a pipeline file names it, such as `region` or `password`.
    pub field: &'static str,
    /// The region that it names; none for a bucket that leaves it to the worker's environment.
    pub region: Option<&'p str>,
}

impl System {
    /// Buckets with the region that they name or leave open, and secrets whose reference names one. A host name says nothing
    /// about where it is, and neither does a secret that is named without its ARN: it is the data plane's own region's. An
    /// account of Azure is in one region, but nothing that a plan could hold or a worker ask tells which: it stays open. So does
    /// a bucket of Google's, whose place only a permission tells that a worker does not need.
    #[must_use]
    pub fn regions(&self) -> Vec<(&'static str, Option<&str>)> {
        let mut found = match self {
            Self::S3(S3 { access, bucket: _, prefix: _ }) => vec![("region", access.region.as_deref())],
            Self::Files(FileSource { s3, url, azure: _, gcs: _ }) if url.starts_with("s3://") => {
                vec![("region", s3.as_ref().and_then(|access| access.region.as_deref()))]
            }
            Self::Azure(Azure { account: _, container: _, prefix: _, access: _ }) => vec![("account", None)],
            Self::Gcs(Gcs { bucket: _, prefix: _, access: _ }) => vec![("bucket", None)],
            Self::Files(FileSource { url, s3: _, azure: _, gcs: _ })
                if ["azure://", "gs://"].iter().any(|scheme| url.starts_with(scheme)) =>
            {
                vec![("url", None)]
            }
            Self::Files(_)
            | Self::Postgres(_)
            | Self::MySql(_)
            | Self::Sqlite { path: _ }
            | Self::Local { path: _ } => vec![],
        };
        let secrets = self.secrets().into_iter();
        found.extend(secrets.filter_map(|(field, secret)| Some((field, Some(secret.region()?)))));
        found
    }
}

impl Plan {
    /// Those of both ends, the source's first.
    #[must_use]
    pub fn regions(&self) -> Vec<PlanRegion<'_>> {
        let mut all = Vec::new();
        for super::Endpoint { connection, system } in self.opened() {
            all.extend(system.regions().into_iter().map(|(field, region)| PlanRegion { connection, field, region }));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_name_their_region_or_leave_it_open_and_secrets_name_it_by_their_arn() {
        let arn = "aws-sm://arn:aws:secretsmanager:us-east-1:111122223333:secret:shop-AbCdEf";
        let plan = format!(
            r#"{{"pipeline":"p","from":{{"connection":"shop","system":{{"type":"postgres","host":"h","database":"d","user":"u",
               "password":"{arn}"}}}},"to":{{"connection":"lake","system":{{"type":"s3","bucket":"b","region":"eu-west-1",
               "access-key":"env://A","secret-key":"aws-ssm:///lake"}}}},"streams":[]}}"#
        );
        let plan: Plan = serde_json::from_str(&plan).expect("a plan");
        let found: Vec<_> = plan.regions().iter().map(|it| (it.connection, it.field, it.region)).collect();
        assert_eq!(found, [("shop", "password", Some("us-east-1")), ("lake", "region", Some("eu-west-1"))]);
        let open: System = serde_json::from_str(r#"{"type":"s3","bucket":"b"}"#).expect("a bucket");
        assert_eq!(open.regions(), [("region", None)]);
        for (text, regions) in [
            (r#"{"type":"files","url":"s3://b/in"}"#, vec![("region", None)]),
            (r#"{"type":"files","url":"s3://b/in","s3":{}}"#, vec![("region", None)]),
            (r#"{"type":"files","url":"s3://b/in","s3":{"region":"eu-west-1"}}"#, vec![("region", Some("eu-west-1"))]),
            (r#"{"type":"azure","account":"a","container":"c"}"#, vec![("account", None)]),
            (r#"{"type":"files","url":"azure://a/c/in"}"#, vec![("url", None)]),
            (r#"{"type":"gcs","bucket":"b"}"#, vec![("bucket", None)]),
            (r#"{"type":"files","url":"gs://b/in"}"#, vec![("url", None)]),
            (r#"{"type":"files","url":"file:///in"}"#, vec![]),
            (r#"{"type":"local","path":"/lake"}"#, vec![]),
        ] {
            let system: System = serde_json::from_str(text).expect("a system");
            assert_eq!(system.regions(), regions, "{text}");
        }
    }
}
