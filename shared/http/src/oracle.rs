//! An `OpenAPI` 3.1 document as the judge of what was said: every request that was granted, and every
//! answer, must be one that the document allows. For tests (feature `oracle`).

mod document;
mod exchange;

use std::collections::HashMap;
use std::fmt::Write as _;

use boon::{Compiler, SchemaIndex, Schemas};
use http::HeaderMap;
use serde_json::Value;

use document::{Document, Operation, Place};

pub use exchange::Exchange;

/// A document with its schemas compiled.
pub struct Oracle {
    document: Document,
    schemas: Schemas,
    /// By the place where they stand.
    compiled: HashMap<String, SchemaIndex>,
}

const ERROR: &str = "/components/schemas/Error";
const PROBLEM: &str = "/components/schemas/Problem";

impl Oracle {
    /// Reads a document. `Err` says what is wrong with it: a schema that is none, a reference to
    /// nothing, an example that its own schema refuses.
    pub fn new(document: Value) -> Result<Self, String> {
        const URL: &str = "https://contract.example/openapi.json";
        let document = Document::new(document)?;
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        let json = document.root().clone();
        let added = compiler.add_resource(URL, json);
        added.map_err(|error| error.to_string())?;
        let (mut schemas, mut places) = (Schemas::new(), HashMap::new());
        for place in document.schemas() {
            let url = format!("{URL}#{}", percent_encoded(&place));
            let index = compiler.compile(&url, &mut schemas);
            places.insert(place, index.map_err(|error| format!("{error:#}"))?);
        }
        let oracle = Self {
            document,
            schemas,
            compiled: places,
        };
        oracle.check_examples()?;
        Ok(oracle)
    }

    /// Whether the document allows it. `Err` lists all that it does not.
    pub fn check(&self, exchange: &Exchange) -> Result<(), String> {
        let mut faults = String::new();
        match self.document.operation(&exchange.method, exchange.path()) {
            Some(operation) => self.check_known(&operation, exchange, &mut faults),
            None => self.check_unknown(exchange, &mut faults),
        }
        if faults.is_empty() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&exchange.answer);
        let body: String = body.chars().take(2_000).collect();
        let Exchange {
            method,
            target,
            status,
            ..
        } = exchange;
        Err(format!("{method} {target} -> {status}\n{faults}{body}"))
    }

    fn check_known(&self, operation: &Operation, exchange: &Exchange, faults: &mut String) {
        let Some(answer) = operation.answer(&self.document, exchange.status) else {
            let status = exchange.status;
            say(faults, &format!("status {status} is not documented here"));
            return;
        };
        self.check_headers(&answer, &exchange.answer_headers, faults);
        let kind = media_type(&exchange.answer_headers);
        match answer
            .get("content")
            .get(&kind)
            .get("schema")
            .followed(&self.document)
        {
            Some(schema) if exchange.method != "HEAD" => {
                self.check_json(&schema, &exchange.answer, faults);
            }
            Some(_) => {}
            None => say(
                faults,
                &format!("an answer of type {kind:?} is not documented"),
            ),
        }
        if exchange.is_granted() {
            self.check_request(operation, exchange, faults);
        }
    }

    // Where the document knows nothing there is nothing but a refusal.
    fn check_unknown(&self, exchange: &Exchange, faults: &mut String) {
        if !matches!(
            exchange.status,
            400 | 404 | 405 | 408 | 413 | 414 | 431 | 500 | 503
        ) {
            say(faults, "no such operation is documented");
        }
        if exchange.status == 405 && !exchange.answer_headers.contains_key("allow") {
            say(faults, "a 405 has no Allow");
        }
        let place = match media_type(&exchange.answer_headers).as_str() {
            "application/json" => ERROR,
            "application/problem+json" => PROBLEM,
            other => return say(faults, &format!("an error of type {other:?}")),
        };
        self.check_json(&Place::at(place), &exchange.answer, faults);
    }

    fn check_headers(&self, answer: &Place, headers: &HeaderMap, faults: &mut String) {
        for (name, header) in self.document.members(&answer.get("headers")) {
            let Some(header) = header.followed(&self.document) else {
                continue;
            };
            let is_required = self.document.value(&header.get("required"));
            let values: Vec<_> = headers.get_all(&name).into_iter().collect();
            if values.is_empty() && is_required == Some(&Value::Bool(true)) {
                say(faults, &format!("the answer has no {name}"));
            }
            for value in values {
                let text = String::from_utf8_lossy(value.as_bytes());
                self.check_text(&header.get("schema"), (&name, &text), faults);
            }
        }
    }

    fn check_request(&self, operation: &Operation, exchange: &Exchange, faults: &mut String) {
        for parameter in operation.parameters(&self.document) {
            for text in exchange.given(&parameter, operation) {
                let what = (parameter.name.as_str(), text.as_str());
                self.check_parameter(&parameter.schema, what, faults);
            }
            if parameter.required && exchange.given(&parameter, operation).is_empty() {
                say(faults, &format!("granted without {}", parameter.name));
            }
        }
        let known = operation.parameters(&self.document);
        for name in exchange.query().map(|(name, _)| name) {
            if !known
                .iter()
                .any(|one| one.place == "query" && one.name == name)
            {
                say(faults, &format!("granted with {name} in its query"));
            }
        }
        if operation.needs_key(&self.document) && !exchange.headers.contains_key("authorization") {
            say(faults, "granted without a key");
        }
        if let Some(schema) = operation.json_body(&self.document) {
            self.check_json(&schema, &exchange.body, faults);
        }
    }

    // Of an array each item is a parameter of its own.
    fn check_parameter(&self, schema: &Place, what: (&str, &str), faults: &mut String) {
        let items = schema.get("items");
        let schema = if self.document.value(&items).is_some() {
            &items
        } else {
            schema
        };
        self.check_text(schema, what, faults);
    }

    // A text in a header or a query is a number where it must be one.
    fn check_text(&self, schema: &Place, (name, text): (&str, &str), faults: &mut String) {
        let Some(schema) = schema.followed(&self.document) else {
            return;
        };
        let is_integer = self.document.value(&schema.get("type")) == Some(&"integer".into());
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = match text.parse::<u64>() {
            Ok(number) if is_integer && plain => Value::from(number),
            _ => Value::from(text),
        };
        let mut inner = String::new();
        self.check_value(&schema, &value, &mut inner);
        if !inner.is_empty() {
            say(faults, &format!("{name}: {text}: {inner}"));
        }
    }

    fn check_json(&self, schema: &Place, body: &[u8], faults: &mut String) {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(value) => self.check_value(schema, &value, faults),
            Err(error) => say(faults, &format!("not JSON: {error}")),
        }
    }

    fn check_value(&self, schema: &Place, value: &Value, faults: &mut String) {
        match self.compiled.get(schema.pointer()) {
            None => say(faults, &format!("{} is no schema", schema.pointer())),
            Some(index) => {
                if let Err(error) = self.schemas.validate(value, *index) {
                    say(faults, &error.to_string());
                }
            }
        }
    }

    fn check_examples(&self) -> Result<(), String> {
        let mut faults = String::new();
        for (name, schema) in self.document.members(&Place::at("/components/schemas")) {
            let examples = self.document.value(&schema.get("examples"));
            for example in examples.and_then(Value::as_array).into_iter().flatten() {
                let before = faults.len();
                self.check_value(&schema, example, &mut faults);
                if faults.len() > before {
                    say(&mut faults, &format!("in an example of {name}"));
                }
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}

fn say(faults: &mut String, fault: &str) {
    // Writing to a text does not fail.
    let _written = writeln!(faults, "- {fault}");
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get("content-type").map(http::HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
    let kind = text.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

// RFC 6901 §6.
fn percent_encoded(pointer: &str) -> String {
    let mut encoded = String::new();
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"/~-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
