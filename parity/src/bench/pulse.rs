//! Heartbeats of the fleet at a steady rate, beside whatever is measured.

use std::{
    mem::take,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{BenchError, Latencies, ServerProcess, client::Connection, fleet::Member, heartbeat};

/// Connections that the heartbeats come over.
const CONNECTIONS: usize = 16;
/// The gate lets a device in 60 times a minute: this many devices for each heartbeat a second keep well below.
const DEVICES_A_HEARTBEAT: usize = 4;

/// The fleet at work. On a thread of its own: what the operators' side of this program is busy with must not count as the
/// server's slowness.
#[derive(Debug)]
pub(super) struct Pulse {
    waits: Arc<Mutex<Latencies>>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), BenchError>>,
}

impl Pulse {
    /// `rate` heartbeats a second, but not more than the devices may send.
    pub(super) async fn begin(
        server: &ServerProcess,
        devices: usize,
        rate: usize,
    ) -> Result<Self, BenchError> {
        let rate = rate.min(devices / 2);
        let mut connection = Connection::open(server.address()).await?;
        let mut members = Vec::new();
        for number in 0..devices.min(rate * DEVICES_A_HEARTBEAT) {
            let member = Member::new(number);
            let token = member.access_token(&mut connection).await?;
            members.push((member, token));
        }
        let waits = Arc::new(Mutex::new(Latencies::default()));
        let over = Arc::new(AtomicBool::new(false));
        let beating = beat(
            server.address(),
            members,
            rate,
            Arc::clone(&waits),
            Arc::clone(&over),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(super::ServerError::Place)?;
        let thread = std::thread::spawn(move || runtime.block_on(beating));
        Ok(Self { waits, over, thread })
    }

    /// Begins to note anew.
    pub(super) fn forget(&self) {
        drop(self.taken());
    }

    /// What 99 % of the heartbeats took at most since then, and the worst; milliseconds.
    pub(super) fn waits(&self) -> (f64, f64) {
        let mut waits = self.taken();
        let mut at = |share| waits.quantile(share).unwrap_or_default().as_secs_f64() * 1000.0;
        (at(0.99), at(1.0))
    }

    fn taken(&self) -> Latencies {
        take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends it; says what went wrong meanwhile.
    pub(super) fn end(self) -> Result<(), BenchError> {
        self.over.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or(Err(BenchError::Missing("the heartbeats")))
    }
}

async fn beat(
    address: std::net::SocketAddr,
    members: Vec<(Member, String)>,
    rate: usize,
    waits: Arc<Mutex<Latencies>>,
    over: Arc<AtomicBool>,
) -> Result<(), BenchError> {
    if rate == 0 {
        return Ok(());
    }
    #[allow(clippy::cast_precision_loss, reason = "thousands a second at most")]
    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / rate as f64);
    let mut load = JoinSet::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(address).await?;
        let mine: Vec<_> = members
            .iter()
            .skip(number)
            .step_by(CONNECTIONS)
            .cloned()
            .collect();
        let (waits, over) = (Arc::clone(&waits), Arc::clone(&over));
        load.spawn(async move {
            let mut due = Instant::now() + pause.mul_f64(number as f64 / CONNECTIONS as f64);
            for (round, (member, token)) in mine.iter().cycle().enumerate() {
                tokio::time::sleep_until(due.into()).await;
                if over.load(Ordering::Relaxed) {
                    break;
                }
                heartbeat::beat(&mut connection, member, token, round).await?;
                // From when it was due: one that waits for the answer before it has waited, too.
                waits
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .note(due.elapsed());
                due += pause;
            }
            Ok::<_, BenchError>(())
        });
    }
    while let Some(part) = load.join_next().await {
        part??;
    }
    Ok(())
}
