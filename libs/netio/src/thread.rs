//! What a thread asks of the scheduler.

use std::io;

/// Sets the nice value of the calling thread (`setpriority(2)`), from -20 (preferred) to 19.
///
/// # Errors
/// `EACCES` or `EPERM` for a lower value without `CAP_SYS_NICE`.
pub fn set_nice(value: i32) -> io::Result<()> {
    // SAFETY: takes numbers only; 0 is the calling thread.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, value) } < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
