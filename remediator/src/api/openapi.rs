//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of.

use http::Method;
use serde_json::{Map, Value, json};

use super::{Call, OPERATIONS, Operation};

/// The document, as indented JSON with a final line feed.
pub(crate) fn document() -> String {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = described(operation);
    }
    let body = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SOTP remediator", "version": "1",
            "description": "Alerts in; jobs, approvals, console commands and the stop switch for callers whom the configuration knows.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"web_user": []}, {"grafana": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": {
                "type": "object", "required": ["status"], "description": "RFC 9457.",
                "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
            }},
            "securitySchemes": {
                "web_user": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "grafana": {"type": "apiKey", "in": "header", "name": "X-Grafana-Id"},
            },
        },
    });
    serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
}

fn described(operation: &Operation) -> Value {
    let text = json!({"type": "string"});
    let mut parameters = Vec::new();
    if operation.path.contains("{id}") {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"});
        parameters.push(json!({"in": "path", "name": "id", "required": true, "schema": schema, "description": "Its id."}));
    }
    let mut query = |name: &str, schema: &Value, about: &str| {
        parameters.push(json!({"in": "query", "name": name, "required": false, "schema": schema, "description": about}));
    };
    let number = json!({"type": "integer", "minimum": 1, "maximum": 1000});
    match operation.call {
        Call::Jobs => {
            query(
                "state",
                &text,
                "Only jobs in this state; open for those that are not over.",
            );
            query("device", &text, "Only jobs of this device.");
            query(
                "before",
                &text,
                "Only jobs older than the one with this id.",
            );
            query("limit", &number, "At most so many.");
        }
        Call::Commands => query("limit", &number, "At most so many."),
        _ => {}
    }
    let written = matches!(
        operation.call,
        Call::Run | Call::Approve | Call::Reject | Call::Command | Call::SetSwitch
    );
    if written {
        query(
            "validate",
            &json!({"type": "string", "enum": ["true", "false"]}),
            "true: says what would be done, and does nothing.",
        );
        let key = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"});
        let about = "The same request with the same key is done once.";
        parameters.push(json!({"in": "header", "name": "Idempotency-Key", "required": false, "schema": key, "description": about}));
    }
    let object = json!({"type": "object"});
    let problem = json!({"description": "Why it is not done.", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    let good = |about: &str| json!({"description": about, "content": {"application/json": {"schema": object}}});
    let mut responses = Map::new();
    responses.insert("200".to_owned(), good("The answer."));
    if written {
        responses.insert(
            "202".to_owned(),
            good("It is accepted; the answer says where its outcome is."),
        );
    }
    responses.insert("default".to_owned(), problem);
    let path: String = operation
        .path
        .trim_start_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let id = format!("{}_{path}", operation.method.as_str().to_ascii_lowercase());
    let mut said = json!({"summary": operation.summary, "operationId": id, "parameters": parameters, "responses": responses});
    if operation.method != Method::GET {
        said["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": request(operation.call)}}});
    }
    said
}

fn request(call: Call) -> Value {
    let text = json!({"type": "string"});
    match call {
        Call::Run => {
            json!({"type": "object", "required": ["runbook", "device"], "additionalProperties": false,
            "properties": {"runbook": text, "device": text, "port": text}})
        }
        Call::Approve => {
            json!({"type": "object", "required": ["plan_hash"], "additionalProperties": false,
            "properties": {"plan_hash": text, "reason": text}})
        }
        Call::Reject => {
            json!({"type": "object", "additionalProperties": false, "properties": {"plan_hash": text, "reason": text}})
        }
        Call::Command => {
            json!({"type": "object", "required": ["devices", "command"], "additionalProperties": false,
            "properties": {"devices": {"type": "array", "items": text, "minItems": 1, "maxItems": 100}, "command": text,
                "parameters": {"type": "object", "additionalProperties": text}}})
        }
        Call::SetSwitch => {
            json!({"type": "object", "required": ["paused"], "additionalProperties": false,
            "properties": {"paused": {"type": "boolean"}, "reason": text}})
        }
        _ => json!({"type": "object"}),
    }
}
