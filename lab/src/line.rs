//! Requests and answers as one line of JSON each, over a unix socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest line; a status of two hundred routers is below a tenth of it.
const LINE_MAX: u64 = 8 << 20;

/// Sends one request and waits for its answer, each at most `patience`.
pub(crate) fn call<Q: Serialize, A: DeserializeOwned>(
    path: &Path,
    request: &Q,
    patience: Duration,
) -> io::Result<A> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

/// Answers requests, each connection on a thread of its own, as long as the process lives.
pub(crate) fn serve<Q, A, F>(listener: UnixListener, answer: F)
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Fn(Q) -> A + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                // A caller that went away or spoke nonsense is its own concern.
                let _ = serve_one(&stream, &*answer);
            });
        }
    });
}

fn serve_one<Q, A>(mut stream: &UnixStream, answer: impl Fn(Q) -> A) -> io::Result<()>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut line)?;
    let mut text = serde_json::to_string(&answer(serde_json::from_str(&line)?))?;
    text.push('\n');
    stream.write_all(text.as_bytes())
}
