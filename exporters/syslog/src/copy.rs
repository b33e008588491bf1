//! Copies of what was received, byte for byte: to other syslog servers and to files. Each is a reader of the queue, so
//! what the other side does not take waits.

mod file;
mod server;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loki::{Observer as _, State, Watch};
use spool::{Batch, Reader};
use toolkit::Stop;

use crate::config::{FileCopy, Forward};
use crate::record::Received;

/// Where a copy goes.
pub enum Sink {
    /// To a server.
    Server(server::Server),
    /// To a file.
    File(file::File),
}

impl Sink {
    /// A server that is not yet connected.
    #[must_use]
    pub fn server(forward: Forward) -> Self {
        Self::Server(server::Server::new(forward))
    }

    /// A file that is not yet open.
    #[must_use]
    pub fn file(copy: FileCopy) -> Self {
        Self::File(file::File::new(copy))
    }

    async fn write(&mut self, batch: &Batch) -> io::Result<usize> {
        match self {
            Self::Server(server) => server.write(batch).await,
            Self::File(file) => file.write(batch),
        }
    }
}

/// Bytes and messages written together at most.
const TOGETHER: (usize, usize) = (512 << 10, 2_000);

/// Copies until it is stopped: reads, writes, acknowledges. A batch that was written in part is written again.
///
/// # Errors
/// When the queue cannot be read.
pub async fn run(
    mut sink: Sink,
    mut reader: Reader,
    watch: &Arc<Watch>,
    stop: &Stop,
) -> Result<(), spool::Error> {
    const LONGEST: Duration = Duration::from_secs(15);
    let mut batch = Batch::default();
    loop {
        let appended = reader.appended();
        reader.read(&mut batch, TOGETHER.0, TOGETHER.1)?;
        if batch.is_empty() {
            tokio::select! {
                () = appended => continue,
                () = stop.requested() => return Ok(()),
            }
        }
        let mut pause = Duration::from_millis(200);
        loop {
            let begin = Instant::now();
            let written = tokio::select! {
                written = sink.write(&batch) => written,
                () = stop.requested() => return Ok(()),
            };
            match written {
                Ok(bytes) => {
                    watch.answered("sent", begin.elapsed(), bytes, batch.len());
                    watch.state(State::Delivering);
                    break;
                }
                Err(error) => {
                    watch.answered("failed", begin.elapsed(), 0, batch.len());
                    watch.state(State::Retrying("failed"));
                    tracing::warn!(destination = watch.name(), %error, "a copy cannot be written, it is tried again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.requested() => return Ok(()),
            }
            pause = (pause * 2).min(LONGEST);
        }
        if let Err(error) = reader.acknowledge(batch.end()) {
            tracing::error!(%error, "an acknowledgement could not be recorded, after a crash its messages are copied again");
        }
        let records: Vec<_> = batch.iter().collect();
        watch.stored(&mut records.iter());
    }
}

/// The messages of a batch as they were received.
fn messages(batch: &Batch) -> impl Iterator<Item = &[u8]> {
    batch.iter().map(|record| {
        let bytes = Received::decode(record.payload).map_or(record.payload, |r| r.bytes);
        crate::text::trimmed(bytes)
    })
}

/// Appends a message as one line.
fn line(bytes: &[u8], into: &mut Vec<u8>) {
    for (at, part) in bytes.split(|b| *b == b'\n').enumerate() {
        if at > 0 {
            into.extend_from_slice(b"#012");
        }
        into.extend_from_slice(part);
    }
    into.push(b'\n');
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_with_line_ends_is_one_line() {
        let mut text = Vec::new();
        super::line(b"one\ntwo", &mut text);
        super::line(b"", &mut text);
        assert_eq!(text, b"one#012two\n\n");
    }
}
