//! Runs other programs and turns their failures into errors that show what they said.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a program's output that an error shows.
const SHOWN: usize = 25;

/// Runs `command` to its end and returns its standard output. A failure carries what it said on standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let name = shown(command);
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    stdout_of(&name, &out)
}

/// As [`output`], with `input` on the program's standard input.
pub fn output_with(input: &str, command: &mut Command) -> Result<String> {
    let name = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let mut stdin = child.stdin.take().context("a piped standard input")?;
    let bytes = input.as_bytes().to_vec();
    // A thread, because a program may fill its output before it has read all of its input.
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let out = child
        .wait_with_output()
        .with_context(|| format!("waiting for {name}"))?;
    // A program that failed early did not read its input; what it said matters more than the broken pipe.
    let written = writer
        .join()
        .map_err(|_| anyhow::anyhow!("writing to {name}"))?;
    let stdout = stdout_of(&name, &out)?;
    written.with_context(|| format!("writing to {name}"))?;
    Ok(stdout)
}

/// Runs a long and talkative `command`; what it says goes to the file `log`, whose end a failure shows.
pub fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let name = shown(command);
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    let file = File::create(log).with_context(|| format!("making {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("starting {name}"))?;
    if !status.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        bail!(
            "{name}: {status}; its log {} ends:\n{}",
            log.display(),
            end_of(&said)
        );
    }
    Ok(())
}

fn stdout_of(name: &str, out: &Output) -> Result<String> {
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{name}: {}: {}", out.status, end_of(&said));
    }
    String::from_utf8(out.stdout.clone()).with_context(|| format!("reading what {name} printed"))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}

/// The last lines of a text.
pub(crate) fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{end_of, logged, output, output_with};

    #[test]
    fn failure_shows_the_command_and_its_words() {
        let error = output(Command::new("sh").args(["-c", "echo lost >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("sh -c") && text.contains("lost") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(
            output_with("hello", &mut Command::new("cat")).unwrap(),
            "hello"
        );
    }

    #[test]
    fn failed_program_is_reported_rather_than_the_pipe_it_broke() {
        let big = "x".repeat(1 << 20);
        let error = output_with(&big, Command::new("sh").args(["-c", "echo no >&2; exit 1"]));
        assert!(format!("{:#}", error.unwrap_err()).contains("no"));
    }

    #[test]
    fn logged_failure_shows_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log/x");
        let error = logged(Command::new("sh").args(["-c", "seq 100; exit 1"]), &log).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.ends_with("100") && !text.contains("\n50\n"), "{text}");
    }

    #[test]
    fn end_of_a_short_text_is_all_of_it() {
        assert_eq!(end_of("a\nb\n"), "a\nb");
    }
}
