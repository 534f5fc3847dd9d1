//! The document of a script or playbook, brought to its normal form.

use super::{
    location::{Island, is_json, stem},
    script_text::{line_feeds, plain_text, script_text},
};
use crate::domain::{
    base64,
    coerce::{WholeNumber, whole_number_of},
    json::{Json, JsonObject},
    json_reader::read_stored_text,
    text::python_trim,
};

/// Seconds that a script may take where its document names none.
const DEFAULT_TIMEOUT: WholeNumber = WholeNumber::Short(3600);
/// What a document may be of.
const TYPES: [&str; 4] = ["powershell", "batch", "bash", "ansible"];

/// A variable that a document declares.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentVariable {
    /// Its name, not blank.
    pub name: String,
    /// What operators see.
    pub label: String,
    /// `string`, `number`, `boolean` or `credential`.
    pub kind: String,
    /// Its value where nobody gives one.
    pub default: Json,
    /// Whether operators have to give a value.
    pub required: bool,
    /// What operators see below it.
    pub description: String,
}

/// A file that goes along.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentFile {
    pub file_name: String,
    /// Its size according to the document.
    pub size: WholeNumber,
    /// Its type according to the document.
    pub mime_type: String,
    /// Its content, base64.
    pub data: String,
}

/// A document in normal form.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub version: WholeNumber,
    /// Its name, else its display name, else the file's; not trimmed.
    pub name: String,
    /// What scheduled runs call it: they pass over the display name.
    pub scheduled_name: String,
    pub description: String,
    /// `script` or `application`.
    pub category: String,
    /// `powershell`, `batch`, `bash` or `ansible`.
    pub kind: String,
    /// The decoded text.
    pub script: String,
    /// `base64` or `plain`, as it was found; none for a file that is no document.
    pub script_encoding: Option<&'static str>,
    /// Seconds that it may take; 0 is no limit.
    pub timeout_seconds: WholeNumber,
    /// `all`, `specific` or `none`-like words of sites it is for, as `mode` and `values`.
    pub sites: (String, Vec<String>),
    /// What it can be given.
    pub variables: Vec<DocumentVariable>,
    /// What goes along.
    pub files: Vec<DocumentFile>,
}

impl Document {
    /// The document in the order in which its file has it, with its script as the plain text that operators see.
    pub fn shown(&self) -> Json {
        self.members(self.script.as_str().into(), self.script_encoding)
    }

    /// Seconds that a run of it may take; 0 is no limit.
    pub fn run_seconds(&self) -> i64 {
        i64::try_from(self.timeout_seconds.held()).unwrap_or(i64::MAX)
    }

    /// What its file holds: the script is always base64.
    pub fn stored(&self) -> Json {
        let script = base64::encode(line_feeds(&self.script).as_bytes());
        self.members(script.into(), Some("base64"))
    }

    fn members(&self, script: Json, script_encoding: Option<&str>) -> Json {
        let (mode, values) = &self.sites;
        let mut members = Json::members([
            ("version", self.version.clone().into()),
            ("name", self.name.as_str().into()),
            ("description", self.description.as_str().into()),
            ("category", self.category.as_str().into()),
            ("type", self.kind.as_str().into()),
            ("script", script),
            ("timeout_seconds", self.timeout_seconds.clone().into()),
            (
                "sites",
                Json::object([
                    ("mode", mode.as_str().into()),
                    ("values", Json::list(values.iter().map(String::as_str))),
                ]),
            ),
            (
                "variables",
                Json::List(self.variables.iter().map(DocumentVariable::member).collect()),
            ),
            (
                "files",
                Json::List(self.files.iter().map(DocumentFile::member).collect()),
            ),
        ]);
        if let Some(encoding) = script_encoding {
            members.insert("script_encoding".to_owned(), encoding.into());
        }
        Json::Object(members)
    }
}

impl DocumentVariable {
    fn member(&self) -> Json {
        Json::object([
            ("name", self.name.as_str().into()),
            ("label", self.label.as_str().into()),
            ("type", self.kind.as_str().into()),
            ("default", self.default.clone()),
            ("required", self.required.into()),
            ("description", self.description.as_str().into()),
        ])
    }
}

impl DocumentFile {
    fn member(&self) -> Json {
        Json::object([
            ("file_name", self.file_name.as_str().into()),
            ("size", self.size.clone().into()),
            ("mime_type", self.mime_type.as_str().into()),
            ("data", self.data.as_str().into()),
        ])
    }
}

/// What a list shows of a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heading {
    pub name: String,
    pub description: String,
    /// `script` or `application`.
    pub category: String,
    /// `powershell`, `batch`, `bash` or `ansible`.
    pub kind: String,
}

/// Whether a word is one that a document's type may be.
pub fn is_type(word: &str) -> bool {
    TYPES.contains(&word)
}

/// The type that a list takes a file for, where its document names none: other than [`load`], it looks at the ending
/// (ASM-18).
pub fn listed_kind(island: Island, file_name: &str) -> &'static str {
    if island == Island::Playbooks {
        return "ansible";
    }
    let ending = file_name.rsplit('.').next().unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "bat" => "batch",
        "sh" => "bash",
        "yml" => "ansible",
        _ => "powershell",
    }
}

/// The type that a document names, if it is one.
fn named_kind(members: &JsonObject) -> Option<String> {
    let word = first_truthy(members, &["type", "script_type"])?
        .python_text()
        .to_lowercase();
    is_type(&word).then_some(word)
}

/// The heading of a document, without a look at its script and files. Its file's name counts without blanks around it.
pub fn heading(members: &JsonObject, default_kind: &str, base_name: &str) -> Heading {
    let category = members.get("category").map(Json::python_text).unwrap_or_default();
    let category = category.to_lowercase();
    Heading {
        name: first_truthy(members, &["name", "display_name"])
            .map_or_else(|| python_trim(base_name).to_owned(), Json::python_str),
        description: text(members, &["description"]),
        category: match category.as_str() {
            "script" | "application" => category,
            _ if default_kind == "ansible" => "application".to_owned(),
            _ => "script".to_owned(),
        },
        kind: named_kind(members).unwrap_or_else(|| default_kind.to_owned()),
    }
}

/// A document as it was read from its file.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedDocument {
    /// Its normal form.
    pub document: Document,
    /// Whether the file is no readable document; the normal form is then that of an empty one.
    pub damaged: bool,
}

/// Reads a file. `default_kind` is the type where the document names no known one.
pub fn load(file_name: &str, bytes: &[u8], default_kind: &str) -> LoadedDocument {
    let base = stem(file_name);
    if !is_json(file_name) {
        let mut document = normalize(&JsonObject::new(), default_kind, base);
        // Only documents are called by their file without the blanks around it.
        base.clone_into(&mut document.name);
        document.script = plain_text(bytes);
        document.script_encoding = None;
        return LoadedDocument {
            document,
            damaged: false,
        };
    }
    match parse(bytes) {
        Some(Json::Object(members)) => LoadedDocument {
            document: normalize(&members, default_kind, base),
            damaged: false,
        },
        _ => LoadedDocument {
            document: normalize(&JsonObject::new(), default_kind, base),
            damaged: true,
        },
    }
}

/// The JSON in a file; a byte order mark makes it unreadable, as in the legacy.
pub fn parse(bytes: &[u8]) -> Option<Json> {
    read_stored_text(std::str::from_utf8(bytes).ok()?).ok()
}

/// What a list shows of a file.
pub fn listed(island: Island, file_name: &str, bytes: &[u8]) -> Heading {
    let kind = listed_kind(island, file_name);
    if !is_json(file_name) {
        let mut heading = heading(&JsonObject::new(), kind, "");
        stem(file_name).clone_into(&mut heading.name);
        return heading;
    }
    let members = match parse(bytes) {
        Some(Json::Object(members)) => members,
        _ => JsonObject::new(),
    };
    // Here the type that a document names is its default, which its category goes by.
    let named = named_kind(&members).filter(|_| island != Island::Playbooks);
    heading(&members, named.as_deref().unwrap_or(kind), stem(file_name))
}

/// Brings a document's members to their normal form; what nobody knows is dropped.
pub fn normalize(members: &JsonObject, default_kind: &str, base_name: &str) -> Document {
    let script = script_text(members);
    let Heading {
        name,
        description,
        category,
        kind,
    } = heading(members, default_kind, base_name);
    Document {
        version: first_truthy(members, &["version"])
            .and_then(whole_number_of)
            .unwrap_or(WholeNumber::Short(1)),
        name,
        scheduled_name: first_truthy(members, &["name"])
            .map_or_else(|| base_name.to_owned(), Json::python_str),
        description,
        category,
        kind,
        script_encoding: Some(if script.was_base64 { "base64" } else { "plain" }),
        script: script.text,
        timeout_seconds: members
            .get("timeout_seconds")
            .or_else(|| members.get("timeout"))
            .and_then(whole_number_of)
            .unwrap_or(DEFAULT_TIMEOUT)
            .at_least_zero(),
        sites: sites(members.get("sites")),
        variables: items(members, "variables").filter_map(variable).collect(),
        files: items(members, "files").filter_map(file).collect(),
    }
}

fn items<'a>(members: &'a JsonObject, name: &str) -> impl Iterator<Item = &'a JsonObject> {
    members
        .get(name)
        .and_then(Json::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object)
}

fn first_truthy<'a>(members: &'a JsonObject, names: &[&str]) -> Option<&'a Json> {
    names
        .iter()
        .filter_map(|name| members.get(*name))
        .find(|value| value.is_truthy())
}

fn text(members: &JsonObject, names: &[&str]) -> String {
    first_truthy(members, names)
        .map(Json::python_str)
        .unwrap_or_default()
}

fn sites(value: Option<&Json>) -> (String, Vec<String>) {
    let Some(members) = value.and_then(Json::as_object) else {
        return ("all".to_owned(), Vec::new());
    };
    let list = members.get("values").and_then(Json::as_list).unwrap_or_default();
    let values = list
        .iter()
        .filter(|item| !matches!(item, Json::Null | Json::List(_) | Json::Object(_)))
        .map(|item| python_trim(&item.python_str()).to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let mode = match first_truthy(members, &["mode"]) {
        None if !list.is_empty() => "specific",
        Some(mode) if mode.python_text().to_lowercase() == "specific" => "specific",
        // A blank one too: it is there, and unknown.
        _ => "all",
    };
    (mode.to_owned(), values)
}

fn variable(members: &JsonObject) -> Option<DocumentVariable> {
    let name = python_trim(&text(members, &["name", "key"])).to_owned();
    if name.is_empty() {
        return None;
    }
    let kind = first_truthy(members, &["type"])
        .map(|kind| kind.python_text().to_lowercase())
        .filter(|kind| ["string", "number", "boolean", "credential"].contains(&kind.as_str()))
        .unwrap_or_else(|| "string".to_owned());
    Some(DocumentVariable {
        name,
        label: text(members, &["label"]),
        kind,
        default: members
            .get("default")
            .or_else(|| members.get("default_value"))
            .cloned()
            .unwrap_or_default(),
        required: members.get("required").is_some_and(Json::is_truthy),
        description: text(members, &["description"]),
    })
}

fn file(members: &JsonObject) -> Option<DocumentFile> {
    let file_name = text(members, &["file_name", "name"]);
    let data = members.get("data")?.as_text()?;
    (!file_name.is_empty()).then(|| DocumentFile {
        file_name,
        size: members
            .get("size")
            .and_then(whole_number_of)
            .unwrap_or(WholeNumber::Short(0)),
        mime_type: text(members, &["mime_type", "mimeType"]),
        data: data.to_owned(),
    })
}

#[cfg(test)]
mod tests;
