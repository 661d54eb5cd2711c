//! The program itself, as a process.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use http::StatusCode;
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

use crate::support::{Client, Identity, Protocol, Upstream, eventually, program_in};

/// A process that does not outlive its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    async fn exit_code(&mut self) -> Option<i32> {
        eventually("the program ended", async || self.0.try_wait().unwrap())
            .await
            .code()
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Starts `postern serve` on the bundle in `directory`, and waits until it is ready.
async fn serve(directory: &Path) -> (Program, std::net::SocketAddr) {
    let (data, admin) = (free_port(), free_port());
    let mut command = Command::new(program_in(directory));
    command
        .arg("serve")
        .args(["--bundle-dir", directory.to_str().unwrap()])
        .args([
            "--listen",
            &format!("127.0.0.1:{data}"),
            "--listen",
            &format!("[::1]:{data}"),
        ])
        .args([
            "--admin-address",
            &format!("[::]:{admin}"),
            "--drain-timeout",
            "5s",
        ])
        .env_clear()
        // What a pod has; a name, as AKS may put it there.
        .env("KUBERNETES_SERVICE_HOST", "localhost")
        .stdout(Stdio::null());
    // As root every file under /proc belongs to root, and says nothing. The UID is the one that a pod runs it under.
    if rustix::process::geteuid().is_root() {
        command.uid(14000).gid(14000);
    }
    let program = Program(command.spawn().unwrap());
    eventually("the program was ready", async || {
        TcpStream::connect(("127.0.0.1", admin)).await.ok()?;
        let answer = Client::http1(([127, 0, 0, 1], admin).into())
            .await
            .get("/readyz")
            .await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
    (program, ([127, 0, 0, 1], data).into())
}

/// A directory with a bundle that every user may read.
fn bundle(identity: &Identity) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("bundle.json"),
        identity.document().to_string(),
    )
    .unwrap();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), everyone).unwrap();
    directory
}

#[tokio::test]
async fn the_program_serves_and_stops_cleanly_when_told_to() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let directory = bundle(&Identity::openai_at(&upstream));
    for signal in [Signal::TERM, Signal::INT] {
        let (mut program, address) = serve(directory.path()).await;
        let answer = Client::http1(address).await.get("/openai/v1/models").await;
        assert_eq!(answer.status, StatusCode::OK);
        program.signal(signal);
        assert_eq!(program.exit_code().await, Some(0));
    }
}

#[tokio::test]
async fn nobody_of_the_same_user_can_read_its_memory() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let directory = bundle(&Identity::openai_at(&upstream));
    let (program, _) = serve(directory.path()).await;
    let process = format!("/proc/{}", program.0.id());
    // proc(5): what belongs to a process that is not dumpable belongs to root, whoever runs it.
    for file in ["mem", "environ", "maps"] {
        assert_eq!(
            fs::metadata(format!("{process}/{file}")).unwrap().uid(),
            0,
            "{file}"
        );
    }
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let soft = core["Max core file size".len()..].split_whitespace().next();
    assert_eq!(soft, Some("0"), "{core}");
}

#[test]
fn help_says_what_each_flag_is_for() {
    let help = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(help(&["--help"]).contains("serve"));
    let serve = help(&["serve", "--help"]);
    for flag in [
        "--bundle-dir",
        "--listen",
        "--admin-address",
        "--drain-timeout",
        "--log-level",
        "--log-format",
        "--pod",
        "POSTERN_LISTEN",
    ] {
        assert!(serve.contains(flag), "{flag}");
    }
}

#[test]
fn a_flag_that_makes_no_sense_is_refused_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["serve", "--drain-timeout", "soon"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("30s, 5m or 1h")
    );
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args([
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--admin-address",
            "127.0.0.1:0",
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("not a loopback address"), "{message}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_and_not_a_retry() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_postern"))
        .args([
            "serve",
            "--listen",
            &taken.local_addr().unwrap().to_string(),
            "--admin-address",
            "127.0.0.1:0",
        ])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), output)
        .await
        .unwrap()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("cannot listen on")
    );
}
