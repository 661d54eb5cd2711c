//! `postern run`: the sidecar and the program that it serves, on one machine, with the cluster's own policy files.
//!
//! ```text
//! files, flags ─► documents ─► bundle ─► App on a free port ─► child with a pod's environment ─► its exit code, a summary
//! ```
//!
//! *Architecture invariant: nothing here decides a call.* The bundle is the one that the controller would write, and the same [`App`] serves it.

mod args;
pub(crate) mod assemble;
mod child;
mod credential;
mod document;
mod environment;
pub(crate) mod folder;
mod schema;
mod signals;
mod summary;

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub use args::Args;
use assemble::Assembled;
use credential::{Environment, Place};
use postern_crds::{Secret, Violation, route, source};
use signals::Signals;
use summary::Tally;
use tokio::sync::oneshot;

use crate::{App, Config, Source, app};

/// The exit code for failures of our own, as env(1), timeout(1) and `docker run` have it: no program's own code is likely to be it.
pub(crate) const OWN_FAILURE: u8 = 125;

/// How long calls of the child's own children, which may outlive it, may take to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the program was not run, or was lost.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The files or flags have no meaning.
    #[error("this cannot be run:{}", lines(.0))]
    Invalid(Vec<Violation>),
    /// The proxy cannot be started.
    #[error("the proxy cannot be started: {}", chain(.0))]
    Bind(#[from] app::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// The program cannot be started.
    #[error("{program} cannot be started: {error}")]
    Spawn {
        /// Its name, as it was given.
        program: String,
        /// The system's reason.
        error: io::Error,
    },
    /// The program runs, but its end cannot be learned.
    #[error("the program cannot be waited for: {0}")]
    Wait(io::Error),
}

impl Error {
    fn code(&self) -> u8 {
        match self {
            Self::Invalid(_) | Self::Bind(_) | Self::Signals(_) | Self::Wait(_) => OWN_FAILURE,
            Self::Spawn { error, .. } => child::code_of_failure(error),
        }
    }
}

/// Runs the program and returns the code to exit with. `environment` is this process's own. What there is to say goes to standard error.
pub async fn run(args: Args, environment: Environment) -> u8 {
    match execute(args, &environment).await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("postern: {error}\n"));
            error.code()
        }
    }
}

impl Args {
    /// Least severe messages that are to be logged.
    pub fn log_level(&self) -> crate::config::LogLevel {
        self.log_level
    }
}

async fn execute(args: Args, environment: &Environment) -> Result<u8, Error> {
    let Args {
        filenames,
        identity,
        credentials,
        port,
        summary,
        log_level: _,
        command,
    } = args;
    // Before anything else, so that no signal finds us without the wish to end in order.
    let mut signals = Signals::listen().map_err(Error::Signals)?;

    let overrides = credential::parse(&credentials).map_err(Error::Invalid)?;
    let (secrets, documents) = both(
        credential::resolve(&overrides, environment),
        folder::read(&filenames),
    )
    .map_err(Error::Invalid)?;
    let Assembled {
        bundle,
        routes,
        notes,
    } = assemble::assemble(&documents.taken, identity.as_deref(), secrets)
        .map_err(Error::Invalid)?;
    let name = format!("{}/{}", bundle.namespace, bundle.identity);
    let held: Vec<Secret> = bundle
        .secrets
        .iter()
        .flat_map(|(name, secret)| source::parts(&secret.value, bundle.shape_of(name)))
        .collect();

    let tally = Arc::new(Tally::default());
    let app = App::bind(Config {
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        admin: None,
        drain_timeout: DRAIN_TIMEOUT,
        observer: Some(tally.observer()),
        ..Config::on_free_ports(Source::Fixed(Box::new(bundle)))
    })
    .await?;
    let port = app.addresses().first().map_or(port, SocketAddr::port);

    let (variables, more_notes) = route::environment(&routes, port);
    let sources: Vec<&str> = overrides
        .iter()
        .filter_map(|given| match &given.place {
            Place::Env(variable) => Some(variable.as_str()),
            Place::File(_) => None,
        })
        .collect();
    let composed = environment::compose(
        environment,
        &variables,
        port,
        &sources,
        &held.iter().collect::<Vec<_>>(),
    );
    drop(held);
    if !documents.ignored.is_empty() {
        let kinds: Vec<String> = documents
            .ignored
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        say(&format!(
            "postern: ignored in these files: {}\n",
            kinds.join(", ")
        ));
    }
    for note in notes.iter().chain(&more_notes).chain(&composed.notes) {
        say(&format!("postern: note: {note}\n"));
    }
    let hosts: Vec<String> = routes
        .iter()
        .map(|route| format!("{} to {}", route.credential, route.authority))
        .collect();
    say(&format!(
        "postern: {name} at http://127.0.0.1:{port}: {}\n",
        hosts.join(", ")
    ));

    if let Some(signal) = signals.pending() {
        return Ok(128 + u8::try_from(signal.number).unwrap_or(0));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let app = tokio::spawn(app.run(async move {
        // An error means that the sender was dropped: a stop too.
        let _ = stopped.await;
    }));
    let status = match child::spawn(&command, &composed.variables) {
        Ok(mut child) => child::wait(&mut child, &mut signals)
            .await
            .map_err(Error::Wait),
        Err(error) => Err(Error::Spawn {
            program: command
                .first()
                .map(|program| program.display().to_string())
                .unwrap_or_default(),
            error,
        }),
    };
    drop(stop);
    // Only after it no call is under way and every one is counted. A panic in it is logged where it happens.
    let _ = app.await;
    let status = status?;
    say(&tally.render(&name, summary));
    Ok(child::code(status))
}

/// Both values, or the problems of both.
pub(crate) fn both<A, B>(
    a: Result<A, Vec<Violation>>,
    b: Result<B, Vec<Violation>>,
) -> Result<(A, B), Vec<Violation>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => {
            let mut violations = a.err().unwrap_or_default();
            violations.extend(b.err().unwrap_or_default());
            Err(violations)
        }
    }
}

/// Writes to standard error. That it is closed is no reason to end the program.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

pub(crate) fn lines(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(|violation| format!("\n  {violation}"))
        .collect()
}

fn chain(error: &app::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
