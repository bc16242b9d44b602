//! Finding one's way in an `OpenAPI` document.

use serde_json::Value;

/// The document.
pub(super) struct Document(Value);

/// A place in it, as a JSON pointer (RFC 6901); there need not be anything at it.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

/// What one path answers to one method with.
pub(super) struct Operation {
    place: Place,
    path: Place,
    /// What stands in the path for each of its parameters.
    variables: Vec<(String, String)>,
}

/// One documented parameter.
pub(super) struct Parameter {
    pub(super) name: String,
    /// `path`, `query` or `header`.
    pub(super) place: String,
    pub(super) required: bool,
    pub(super) schema: Place,
}

impl Document {
    pub(super) fn new(json: Value) -> Result<Self, String> {
        let version = json.get("openapi").and_then(Value::as_str);
        match version {
            Some(version) if version.starts_with("3.1.") => Ok(Self(json)),
            other => Err(format!("openapi is {other:?}, not 3.1")),
        }
    }

    pub(super) fn root(&self) -> &Value {
        &self.0
    }

    pub(super) fn value(&self, place: &Place) -> Option<&Value> {
        self.0.pointer(&place.0)
    }

    /// The names in an object with where each stands.
    pub(super) fn members(&self, place: &Place) -> Vec<(String, Place)> {
        let object = self.value(place).and_then(Value::as_object);
        let names = object.into_iter().flat_map(serde_json::Map::keys);
        names.map(|name| (name.clone(), place.get(name))).collect()
    }

    /// Where schemas stand: those with a name, and each `schema` elsewhere.
    pub(super) fn schemas(&self) -> Vec<String> {
        let named = self.members(&Place::at("/components/schemas"));
        let mut found: Vec<_> = named.into_iter().map(|(_, place)| place.0).collect();
        let mut left = vec![Place::at("/paths"), Place::at("/components")];
        while let Some(place) = left.pop() {
            for (name, inner) in self.members(&place) {
                match name.as_str() {
                    "schemas" | "example" | "examples" => {}
                    "schema" => found.extend(self.with_items(&inner)),
                    _ => left.push(inner),
                }
            }
            let items = self.value(&place).and_then(Value::as_array);
            let count = items.map_or(0, Vec::len);
            left.extend((0..count).map(|index| place.get(&index.to_string())));
        }
        found
    }

    fn with_items(&self, schema: &Place) -> Vec<String> {
        let items = schema.get("items");
        let items = self.value(&items).is_some().then_some(items.0);
        [schema.0.clone()].into_iter().chain(items).collect()
    }

    /// What answers a method at a path. `HEAD` is as good as `GET` (RFC 9110 §9.3.2).
    pub(super) fn operation(&self, method: &str, path: &str) -> Option<Operation> {
        let method = match method {
            "HEAD" => "get".to_owned(),
            other => other.to_ascii_lowercase(),
        };
        let paths = self.members(&Place::at("/paths"));
        let fitting = paths.into_iter().filter_map(|(template, place)| {
            let variables = matched(&template, path)?;
            Some((variables, place))
        });
        // Paths without a variable come first, by `OpenAPI` 3.1.1 §4.8.8.2.
        let (variables, path) = fitting.min_by_key(|(variables, _)| variables.len())?;
        let place = path.get(&method);
        self.value(&place)?;
        Some(Operation {
            place,
            path,
            variables,
        })
    }
}

fn matched(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut variables = Vec::new();
    for (want, got) in template.into_iter().zip(path) {
        let name = want
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'));
        match name {
            Some(name) if !got.is_empty() => variables.push((name.to_owned(), got.to_owned())),
            None if want == got => {}
            _ => return None,
        }
    }
    Some(variables)
}

impl Place {
    pub(super) fn at(pointer: &str) -> Self {
        Self(pointer.to_owned())
    }

    pub(super) fn pointer(&self) -> &str {
        &self.0
    }

    pub(super) fn get(&self, name: &str) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{name}", self.0))
    }

    /// Where its `$ref` leads to, if it is one; `None` where nothing is there.
    pub(super) fn followed(&self, document: &Document) -> Option<Self> {
        let value = document.value(self)?;
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => Self::at(target.strip_prefix('#')?).followed(document),
            None => Some(self.clone()),
        }
    }
}

impl Operation {
    pub(super) fn answer(&self, document: &Document, status: u16) -> Option<Place> {
        let answers = self.place.get("responses");
        answers.get(&status.to_string()).followed(document)
    }

    /// The schema of its body where that is JSON.
    pub(super) fn json_body(&self, document: &Document) -> Option<Place> {
        let content = self.place.get("requestBody").get("content");
        let schema = content.get("application/json").get("schema");
        schema.followed(document)
    }

    pub(super) fn needs_key(&self, document: &Document) -> bool {
        let own = document.value(&self.place.get("security"));
        let all = own.or(document.value(&Place::at("/security")));
        all.and_then(Value::as_array)
            .is_some_and(|all| !all.is_empty())
    }

    /// What stands in the path under this name.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let mut variables = self.variables.iter();
        variables.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    pub(super) fn parameters(&self, document: &Document) -> Vec<Parameter> {
        let lists = [self.path.get("parameters"), self.place.get("parameters")];
        let places = lists.iter().flat_map(|list| {
            let count = document
                .value(list)
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            (0..count).filter_map(move |index| list.get(&index.to_string()).followed(document))
        });
        let word = |place: &Place, name| {
            let word = document.value(&place.get(name)).and_then(Value::as_str);
            word.unwrap_or_default().to_owned()
        };
        let parameter = |place: Place| Parameter {
            name: word(&place, "name"),
            place: word(&place, "in"),
            required: document.value(&place.get("required")) == Some(&Value::Bool(true)),
            schema: place.get("schema"),
        };
        places.map(parameter).collect()
    }
}
