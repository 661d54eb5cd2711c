//! Signals: each reaches the program once, and we do not end before it does.

use rustix::process::Signal;

use crate::support::{CALL, Folder, KEY, Protocol, Run, Upstream};

/// Counts SIGINT and ends on SIGTERM with their number; says when it listens.
const COUNT: &str = r#"
import os, signal
count = 0
def say(text):
    # Not print: a handler may run inside of another one's.
    os.write(1, (text + "\n").encode())
def interrupted(*_):
    global count
    count += 1
    say("interrupted")
signal.signal(signal.SIGINT, interrupted)
def terminated(*_):
    say(f"count {count} ")
    os._exit(40 + count)
signal.signal(signal.SIGTERM, terminated)
say("listening")
while True:
    signal.pause()
"#;

#[tokio::test]
async fn what_is_sent_to_us_alone_is_passed_on_and_the_program_decides_what_it_means() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let mut running = folder.run().start(COUNT);
    assert_eq!(running.line().await, "listening");
    running.signal(Signal::INT);
    assert_eq!(running.line().await, "interrupted");
    running.signal(Signal::INT);
    assert_eq!(running.line().await, "interrupted");
    running.signal(Signal::TERM);
    assert_eq!(running.line().await, "count 2 ");
    let (code, stderr) = running.end().await;
    assert_eq!(code, Some(42));
    assert!(stderr.ends_with("made no call\n"), "{stderr}");
}

#[tokio::test]
async fn a_program_that_dies_of_a_signal_gives_128_and_its_number() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    for (signal, code) in [
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::TERM, 143),
        (Signal::USR1, 138),
    ] {
        let mut running = folder
            .run()
            .start("import signal; print('listening', flush=True); signal.pause()");
        assert_eq!(running.line().await, "listening");
        running.signal(signal);
        assert_eq!(running.end().await.0, Some(code), "{signal:?}");
    }
}

#[tokio::test]
async fn a_program_can_still_make_calls_while_it_ends() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let program = format!(
        "import signal, sys\nsys.argv.append('/chat/completions')\ndef terminated(*_):\n    exec({CALL:?})\n    sys.exit(0)\n\
         signal.signal(signal.SIGTERM, terminated)\nprint('listening', flush=True)\nsignal.pause()\n"
    );
    let folder = Folder::of(&upstream);
    let mut running = folder.run().start(&program);
    assert_eq!(running.line().await, "listening");
    running.signal(Signal::TERM);
    assert_eq!(running.line().await, "200 {\"ok\":true}");
    assert_eq!(running.end().await.0, Some(0));
    assert_eq!(
        upstream.saw_one().header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
}

/// Runs `program` in a terminal, presses Ctrl-C when it listens, then ends it; gives the number of interruptions that it counted and its code.
async fn interrupted_in_a_terminal(program: &str) -> String {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let terminal = r#"
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
def until(text):
    global seen
    while text not in seen:
        seen += os.read(terminal, 4096)
until(b"listening")
os.write(terminal, b"\x03")
# The terminal shows the key after it sent the signal.
until(b"^C")
if sys.argv[-1] == "waits":
    until(b"interrupted")
os.kill(pid, signal.SIGTERM)
until(b"count ")
print(seen.decode().split("count ")[1].split()[0], os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    let mut command = tokio::process::Command::new("python3");
    command
        .args(["-c", terminal, env!("CARGO_BIN_EXE_postern"), "run", "-f"])
        .arg(folder.path());
    let waits = if program == COUNT { "waits" } else { "" };
    let outcome = Run::of(command)
        .args(&["--", "python3", "-c", program, waits])
        .end()
        .await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    outcome.stdout
}

#[tokio::test]
async fn ctrl_c_in_a_terminal_reaches_the_program() {
    assert_eq!(interrupted_in_a_terminal(COUNT).await, "1 41\n");
}

/// A program that left our process group has nothing from the terminal, so whatever it counts would come from us: in the test above it would
/// be a second one, which the kernel may or may not merge with the first.
#[tokio::test]
async fn ctrl_c_in_a_terminal_is_not_sent_by_us_too() {
    let program = format!("import os; os.setpgid(0, 0)\n{COUNT}");
    assert_eq!(interrupted_in_a_terminal(&program).await, "0 40\n");
}

/// `nohup` starts a program with SIGHUP ignored, and means the programs that it starts too.
#[tokio::test]
async fn a_signal_that_we_are_to_ignore_stays_ignored_for_both() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let mut command = tokio::process::Command::new("sh");
    command
        .args([
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_postern"),
            "run",
            "-f",
        ])
        .arg(folder.path());
    let program = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)";
    let outcome = Run::of(command)
        .args(&["--", "python3", "-c", program])
        .end()
        .await;
    assert_eq!(
        (outcome.code(), outcome.stdout.as_str()),
        (Some(0), "True\n"),
        "{outcome:?}"
    );
}
