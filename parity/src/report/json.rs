//! `report.json`: the whole [`RunReport`].

use super::{FORMAT, ReportError, RunReport};
use serde_json::Value;
use std::path::Path;

/// The report as JSON.
///
/// # Errors
/// If the report cannot be written as JSON.
pub fn render(report: &RunReport) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(report)? + "\n")
}

/// The JSON schema of what [`render`] writes.
///
/// # Errors
/// If the schema cannot be written as JSON.
pub fn schema() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&schemars::schema_for!(RunReport))? + "\n")
}

/// Reads a stored report, from which every other report can be made again.
///
/// # Errors
/// If the file cannot be read, is no report or has another format.
pub fn read(path: &Path) -> Result<RunReport, ReportError> {
    let unreadable = |reason: String| ReportError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|source| ReportError::Io {
        path: path.to_owned(),
        source,
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    let found = value
        .get("format")
        .and_then(Value::as_u64)
        .ok_or_else(|| unreadable("it has no format".to_owned()))?;
    if found != u64::from(FORMAT) {
        let age = if found < u64::from(FORMAT) { "old" } else { "new" };
        return Err(ReportError::Format {
            path: path.to_owned(),
            found,
            age,
        });
    }
    serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    /// Whoever reads report.json is told by the schema what stands in it: it changes only on purpose, with the format.
    #[test]
    fn the_published_schema_is_that_of_the_report() {
        let published = concat!(env!("CARGO_MANIFEST_DIR"), "/report.schema.json");
        let present = super::schema().unwrap();
        assert!(
            std::fs::read_to_string(published).unwrap() == present,
            "report.schema.json is another: `parity report --schema > parity/report.schema.json`, and look at FORMAT"
        );
    }
}
