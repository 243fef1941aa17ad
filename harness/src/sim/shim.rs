//! Makes what third-party crates draw by themselves deterministic: randomness and the machine's clocks.
//!
//! On Linux with glibc this file defines `getrandom`, `getentropy`, `clock_gettime` and `syscall` for the whole program.
//! On a thread that has entered a simulation they answer from the seed and from virtual time; on every other
//! thread they pass the call on to the C library. With this, std's `RandomState`, the `getrandom` crate in all
//! its versions, `Instant::now` and `SystemTime::now` are the same in every run of a seed.
//!
//! Elsewhere nothing is replaced and [`covers`] says so. Not covered anywhere: hashers that mix in the address
//! of a static (address-space randomisation), and threads that the simulated code starts itself.

use std::cell::Cell;
use std::time::Duration;

/// What one simulation thread answers instead of the machine.
#[derive(Clone, Copy)]
struct Virtual {
    random: u64,
    epoch_ns: u64,
    now_ns: u64,
}

thread_local! {
    // Const and without a destructor: readable at any moment of a thread's life, also before `main`.
    static VIRTUAL: Cell<Option<Virtual>> = const { Cell::new(None) };
}

/// Enters the simulation on this thread until the guard is dropped.
#[must_use]
pub fn enter(seed: u64, epoch_ms: i64) -> Entered {
    let epoch_ns = u64::try_from(epoch_ms).unwrap_or(0) * 1_000_000;
    VIRTUAL.set(Some(Virtual { random: seed, epoch_ns, now_ns: 0 }));
    Entered { _private: () }
}

/// Keeps the thread inside the simulation.
pub struct Entered {
    _private: (),
}

impl Drop for Entered {
    fn drop(&mut self) {
        VIRTUAL.set(None);
    }
}

/// Moves the clocks of this thread to `now`; they never run backwards.
pub fn set_now(now: Duration) {
    if let Some(state) = VIRTUAL.get() {
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).max(state.now_ns);
        VIRTUAL.set(Some(Virtual { now_ns, ..state }));
    }
}

/// What of third-party randomness and time is under the seed's control, in one line for reports.
#[must_use]
pub fn covers() -> &'static str {
    match (
        cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )),
        cfg!(tokio_unstable),
    ) {
        (true, true) => "hash seeds, clocks and tokio's choices follow the seed",
        (true, false) => "tokio's choices are not covered: `--cfg tokio_unstable` is missing",
        (false, true) => "hash seeds and clocks are not covered on this platform",
        (false, false) => "hash seeds, clocks and tokio's choices are not covered here",
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use std::ffi::{CStr, c_int, c_long, c_uint, c_void};
    use std::sync::atomic::{AtomicPtr, Ordering};

    use super::{VIRTUAL, Virtual};

    /// The next definition of `name` after ours: the C library's. Looked up once.
    fn next(cache: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
        let known = cache.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: `name` is a C string and RTLD_NEXT a valid handle.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        if found.is_null() {
            // Without the C library nothing can be passed on, not even an error message.
            std::process::abort();
        }
        cache.store(found, Ordering::Relaxed);
        found
    }

    /// Fills `buffer` from the thread's stream if it is inside a simulation.
    fn fill(buffer: *mut c_void, length: usize) -> bool {
        let Some(mut state) = VIRTUAL.get() else { return false };
        // SAFETY: the caller of getrandom(2) promises `length` writable bytes at `buffer`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&splitmix(&mut state).to_le_bytes()[..chunk.len()]);
        }
        VIRTUAL.set(Some(state));
        true
    }

    fn splitmix(state: &mut Virtual) -> u64 {
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Stands in for getrandom(2).
    ///
    /// # Safety
    /// As getrandom(2): `buffer` has `length` writable bytes.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        if fill(buffer, length) {
            return length.cast_signed();
        }
        // SAFETY: the symbol is getrandom(2) of the C library and has this type.
        unsafe {
            let real: extern "C" fn(*mut c_void, usize, c_uint) -> isize =
                std::mem::transmute(next(&NEXT, c"getrandom"));
            real(buffer, length, flags)
        }
    }

    /// Stands in for getentropy(3).
    ///
    /// # Safety
    /// As getentropy(3): `buffer` has `length` writable bytes.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getentropy(buffer: *mut c_void, length: usize) -> c_int {
        static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        if fill(buffer, length) {
            return 0;
        }
        // SAFETY: the symbol is getentropy(3) of the C library and has this type.
        unsafe {
            let real: extern "C" fn(*mut c_void, usize) -> c_int =
                std::mem::transmute(next(&NEXT, c"getentropy"));
            real(buffer, length)
        }
    }

    /// Stands in for clock_gettime(2).
    ///
    /// # Safety
    /// As clock_gettime(2): `time` is writable.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
        static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        let state = VIRTUAL.get();
        let wall = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
        let steady = matches!(
            clock,
            libc::CLOCK_MONOTONIC
                | libc::CLOCK_MONOTONIC_COARSE
                | libc::CLOCK_MONOTONIC_RAW
                | libc::CLOCK_BOOTTIME
        );
        if let Some(state) = state.filter(|_| wall || steady) {
            // A monotonic clock of zero would make `Instant - Duration` panic; a day of uptime does not.
            let base = if wall { state.epoch_ns } else { 86_400_000_000_000 };
            let now = base.saturating_add(state.now_ns);
            // SAFETY: the caller promises that `time` is writable.
            unsafe {
                (*time).tv_sec = (now / 1_000_000_000).cast_signed();
                (*time).tv_nsec = (now % 1_000_000_000).cast_signed();
            }
            return 0;
        }
        // SAFETY: the symbol is clock_gettime(2) of the C library and has this type.
        unsafe {
            let real: extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int =
                std::mem::transmute(next(&NEXT, c"clock_gettime"));
            real(clock, time)
        }
    }

    /// Stands in for syscall(2), which some crates call for `getrandom` directly.
    ///
    /// The C library's is variadic; on the supported architectures six integer arguments are passed the same
    /// way whether declared or not.
    ///
    /// # Safety
    /// As syscall(2) for the given number.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn syscall(
        number: c_long,
        a: c_long,
        b: c_long,
        c: c_long,
        d: c_long,
        e: c_long,
        f: c_long,
    ) -> c_long {
        static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        let length = usize::try_from(b).unwrap_or(0);
        if number == libc::SYS_getrandom && fill(a as *mut c_void, length) {
            return b;
        }
        // SAFETY: the symbol is syscall(2) of the C library; see above for its type.
        unsafe {
            let real: extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long =
                std::mem::transmute(next(&NEXT, c"syscall"));
            real(number, a, b, c, d, e, f)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;

    use super::*;

    fn drawn_on_a_fresh_thread(seed: u64) -> (u64, Duration) {
        let thread = std::thread::spawn(move || {
            let _entered = enter(seed, 1_000);
            set_now(Duration::from_secs(5));
            #[expect(clippy::disallowed_methods, reason = "the call under test")]
            let now = std::time::SystemTime::now();
            (RandomState::new().hash_one("x"), now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
        });
        thread.join().expect("the thread does not panic")
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn hash_seeds_and_clocks_follow_the_seed_and_virtual_time() {
        assert_eq!(drawn_on_a_fresh_thread(7), drawn_on_a_fresh_thread(7));
        assert_ne!(drawn_on_a_fresh_thread(7).0, drawn_on_a_fresh_thread(8).0);
        assert_eq!(drawn_on_a_fresh_thread(7).1, Duration::from_secs(6));
    }

    #[test]
    fn outside_a_simulation_the_machine_answers() {
        #[expect(clippy::disallowed_methods, reason = "the call under test")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        assert!(since > Duration::from_secs(1_700_000_000), "{since:?}");
    }
}
