//! What the questions have in common: the house, whose turn it is, agents and their pods.

mod agents;
mod api;
mod machine;
mod pods;
mod release;
mod stored;

use std::{
    io::{self, Write},
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use anyhow::{Result, anyhow};
pub(crate) use postern_e2e::random;
use postern_e2e::{Cache, House, Provider, image};

pub(crate) use self::{
    agents::{Agents, WHOLE_RUN, config_map, secret},
    api::{Said, admit, create, talk},
    machine::Process,
    pods::{Agent, agent, container, deployment, direct, pod, resting, without_postern},
    release::{Restored, helm},
    stored::{Stored, version},
};

/// The shared ground: Postern installed, the provider running, the agents' images on the node.
pub(crate) struct Ground {
    pub(crate) house: House,
    pub(crate) provider: Provider,
    /// The image of agents in Python.
    pub(crate) python: String,
    /// The image of agents in JavaScript.
    pub(crate) node: String,
}

/// Sets the ground up, or waits until another test has. What went wrong once is not tried again.
pub(crate) fn ground() -> Result<&'static Ground> {
    static GROUND: OnceLock<Result<Ground, String>> = OnceLock::new();
    GROUND
        .get_or_init(|| set_up().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("setting up the cluster: {error}"))
}

fn set_up() -> Result<Ground> {
    let cache = Cache::open()?;
    let house = House::ensure()?;
    Ok(Ground {
        provider: house.provider()?,
        python: house.cluster.load(&image::langchain_python(&cache)?)?,
        node: house.cluster.load(&image::langchain_node(&cache)?)?,
        house,
    })
}

/// A test's turn with controller and webhook, which belong to all tests: those that stop one of them run alone.
pub(crate) enum Turn {
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

static TURNS: RwLock<()> = RwLock::new(());

impl Turn {
    /// Waits until nobody is alone. One for each test: a second one may wait for the first for ever.
    pub(crate) fn shared() -> Self {
        // A test that panicked alone has put back what it stopped.
        let _guard = TURNS.read().unwrap_or_else(PoisonError::into_inner);
        Self::Shared { _guard }
    }

    /// Waits until all others have finished.
    pub(crate) fn alone() -> Self {
        let _guard = TURNS.write().unwrap_or_else(PoisonError::into_inner);
        Self::Alone { _guard }
    }
}

/// Says on standard error what went wrong where no error can be returned, in a `drop`.
pub(crate) fn complain(what: &str, result: &Result<()>) {
    if let Err(error) = result {
        let _ = writeln!(io::stderr(), "{what}: {error:#}");
    }
}
