//! The program that is run: started with its environment, sent our signals, waited for.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

use super::{credential::Environment, signals::Signals};

/// Starts `command` (the program and its arguments) with our terminal, folder and process group, and exactly the variables in `environment`.
///
/// # Errors
/// The system's; see [`code_of_failure`].
pub(crate) fn spawn(command: &[OsString], environment: &Environment) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()
}

/// Waits for the end of `child` and sends it the signals that are meant for it. None of them ends us: the child decides what it makes of
/// them, and until it ended its calls need us.
///
/// # Errors
/// The system's, when the child cannot be waited for.
pub(crate) async fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => {
                // An id that is still there has not been waited for, so no other process can have it.
                let Some(id) = child.id().filter(|id| signal.is_for(*id)) else { continue };
                let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
                let number = rustix::process::Signal::from_named_raw(signal.number);
                if let (Some(pid), Some(number)) = (pid, number) {
                    // It may have ended just now; then there is nobody to tell.
                    let _ = kill_process(pid, number);
                }
            }
        }
    }
}

/// The code to exit with for a child that ended so: its own, or 128 and the signal, as shells have it.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(super::OWN_FAILURE)
}

/// The code to exit with for a child that could not be started: 127 where it was not found, otherwise 126, as env(1) has it.
pub(crate) fn code_of_failure(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_passed_on_and_a_signal_becomes_one() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
