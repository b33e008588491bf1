//! `sotp-snmp`: asks devices over SNMP.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolkit::main_from::<sotp_snmp::app::Snmp>(sotp_snmp::flags::prepare(std::env::args_os()))
}
