//! Whether operators' browsers get the web client at `/`.

use super::{Answering, Findings, Verdict, ask};
use crate::target::http_client::Received;

const SUBJECT: &str = "web client";

/// Looks at both sides. What the legacy has must not be gone after the cut-over.
pub(super) async fn look(legacy: Option<&Answering>, engine: Option<&Answering>, findings: &mut Findings) {
    let mut is_at_legacy = false;
    for (side, answering) in [("legacy", legacy), ("engine", engine)] {
        let Some(answering) = answering else { continue };
        match ask(&answering.endpoint, "GET", "/", None, None).await {
            Ok(answer) if is_page(&answer) => {
                is_at_legacy |= side == "legacy";
                findings.ok(side, SUBJECT, "`/` is answered with a page");
            }
            Ok(answer) => {
                let verdict = if side == "engine" && is_at_legacy {
                    Verdict::Problem
                } else {
                    Verdict::Warning
                };
                let status = answer.line.status;
                let found = format!("`/` is answered with {status} and no page: operators cannot work there");
                findings.add(side, SUBJECT, verdict, found, Some(cure(side).to_owned()));
            }
            Err(error) => findings.problem(side, SUBJECT, error.to_string(), error.cure()),
        }
    }
}

fn is_page(answer: &Received) -> bool {
    let mut headers = answer.headers.iter();
    answer.line.status == 200
        && headers.any(|(name, value)| {
            let value = value.trim_start().to_ascii_lowercase();
            name.eq_ignore_ascii_case("content-type") && value.starts_with("text/html")
        })
}

fn cure(side: &str) -> &'static str {
    match side {
        "engine" => {
            "put the built web client into Data/Server/web-interface/build under the root folder, or set BOREALIS_STATIC_ROOT \
             to the folder that holds its index.html"
        }
        _ => "build the web client of the legacy's checkout, so that it can be looked at beside the engine's",
    }
}
