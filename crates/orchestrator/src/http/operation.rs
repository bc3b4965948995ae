//! An operation: route, permission, bodies, examples and problem codes in one value, so that none can be left out.
//!
//! The router and the API description are made from the same list.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use waybill_api::{Example, Page, ProblemCode};

use super::App;
use super::action::{Action, Load};
use super::gate::{self, Admit};
use crate::auth::Permission;

/// What the gate finds at a route. Nobody to let in: open to everybody.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub(super) admit: Option<Admit>,
}

/// A body as it is described.
pub struct Described {
    /// Reference to its schema.
    pub schema: RefOr<Schema>,
    /// A value of it.
    pub example: serde_json::Value,
}

/// A parameter of the query or a header.
#[derive(Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Whether it is a header.
    pub header: bool,
    /// Whether it may not be absent.
    pub required: bool,
}

/// One operation of the API.
pub struct Operation {
    /// Its id, such as `run_start`.
    pub id: &'static str,
    /// The permission that it needs; none for the closed list of open routes.
    pub permission: Option<Permission>,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Its body.
    pub request: Option<Described>,
    /// Its answer: status and body.
    pub answer: (u16, Option<Described>),
    /// Its parameters besides those of the path.
    pub parameters: Vec<Parameter>,
    /// What else it may answer.
    pub codes: Vec<ProblemCode>,
    /// Whether its answer is a stream of events.
    pub streams: bool,
    /// The permission with which one sees what the path names; a caller without it is told that nothing is there.
    pub seen: Option<Permission>,
    admit: Option<Admit>,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

/// Codes that any operation behind the gate may answer.
const BEHIND_GATE: &[ProblemCode] = &[
    ProblemCode::TokenInvalid,
    ProblemCode::Forbidden,
    ProblemCode::TooManyRequests,
    ProblemCode::Internal,
    ProblemCode::Unavailable,
];
const OF_BODY: &[ProblemCode] = &[
    ProblemCode::BodyMalformed,
    ProblemCode::BodyUnknownField,
    ProblemCode::FieldNotWritable,
    ProblemCode::BodyInvalid,
    ProblemCode::BodyTooLarge,
    ProblemCode::MediaTypeUnsupported,
];

impl Operation {
    /// The operation of an action.
    #[must_use]
    pub fn of<A: Action>(method: Method, path: &'static str, summary: &'static str) -> Self {
        let mut this = Self::open(A::ID, method, path, summary);
        this.permission = Some(A::PERMISSION);
        this.seen = A::Object::SEEN;
        this.admit = Some(gate::admit::<A>);
        this.codes = BEHIND_GATE.to_vec();
        if path.contains('{') {
            this.codes.push(ProblemCode::NotFound);
        }
        this
    }

    /// An operation that is open to everybody. The list of these is closed by a test.
    #[must_use]
    pub fn open(id: &'static str, method: Method, path: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            permission: None,
            method,
            path,
            summary,
            request: None,
            answer: (204, None),
            parameters: Vec::new(),
            codes: vec![ProblemCode::TooManyRequests, ProblemCode::Internal, ProblemCode::Unavailable],
            streams: false,
            seen: None,
            admit: None,
            schemas: BTreeMap::new(),
        }
    }

    fn describe<T: ToSchema + Example + Serialize>(&mut self) -> Described {
        let mut all = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut all);
        self.schemas.extend(all);
        let schema = utoipa::openapi::Ref::from_schema_name(T::name()).into();
        Described { schema, example: serde_json::to_value(T::example()).unwrap_or_default() }
    }

    /// Its body.
    #[must_use]
    pub fn takes<T: ToSchema + Example + Serialize>(mut self) -> Self {
        self.request = Some(self.describe::<T>());
        self.codes.extend(OF_BODY);
        self
    }

    /// Its answer.
    #[must_use]
    pub fn answers<T: ToSchema + Example + Serialize>(mut self, status: u16) -> Self {
        self.answer = (status, Some(self.describe::<T>()));
        self
    }

    /// It answers with pages.
    #[must_use]
    pub fn pages<T: ToSchema + Example + Serialize>(mut self) -> Self {
        let mut item = vec![(T::name().into_owned(), T::schema())];
        <Page<T> as ToSchema>::schemas(&mut item);
        self.schemas.extend(item);
        let name = format!("{}Page", T::name());
        self.schemas.insert(name.clone(), <Page<T> as PartialSchema>::schema());
        let example = serde_json::to_value(Page::<T>::example()).unwrap_or_default();
        let schema = utoipa::openapi::Ref::from_schema_name(name).into();
        self.answer = (200, Some(Described { schema, example }));
        self.codes.extend([ProblemCode::ParameterInvalid, ProblemCode::PageTokenInvalid]);
        self.query("limit", "Items per page, 1 to 200; 50 where absent.")
            .query("cursor", "`next_cursor` of the page before.")
    }

    /// Its list has several orders and can be counted.
    #[must_use]
    pub fn sorts(self, description: &'static str) -> Self {
        self.query("sort", description).query("count", "`estimate`: also say how many there are, counted up to 10000.")
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &'static str, description: &'static str) -> Self {
        self.parameters.push(Parameter { name, description, header: false, required: false });
        self
    }

    fn header(mut self, name: &'static str, description: &'static str, required: bool) -> Self {
        self.parameters.push(Parameter { name, description, header: true, required });
        self
    }

    /// It makes something: takes an idempotency key.
    #[must_use]
    pub fn creates(mut self) -> Self {
        self.codes.extend([
            ProblemCode::ParameterInvalid,
            ProblemCode::IdempotencyMismatch,
            ProblemCode::IdempotencyPending,
        ]);
        self.header("Idempotency-Key", "A repeat with the same key and body gives what the first one made.", false)
    }

    /// It changes one object: needs its tag.
    #[must_use]
    pub fn changes(mut self) -> Self {
        self.codes.extend([ProblemCode::PreconditionRequired, ProblemCode::PreconditionFailed]);
        self.header("If-Match", "`ETag` of the object as it was read.", true)
    }

    /// It makes an object where there is none, and changes it where there is one: the caller says which it means.
    #[must_use]
    pub fn makes_or_changes(self) -> Self {
        self.header("If-Match", "`ETag` of the object as it was read, to change it.", false).header(
            "If-None-Match",
            "`*`, to make it where there is none.",
            false,
        )
    }

    /// It reads one object with a tag.
    #[must_use]
    pub fn tagged(self) -> Self {
        self.header("If-None-Match", "`ETag` of what the caller has; 304 where it is still so.", false)
    }

    /// Its answer is a stream of events.
    #[must_use]
    pub fn streams(mut self) -> Self {
        self.streams = true;
        self.header("Last-Event-ID", "Id of the last message that arrived.", false)
    }

    /// What else it may answer.
    #[must_use]
    pub fn codes(mut self, codes: &[ProblemCode]) -> Self {
        self.codes.extend(codes);
        self
    }
}

/// All operations, with their handlers until the router takes them.
#[derive(Default)]
pub struct Operations {
    /// The operations, in the order of the modules.
    pub list: Vec<Operation>,
    handlers: Vec<MethodRouter<App>>,
}

impl Operations {
    /// Adds an operation.
    pub(super) fn add(&mut self, operation: Operation, handler: MethodRouter<App>) {
        self.list.push(operation);
        self.handlers.push(handler);
    }

    /// Routes to every handler, each behind the gate with its own declaration.
    pub(super) fn into_router<L>(self, gate: &L) -> Router<App>
    where
        L: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
        L::Service:
            tower::Service<axum::extract::Request, Error = std::convert::Infallible> + Clone + Send + Sync + 'static,
        <L::Service as tower::Service<axum::extract::Request>>::Response: axum::response::IntoResponse + 'static,
        <L::Service as tower::Service<axum::extract::Request>>::Future: Send + 'static,
    {
        let mut router = Router::new();
        for (operation, handler) in self.list.into_iter().zip(self.handlers) {
            let declared = Declared { admit: operation.admit };
            router =
                router.route(operation.path, handler.route_layer(gate.clone()).route_layer(axum::Extension(declared)));
        }
        router
    }

    /// Every schema that an operation names.
    #[must_use]
    pub fn schemas(&self) -> BTreeMap<String, RefOr<Schema>> {
        self.list.iter().flat_map(|operation| operation.schemas.clone()).collect()
    }
}
