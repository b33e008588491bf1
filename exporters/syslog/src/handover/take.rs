//! The side of the process that comes.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::sockets::{Connection, Kind, Taken};
use super::{PACKET, Packet, WORD};

/// How long the old process may take.
const PATIENCE: Duration = Duration::from_secs(30);

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// What was taken over, and what the service manager passed; given once.
#[must_use]
pub fn taken() -> Taken {
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
        .unwrap_or_default();
    for (socket, name) in netio::descriptors::inherited() {
        match known(&socket) {
            Some((kind, configured)) => {
                tracing::info!(
                    name,
                    address = configured,
                    "socket from the service manager"
                );
                taken.sockets.push((kind, configured, socket));
            }
            None => tracing::warn!(name, "a socket from the service manager is of no use here"),
        }
    }
    taken
}

/// Kind and address of a socket.
fn known(socket: &OwnedFd) -> Option<(Kind, String)> {
    let socket = socket2::SockRef::from(socket);
    let address = socket.local_addr().ok()?;
    match (address.as_socket(), socket.r#type().ok()?) {
        (Some(ip), Type::DGRAM) => Some((Kind::Udp, ip.to_string())),
        (Some(ip), Type::STREAM) => Some((Kind::Tcp, ip.to_string())),
        (None, Type::DGRAM) => Some((Kind::Unix, address.as_pathname()?.display().to_string())),
        _ => None,
    }
}

/// Takes over from a running process when the command line or the environment names a socket for that and somebody
/// listens there. It happens before anything is bound: both processes want the same addresses. Gives the end of a run
/// that cannot go on.
#[must_use]
pub fn early(arguments: &[String]) -> Option<ExitCode> {
    let path = path(arguments)?;
    let only_asked = |word: &str| {
        matches!(
            word,
            "-h" | "--help" | "-V" | "--version" | "--config.check" | "--config.print-default"
        )
    };
    if arguments.iter().any(|a| only_asked(a)) {
        return None;
    }
    let socket = connect(&path)?;
    // A configuration that is refused must not end the process that runs.
    let program = std::env::current_exe().ok()?;
    let good = Command::new(program)
        .args(arguments.get(1..).unwrap_or_default())
        .arg("--config.check")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !good.is_ok_and(|status| status.success()) {
        // The start that follows says why.
        return None;
    }
    let asked = netio::descriptors::send(socket.as_fd(), WORD, &[]);
    match asked.and_then(|_| receive(&socket)) {
        Ok(taken) => {
            *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
            None
        }
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "error: taking over at {}: {error}",
                path.display()
            );
            Some(ExitCode::FAILURE)
        }
    }
}

fn path(arguments: &[String]) -> Option<PathBuf> {
    const FLAG: &str = "--handover.socket";
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == FLAG {
            return rest.next().map(PathBuf::from);
        }
        if let Some(path) = argument
            .strip_prefix(FLAG)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(path.into());
        }
    }
    std::env::var_os("SOTP_HANDOVER_SOCKET").map(PathBuf::from)
}

/// A connection to the process that runs; none when there is none.
fn connect(path: &Path) -> Option<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).ok()?;
    socket.connect(&SockAddr::unix(path).ok()?).ok()?;
    Some(socket)
}

fn receive(socket: &Socket) -> io::Result<Taken> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut taken = Taken::default();
    let mut buffer = vec![0; PACKET + 4_096];
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a packet is not well-formed");
    loop {
        let (length, mut descriptors) = netio::descriptors::receive(socket.as_fd(), &mut buffer)?;
        if length == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the running process ended before it had given everything",
            ));
        }
        let line = memchr::memchr(b'\n', &buffer[..length]).ok_or_else(wrong)?;
        let packet = serde_json::from_slice(&buffer[..line]).map_err(io::Error::other)?;
        match packet {
            Packet::Socket { kind, configured } => {
                let socket = descriptors.pop().ok_or_else(wrong)?;
                taken.sockets.push((kind, configured, socket));
            }
            Packet::Connection {
                configured,
                source,
                skip,
            } => taken.connections.push(Connection {
                configured,
                source,
                bytes: buffer[line + 1..length].to_vec(),
                skip,
                socket: descriptors.pop().ok_or_else(wrong)?,
            }),
            Packet::Backlog(part) => taken.backlog.get_or_insert_default().extend(part),
            Packet::Done => break,
        }
    }
    taken.backlog.get_or_insert_default();
    // Its end closes the socket: the queue and the addresses are free then.
    match netio::descriptors::receive(socket.as_fd(), &mut buffer) {
        Ok((0, _)) => Ok(taken),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(taken),
        Ok(_) => Err(wrong()),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the running process does not end",
        )),
    }
}
