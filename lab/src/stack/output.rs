//! Log lines of many processes on one terminal and in one file each.

use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Bytes of one line that are shown and kept; the rest of it is dropped.
const LINE_LIMIT: usize = 8 * 1024;
/// Bytes of one log file; then it becomes `NAME.log.1` and a new one begins.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;
/// Foreground colours of the prefixes, readable on dark and on light.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// Which lines of the processes reach the terminal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Show {
    /// Every line, after the name of its process.
    All,
    /// Only what the launcher itself has to say; every line is in the log files all the same.
    Events,
}

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Output {
    show: Show,
    colour: bool,
    width: usize,
    folder: Option<PathBuf>,
    lock: Mutex<()>,
}

impl Output {
    /// An output for processes with these names; log files go to `folder`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        show: Show,
        folder: Option<&Path>,
    ) -> std::io::Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            show,
            colour: colour(),
            width: names
                .into_iter()
                .map(str::len)
                .max()
                .unwrap_or(0)
                .max("stack".len()),
            folder: folder.map(Path::to_path_buf),
            lock: Mutex::new(()),
        })
    }

    /// Says something of the launcher's own.
    pub(crate) fn event(&self, text: &str) {
        self.print("stack", text);
    }

    /// The path of the log file of `name`.
    pub(crate) fn log_file(&self, name: &str) -> Option<PathBuf> {
        self.folder
            .as_ref()
            .map(|folder| folder.join(format!("{name}.log")))
    }

    /// Copies lines of the process `name` until its end of the pipe; `seen` gets each line.
    pub(crate) async fn copy(
        &self,
        name: &str,
        mut from: impl AsyncBufRead + Unpin,
        mut seen: impl FnMut(&str),
    ) {
        let mut log = Log::open(self.log_file(name));
        while let Ok(Some(line)) = next_line(&mut from).await {
            log.write(&line);
            seen(&line);
            if self.show == Show::All {
                self.print(name, &line);
            }
        }
    }

    fn print(&self, name: &str, text: &str) {
        let line = self.format(name, text);
        let _guard = self.lock.lock();
        // A closed terminal must not end what it only watches.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn format(&self, name: &str, text: &str) -> String {
        let width = self.width;
        if !self.colour {
            return format!("{name:width$} | {text}");
        }
        let sum: usize = name.bytes().map(usize::from).sum();
        let colour = COLOURS[sum % COLOURS.len()];
        format!("\x1b[{colour}m{name:width$} |\x1b[0m {text}")
    }
}

/// Whether standard output is a terminal whose user has not refused colours (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal()
}

/// The next line without its end, at most [`LINE_LIMIT`] bytes of it; control characters become spaces.
async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let chunk = from.fill_buf().await?;
        if chunk.is_empty() {
            break;
        }
        any = true;
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LINE_LIMIT - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    let text = String::from_utf8_lossy(&line);
    let clean = text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Ok(any.then_some(clean))
}

/// A log file that does not grow without bound.
struct Log {
    path: Option<PathBuf>,
    file: Option<File>,
    size: u64,
}

impl Log {
    fn open(path: Option<PathBuf>) -> Self {
        let file = path
            .as_ref()
            .and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
        let size = file
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .map_or(0, |meta| meta.len());
        Self { path, file, size }
    }

    fn write(&mut self, line: &str) {
        if self.size > FILE_LIMIT
            && let Some(path) = self.path.take()
        {
            let old = path.with_extension("log.1");
            let _ = fs::rename(&path, old);
            *self = Self::open(Some(path));
        }
        if let Some(file) = &mut self.file
            && writeln!(file, "{line}").is_ok()
        {
            self.size += line.len() as u64 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut from = bytes;
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut from).await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_are_cut_cleaned_and_counted() {
        assert_eq!(lines(b"one\n\ntwo").await, ["one", "", "two"]);
        assert_eq!(lines(b"a\x1b[31mred\xff\r\n").await, ["a [31mred\u{fffd}"]);
        let mut long = vec![b'x'; LINE_LIMIT * 3];
        long.extend_from_slice(b"\nnext\n");
        let read = lines(&long).await;
        assert_eq!((read[0].len(), read[1].as_str()), (LINE_LIMIT, "next"));
    }

    #[test]
    fn a_prefix_is_as_wide_as_the_longest_name() {
        let output = Output::new(["ping", "prometheus"], Show::All, None).unwrap();
        let output = Output {
            colour: false,
            ..output
        };
        assert_eq!(output.format("ping", "hello"), "ping       | hello");
    }
}
