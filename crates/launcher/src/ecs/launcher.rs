//! The launcher of one data plane: each verb is one call or two, with one fresh session where the kept one has ended.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_ecs::Client;
use waybill_model::AttemptId;

use super::arn::TaskArn;
use super::call::{self, DesiredStatusOf, Listed, Started};
use super::cloud::Cloud;
use super::place::{Capacity, EcsPlace};
use super::task::{attempt_of, started_by};
use crate::{LaunchError, LaunchRequest, Launcher, TaskRef, TaskStatus};

/// Starts workers as tasks of one place.
#[derive(Clone)]
pub struct EcsLauncher {
    cloud: Arc<Cloud>,
    place: Arc<EcsPlace>,
}

impl EcsLauncher {
    pub(super) fn new(cloud: Arc<Cloud>, place: EcsPlace) -> Self {
        Self { cloud, place: Arc::new(place) }
    }

    /// Makes a call with the kept session, and once more with a fresh one where the cloud says that it is over.
    async fn kept<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, LaunchError>
    where
        F: Future<Output = Result<T, LaunchError>>,
    {
        match call(self.cloud.ecs_kept(&self.place).await?).await {
            Err(LaunchError::SessionEnded) => {
                self.cloud.forget(&self.place).await;
                call(self.cloud.ecs_kept(&self.place).await?).await.map_err(|error| self.over(error))
            }
            other => other,
        }
    }

    /// A session that is over again at once was taken back: to the user that is a missing permission. One of our own role
    /// was not taken by us.
    fn over(&self, error: LaunchError) -> LaunchError {
        match error {
            LaunchError::SessionEnded if !self.place.is_own() => {
                LaunchError::Denied { action: "sts:AssumeRole", resource: self.place.role().to_string() }
            }
            error => error,
        }
    }

    fn task_of(&self, task: &TaskRef) -> Result<TaskArn, LaunchError> {
        let arn: TaskArn = task.0.parse().map_err(|_| LaunchError::Unusable("not a task of Amazon ECS"))?;
        if self.place.holds(&arn) { Ok(arn) } else { Err(LaunchError::OutOfReach) }
    }

    /// Every task of the place's families that we started and that has not ended.
    async fn listed(&self, client: &Client) -> Result<Vec<(AttemptId, TaskRef)>, LaunchError> {
        let mut listed = Vec::new();
        for family in self.place.families() {
            listed.extend(call::list(client, &self.place, Listed::Family(family)).await?);
        }
        let arns: Vec<&str> = listed.iter().map(String::as_str).collect();
        let mut live = Vec::new();
        for batch in arns.chunks(call::BATCH) {
            for (arn, status, started_by) in call::describe(client, &self.place, batch).await? {
                let attempt = started_by.as_deref().and_then(attempt_of);
                if let (Some(attempt), TaskStatus::Pending(_) | TaskStatus::Running) = (attempt, status) {
                    live.push((attempt, TaskRef(arn)));
                }
            }
        }
        Ok(live)
    }

    async fn found(&self, client: &Client, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        let text = started_by(attempt);
        for wanted in [DesiredStatusOf::Running, DesiredStatusOf::Stopped] {
            let listed = call::list(client, &self.place, Listed::StartedBy(&text, wanted)).await?;
            if let Some(arn) = listed.into_iter().next() {
                return Ok(Some(TaskRef(arn)));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Launcher for EcsLauncher {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        let spec = request.spec();
        let task = spec.ecs.as_ref().ok_or(LaunchError::Unusable("it is not one for Amazon ECS"))?;
        let session = spec.attempt.to_string();
        let mut client = self.cloud.ecs_as(&self.place, &session).await?;
        let mut started = call::run(&client, &self.place, request, task).await;
        if matches!(started, Err(LaunchError::SessionEnded)) {
            client = self.cloud.ecs_as(&self.place, &session).await?;
            started = call::run(&client, &self.place, request, task).await.map_err(|error| self.over(error));
        }
        match started? {
            Started::Task(arn) => Ok(TaskRef(arn)),
            // Somebody started it with another ticket, or with settings of then: it is the attempt's task all the same.
            Started::Conflict(tasks) => match tasks.into_iter().next() {
                Some(arn) => Ok(TaskRef(arn)),
                None => self.found(&client, spec.attempt).await?.ok_or(LaunchError::Busy),
            },
            Started::NoRoom if task.capacity == Capacity::FargateSpot => Err(LaunchError::NoSpotCapacity),
            Started::NoRoom => Err(LaunchError::NoCapacity),
        }
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        let mut all = self.describe_all(std::slice::from_ref(task)).await;
        all.pop().unwrap_or(Ok(TaskStatus::Unknown))
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        let arn = self.task_of(task)?;
        let arn = &arn;
        self.kept(|client| async move { call::stop(&client, &self.place, arn).await }).await
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        self.kept(|client| async move { self.found(&client, attempt).await }).await
    }

    async fn describe_all(&self, tasks: &[TaskRef]) -> Vec<Result<TaskStatus, LaunchError>> {
        let arns: Vec<_> = tasks.iter().map(|task| self.task_of(task)).collect();
        let ours: Vec<&str> = arns.iter().flatten().map(TaskArn::as_str).collect();
        let mut seen = HashMap::new();
        for batch in ours.chunks(call::BATCH) {
            let looked = self.kept(|client| async move { call::describe(&client, &self.place, batch).await }).await;
            match looked {
                Ok(looked) => seen.extend(looked.into_iter().map(|(arn, status, _)| (arn, status))),
                // A batch that can't be looked at says nothing about its tasks.
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "tasks could not be looked at"),
            }
        }
        let answer = |arn: Result<TaskArn, LaunchError>| match arn {
            Ok(arn) => Ok(seen.get(arn.as_str()).copied().unwrap_or(TaskStatus::Unknown)),
            // Another cluster or region, as the data plane once was: it may run there.
            Err(LaunchError::OutOfReach) => Ok(TaskStatus::Unknown),
            Err(error) => Err(error),
        };
        arns.into_iter().map(answer).collect()
    }

    async fn image(&self, task: &TaskRef) -> Result<Option<String>, LaunchError> {
        let arn = self.task_of(task)?;
        let arn = &arn;
        self.kept(|client| async move { call::image(&client, &self.place, arn).await }).await
    }

    fn missing(&self, action: &str, resource: &str) -> Option<serde_json::Value> {
        super::policy::statement_for_denied(&self.place, action, resource)
    }

    async fn live(&self) -> Result<Vec<(AttemptId, TaskRef)>, LaunchError> {
        self.kept(|client| async move { self.listed(&client).await }).await
    }
}
