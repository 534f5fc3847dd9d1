//! Where the server listens.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
};

use super::finding::{Report, Verdict};
use crate::config::settings::Settings;

/// Begins to listen.
///
/// # Errors
/// The address is not to be had; what to do about it.
pub fn bind(settings: &Settings) -> Result<TcpListener, String> {
    let wanted = format!("{}:{}", settings.host, settings.port);
    let addresses: Vec<_> = (settings.host.trim_matches(['[', ']']), settings.port)
        .to_socket_addrs()
        .map_err(|error| format!("{wanted} cannot be resolved: {error}; correct BOREALIS_HOST"))?
        .collect();
    TcpListener::bind(addresses.as_slice()).map_err(|error| {
        let cure = match error.kind() {
            io::ErrorKind::AddrInUse => "stop the server that uses it, or set BOREALIS_PORT to another port",
            io::ErrorKind::AddrNotAvailable => "set BOREALIS_HOST to an address of this machine",
            io::ErrorKind::PermissionDenied => {
                "set BOREALIS_PORT to 1024 or more, or give the server CAP_NET_BIND_SERVICE"
            }
            _ => "correct BOREALIS_HOST and BOREALIS_PORT",
        };
        format!("cannot listen on {wanted}: {error}; {cure}")
    })
}

/// Begins to listen for those who collect metrics.
///
/// # Errors
/// The address is not to be had; what to do about it.
pub fn bind_metrics(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        format!("cannot listen on {address} for metrics: {error}; set BOREALIS_METRICS_ADDR to a free address of this machine")
    })
}

pub(super) fn look_at_metrics(report: &mut Report, settings: &Settings) {
    let Some(address) = settings.observing.metrics else {
        return;
    };
    match bind_metrics(address) {
        Ok(_) => report.add(Verdict::Ok, "metrics", format!("{address} is free")),
        Err(obstacle) => report.add(Verdict::Problem, "metrics", obstacle),
    }
}

pub(super) fn look(report: &mut Report, settings: &Settings) {
    match bind(settings) {
        Ok(_) => report.add(
            Verdict::Ok,
            "address",
            format!("{}:{} is free", settings.host, settings.port),
        ),
        Err(obstacle) => report.add(Verdict::Problem, "address", obstacle),
    }
}
