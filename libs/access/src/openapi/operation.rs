//! One call of the document: parameters, bodies, answers.

use http::Method;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::Document;
use crate::Problem;
use crate::edit::Underway;

/// What each status of a problem says.
const PROBLEMS: &[(u16, &str)] = &[
    (400, "A parameter or the form of the body."),
    (401, "The caller is not known."),
    (403, "The caller may not, or nobody may."),
    (404, "There is none of this name."),
    (409, "In conflict with what is there."),
    (412, "Changed since the look that If-Match tells of."),
    (413, "Too large."),
    (415, "Not a type that is taken."),
    (422, "Not valid; errors name the fields."),
    (428, "If-Match is missing."),
    (500, "It failed; the log of the service says why."),
    (502, "What the service calls refused."),
    (503, "Too busy, or not this instance; try again."),
    (507, "It cannot be stored or recorded; nothing was changed."),
];

/// A call of a [`Document`] while it is described.
#[derive(Debug)]
pub struct Operation<'d> {
    document: &'d mut Document,
    body: Value,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
}

impl<'d> Operation<'d> {
    pub(super) fn new(
        document: &'d mut Document,
        method: &Method,
        path: &str,
        summary: &str,
    ) -> Self {
        let path_name = path.trim_start_matches("/api/v1/").replace(['{', '}'], "");
        let words = path_name.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let id = format!(
            "{}_{}",
            method.as_str().to_ascii_lowercase(),
            words.join("_")
        );
        let mut operation = Self {
            document,
            body: json!({"summary": summary, "operationId": id}),
            parameters: Vec::new(),
            responses: Map::new(),
        };
        for step in path.split('/') {
            if let Some(name) = step
                .strip_prefix('{')
                .and_then(|step| step.strip_suffix('}'))
            {
                let schema = json!({"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"});
                operation.parameter("path", name, true, &schema, "Which one.");
            }
        }
        operation
    }

    fn parameter(&mut self, place: &str, name: &str, required: bool, schema: &Value, about: &str) {
        self.parameters.push(json!({"in": place, "name": name, "required": required, "schema": schema, "description": about}));
    }

    /// A parameter that is any text and may be left out.
    pub fn text(&mut self, name: &str, about: &str) -> &mut Self {
        self.query(name, false, json!({"type": "string"}), about)
    }

    /// A whole number from 1 to `most` that may be left out.
    pub fn count(&mut self, name: &str, most: usize, about: &str) -> &mut Self {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": most});
        self.query(name, false, schema, about)
    }

    /// One of some words.
    pub fn word(&mut self, name: &str, required: bool, words: &[&str], about: &str) -> &mut Self {
        self.query(
            name,
            required,
            json!({"type": "string", "enum": words}),
            about,
        )
    }

    /// A parameter of the query.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    pub fn query(&mut self, name: &str, required: bool, schema: Value, about: &str) -> &mut Self {
        self.parameter("query", name, required, &schema, about);
        self
    }

    /// A header that may be left out.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    pub fn header(&mut self, name: &str, schema: Value, about: &str) -> &mut Self {
        self.parameter("header", name, false, &schema, about);
        self
    }

    /// What [`EditService::change`](crate::edit::EditService::change) brings: a dry run, a key, the answers that it gives itself.
    pub fn write(&mut self) -> &mut Self {
        let about = "true: says what would be done, and does nothing.";
        self.word("validate", false, &["true", "false"], about);
        let key = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._:-]+$"});
        let about = "The same request with the same key is done once within a day.";
        self.header("Idempotency-Key", key, about);
        let about = "It is not done yet, and the time of the request is over: Location tells how it stands.";
        self.answer::<Underway>(202, about);
        self.problems(&[400, 401, 403, 413, 422, 503, 507])
    }

    /// The body that it needs, of this media type.
    pub fn takes<T: JsonSchema + ?Sized>(&mut self, media: &str) -> &mut Self {
        let schema = self.document.schema::<T>();
        let mut content = self.body["requestBody"]["content"].take();
        if !content.is_object() {
            content = json!({});
        }
        content[media] = json!({"schema": schema});
        self.body["requestBody"] = json!({"required": true, "content": content});
        self
    }

    /// An answer in JSON. Several of one status are one or the other.
    pub fn answer<T: JsonSchema + ?Sized>(&mut self, status: u16, about: &str) -> &mut Self {
        let schema = self.document.schema::<T>();
        self.answer_in("application/json", status, json!(schema), about)
    }

    /// An answer of another type than JSON. What a further one of a status says of it is said of both.
    pub fn answer_in(&mut self, media: &str, status: u16, schema: Value, about: &str) -> &mut Self {
        let there = self
            .responses
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": about, "content": {}}));
        if !about.is_empty() {
            there["description"] = about.into();
        }
        let place = &mut there["content"][media];
        *place = match place.take() {
            Value::Object(mut before) => match before.remove("schema") {
                Some(Value::Object(mut known)) if known.contains_key("anyOf") => {
                    if let Some(list) = known.get_mut("anyOf").and_then(Value::as_array_mut) {
                        list.push(schema);
                    }
                    json!({"schema": known})
                }
                Some(known) => json!({"schema": {"anyOf": [known, schema]}}),
                None => json!({"schema": schema}),
            },
            _ => json!({"schema": schema}),
        };
        self
    }

    /// An answer without a body.
    pub fn empty(&mut self, status: u16, about: &str) -> &mut Self {
        self.responses
            .insert(status.to_string(), json!({"description": about}));
        self
    }

    /// Refusals, by status. The server itself answers some of them in plain text.
    pub fn problems(&mut self, statuses: &[u16]) -> &mut Self {
        let schema = self.document.schema::<Problem>();
        let known = PROBLEMS
            .iter()
            .filter(|(status, _)| statuses.contains(status));
        for (status, about) in known {
            let content = json!({"application/problem+json": {"schema": schema}, "text/plain": {}});
            self.responses.insert(
                status.to_string(),
                json!({"description": about, "content": content}),
            );
        }
        self
    }

    pub(super) fn finish(self) -> Value {
        let mut body = self.body;
        if !self.parameters.is_empty() {
            body["parameters"] = self.parameters.into();
        }
        body["responses"] = self.responses.into();
        body
    }
}
