//! `sotp-snmp`: asks devices over SNMP.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next();
    if first.as_ref().is_some_and(|first| first == "generate") {
        return sotp_snmp::commands::generate::run(args);
    }
    if first.is_some_and(|first| first == "discover") {
        return sotp_snmp::commands::discover::run(args);
    }
    // Hundreds of scrapes at a time fill tables and pages, on several threads, and are done with them a moment later.
    netio::memory::bound_heaps(2, 64 * 1024);
    let (args, further) = sotp_snmp::flags::prepare(std::env::args_os());
    toolkit::main_from::<sotp_snmp::app::Service>(args, |flags| flags.further_files = further)
}
