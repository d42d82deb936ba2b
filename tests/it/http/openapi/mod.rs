//! The OpenAPI document: the one in the repository is the one that the source makes, and what is served is in it.

use std::path::Path;

use serde_json::Value;

use crate::support::desk::Desk;

mod driven;

/// What is in the repository.
fn committed() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_document_in_the_repository_is_the_generated_one() {
    let generated = rampwatch::http::openapi();
    assert!(generated == committed(), "it has changed: cargo run -- openapi > docs/openapi.json");
}

#[tokio::test]
async fn the_document_is_served() {
    let desk = Desk::open().await;
    assert_eq!(desk.answer(desk.get("/v1/openapi.json")).await, (200, committed()));
}

/// Everything that a reference in the document can mean.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|_| name == "$ref") {
                    Some(target) => found.push(target),
                    None => references(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_is_whole() {
    let document = rampwatch::http::openapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "only {} references", found.len());
    for target in found {
        let place = target.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{target} leads nowhere");
    }
    let mut names = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            names.push(operation["operationId"].as_str().unwrap());
            assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{method} {path}");
            assert_eq!(operation.get("requestBody").is_some(), method != "get", "{method} {path}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
            for parameter in &parameters {
                assert!(parameter["description"].as_str().is_some_and(|about| about.len() > 5), "{path} {parameter}");
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let content = answer["content"].as_object().unwrap();
                let kinds: Vec<&str> = content.keys().map(String::as_str).collect();
                let problem = status != "200" && kinds != ["application/json"];
                assert_eq!(kinds == ["application/problem+json"], problem, "{method} {path} {status}");
            }
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "operation ids are unique");
}
