//! The API description, OpenAPI 3.1, made from the same list as the routes. Committed, and compared by a test.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
    Ref, Required, ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};
use waybill_api::problem::MEDIA_TYPE;
use waybill_api::{Example, Problem, ProblemCode};

use crate::http::operation::{Described, Operation, Parameter};
use crate::http::operations;

/// The description as it is committed: pretty JSON with its keys in order and a newline at its end.
#[must_use]
pub fn text() -> String {
    let value = serde_json::to_value(document()).map(sorted).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// Extensions come in no order of their own, so the text would differ from call to call.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The description.
#[must_use]
pub fn document() -> OpenApi {
    let all = operations();
    let mut paths = PathsBuilder::new();
    for operation in &all.list {
        paths = paths.path(operation.path, PathItem::new(method(operation), describe(operation)));
    }
    let mut components = ComponentsBuilder::new().security_scheme(
        "access_token",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build()),
    );
    let mut schemas = all.schemas();
    let mut problem = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut problem);
    schemas.extend(problem);
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    let info = InfoBuilder::new()
        .title("Waybill")
        .version("1")
        .description(Some("The orchestrator's API. Rows, cursors and secrets never pass through it."));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn method(operation: &Operation) -> HttpMethod {
    match operation.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn describe(operation: &Operation) -> utoipa::openapi::path::Operation {
    let permission = operation.permission.map_or(json!("none"), |permission| json!(permission.as_str()));
    let codes: Value = operation.codes.iter().map(|code| code.as_str()).collect();
    let extensions = [("x-permission".to_owned(), permission), ("x-problem-codes".to_owned(), codes)];
    let noun = operation.path.trim_start_matches("/v1/").split(['/', ':']).next().unwrap_or_default();
    let mut built = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(noun)
        .summary(Some(operation.summary))
        .extensions(Some(extensions.into_iter().collect()));
    if operation.permission.is_some() {
        built = built.security(SecurityRequirement::new("access_token", Vec::<String>::new()));
    }
    for name in operation.path.split(['{', '}']).skip(1).step_by(2) {
        built = built.parameter(parameter(name, ParameterIn::Path, Required::True, "Its id."));
    }
    for Parameter { name, description, header, required } in operation.parameters.iter().copied() {
        let place = if header { ParameterIn::Header } else { ParameterIn::Query };
        let required = if required { Required::True } else { Required::False };
        built = built.parameter(parameter(name, place, required, description));
    }
    if let Some(body) = &operation.request {
        let content = content(body);
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content);
        built = built.request_body(Some(body.build()));
    }
    answers(built, operation).build()
}

fn parameter(name: &str, place: ParameterIn, required: Required, text: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
}

fn content(body: &Described) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(body.schema.clone())).example(Some(body.example.clone())).build()
}

fn answers(mut built: OperationBuilder, operation: &Operation) -> OperationBuilder {
    let (status, body) = &operation.answer;
    let mut answer = ResponseBuilder::new().description("Done.");
    if let Some(body) = body {
        let media = if operation.streams { "text/event-stream" } else { "application/json" };
        answer = answer.content(media, content(body));
    }
    built = built.response(status.to_string(), answer);
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in &operation.codes {
        let codes = by_status.entry(code.status()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    for (status, codes) in by_status {
        let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let example = Problem { detail: None, next: None, instance: operation.path.into(), ..example_of(codes[0]) };
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(Problem::name())))
            .example(serde_json::to_value(example).ok());
        let answer = ResponseBuilder::new().description(words.join(", ")).content(MEDIA_TYPE, content.build());
        built = built.response(status.to_string(), answer);
    }
    built
}

fn example_of(code: ProblemCode) -> Problem {
    Problem { request_id: Problem::example().request_id, ..code.problem() }
}
