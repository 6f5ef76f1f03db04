//! Ports for clients that want to be told where to listen.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that is free, below those that whoever asks for any is given (from 32768 on by Linux, from 49152 on by others: RFC 6335,
/// section 6): one of those, free now, may be the near end of somebody's connection by the time a client listens.
///
/// # Panics
/// When none is free.
pub(crate) fn callback_port() -> String {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static CHOSEN: AtomicU32 = AtomicU32::new(0);

    // Several processes choose at once: each begins elsewhere.
    let begin = std::process::id().wrapping_mul(61);
    (0..COUNT)
        .map(|_| FIRST + begin.wrapping_add(CHOSEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("a port"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
        .to_string()
}
