//! An answer as a whole, for a test to look at or to hold against an approved text.

use std::fmt;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// The headers that tell a caller what to do next or what it may do; the others are tested where they are made.
const SHOWN: [&str; 4] = ["location", "retry-after", "www-authenticate", "content-type"];

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    }

    /// Status and JSON body; a body that is none is `null`.
    pub(crate) fn status_and_json(&self) -> (u16, Value) {
        (self.status, serde_json::from_str(&self.body).unwrap_or_default())
    }

    /// A header, which is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The headers that matter; `application/json` is not mentioned.
    fn shown_headers(&self) -> impl Iterator<Item = String> {
        SHOWN
            .iter()
            .filter_map(|name| Some((name, self.header(name)?)))
            .filter(|(_, value)| *value != "application/json")
            .map(|(name, value)| format!("{name}: {value}"))
    }

    /// Status, the headers that matter and the body in one line. Every JSON body ends with a line feed; what does not is
    /// quoted.
    pub(crate) fn line(&self) -> String {
        let body = match self.body.strip_suffix('\n') {
            Some(line) if !line.contains('\n') => line.to_owned(),
            _ => format!("{:?}", self.body),
        };
        [self.status.to_string()]
            .into_iter()
            .chain(self.shown_headers())
            .chain([body])
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The cookies it sets, as the next request sends them.
    pub(crate) fn cookies(&self) -> String {
        let cookies = self.headers.get_all("set-cookie").iter();
        cookies
            .map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Answers as lines under what was asked, for one approved text.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<String>);

impl Answers {
    pub(crate) fn note(&mut self, asked: impl fmt::Display, answer: &Answer) {
        self.0.push(format!("{asked}: {}", answer.line()));
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

/// Status, the headers that matter, and the body: JSON with its fields a line each. `application/json` is not mentioned.
impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.status)?;
        for header in self.shown_headers() {
            writeln!(formatter, "{header}")?;
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(json) => write!(formatter, "{json:#}"),
            Err(_) => formatter.write_str(&self.body),
        }
    }
}
