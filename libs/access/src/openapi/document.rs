//! The document: its calls and the schemas that they name.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::{Call, Operation};

/// An OpenAPI 3.1 document while it is put together.
#[derive(Debug)]
pub struct Document {
    title: &'static str,
    about: &'static str,
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Document {
    /// An empty document.
    #[must_use]
    pub fn new(title: &'static str, about: &'static str) -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        Self {
            title,
            about,
            schemas: settings.into_generator(),
            paths: Map::new(),
        }
    }

    /// The schema of a type; one with a name goes to the document's schemas and is referred to.
    pub fn schema<T: JsonSchema + ?Sized>(&mut self) -> Schema {
        self.schemas.subschema_for::<T>()
    }

    /// Adds a call as `describe` tells of it. Its path parameters are there already.
    pub fn call<A>(&mut self, call: &Call<A>, describe: impl FnOnce(&mut Operation<'_>)) {
        let mut operation = Operation::new(self, &call.method, call.path, call.summary);
        describe(&mut operation);
        let described = operation.finish();
        let path = self.paths.entry(call.path).or_insert_with(|| json!({}));
        path[call.method.as_str().to_ascii_lowercase()] = described;
    }

    /// The document as indented JSON with a final line feed.
    #[must_use]
    pub fn finish(mut self) -> String {
        let schemas = self.schemas.take_definitions(true);
        let body = json!({
            "openapi": "3.1.0",
            "info": {
                "title": self.title,
                "version": "1",
                "description": self.about,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "security": [{}, {"web_user": []}, {"grafana": []}, {"certificate": []}],
            "paths": self.paths,
            "components": {"schemas": schemas, "securitySchemes": {
                "web_user": {"type": "http", "scheme": "basic"},
                "grafana": {"type": "apiKey", "in": "header", "name": "X-Grafana-Id"},
                "certificate": {"type": "mutualTLS"},
            }},
        });
        serde_json::to_string_pretty(&body).unwrap_or_default() + "\n"
    }
}
