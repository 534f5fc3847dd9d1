//! Devices, sites, views and the search as operators use them, on a whole server.

mod described;
mod long;
mod remote;
mod searched;
mod sites;
mod views;

use reqwest::Method;
use serde_json::Value;

use crate::testkit::{
    answer::{Answer, Answers},
    browser::Browser,
    rows::WIN_1,
    server::Server,
};

/// A server with one device and these rows, and the default operator's browser.
async fn start(rows: &str) -> (Server, Browser) {
    start_as("strict", rows).await
}

async fn start_as(policy: &str, rows: &str) -> (Server, Browser) {
    let server = Server::start(policy, format!("{}{rows}", String::from(WIN_1))).await;
    let admin = server.admin().await;
    (server, admin)
}

/// What is asked one after the other, for an approved text.
struct Asking {
    admin: Browser,
    answers: Answers,
}

impl Asking {
    fn new(admin: Browser) -> Self {
        Self {
            admin,
            answers: Answers::default(),
        }
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let asked = format!("{path} {body}");
        let answer = self.admin.send(Method::POST, path, body).await;
        self.answers.note(asked, &answer);
        answer
    }

    async fn put(&mut self, path: &str, body: Value) -> Answer {
        let asked = format!("PUT {path} {body}");
        let answer = self.admin.send(Method::PUT, path, body).await;
        self.answers.note(asked, &answer);
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        let answer = self.admin.send(Method::GET, path, Value::Null).await;
        self.answers.note(path, &answer);
        answer
    }
}
