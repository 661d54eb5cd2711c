//! Somebody who asks the API server for something, as a rule with roles that allow everything, so that only the policies are in the way.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postern_e2e::{Namespace, until};

use crate::support::{Said, talk};

/// The API server looks for policies once a second, so those of a release that was just installed may not be in force yet.
const SOON: Duration = Duration::from_secs(20);

/// A person or an account, as which an administrator asks.
pub(super) struct Caller<'a> {
    namespace: &'a Namespace,
    user: String,
    group: Option<&'static str>,
}

impl<'a> Caller<'a> {
    /// Somebody who may do everything in `namespace`, as far as roles go.
    pub(super) fn developer(namespace: &'a Namespace) -> Result<Self> {
        Self::with_all_roles(namespace, "dev")
    }

    /// `user`, who from now on may do everything in `namespace`, as far as roles go.
    pub(super) fn with_all_roles(namespace: &'a Namespace, user: &str) -> Result<Self> {
        let user_flag = format!("--user={user}");
        let role = "--clusterrole=cluster-admin";
        namespace.kubectl(["create", "rolebinding", "everything", role, &user_flag])?;
        Ok(Self::named(namespace, user))
    }

    /// `user`, with the roles that it has.
    pub(super) fn named(namespace: &'a Namespace, user: &str) -> Self {
        Self {
            namespace,
            user: user.to_owned(),
            group: None,
        }
    }

    /// The same as a member of `group`.
    pub(super) fn in_group(&self, group: &'static str) -> Self {
        Self {
            namespace: self.namespace,
            user: self.user.clone(),
            group: Some(group),
        }
    }

    /// What becomes of a command.
    pub(super) fn says(&self, arguments: &[&str], input: &str) -> Result<Said> {
        let mut command = self.namespace.kubectl_command();
        command.arg(format!("--as={}", self.user));
        command.args(self.group.map(|group| format!("--as-group={group}")));
        talk(command.args(arguments), input)
    }

    /// Runs a command that must succeed.
    pub(super) fn may(&self, arguments: &[&str], input: &str) -> Result<String> {
        let said = self.says(arguments, input)?;
        ensure!(said.success, "{arguments:?}: {}", said.stderr);
        Ok(said.stdout)
    }

    /// Runs a command that `policy` must refuse, and returns in which words.
    pub(super) fn may_not(&self, policy: &str, arguments: &[&str], input: &str) -> Result<String> {
        until(&format!("{policy} to refuse {arguments:?}"), SOON, || {
            let said = self.says(arguments, input)?;
            if said.success {
                bail!("it was not refused: {}", said.stdout);
            }
            refusal(policy, &said.stderr).with_context(|| said.stderr.clone())
        })
    }
}

/// What `policy` says in an error of the API server.
pub(super) fn refusal(policy: &str, error: &str) -> Option<String> {
    let begin =
        format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: ");
    let (_, words) = error.split_once(&begin)?;
    Some(words.lines().next().unwrap_or_default().to_owned())
}
