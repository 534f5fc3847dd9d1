//! The program as a server of its own, until it serves or ends.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::server::NO_GITHUB;

/// How long a start, a stop or an answer may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program over `root`, on any free port, with none of the test's own environment.
pub(crate) fn program(root: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_borealis-engine"));
    command
        .args(arguments)
        .env_clear()
        .env("BOREALIS_ROOT", root)
        .env("BOREALIS_PORT", "0")
        .env("BOREALIS_GITHUB_API_URL", NO_GITHUB)
        .envs(variables.iter().copied())
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What came of a start.
#[derive(Debug)]
pub(crate) enum Started {
    /// It says that it serves.
    Serving(ServerProcess),
    /// It ended by itself.
    Ended {
        /// The exit code.
        code: Option<i32>,
        /// Standard error.
        errors: String,
    },
}

impl Started {
    /// The server, of a start that must not fail.
    pub(crate) fn serving(self) -> ServerProcess {
        match self {
            Self::Serving(server) => server,
            Self::Ended { code, errors } => panic!("it ended with {code:?}: {errors}"),
        }
    }

    /// Exit code and standard error, of a start that must fail.
    pub(crate) fn ended(self) -> (Option<i32>, String) {
        match self {
            Self::Serving(server) => panic!("it serves: {}", server.log),
            Self::Ended { code, errors } => (code, errors),
        }
    }
}

/// A server at work; killed when dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    process: Child,
    pub(crate) address: SocketAddr,
    speaks_tls: bool,
    /// Standard error until it served.
    pub(crate) log: String,
    lines: Receiver<String>,
}

/// Runs `command`, which ends in `serve`, until it serves or ends.
pub(crate) fn start(mut command: Command) -> Started {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = once_it_may_run(|| command.spawn());
    let errors = process.stderr.take().unwrap();
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines() {
            let Ok(line) = line else { return };
            // Nobody listens once the test is over.
            let _ = sender.send(line);
        }
    });
    let mut log = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                log += &line;
                log.push('\n');
                let Some((_, served)) = line.split_once(" serving http") else {
                    continue;
                };
                let (scheme, address) = served.split_once("://").unwrap();
                return Started::Serving(ServerProcess {
                    process,
                    address: address.trim().parse().unwrap(),
                    speaks_tls: scheme == "s",
                    log,
                    lines,
                });
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                let code = process.wait().unwrap().code();
                return Started::Ended { code, errors: log };
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let _ = process.kill();
                panic!("it neither serves nor ends: {log}");
            }
        }
    }
}

/// Runs a program that may just have been copied: a process that another test begins meanwhile has it open for writing
/// until it runs its own program.
pub(crate) fn once_it_may_run<T>(mut run: impl FnMut() -> io::Result<T>) -> T {
    loop {
        match run() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            ran => return ran.unwrap(),
        }
    }
}

impl ServerProcess {
    /// The status of `GET /health`.
    pub(crate) fn health(&self) -> u16 {
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        if self.speaks_tls {
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone))
                .with_no_client_auth();
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp);
            tls.write_all(request).unwrap();
            // A server may end the connection without saying good-bye.
            let _ = tls.read_to_end(&mut answer);
        } else {
            tcp.write_all(request).unwrap();
            tcp.read_to_end(&mut answer).unwrap();
        }
        let answer = String::from_utf8_lossy(&answer);
        answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {answer:?}"))
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it in the middle of what it does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Ends it in order; the exit code, and standard error after it served.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        let code = self.process.wait().unwrap().code();
        (code, self.lines.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes every certificate: who the server is does not matter here.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
