//! An operator's browser: it keeps its cookies.

use borealis_engine::domain::digest::sha512_hex;
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::Answer;

pub(crate) struct Browser {
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    /// The address that a proxy on this machine forwards for.
    pub(crate) address: String,
}

impl Browser {
    pub(super) fn new(base: String, address: String) -> Self {
        Self {
            client: crate::testkit::http::builder()
                .cookie_store(true)
                .build()
                .unwrap(),
            base,
            address,
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("x-forwarded-for", &self.address)
            .json(&body);
        Answer::to(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(Method::POST, path, body).await.status_and_json()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, Value::Null).await.status_and_json()
    }

    pub(crate) async fn login(&self, name: &str, password: &str) -> (u16, Value) {
        self.post("/api/auth/login", json!({"username": name, "password": password}))
            .await
    }

    /// Makes an operator whose password is `pw`.
    pub(crate) async fn create(&self, name: &str, role: &str) {
        let body = json!({"username": name, "role": role, "password_sha512": sha512_hex(b"pw")});
        assert_eq!(self.post("/api/users", body).await.0, 200);
    }

    /// Answers a login that asks for a code.
    pub(crate) async fn verify(&self, pending: &Value, code: impl Into<Value>) -> (u16, Value) {
        let body = json!({"pending_token": pending["pending_token"], "code": code.into()});
        self.post("/api/auth/mfa/verify", body).await
    }
}
