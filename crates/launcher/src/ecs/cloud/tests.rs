//! Which hosts the clients would call. Each is stopped before anything is sent.

use aws_sdk_ecs::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;

use super::super::arn::Region;
use super::super::place::{EcsPlace, EcsSettings, example};
use super::*;

/// Notes where a call goes, and stops it.
#[derive(Clone, Debug, Default)]
struct Host(Arc<Mutex<Vec<String>>>);

impl Intercept for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().expect("the hosts").push(context.request().uri().to_owned());
        Err("nothing is sent".into())
    }
}

/// Hosts of STS and ECS for a place of this region.
async fn hosts(region: &str, fips: bool) -> Vec<String> {
    let role = |name: &str| {
        let partition = region.parse::<Region>().expect("a region").partition();
        format!("arn:{}:iam::222222222222:role/{name}", partition.as_str())
    };
    let (role_arn, task_role_arn) = (role("waybill-launch"), role("waybill-worker"));
    let settings = EcsSettings { role_arn, task_role_arn, region: region.into(), fips, ..example() };
    let place = EcsPlace::new(settings, "wb-id").expect("a place");
    let keys = Credentials::new("AKIAEXAMPLE", "secret", None, None, "a test");
    let cloud = Cloud::open_as(keys.clone(), CloudOptions { tries: 1, ..CloudOptions::default() }).await;
    let seen = Host::default();
    let sts = Sts::from_conf(cloud.sts_of(place.region(), fips).interceptor(seen.clone()).build());
    let ecs = cloud.ecs_config(&place).credentials_provider(SharedCredentialsProvider::new(keys));
    let ecs = Ecs::from_conf(ecs.interceptor(seen.clone()).build());
    assert!(sts.get_caller_identity().send().await.is_err() && ecs.list_tasks().send().await.is_err(), "it was sent");
    let host = |uri: &String| uri.split('/').nth(2).unwrap_or_default().to_owned();
    seen.0.lock().expect("the hosts").iter().map(host).collect()
}

#[tokio::test]
async fn calls_go_to_fips_endpoints_where_they_are_asked_for_and_there_are_some() {
    for (region, fips, wanted) in [
        ("eu-central-1", false, ["sts.eu-central-1.amazonaws.com", "ecs.eu-central-1.amazonaws.com"]),
        ("us-east-1", false, ["sts.us-east-1.amazonaws.com", "ecs.us-east-1.amazonaws.com"]),
        ("us-east-1", true, ["sts-fips.us-east-1.amazonaws.com", "ecs-fips.us-east-1.amazonaws.com"]),
        ("us-west-2", true, ["sts-fips.us-west-2.amazonaws.com", "ecs-fips.us-west-2.amazonaws.com"]),
        ("us-gov-west-1", true, ["sts.us-gov-west-1.amazonaws.com", "ecs-fips.us-gov-west-1.amazonaws.com"]),
        ("cn-north-1", false, ["sts.cn-north-1.amazonaws.com.cn", "ecs.cn-north-1.amazonaws.com.cn"]),
    ] {
        assert_eq!(hosts(region, fips).await, wanted, "{region} {fips}");
    }
}

#[test]
fn fips_endpoints_are_refused_where_there_are_none() {
    for region in ["eu-central-1", "ca-central-1", "cn-north-1", "us-east-9"] {
        let region: Region = region.parse().expect("a region");
        let told = region.check_fips().expect_err(region.as_str()).to_string();
        assert!(told.contains("us-east-1") && told.contains("us-gov-west-1"), "{told}");
    }
    let settings = EcsSettings { fips: true, ..example() };
    let refused = EcsPlace::new(settings, "wb-id").expect_err("eu-central-1 has none");
    assert_eq!(refused.field, "fips");
}
