//! How the C library keeps freed memory.

/// Bounds what the allocator of glibc keeps for itself: `arenas` heaps for all threads together, and blocks of `large_bytes` and more
/// given back to the kernel as soon as they are freed. For services that now and then hold much for a short time; called before threads
/// are started. Other C libraries have no such bounds, and nothing is done there.
pub fn bound_heaps(arenas: u16, large_bytes: u32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let large = libc::c_int::try_from(large_bytes).unwrap_or(libc::c_int::MAX);
        // SAFETY: takes numbers only; mallopt locks what it changes, and a value that it does not take is left as it was.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, libc::c_int::from(arenas));
            libc::mallopt(libc::M_MMAP_THRESHOLD, large);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = (arenas, large_bytes);
}

/// Gives the pages of freed memory back to the kernel where the C library is glibc, which otherwise keeps those that lie below something
/// in use. It takes some milliseconds for each hundred megabytes.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number only; malloc_trim locks what it walks and releases nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
