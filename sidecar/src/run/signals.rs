//! The signals that would end us, and whether the child has been sent them already.

use std::{io, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::{
        Handle, SignalsInfo,
        exfiltrator::{WithOrigin, origin::Origin},
    },
    low_level::siginfo::Cause,
};
use tokio::sync::mpsc;

/// Signals that are meant for the program that we run, when they come to us.
const FORWARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Receives signals from its creation on; before it is dropped none of them ends this process.
pub(crate) struct Signals {
    received: mpsc::UnboundedReceiver<Signal>,
    handle: Handle,
    thread: Option<thread::JoinHandle<()>>,
}

/// A signal that came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// Its number.
    pub(crate) number: i32,
    /// The kernel sent it, as for a key of the terminal or its end.
    by_kernel: bool,
    /// The process that sent it.
    sender: Option<u32>,
}

impl Signals {
    /// Begins to receive.
    ///
    /// A signal that we were started to ignore stays ignored, by us and so by the child: `nohup` means both, and so does a shell that starts
    /// a job in the background.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let wanted = FORWARDED
            .iter()
            .filter(|number| ignored >> (**number - 1) & 1 == 0);
        let mut signals = SignalsInfo::<WithOrigin>::new(wanted)?;
        let handle = signals.handle();
        let (sender, received) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for origin in signals.forever() {
                    // The receiver is gone only while this thread is being ended.
                    let _ = sender.send(Signal::from(origin));
                }
            })?;
        Ok(Self {
            received,
            handle,
            thread: Some(thread),
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.received.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// One that came already, if any did.
    pub(crate) fn pending(&mut self) -> Option<Signal> {
        self.received.try_recv().ok()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl From<Origin> for Signal {
    fn from(origin: Origin) -> Self {
        Self {
            number: origin.signal,
            by_kernel: matches!(origin.cause, Cause::Kernel),
            sender: origin
                .process
                .and_then(|process| u32::try_from(process.pid).ok()),
        }
    }
}

impl Signal {
    /// Whether it has to be sent on to `child`.
    ///
    /// The child is in our process group, so that it can read the terminal and be stopped and continued with us. What the kernel sends for a
    /// terminal (Ctrl-C, Ctrl-\, hanging up) it sends to the whole group: the child has it, and a second one would be taken for an impatient
    /// user's. What another process sends to us alone, as `kill` or a supervisor does, is sent on. What the child sends to its group it has
    /// itself. (`sudo` decides in the same way. A process that signals the whole group by hand makes the child see two.)
    pub(crate) fn is_for(self, child: u32) -> bool {
        !self.by_kernel && self.sender != Some(child)
    }
}

/// The mask of the signals that this process ignores: `SigIgn` of proc(5). Nothing where there is no such file.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(by_kernel: bool, sender: Option<u32>) -> Signal {
        Signal {
            number: SIGINT,
            by_kernel,
            sender,
        }
    }

    #[test]
    fn what_the_terminal_sent_to_all_is_not_sent_again() {
        assert!(!signal(true, None).is_for(7));
    }

    #[test]
    fn what_was_sent_to_us_alone_is_sent_on() {
        assert!(signal(false, Some(8)).is_for(7));
        assert!(signal(false, None).is_for(7));
    }

    #[test]
    fn the_childs_own_signal_does_not_come_back_to_it() {
        assert!(!signal(false, Some(7)).is_for(7));
    }
}
