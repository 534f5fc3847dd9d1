//! Two Socket.IO servers under the same load: this project's own and socketioxide. Each is a process of its own, an
//! example that does nothing else, so that both are measured from outside alike and the shipped programs hold no part
//! of either example.

mod process;
mod rounds;
mod table;

use std::path::PathBuf;

pub use table::{Comparison, Row};

use self::process::Process;
use super::{BenchError, Figure};

/// What is compared, and how much load.
#[derive(Clone, Debug)]
pub struct ChannelPlan {
    /// The example `echo` of this project's server.
    pub ours: PathBuf,
    /// The example `peer`, made with socketioxide.
    pub peer: PathBuf,
    /// How many clients connect.
    pub clients: usize,
    /// How often everything is measured, each time on fresh processes.
    pub rounds: usize,
}

/// Puts the same load on both, one after the other, as often as the plan says; tells what is being done.
pub async fn compare(plan: &ChannelPlan, tell: impl Fn(String)) -> Result<Comparison, BenchError> {
    borealis_engine::integrations::listener::raise_open_files_limit();
    let mut comparison = Comparison::new(plan.clients);
    for round in 1..=plan.rounds {
        let of = |name: &str| format!("round {round} of {}, {name}", plan.rounds);
        let ours = measure(&Process::start(&plan.ours)?, plan, &of("ours"), &tell).await?;
        let peer = measure(&Process::start(&plan.peer)?, plan, &of("socketioxide"), &tell).await?;
        comparison.note(ours, peer);
    }
    Ok(comparison)
}

/// Everything once, on one server.
async fn measure(
    server: &Process,
    plan: &ChannelPlan,
    who: &str,
    tell: &impl Fn(String),
) -> Result<Vec<Figure>, BenchError> {
    tell(format!("{who}: {} clients connect", plan.clients));
    let (clients, mut figures) = rounds::connect(server, plan.clients).await?;
    tell(format!("{who}: one client's events in order"));
    figures.extend(rounds::order(server).await?);
    tell(format!("{who}: a broadcast to all"));
    let (clients, broadcast) = rounds::broadcast(server, clients).await?;
    figures.extend(broadcast);
    tell(format!("{who}: all drop and return"));
    figures.extend(rounds::drop_and_return(server, clients).await?);
    tell(format!("{who}: a client that does not read"));
    figures.extend(rounds::not_reading(server).await?);
    Ok(figures)
}
