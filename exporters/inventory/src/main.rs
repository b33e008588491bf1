//! `sotp-inventory`: answers for the devices of the network.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A change of many devices needs much for a moment; kept in a heap for each thread, that would add up.
    netio::memory::bound_heaps(2, 256 * 1024);
    toolkit::main::<sotp_inventory::Service>()
}
