//! Placeholders are canaries: one that turns up anywhere but in its own place was carried there by somebody who takes it for a key.

use aho_corasick::{AhoCorasick, MatchKind};
use http::{HeaderMap, HeaderName};
use postern_crds::{Route, placeholder, provider::Carries, route};

use super::{caller, path::NormalPath};
use crate::{error::Error, snapshot::Binding};

/// Finds the placeholders of one identity.
pub(crate) struct Canaries {
    digits: AhoCorasick,
    /// By credential: its name, and the credentials whose placeholders are at home on its route.
    homes: Vec<(String, Vec<usize>)>,
}

/// A placeholder is recognised by this many hexadecimal digits, so a shorter text holds none.
const DIGITS: usize = 32;

impl Canaries {
    /// Recognises the placeholders of all `routes`.
    pub(crate) fn new(namespace: &str, identity: &str, routes: &[Route]) -> Self {
        let digits = routes
            .iter()
            .map(|route| placeholder::digits(namespace, identity, &route.credential));
        let digits = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostFirst)
            .build(digits)
            .expect("32 patterns of 32 bytes are far below the limits of the automaton");
        let homes = (0..routes.len())
            .map(|index| (routes[index].credential.clone(), at_home(routes, index)))
            .collect();
        Self { digits, homes }
    }

    /// Refuses a request that carries a placeholder where it does not belong.
    ///
    /// # Errors
    /// [`Error::Canary`] naming the credential whose placeholder it is, and the place.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        path: &NormalPath,
        query: Option<&str>,
        binding: &Binding,
    ) -> Result<(), Error> {
        if let Some(found) = self.strays(path.as_str().as_bytes(), &[]) {
            return Err(self.report(found, "path"));
        }
        let homes = &self.homes[binding.index].1;
        let own = binding.route.injection.parameter();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let welcome: &[usize] = if caller::is_credential_parameter(pair, own) {
                homes
            } else {
                &[]
            };
            if let Some(found) = self.strays(pair.as_bytes(), welcome) {
                return Err(self.report(found, "query"));
            }
        }
        for (name, value) in headers {
            let welcome: &[usize] = if caller::is_credential_place(name, &binding.route) {
                homes
            } else {
                &[]
            };
            if let Some(found) = self
                .strays(value.as_bytes(), welcome)
                .or_else(|| self.strays(name.as_str().as_bytes(), &[]))
            {
                return Err(self.report(found, name_for_report(name)));
            }
        }
        Ok(())
    }

    /// The first placeholder in `text` that is not `welcome` there.
    fn strays(&self, text: &[u8], welcome: &[usize]) -> Option<usize> {
        if !has_digits(text) {
            return None;
        }
        self.digits
            .find_iter(text)
            .map(|found| found.pattern().as_usize())
            .find(|index| !welcome.contains(index))
    }

    fn report(&self, index: usize, place: &'static str) -> Error {
        Error::Canary {
            of: self.homes[index].0.clone(),
            place,
        }
    }
}

/// Whether so many hexadecimal digits stand in a row somewhere in `text`. Such a row is as long as the places that are looked at are apart, so one
/// of them is in it; in most texts none of them is even a digit.
fn has_digits(text: &[u8]) -> bool {
    let is_digit = |byte: &&u8| byte.is_ascii_hexdigit();
    (DIGITS - 1..text.len()).step_by(DIGITS).any(|at| {
        let before = text[..at].iter().rev().take_while(is_digit).count();
        let from = text[at..].iter().take_while(is_digit).count();
        from > 0 && before + from >= DIGITS
    })
}

/// The caller chose the header's name, so only well-known ones are repeated.
fn name_for_report(name: &HeaderName) -> &'static str {
    match name.as_str() {
        "authorization" => "authorization header",
        "x-api-key" => "x-api-key header",
        "api-key" => "api-key header",
        "x-goog-api-key" => "x-goog-api-key header",
        "cookie" => "cookie header",
        _ => "header",
    }
}

/// The credentials whose placeholders a client of route `index` may rightly hold, since the environment gives them to it:
/// its own; that of the credential which owns a variable that this vendor's clients read too; and that of `LANGSMITH_GATEWAY_API_KEY`,
/// which LangChain sends to every vendor that it reaches through `LANGSMITH_GATEWAY`.
fn at_home(routes: &[Route], index: usize) -> Vec<usize> {
    let mut homes = vec![index];
    let Some(provider) = routes[index].provider else {
        return homes;
    };
    let (variables, _) = route::pod_environment(routes);
    for variable in variables
        .iter()
        .filter(|variable| variable.carries == Carries::Key && !variable.value.is_empty())
    {
        let read_here = provider
            .environment
            .iter()
            .any(|entry| entry.name == variable.name)
            || (variable.name == "LANGSMITH_GATEWAY_API_KEY" && provider.gateway.is_some());
        if read_here
            && let Some(owner) = routes
                .iter()
                .position(|route| route.credential == variable.credential)
        {
            homes.push(owner);
        }
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_digits_in_a_row_are_seen_wherever_they_stand() {
        for before in 0..70 {
            for after in 0..70 {
                let with = |digits| {
                    let text = ["g".repeat(before), "0f".repeat(digits), "-".repeat(after)];
                    has_digits(text.concat().as_bytes())
                };
                assert!(with(DIGITS / 2), "{before} before, {after} after");
                assert!(with(DIGITS), "{before} before, {after} after");
                assert!(!with(DIGITS / 2 - 1), "{before} before, {after} after");
            }
        }
    }
}
