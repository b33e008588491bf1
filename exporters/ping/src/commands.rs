//! What the program does beside the service: `convert`, a ping of some addresses, and the flags of other programs in compatibility mode.

pub mod convert;
pub mod once;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::app::Service;
use crate::compat::{Options, flags};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_else(|| "sotp-ping".into());
    // What is no UTF-8 can be no flag of a peer; clap says what is wrong with it.
    let Ok(args) = args
        .map(OsString::into_string)
        .collect::<Result<Vec<_>, _>>()
    else {
        return toolkit::main::<Service>();
    };
    if args.first().is_some_and(|first| first == "convert") {
        return convert::run(args.into_iter().skip(1));
    }
    let stands_in = std::env::var_os("SOTP_PING_COMPAT").is_some_and(|name| !name.is_empty());
    let is_flag = |arg: &String| arg.starts_with("--compat");
    if once::is_asked(&args) && !stands_in && !args.iter().any(is_flag) {
        return once::run(&args);
    }
    let split = flags::asked(&args).and_then(|(kind, rest)| match kind {
        None => Ok((
            Options::default(),
            rest.into_iter().map(OsString::from).collect(),
        )),
        Some(kind) => flags::split(kind, &rest).map(|(options, mut ours)| {
            ours.insert(0, format!("--compat={}", kind.name()).into());
            (options, ours)
        }),
    });
    match split {
        Ok((options, ours)) => {
            let args = std::iter::once(program).chain(ours);
            toolkit::main_from::<Service>(args, |flags| flags.of_peer = options)
        }
        Err(wrong) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "error: {wrong}");
            ExitCode::from(64)
        }
    }
}
