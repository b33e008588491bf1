//! Verifies the audit logs of SOTP services, and declares what is lost of them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
mod flags;

use std::process::ExitCode;

use access::audit;
use clap::Parser as _;

use flags::{Command, Verify, What};

fn main() -> ExitCode {
    let command = Command::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { 64 } else { 0 });
    });
    let done = match command.what {
        What::Verify(verify) => {
            let Verify {
                path,
                genesis,
                anchors,
                anchors_file,
                textfile,
            } = verify;
            let done = check::verify(&path, genesis, anchors, anchors_file.as_deref());
            let told = textfile.map_or(Ok(()), |file| {
                check::tell(
                    &file,
                    &path,
                    matches!(done, Ok(code) if code == ExitCode::SUCCESS),
                )
            });
            told.and(done)
        }
        What::Head { path } => check::head(&path),
        What::Resume(resume) => check::resume(&audit::Resume {
            folder: &resume.path,
            head: resume.head.as_deref(),
            anchors: &resume.anchors,
            by: &resume.by,
            reason: &resume.reason,
        }),
    };
    done.unwrap_or_else(|error| {
        eprintln!("sotp-audit: {error:#}");
        ExitCode::FAILURE
    })
}
