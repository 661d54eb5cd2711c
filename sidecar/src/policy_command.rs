//! `postern policy`: asks a folder of policy files what they decide, before a cluster does.
//!
//! ```text
//! files ─► documents ─► bundle ─► Rehearsal ◄─ requests from a table or from flags
//! ```
//!
//! *Architecture invariant: nothing here decides a call.* The bundle is the one that `postern run` would serve, without its secrets, and every
//! request walks the proxy's own stages: see [`crate::proxy::rehearsal`].

mod args;
mod case;
mod explain;
mod request;
mod table;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub use args::Args;
use args::{Command, ExplainArgs, Files, TestArgs};
use postern_crds::{Violation, bundle};

use crate::{
    proxy::rehearsal::Rehearsal,
    run::{OWN_FAILURE, assemble, both, folder, lines, say},
};

/// Some case was decided otherwise than its table says.
const UNEXPECTED: u8 = 1;

/// Does what the command line says and returns the code to exit with. The answer goes to standard output, what is wrong with the input to
/// standard error.
pub fn run(args: Args) -> u8 {
    let done = match args.command {
        Command::Test(args) => test(&args),
        Command::Explain(args) => explain(&args),
    };
    match done {
        Ok(code) => code,
        Err(violations) => {
            say(&format!(
                "postern: this cannot be asked:{}\n",
                lines(&violations)
            ));
            OWN_FAILURE
        }
    }
}

fn test(args: &TestArgs) -> Result<u8, Vec<Violation>> {
    let TestArgs { files, cases } = args;
    let (rehearsal, cases) = both(rehearsal(files), case::read(cases))?;
    let (text, failures) = table::compare(&rehearsal, cases);
    answer(&text)?;
    Ok(if failures == 0 { 0 } else { UNEXPECTED })
}

fn explain(args: &ExplainArgs) -> Result<u8, Vec<Violation>> {
    let ExplainArgs {
        files,
        credential,
        method,
        path,
        headers,
        body,
    } = args;
    let stdin = Path::new("-");
    if body.as_deref() == Some("-") && files.filenames.iter().any(|file| file == stdin) {
        return Err(vec![Violation::new(
            "--body",
            "standard input is the policy's already",
        )]);
    }
    let request = request::body_of_flag(body.as_deref()).and_then(|body| {
        let headers = headers.iter().map(|line| request::header_of_line(line));
        let headers = headers
            .collect::<Result<_, _>>()
            .map_err(|problem| vec![Violation::new("--header", problem)])?;
        let told = request::Told {
            method: method.clone(),
            target: format!("/{credential}{path}"),
            headers,
            body,
        };
        told.build().map_err(|problems| {
            let at = |problem| Violation::new("the request", problem);
            problems.into_iter().map(at).collect()
        })
    });
    let (rehearsal, request) = both(rehearsal(files), request)?;
    answer(&explain::text(rehearsal.identity(), &rehearsal.of(request)))?;
    Ok(0)
}

/// What the files say, ready to be asked.
fn rehearsal(files: &Files) -> Result<Rehearsal, Vec<Violation>> {
    let Files {
        filenames,
        identity,
    } = files;
    let documents = folder::read(filenames)?;
    let assembled = assemble::assemble_keyless(&documents.taken, identity.as_deref())?;
    for note in &assembled.notes {
        say(&format!("postern: note: {note}\n"));
    }
    Rehearsal::new(assembled.bundle).map_err(|error| match error {
        bundle::Error::Invalid(violations) => violations,
        other => vec![Violation::new("-f", other.to_string())],
    })
}

fn answer(text: &str) -> Result<(), Vec<Violation>> {
    io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(|error| {
            vec![Violation::new(
                "standard output",
                format!("cannot be written: {error}"),
            )]
        })
}

/// The files at `paths`, or every path that has none.
fn all_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Violation>> {
    let mut files = Vec::new();
    let mut violations = Vec::new();
    for path in paths {
        match folder::files(path) {
            Ok(found) => files.extend(found),
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() {
        Ok(files)
    } else {
        Err(violations)
    }
}
