//! One `git cat-file --batch` that is kept and asked again and again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Largest object that is read.
const MOST: u64 = 64 << 20;

/// Objects of a repository by name. The process is started at the first question and again after it ended.
#[derive(Debug)]
pub struct Objects {
    folder: PathBuf,
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its standard input anyway; this makes it sure, and leaves no zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Objects {
    /// The objects of the repository in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            process: Mutex::default(),
        }
    }

    /// The object that `name` stands for (`HEAD:file`, a commit, …) and its id; `None` when there is none.
    ///
    /// # Errors
    /// The process failed twice, or the object is larger than 64 MiB.
    pub fn get(&self, name: &str) -> io::Result<Option<(String, Vec<u8>)>> {
        if name.contains(['\n', '\0']) {
            return Ok(None);
        }
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            let asked = match &mut *process {
                Some(running) => ask(running, name),
                None => match start(&self.folder) {
                    Ok(started) => ask(process.insert(started), name),
                    Err(error) => return Err(error),
                },
            };
            match asked {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    *process = None;
                    if error.kind() == io::ErrorKind::FileTooLarge {
                        return Err(error);
                    }
                }
            }
        }
        Err(io::Error::other("git cat-file ended twice"))
    }
}

fn start(folder: &Path) -> io::Result<Process> {
    let mut child = Command::new("git")
        .current_dir(folder)
        .envs(crate::process::ENVIRONMENT)
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder))
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(questions), Some(answers)) => Ok(Process {
            child,
            questions,
            answers: BufReader::new(answers),
        }),
        _ => Err(io::Error::other("git cat-file without pipes")),
    }
}

fn ask(process: &mut Process, name: &str) -> io::Result<Option<(String, Vec<u8>)>> {
    process
        .questions
        .write_all(format!("{name}\n").as_bytes())?;
    let mut head = String::new();
    if process.answers.read_line(&mut head)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // `ID KIND SIZE`, or `NAME missing`, or `NAME ambiguous`.
    let head = head.trim_end();
    if head.ends_with(" missing") || head.ends_with(" ambiguous") {
        return Ok(None);
    }
    let mut words = head.split(' ');
    let (Some(id), Some(_), Some(Ok(size))) = (
        words.next(),
        words.next(),
        words.next().map(str::parse::<u64>),
    ) else {
        return Err(io::Error::other("git cat-file said something unknown"));
    };
    if size > MOST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "an object of more than 64 MiB",
        ));
    }
    let mut bytes = Vec::new();
    (&mut process.answers).take(size).read_to_end(&mut bytes)?;
    let mut end = [0];
    process.answers.read_exact(&mut end)?;
    Ok(Some((id.to_owned(), bytes)))
}
