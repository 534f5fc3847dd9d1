//! Ten screenshots of 50 MB that arrive at once, and what the fleet's heartbeats wait meanwhile. Whoever moves so many bytes on
//! this machine keeps the heartbeats waiting, so the same bytes are moved without the server first.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinSet,
};

use super::{
    BenchError, Figure, Plan, ServerProcess,
    client::{ClientError, Connection},
    crowd::announcement,
    fleet::{Member, enroll},
    operator::Operator,
    pulse::Pulse,
    raw::{Raw, frame},
};

const SENDERS: usize = 10;
const IMAGE_BYTES: usize = 50_000_000;
/// Heartbeats a second beside them.
const HEARTBEATS: usize = 500;
/// Devices that report, at least: they keep below what the gate lets in.
const DEVICES: usize = 2000;

pub(super) async fn measure(plan: &Plan) -> Result<Vec<Figure>, BenchError> {
    let server = ServerProcess::start(&plan.engine).await?;
    let devices = plan.devices.max(DEVICES);
    let members = enroll(&server, devices).await?;
    let pulse = Pulse::begin(&server, devices, HEARTBEATS).await?;
    let resident = server.resident_megabytes()?;
    pulse.forget();
    tokio::time::sleep(plan.duration).await;
    let (alone_99, alone_worst) = pulse.waits();

    let mut senders = Vec::new();
    for member in members.iter().take(SENDERS) {
        senders.push(Sender::connect(&server, member).await?);
    }
    let operator = Operator::log_in(&server).await?;
    let mut viewer = Raw::websocket_with(server.address(), &bearer(operator.token()))
        .await
        .map_err(ClientError::from)?;
    pulse.forget();
    move_past_the_server(&senders).await?;
    let (past_99, past_worst) = pulse.waits();

    server.forget_peak()?;
    pulse.forget();
    let begin = Instant::now();
    let mut sending = JoinSet::new();
    for sender in senders {
        sending.spawn(sender.send());
    }
    let all_came = viewer.takes(SENDERS * IMAGE_BYTES).await;
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    let took = begin.elapsed();
    let (beside_99, beside_worst) = pulse.waits();
    let peak = server.peak_megabytes()?;
    pulse.end()?;
    if !all_came {
        return Err(BenchError::Missing("a screenshot"));
    }
    Ok(vec![
        Figure::new("heartbeats alone, 99 %", alone_99, "ms"),
        Figure::new("alone, slowest", alone_worst, "ms"),
        Figure::new("beside bytes alone, 99 %", past_99, "ms"),
        Figure::new("beside bytes, slowest", past_worst, "ms"),
        Figure::new("beside them, 99 %", beside_99, "ms"),
        Figure::new("beside them, slowest", beside_worst, "ms"),
        Figure::new("all relayed after", took.as_secs_f64() * 1000.0, "ms"),
        Figure::new("resident before", resident, "MB"),
        Figure::new("resident at the most", peak, "MB"),
    ])
}

/// The same bytes from as many connections through a listener of this program to another connection.
async fn move_past_the_server(senders: &[Sender]) -> Result<(), BenchError> {
    let moving = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let mut viewer = TcpStream::connect(address).await?;
        let (to_viewer, _) = listener.accept().await?;
        let to_viewer = Arc::new(Mutex::new(to_viewer));
        let mut moving = JoinSet::new();
        for sender in senders {
            let screenshot = Arc::clone(&sender.screenshot);
            moving.spawn(async move { TcpStream::connect(address).await?.write_all(&screenshot).await });
            let (mut from_sender, _) = listener.accept().await?;
            let to_viewer = Arc::clone(&to_viewer);
            moving.spawn(async move {
                let mut whole = Vec::new();
                from_sender.read_to_end(&mut whole).await?;
                to_viewer.lock().await.write_all(&whole).await
            });
        }
        drop(to_viewer);
        moving.spawn(async move {
            tokio::io::copy(&mut viewer, &mut tokio::io::sink()).await?;
            Ok(())
        });
        while let Some(moved) = moving.join_next().await {
            moved.map_err(std::io::Error::other)??;
        }
        Ok::<_, std::io::Error>(())
    };
    Ok(moving.await.map_err(ClientError::from)?)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// An agent with a screenshot that is ready to be sent: what this program does for it must not count as the server's work.
struct Sender {
    raw: Raw,
    screenshot: Arc<[u8]>,
}

impl Sender {
    async fn connect(server: &ServerProcess, member: &Member) -> Result<Self, BenchError> {
        let mut http = Connection::open(server.address()).await?;
        let token = member.access_token(&mut http).await?;
        let id = member.agent_id();
        let mut raw = Raw::websocket_with(server.address(), &bearer(&token))
            .await
            .map_err(ClientError::from)?;
        let (event, data) = announcement(member);
        let joins = format!("421[\"{event}\",{data}]");
        raw.frame(0x81, joins.as_bytes())
            .await
            .map_err(ClientError::from)?;
        if !raw.hears(b"431[").await {
            return Err(BenchError::Missing("an acknowledgement"));
        }
        let image = "A".repeat(IMAGE_BYTES);
        let event = format!(
            "422[\"agent_screenshot_task\",{{\"agent_id\":\"{id}\",\"node_id\":\"n1\",\"image_base64\":\"{image}\"}}]"
        );
        let screenshot = frame(0x81, event.as_bytes()).into();
        Ok(Self { raw, screenshot })
    }

    async fn send(mut self) -> Result<(), BenchError> {
        self.raw
            .say_all(&self.screenshot)
            .await
            .map_err(ClientError::from)?;
        if self.raw.hears(b"432[").await {
            Ok(())
        } else {
            Err(BenchError::Missing("an acknowledgement"))
        }
    }
}
