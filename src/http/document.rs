//! The OpenAPI document (3.1), made of the same table as the routes.
//!
//! Deliberately absent: servers (whoever runs rampwatch knows where it listens), and the webhook's own signature scheme.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api_request::{TakesBody, TakesQuery};
use super::problem::{Code, Problem};
use super::route::{Access, Method, Route};
use crate::domain::actor::Role;

/// Where schemas with a name are kept.
const COMPONENTS: &str = "/components/schemas";

/// What the whole is for.
const ABOUT: &str = "Payments, deposits, orders, reviews and events of rampwatch, and what people decide about them. \
Everything under /v1 needs a bearer token; each token bears some of the roles read, operate and approve, and \
`x-roles` says which one an operation needs. Whoever placed an order cannot approve it. Lists give a part and where the \
next begins: a part may be short, even empty, and still have a `next`, which is given as `after`. Errors are \
application/problem+json (RFC 9457) with a `code`. Bodies may have 64 KiB, files 20 MB.";

/// The document in the making.
pub(super) struct Document {
    paths: BTreeMap<&'static str, Map<String, Value>>,
    /// For what is answered.
    told: SchemaGenerator,
    /// For what is sent.
    taken: SchemaGenerator,
}

impl Document {
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = COMPONENTS.into();
                settings.meta_schema = None;
            })
        };
        Self {
            paths: BTreeMap::new(),
            told: settings().for_serialize().into_generator(),
            taken: settings().for_deserialize().into_generator(),
        }
    }

    /// A route that answers in JSON.
    pub(super) fn add_json<Q: TakesQuery, B: TakesBody, A: JsonSchema>(&mut self, route: &Route) {
        let schema = self.told.subschema_for::<A>();
        self.add::<Q, B>(route, "application/json", schema);
    }

    /// A route that answers in another media type.
    pub(super) fn add_other<Q: TakesQuery, B: TakesBody>(&mut self, route: &Route, media_type: &'static str) {
        let schema = match route.answer {
            Some(schema) => schema(&mut self.told),
            None => self.told.subschema_for::<String>(),
        };
        self.add::<Q, B>(route, media_type, schema);
    }

    fn add<Q: TakesQuery, B: TakesBody>(&mut self, route: &Route, media_type: &str, answer: Schema) {
        let mut operation = Map::new();
        let mut put = |name: &str, value: Value| {
            operation.insert(name.to_owned(), value);
        };
        put("operationId", json!(route.name));
        put("summary", json!(route.summary));
        if let Some(about) = route.about {
            put("description", json!(about));
        }
        match route.access {
            Access::Open => put("security", json!([])),
            Access::Needs(role) => {
                put("security", json!([{ "bearer": [] }]));
                put("x-roles", json!([role]));
            }
            Access::AnyRole => {
                put("security", json!([{ "bearer": [] }]));
                put("x-roles", json!(Role::ALL));
            }
        }
        let mut parameters = self.path_parameter(route);
        parameters.extend(self.query_parameters::<Q>());
        parameters.extend(route.header.map(|(name, about)| {
            let schema = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
            json!({ "name": name, "in": "header", "description": about, "schema": schema })
        }));
        if !parameters.is_empty() {
            put("parameters", Value::Array(parameters));
        }
        if let Some(schema) = B::schema(&mut self.taken) {
            let content: Map<String, Value> =
                B::MEDIA_TYPES.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
            put("requestBody", json!({ "required": true, "content": content }));
        }
        put("responses", self.responses(route, B::TAKES, media_type, answer));
        let method = match route.method {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
        };
        self.paths.entry(route.path).or_default().insert(method.to_owned(), Value::Object(operation));
    }

    fn path_parameter(&mut self, route: &Route) -> Vec<Value> {
        let name = route.path.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(name, _)| name);
        let (Some(name), Some(param)) = (name, route.param) else { return Vec::new() };
        let schema = (param.schema)(&mut self.taken);
        vec![json!({ "name": name, "in": "path", "required": true, "description": param.about, "schema": schema })]
    }

    /// A query's fields, each as a parameter. `null`, which a query cannot say, is left out of their types.
    fn query_parameters<Q: TakesQuery>(&mut self) -> Vec<Value> {
        let schema = Value::from(Q::json_schema(&mut self.taken));
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
        let parameter = |(name, field): (&String, &Value)| {
            let mut field = without_null(field);
            let about = field.as_object_mut().and_then(|field| field.remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "schema": field });
            if let (Some(parameter), Some(about)) = (parameter.as_object_mut(), about) {
                parameter.insert("description".to_owned(), about);
            }
            if let (Some(parameter), true) = (parameter.as_object_mut(), required.contains(&name.as_str())) {
                parameter.insert("required".to_owned(), json!(true));
            }
            parameter
        };
        fields.iter().map(parameter).collect()
    }

    fn responses(&mut self, route: &Route, takes_body: bool, media_type: &str, answer: Schema) -> Value {
        let mut responses = Map::new();
        let good = json!({ "description": "Done.", "content": { media_type: { "schema": answer } } });
        responses.insert("200".to_owned(), good);
        if let Some(also) = route.also {
            let schema = (also.schema)(&mut self.told);
            let content = json!({ "application/json": { "schema": schema } });
            responses.insert(also.status.as_str().to_owned(), json!({ "description": also.what, "content": content }));
        }
        let mut refusals: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
        for code in route.all_codes(takes_body) {
            refusals.entry(code.status()).or_default().push(code);
        }
        let schema = self.told.subschema_for::<Problem>();
        for (status, codes) in refusals {
            let about: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.about())).collect();
            let content = json!({ "application/problem+json": { "schema": schema } });
            let mut response = json!({ "description": about.join(" "), "content": content });
            if let (Some(response), StatusCode::UNAUTHORIZED) = (response.as_object_mut(), status) {
                let header = json!({ "description": "How to ask.", "schema": { "type": "string" } });
                response.insert("headers".to_owned(), json!({ "WWW-Authenticate": header }));
            }
            responses.insert(status.as_str().to_owned(), response);
        }
        Value::Object(responses)
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> Value {
        let mut schemas = self.told.take_definitions(true);
        schemas.extend(self.taken.take_definitions(true));
        let bearer = json!({
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `http.token_file` or `http.tokens`.",
        });
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "rampwatch's operator API",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
            },
            "paths": self.paths,
            "components": { "securitySchemes": { "bearer": bearer }, "schemas": schemas },
        })
    }
}

/// A schema without the possibility of `null`.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(kinds) = schema.get_mut("type")
        && let Some(several) = kinds.as_array_mut()
    {
        several.retain(|kind| kind != "null");
        if let [only] = several.as_slice() {
            *kinds = only.clone();
        }
    }
    if let Some(ways) = schema.get("anyOf").and_then(Value::as_array) {
        let rest: Vec<&Value> = ways.iter().filter(|way| way.get("type").is_none_or(|kind| kind != "null")).collect();
        if let [only] = rest.as_slice() {
            let mut only = (*only).clone();
            if let (Some(only), Some(about)) = (only.as_object_mut(), schema.get("description")) {
                only.insert("description".to_owned(), about.clone());
            }
            return only;
        }
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    schema
}
