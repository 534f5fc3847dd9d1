//! Workflows: any JSON object, stored as it came.

use crate::domain::json::{Json, JsonObject};

/// The members that may hold a workflow's name, in the order in which they count.
const NAMES: [&str; 4] = ["tabName", "tab_name", "name", "title"];

/// A new workflow: it has a `tab_name`, be it empty, else its file's name.
pub fn seeded(mut members: JsonObject, base_name: &str) -> JsonObject {
    members
        .entry("tab_name".to_owned())
        .or_insert_with(|| base_name.into());
    members
}

/// A workflow whose file was renamed: each of its names is the file's from now on.
pub fn renamed(mut members: JsonObject, base_name: &str) -> JsonObject {
    for name in NAMES {
        if let Some(value) = members.get_mut(name) {
            *value = base_name.into();
        }
    }
    seeded(members, base_name)
}

/// The name that lists show: the first that is no blank text, without blanks around it.
pub fn tab_name(workflow: &Json) -> String {
    NAMES
        .iter()
        .filter_map(|name| workflow.get(name)?.as_text())
        .map(crate::domain::text::python_trim)
        .find(|name| !name.is_empty())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{json_reader::object, json_text::wire_text};

    #[test]
    fn a_name_that_is_there_stays_until_the_file_is_renamed() {
        let text = |members: JsonObject| wire_text(&Json::Object(members));
        assert_eq!(
            text(seeded(object(r#"{"z":1}"#), "One")),
            r#"{"z":1,"tab_name":"One"}"#
        );
        assert_eq!(
            text(seeded(object(r#"{"tab_name":""}"#), "One")),
            r#"{"tab_name":""}"#
        );
        assert_eq!(
            text(renamed(object(r#"{"title":5,"a":1,"tabName":"x"}"#), "Two")),
            r#"{"title":"Two","a":1,"tabName":"Two","tab_name":"Two"}"#
        );
    }

    #[test]
    fn the_first_name_that_is_not_blank_is_shown() {
        for (workflow, name) in [
            (r#"{"tabName":" ","tab_name":5,"name":" n ","title":"t"}"#, "n"),
            (r#"{"tab_name":"x","tabName":"y"}"#, "y"),
            (r"{}", ""),
        ] {
            assert_eq!(tab_name(&Json::Object(object(workflow))), name, "{workflow}");
        }
        assert_eq!(tab_name(&Json::list([1])), "");
    }
}
