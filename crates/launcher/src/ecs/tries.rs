//! Tells a witness of every try that the SDK makes: the SDK repeats calls by itself, and each try has its own request id.
//!
//! One of these serves one client, which makes one call at a time. A try that is given up, with its call or with the
//! whole client, is told of as not answered. Nothing of what was asked for is told, but the task that is to stop.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_ecs::operation as ecs;
use aws_sdk_sts::operation as sts;
use waybill_model::Micros;

use super::arn::Region;
use super::place::EcsPlace;
use super::task::attempt_of;
use crate::trail::{self, CloudCall, NO_ANSWER, OK, Witness};

/// The service's code in an error of any of these types.
macro_rules! code {
    ($error:expr, $($type:ty),+) => {
        None$(.or_else(|| $error.downcast_ref::<$type>().and_then(ProvideErrorMetadata::code)))+
    };
}

/// What a client's calls are told as.
#[derive(Debug)]
pub(super) struct Tries {
    witness: Arc<dyn Witness>,
    /// What the next call is told as: changed by what is asked for, completed by its answer.
    call: Mutex<CloudCall>,
    /// Whether a try was sent and nothing is known of its answer.
    sent: Mutex<bool>,
}

impl Tries {
    /// Of a place's calls under this session's name.
    pub(super) fn new(witness: Arc<dyn Witness>, place: &EcsPlace, session: &str) -> Self {
        let this = Self::of_nobody(witness, place.region());
        this.change(|call| {
            (call.owner, call.role, call.session) = (place.owner(), place.role().to_string(), session.to_owned());
        });
        this
    }

    /// Of calls by which whoever calls learns who it is.
    pub(super) fn of_nobody(witness: Arc<dyn Witness>, region: &Region) -> Self {
        let call = CloudCall {
            owner: None,
            action: "other",
            role: String::new(),
            session: String::new(),
            region: region.as_str().to_owned(),
            attempt: None,
            task: None,
            at: Micros(0),
            request_id: None,
            outcome: NO_ANSWER,
        };
        Self { witness, call: Mutex::new(call), sent: Mutex::new(false) }
    }

    fn change(&self, change: impl FnOnce(&mut CloudCall)) {
        change(&mut self.call.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn send(&self, is_sent: bool) -> bool {
        std::mem::replace(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner), is_sent)
    }

    /// Tells of the try that is under way, if there is one.
    fn tell(&self, request_id: Option<String>, outcome: &'static str) {
        if self.send(false) {
            let call = self.call.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.witness.saw(CloudCall { request_id, outcome, ..call });
        }
    }
}

impl Drop for Tries {
    fn drop(&mut self) {
        self.tell(None, NO_ANSWER);
    }
}

impl Intercept for Tries {
    fn name(&self) -> &'static str {
        "trail"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        self.change(|call| {
            (call.attempt, call.task) = (None, None);
            if let Some(asked) = input.downcast_ref::<sts::assume_role::AssumeRoleInput>() {
                call.action = "sts:AssumeRole";
                call.role = asked.role_arn().unwrap_or_default().to_owned();
                call.session = asked.role_session_name().unwrap_or_default().to_owned();
            } else if let Some(asked) = input.downcast_ref::<ecs::stop_task::StopTaskInput>() {
                call.action = "ecs:StopTask";
                call.task = asked.task().map(str::to_owned);
            } else if let Some(asked) = input.downcast_ref::<ecs::run_task::RunTaskInput>() {
                call.action = "ecs:RunTask";
                call.attempt = asked.started_by().and_then(attempt_of);
            } else if input.downcast_ref::<sts::get_caller_identity::GetCallerIdentityInput>().is_some() {
                call.action = "sts:GetCallerIdentity";
            } else if input.downcast_ref::<ecs::describe_tasks::DescribeTasksInput>().is_some() {
                call.action = "ecs:DescribeTasks";
            } else if input.downcast_ref::<ecs::list_tasks::ListTasksInput>().is_some() {
                call.action = "ecs:ListTasks";
            } else if input.downcast_ref::<ecs::register_task_definition::RegisterTaskDefinitionInput>().is_some() {
                call.action = "ecs:RegisterTaskDefinition";
            } else if input.downcast_ref::<ecs::execute_command::ExecuteCommandInput>().is_some() {
                call.action = "ecs:ExecuteCommand";
            } else {
                call.action = "other";
            }
        });
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.tell(None, NO_ANSWER);
        self.change(|call| call.at = Micros::now());
        self.send(true);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let id = context.response().and_then(|response| response.headers().get("x-amzn-requestid"));
        let outcome = match context.output_or_error() {
            Some(Ok(_)) => OK,
            Some(Err(error)) => error.as_operation_error().map_or(NO_ANSWER, |error| {
                code!(
                    error,
                    sts::assume_role::AssumeRoleError,
                    sts::get_caller_identity::GetCallerIdentityError,
                    ecs::run_task::RunTaskError,
                    ecs::stop_task::StopTaskError,
                    ecs::describe_tasks::DescribeTasksError,
                    ecs::list_tasks::ListTasksError,
                    ecs::register_task_definition::RegisterTaskDefinitionError,
                    ecs::execute_command::ExecuteCommandError
                )
                .map_or("other", trail::outcome)
            }),
            None => NO_ANSWER,
        };
        self.tell(id.and_then(trail::request_id), outcome);
        Ok(())
    }
}
