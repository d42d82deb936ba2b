//! What a route is: its method and path, who may ask it, what it is for, and how it may be refused.

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::problem::Code;
use crate::domain::actor::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody who reaches it.
    Open,
    /// Who bears a token with this role.
    Needs(Role),
    /// Who bears any token: whatever may be stopped, everybody may stop.
    AnyRole,
}

/// Another answer in JSON, besides the good one and the problems.
#[derive(Clone, Copy)]
pub(super) struct Also {
    pub(super) status: StatusCode,
    pub(super) what: &'static str,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A route, before it has a handler. [`super::api::Api::add`] says how it is used.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// Its name in the document (`operationId`).
    pub(super) name: &'static str,
    /// What it does, in one line.
    pub(super) summary: &'static str,
    /// What else there is to know.
    pub(super) about: Option<&'static str>,
    /// What the one parameter in the path is.
    pub(super) param: Option<Param>,
    /// How the rules may refuse it; what every route of its kind may answer is added to these.
    pub(super) codes: Vec<Code>,
    pub(super) also: Option<Also>,
    /// What the answer looks like where it is not JSON of the handler's own type; a text unless said otherwise.
    pub(super) answer: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// A header that it takes, and what that is.
    pub(super) header: Option<(&'static str, &'static str)>,
}

/// What stands between the braces of a path.
#[derive(Clone, Copy)]
pub(super) struct Param {
    pub(super) about: &'static str,
    pub(super) schema: fn(&mut SchemaGenerator) -> Schema,
}

const fn route(method: Method, path: &'static str, access: Access, name: &'static str, summary: &'static str) -> Route {
    Route {
        method,
        path,
        access,
        name,
        summary,
        about: None,
        param: None,
        codes: Vec::new(),
        also: None,
        answer: None,
        header: None,
    }
}

/// `GET`: looks and changes nothing.
pub(super) const fn get(path: &'static str, access: Access, name: &'static str, summary: &'static str) -> Route {
    route(Method::Get, path, access, name, summary)
}

/// `POST`: changes something.
pub(super) const fn post(path: &'static str, access: Access, name: &'static str, summary: &'static str) -> Route {
    route(Method::Post, path, access, name, summary)
}

/// `PUT`: keeps what is given; doing it again changes nothing.
pub(super) const fn put(path: &'static str, access: Access, name: &'static str, summary: &'static str) -> Route {
    route(Method::Put, path, access, name, summary)
}

impl Route {
    /// What else there is to know.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about: Some(about), ..self }
    }

    /// What the parameter in the path is, and what it looks like.
    pub(super) fn param<T: JsonSchema>(self, about: &'static str) -> Self {
        Self { param: Some(Param { about, schema: SchemaGenerator::subschema_for::<T> }), ..self }
    }

    /// What the answer of a route looks like that is added with `Api::add_other`.
    pub(super) fn answers<T: JsonSchema>(self) -> Self {
        Self { answer: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// A header that it takes: a whole number.
    pub(super) fn header(self, name: &'static str, about: &'static str) -> Self {
        Self { header: Some((name, about)), ..self }
    }

    /// How the handle's rules may refuse it.
    pub(super) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Another answer in JSON.
    pub(super) fn also<T: JsonSchema>(self, status: StatusCode, what: &'static str) -> Self {
        Self { also: Some(Also { status, what, schema: SchemaGenerator::subschema_for::<T> }), ..self }
    }

    /// Everything that may be refused: what the route says, and what goes for all of its kind.
    pub(super) fn all_codes(&self, takes_body: bool) -> Vec<Code> {
        let mut codes = self.codes.clone();
        codes.extend([Code::Malformed, Code::Host, Code::Timeout]);
        if matches!(self.access, Access::Needs(_)) {
            codes.push(Code::MissingRole);
        }
        if matches!(self.access, Access::Needs(_) | Access::AnyRole) {
            codes.extend([Code::Unauthorized, Code::Store]);
        }
        if takes_body {
            codes.extend([Code::TooLarge, Code::MediaType, Code::SlowBody]);
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}
