//! `POST /api/ocr`: reading texts from pictures, which this server does not do. What callers send is checked as before.

use axum::response::ErrorResponse;
use http::StatusCode;

use super::{
    compat::{
        body::RawBody,
        reply::{Answer, Failure},
    },
    guards::OperatorIfStrict,
};
use crate::domain::json::{Json, JsonObject};

/// `POST /api/ocr`
pub async fn recognise(_: OperatorIfStrict, body: RawBody) -> Result<Answer<Failure>, ErrorResponse> {
    let fields = body.strict().await?;
    let engine = word(&fields, "engine", "tesseract")?;
    word(&fields, "backend", "cpu")?;
    Ok(
        if matches!(engine.as_str(), "tesseract" | "tesseractocr" | "easyocr") {
            Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "OCR is not available")
        } else {
            Answer::error(
                StatusCode::BAD_REQUEST,
                format!("OCR engine '{engine}' not recognized."),
            )
        },
    )
}

/// A text in lower case without blanks around it; the legacy breaks where it is no text (PLT-4).
fn word(fields: &JsonObject, name: &str, default: &str) -> Result<String, Answer<Failure>> {
    match fields.get(name) {
        None => Ok(default.to_owned()),
        Some(Json::Text(text)) => Ok(text.to_lowercase().trim().to_owned()),
        Some(_) => Err(Answer::error(StatusCode::BAD_REQUEST, "invalid payload")),
    }
}
