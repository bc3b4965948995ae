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
use waybill_model::{DataPlaneId, Micros, OrgId};

use super::answer;
use super::place::EcsPlace;
use crate::trail::{CloudCall, NO_ANSWER, OK, Witness};

/// Longest request id that is one.
const LONGEST: usize = 64;

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
    pub(super) fn new(witness: Arc<dyn Witness>, place: &EcsPlace, session: &str, owner: (OrgId, DataPlaneId)) -> Self {
        let call = CloudCall {
            owner,
            action: "other",
            role: place.role().to_string(),
            session: session.to_owned(),
            region: place.region().as_str().to_owned(),
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
            call.task = None;
            if let Some(asked) = input.downcast_ref::<sts::assume_role::AssumeRoleInput>() {
                call.action = "sts:AssumeRole";
                call.role = asked.role_arn().unwrap_or_default().to_owned();
                call.session = asked.role_session_name().unwrap_or_default().to_owned();
            } else if let Some(asked) = input.downcast_ref::<ecs::stop_task::StopTaskInput>() {
                call.action = "ecs:StopTask";
                call.task = asked.task().map(str::to_owned);
            } else if input.downcast_ref::<ecs::run_task::RunTaskInput>().is_some() {
                call.action = "ecs:RunTask";
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
                    ecs::run_task::RunTaskError,
                    ecs::stop_task::StopTaskError,
                    ecs::describe_tasks::DescribeTasksError,
                    ecs::list_tasks::ListTasksError,
                    ecs::register_task_definition::RegisterTaskDefinitionError,
                    ecs::execute_command::ExecuteCommandError
                )
                .map_or("other", answer::known)
            }),
            None => NO_ANSWER,
        };
        self.tell(id.and_then(request_id), outcome);
        Ok(())
    }
}

/// An id that can stand in a list; whatever else a server sends in its place is not kept.
fn request_id(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_id_is_kept_as_one() {
        for good in ["3f1c1b9e-5a3d-4c55-9f0a-0b1c2d3e4f50", "fake-1"] {
            assert_eq!(request_id(good).as_deref(), Some(good));
        }
        for bad in ["", "two words", "a\u{e9}", "x\ny", "<b>", &"a".repeat(65)] {
            assert_eq!(request_id(bad), None, "{bad:?}");
        }
    }
}
