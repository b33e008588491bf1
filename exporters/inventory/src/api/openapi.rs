//! The interface as an OpenAPI 3.1 document, made of the table that the router is made of.

use http::Method;
use inventory::edit::Kind;
use serde_json::{Map, Value, json};

use super::{Action, OPERATIONS, Operation, lists};
use crate::formats::Format;

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
            "title": "SOTP inventory",
            "version": "1",
            "description": "Sites, groups, devices and names of credentials: to read, and to change for callers whom the configuration knows.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"web_user": []}, {"grafana": []}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": {
            "web_user": {"type": "http", "scheme": "basic"},
            "grafana": {"type": "apiKey", "in": "header", "name": "X-Grafana-Id"},
        }},
    });
    serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
}

/// The schemas of the file, under the names that this document refers to, and those of answers.
fn schemas() -> Value {
    let text = inventory::json_schema().replace("#/$defs/", "#/components/schemas/");
    let file: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let mut schemas = file["$defs"].as_object().cloned().unwrap_or_default();
    let error = json!({"type": "object", "properties": {
        "field": {"type": "string"}, "pointer": {"type": "string"}, "detail": {"type": "string"}, "line": {"type": "integer"},
    }});
    let change = json!({"type": "object", "required": ["op", "path"], "properties": {
        "op": {"enum": ["add", "replace", "remove"]}, "path": {"type": "string"}, "before": {}, "after": {},
    }});
    schemas.insert("Problem".to_owned(), json!({
        "type": "object", "required": ["status"],
        "description": "RFC 9457.",
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "errors": {"type": "array", "items": error},
        },
    }));
    schemas.insert("Changes".to_owned(), json!({
        "type": "object", "required": ["changes"],
        "properties": {"changes": {"type": "array", "items": change}, "rewritten": {"type": ["string", "null"]}},
    }));
    Value::Object(schemas)
}

fn entry(kind: Kind) -> Value {
    let name = match kind {
        Kind::Site => "SiteEntry",
        Kind::Group => "GroupEntry",
        Kind::Device => "DeviceEntry",
        Kind::Credential => "CredentialEntry",
    };
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn parameter(place: &str, name: &str, required: bool, schema: &Value, about: &str) -> Value {
    json!({"in": place, "name": name, "required": required, "schema": schema, "description": about})
}

fn body(schema: &Value, kind: &str) -> Value {
    json!({"required": true, "content": {kind: {"schema": schema}}})
}

fn described(operation: &Operation) -> Value {
    let text = json!({"type": "string"});
    let mut parameters = Vec::new();
    for name in operation
        .path
        .split('/')
        .filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'))
    {
        let schema =
            json!({"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"});
        parameters.push(parameter("path", name, true, &schema, "Its name."));
    }
    let object = json!({"type": "object"});
    let mut said = json!({"summary": operation.summary, "operationId": id(operation)});
    let mut answers = vec![("200", Some(object.clone()))];
    let write = operation.method != Method::GET;
    if write && operation.action != Action::Push {
        let schema = json!({"type": "string", "enum": ["true", "false"]});
        parameters.push(parameter(
            "query",
            "validate",
            false,
            &schema,
            "true: says what would change, and changes nothing.",
        ));
        let key = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"});
        parameters.push(parameter(
            "header",
            "Idempotency-Key",
            false,
            &key,
            "The same request with the same key is done once within a day.",
        ));
    }
    match operation.action {
        Action::List(kind) => {
            for name in lists::parameters(kind) {
                parameters.push(parameter(
                    "query",
                    name,
                    false,
                    &text,
                    "Only entries with this value; of name, a part is enough.",
                ));
            }
            parameters.push(parameter(
                "query",
                "after",
                false,
                &text,
                "The name that the page begins after: next of the one before.",
            ));
            let limit = json!({"type": "integer", "minimum": 1, "maximum": 1000});
            parameters.push(parameter(
                "query",
                "limit",
                false,
                &limit,
                "Most entries of the page.",
            ));
        }
        Action::One(_) => {
            let form = json!({"type": "string", "enum": ["effective", "written"]});
            parameters.push(parameter(
                "query",
                "form",
                false,
                &form,
                "written: as it stands in the file; effective: with what it inherits.",
            ));
        }
        Action::Add(kind) => {
            said["requestBody"] = body(&entry(kind), "application/json");
            answers.push(("201", Some(entry(kind))));
        }
        Action::Replace(kind) => {
            said["requestBody"] = body(&entry(kind), "application/json");
            answers.push(("201", Some(entry(kind))));
        }
        Action::Patch(_) => said["requestBody"] = body(&object, "application/merge-patch+json"),
        Action::Delete(_) => answers.push(("204", None)),
        Action::Versions => {
            let limit = json!({"type": "integer", "minimum": 1, "maximum": 500});
            parameters.push(parameter(
                "query",
                "entry",
                false,
                &text,
                "Only versions that changed it: devices/r1.",
            ));
            parameters.push(parameter(
                "query",
                "before",
                false,
                &text,
                "Only versions before this one.",
            ));
            parameters.push(parameter("query", "limit", false, &limit, "Most versions."));
        }
        Action::Diff => {
            parameters.push(parameter("query", "from", true, &text, "A version."));
            parameters.push(parameter(
                "query",
                "to",
                false,
                &text,
                "A version; without it, the newest.",
            ));
        }
        Action::Restore => {
            let schema = json!({"type": "object", "required": ["version"], "additionalProperties": false,
                "properties": {"version": text, "entry": {"type": "string"}}});
            said["requestBody"] = body(&schema, "application/json");
        }
        Action::Resolve => {
            let side = json!({"type": "string", "enum": ["ours", "theirs"]});
            let choice = json!({"anyOf": [side, {"type": "object"}, {"type": "null"}]});
            let names = json!({"pattern": "^(sites|groups|devices|credentials)/[A-Za-z0-9][A-Za-z0-9._-]*$"});
            let schema = json!({"type": "object", "required": ["version"], "additionalProperties": false,
            "properties": {"version": text, "all": side, "choices": {
                "type": "object", "maxProperties": 1000, "propertyNames": names, "additionalProperties": choice,
            }}});
            said["requestBody"] = body(&schema, "application/json");
        }
        Action::Import | Action::Export => {
            let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
            let schema = json!({"type": "string", "enum": names});
            parameters.push(parameter(
                "query",
                "format",
                true,
                &schema,
                "The other system's format.",
            ));
            if operation.action == Action::Import {
                said["requestBody"] = body(&text, "text/plain");
            }
        }
        _ => {}
    }
    let conditional = matches!(
        operation.action,
        Action::Replace(_)
            | Action::Patch(_)
            | Action::Delete(_)
            | Action::Import
            | Action::Resolve
    );
    if conditional {
        parameters.push(parameter(
            "header",
            "If-Match",
            false,
            &text,
            "ETag of the last look. Without it, 428.",
        ));
    }
    if matches!(operation.action, Action::Replace(_)) {
        let star = json!({"type": "string", "enum": ["*"]});
        parameters.push(parameter(
            "header",
            "If-None-Match",
            false,
            &star,
            "*: there must be none of this name yet.",
        ));
    }
    said["parameters"] = parameters.into();
    let mut responses = Map::new();
    for (status, schema) in answers {
        let any = schema.map_or_else(
            || json!({}),
            |schema| json!({"application/json": {"schema": schema}}),
        );
        let content = match operation.action {
            Action::Export | Action::Schema => json!({"*/*": {}}),
            _ => any,
        };
        let mut answer = json!({"description": "Done."});
        if content
            .as_object()
            .is_some_and(|content| !content.is_empty())
        {
            answer["content"] = content;
        }
        responses.insert(status.to_owned(), answer);
    }
    let problems: &[(&str, &str)] = &[
        ("400", "A parameter or the form of the body."),
        ("401", "The caller is not known."),
        ("403", "The caller may not, or nobody may."),
        ("404", "No such entry or version."),
        ("409", "In conflict with what is there."),
        ("412", "Changed since the look that If-Match tells of."),
        ("413", "Too large."),
        ("415", "Not a type that is taken."),
        ("422", "Not valid; errors name the fields."),
        ("428", "If-Match is missing."),
        ("502", "git refused."),
        ("503", "Too busy; try again."),
        (
            "507",
            "It cannot be stored or recorded; nothing was changed.",
        ),
    ];
    if operation.method == Method::GET {
        responses.insert(
            "304".to_owned(),
            json!({"description": "The caller has it."}),
        );
    }
    for (status, about) in problems {
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        let content = json!({"application/problem+json": {"schema": schema}, "text/plain": {}});
        responses.insert(
            (*status).to_owned(),
            json!({"description": about, "content": content}),
        );
    }
    said["responses"] = responses.into();
    said
}

fn id(operation: &Operation) -> String {
    let path = operation
        .path
        .trim_start_matches("/api/v1/")
        .replace(['/', '{', '}', '.'], "_");
    format!(
        "{}_{}",
        operation.method.as_str().to_ascii_lowercase(),
        path.trim_matches('_')
    )
}
