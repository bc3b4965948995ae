//! Who may call which method: one line for each, in one table. A method without a line is not served, and a call by another
//! principal than its line names is refused before its handler is reached, whatever that handler does.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tonic::Status;
use waybill_identity::{Certified, CertifiedAgent};

use super::status;

/// Who calls a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    /// Somebody without a certificate yet: a ticket or a token in the message is the proof.
    Newcomer,
    /// A worker, by its certificate.
    Worker,
    /// An agent, by its certificate.
    Agent,
}

/// Every method.
pub(super) const METHODS: &[(&str, Principal)] = &[
    ("/waybill.enrolment.v1.Enrolment/Hello", Principal::Newcomer),
    ("/waybill.enrolment.v1.Enrolment/Enrol", Principal::Newcomer),
    ("/waybill.agent.v1.AgentEnrolment/Enrol", Principal::Newcomer),
    ("/waybill.worker.v1.Worker/GetAssignment", Principal::Worker),
    ("/waybill.worker.v1.Worker/Report", Principal::Worker),
    ("/waybill.worker.v1.Worker/PrepareCommit", Principal::Worker),
    ("/waybill.worker.v1.Worker/Complete", Principal::Worker),
    ("/waybill.worker.v1.Worker/Renew", Principal::Worker),
    ("/waybill.agent.v1.Agent/Session", Principal::Agent),
    ("/waybill.agent.v1.Agent/Renew", Principal::Agent),
];

/// Lets a call through that its method's principal makes.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let declared = METHODS.iter().find(|(method, _)| *method == path).map(|(_, principal)| *principal);
    let refused = match declared {
        Some(Principal::Newcomer) => None,
        Some(Principal::Worker) => request.extensions().get::<Arc<Certified>>().is_none().then(status::unauthenticated),
        Some(Principal::Agent) => {
            request.extensions().get::<Arc<CertifiedAgent>>().is_none().then(status::unauthenticated)
        }
        None => Some(Status::unimplemented("")),
    };
    match refused {
        Some(status) => status.into_http::<axum::body::Body>().into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::any;
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use tower::ServiceExt;

    use super::*;

    /// Every method of every service, from the descriptors of the protocol.
    fn methods() -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(waybill_protocol::FILE_DESCRIPTOR_SET).expect("the descriptors");
        let mut found = BTreeSet::new();
        for file in set.file.iter().filter(|file| file.package().starts_with("waybill.")) {
            for service in &file.service {
                for method in &service.method {
                    found.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        found
    }

    #[test]
    fn t19_every_method_of_the_protocol_declares_its_principal() {
        let declared: BTreeSet<String> = METHODS.iter().map(|(method, _)| (*method).to_owned()).collect();
        assert_eq!(declared, methods());
        assert_eq!(declared.len(), METHODS.len(), "a method stands twice");
    }

    #[tokio::test]
    async fn t19_a_method_is_reached_by_its_principal_alone_and_one_without_a_line_by_nobody() {
        let reached =
            Router::new().route("/{*rpc}", any(|| async { "reached" })).layer(axum::middleware::from_fn(check));
        let mut undeclared = vec![("/waybill.worker.v1.Worker/Later", None)];
        undeclared.extend(METHODS.iter().map(|(method, principal)| (*method, Some(*principal))));
        for (method, principal) in undeclared {
            let request = Request::builder().method("POST").uri(method).body(Body::empty()).expect("a request");
            let answer = reached.clone().oneshot(request).await.expect("an answer");
            // What is refused says so in the header of gRPC; what came through was answered by the handler above.
            let came_through = !answer.headers().contains_key("grpc-status");
            assert_eq!(came_through, principal == Some(Principal::Newcomer), "{method} without a certificate");
        }
    }
}
