//! Devices that ask to join, each with a key and an address of its own, and poll once: nobody has decided by then.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::EncodePublicKey as _};
use http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::task::JoinSet;

use super::{BenchError, Figure, Latencies, Plan, ServerProcess, client::Connection};

const REQUEST: &str = "/api/agent/enroll/request";
const POLL: &str = "/api/agent/enroll/poll";
/// How many devices come with one install code; the server lets 100 wait for a decision.
const DEVICES_OF_A_CODE: u64 = 50;
const CODES: u64 = 4_000;
const CLIENT_NONCE: [u8; 32] = [7; 32];

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    insert_codes(&server.database()).await?;
    let next = Arc::new(AtomicU64::new(0));
    let used = server.processor_time()?;
    let begin = Instant::now();
    let end = begin + plan.duration;
    let mut load = JoinSet::new();
    for _ in 0..plan.connections {
        let mut connection = Connection::open(server.address()).await?;
        let next = Arc::clone(&next);
        load.spawn(async move {
            let mut latencies = Latencies::default();
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CODES * DEVICES_OF_A_CODE {
                    break;
                }
                Joining::new(number).join(&mut connection, &mut latencies).await?;
            }
            Ok::<_, BenchError>(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(part) = load.join_next().await {
        all.merge(part??);
    }
    Ok(all.figures(begin.elapsed(), server.processor_time()? - used))
}

async fn insert_codes(path: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut work = connection.begin().await?;
    for number in 0..CODES {
        let code = code(number);
        sqlx::query(
            "INSERT INTO enrollment_install_codes (id, code, expires_at, max_uses, use_count) \
             VALUES ($1, $1, '9999-01-01T00:00:00+00:00', 100, 0)",
        )
        .bind(code)
        .execute(&mut *work)
        .await?;
    }
    work.commit().await?;
    connection.close().await
}

fn code(number: u64) -> String {
    format!("LOAD-{number}")
}

/// One device that wants to join.
struct Joining {
    number: u64,
    key: SigningKey,
}

impl Joining {
    fn new(number: u64) -> Self {
        let mut seed = [0; 32];
        for (byte, of_number) in seed.iter_mut().zip(number.to_le_bytes()) {
            *byte = of_number;
        }
        Self {
            number,
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// Asks and polls once.
    async fn join(&self, connection: &mut Connection, latencies: &mut Latencies) -> Result<(), BenchError> {
        let public_key = self.key.verifying_key().to_public_key_der();
        let request = json!({
            "hostname": format!("LOAD-{}", self.number),
            "enrollment_code": code(self.number / DEVICES_OF_A_CODE),
            "agent_pubkey": STANDARD.encode(public_key.map_err(|_| BenchError::Missing("a public key"))?.as_bytes()),
            "client_nonce": STANDARD.encode(CLIENT_NONCE),
        });
        let pending = self.ask(connection, REQUEST, &request, latencies).await?;
        let text = |name| pending.get(name).and_then(Value::as_str).unwrap_or_default();
        let reference = text("approval_reference");
        let server_nonce = STANDARD.decode(text("server_nonce")).unwrap_or_default();
        let message = [server_nonce.as_slice(), reference.as_bytes(), &CLIENT_NONCE].concat();
        let poll = json!({
            "approval_reference": reference,
            "client_nonce": STANDARD.encode(CLIENT_NONCE),
            "proof_sig": STANDARD.encode(self.key.sign(&message).to_bytes()),
        });
        self.ask(connection, POLL, &poll, latencies).await?;
        Ok(())
    }

    async fn ask(
        &self,
        connection: &mut Connection,
        path: &str,
        body: &Value,
        latencies: &mut Latencies,
    ) -> Result<Value, BenchError> {
        let [.., high, middle, low] = self.number.to_be_bytes();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            // The rate limits are of addresses.
            .header("x-forwarded-for", format!("10.{high}.{middle}.{low}"))
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(super::client::ClientError::from)?;
        let asked = Instant::now();
        let (status, answer) = connection.send(request).await?;
        if status != 200 {
            return Err(BenchError::Refused {
                request: "a request to join or its poll",
                status,
            });
        }
        latencies.note(asked.elapsed());
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }
}
