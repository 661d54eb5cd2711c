//! The prices of one identity: those that it says itself, before those of the table.

use super::{Listed, PerMillion, Price, Tokens, table};
use crate::{
    agent_identity::ModelPrice,
    facts::{Model, Models},
    policy::Glob,
    violation::Violation,
};

/// Finds the prices of models.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// In the order of the spec: the first that matches counts.
    own: Vec<(Vec<Glob>, Listed)>,
}

impl Prices {
    /// Reads `spec.prices` of an identity.
    ///
    /// # Errors
    /// Every problem at once, each with its path in the spec.
    pub fn compile(spec: &[ModelPrice]) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut own = Vec::new();
        for (index, entry) in spec.iter().enumerate() {
            let at = format!("spec.prices[{index}]");
            match compile(&at, entry) {
                Ok(entry) => own.push(entry),
                Err(found) => violations.extend(found),
            }
        }
        if violations.is_empty() {
            Ok(Self { own })
        } else {
            Err(violations)
        }
    }

    /// What is known of `model` at `provider`, a name of the registry; a service that the registry does not know has own prices only.
    ///
    /// A name that is only a handle has own prices only too, since any model may stand behind it. Otherwise the first name that is known
    /// counts, the call's own before its aliases.
    pub fn find(&self, provider: Option<&str>, model: &Model) -> Option<Listed> {
        let aliases = model.aliases.iter().map(String::as_str);
        let names = || std::iter::once(model.name.as_str()).chain(aliases.clone());
        let own = |name: &str| {
            let matching = self
                .own
                .iter()
                .find(|(models, _)| models.iter().any(|glob| glob.matches(name)));
            matching.map(|(_, listed)| *listed)
        };
        if let Some(listed) = names().find_map(own) {
            return Some(listed);
        }
        let provider = provider.filter(|_| !model.opaque)?;
        names().find_map(|name| table::find(provider, name).copied())
    }

    /// What is known of a call that any of `models` may answer: the dearest counts, and none is known where one is not.
    pub fn of_call(&self, provider: Option<&str>, models: &Models) -> Option<Listed> {
        match models {
            Models::Named(models) => {
                let mut all = models.iter().map(|model| self.find(provider, model));
                let first = all.next()??;
                all.try_fold(first, |dearest, next| Some(dearest.or(&next?)))
            }
            Models::None => Some(Listed::FREE),
            Models::Hidden => None,
        }
    }
}

fn compile(at: &str, entry: &ModelPrice) -> Result<(Vec<Glob>, Listed), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut globs = Vec::new();
    for (index, model) in entry.models.iter().enumerate() {
        match Glob::parse(model) {
            Ok(glob) => globs.push(glob),
            Err(error) => violations.push(Violation::new(
                format!("{at}.models[{index}]"),
                error.to_string(),
            )),
        }
    }
    if entry.models.is_empty() {
        violations.push(Violation::new(
            format!("{at}.models"),
            "name at least one model",
        ));
    }
    if entry.max_output_tokens == Some(0) {
        violations.push(Violation::new(
            format!("{at}.maxOutputTokens"),
            "must be at least 1; leave it out where it is not known",
        ));
    }
    let mut price = |member: &str, text: &str| {
        text.parse::<Tokens>()
            .map_err(|error| {
                violations.push(Violation::new(format!("{at}.{member}"), error.to_string()));
            })
            .ok()
    };
    let mut optional =
        |member: &str, text: &Option<String>| text.as_ref().map(|text| price(member, text));
    let cached_input = optional("cachedInput", &entry.cached_input);
    let cache_write = optional("cacheWrite", &entry.cache_write);
    let reasoning = optional("reasoning", &entry.reasoning);
    let input = price("input", &entry.input);
    let output = price("output", &entry.output);
    match (input, output) {
        (Some(input), Some(output)) if violations.is_empty() => {
            let written = PerMillion {
                input,
                cached_input: cached_input.flatten(),
                cache_write: cache_write.flatten(),
                cache_write_long: None,
                output,
                reasoning: reasoning.flatten(),
            };
            let listed = Listed {
                max_output_tokens: entry.max_output_tokens,
                ..Listed::from(Price::from(&written))
            };
            Ok((globs, listed))
        }
        _ => Err(violations),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Usd;

    fn prices(yaml: &str) -> Result<Prices, Vec<Violation>> {
        Prices::compile(&crate::yaml::from_str::<Vec<ModelPrice>>(yaml).unwrap())
    }

    fn input(listed: Option<Listed>) -> Option<u64> {
        listed.map(|listed| listed.price.input.pico())
    }

    #[test]
    fn an_identity_s_own_price_stands_before_the_table_s() {
        let prices = prices(
            "[{models: [gpt-4o-mini], input: '0', output: '0', maxOutputTokens: 100},
              {models: ['gpt-4o*'], input: '7', output: '8', reasoning: '9'}]",
        )
        .unwrap();
        let find = |name: &str| prices.find(Some("openai"), &Model::new(name));
        assert_eq!(input(find("gpt-4o-mini")), Some(0));
        assert_eq!(find("gpt-4o-mini").unwrap().max_output_tokens, Some(100));
        assert_eq!(input(find("gpt-4o")), Some(7_000_000));
        assert_eq!(
            find("gpt-4o").unwrap().price.reasoning,
            Usd::from_pico(9_000_000)
        );
        assert!(input(find("gpt-5")).is_some_and(|input| input != 7_000_000));
        assert_eq!(find("unheard-of"), None);
        // Also for a service that the registry does not know.
        assert_eq!(
            input(prices.find(None, &Model::new("gpt-4o"))),
            Some(7_000_000)
        );
        assert_eq!(prices.find(None, &Model::new("gpt-5")), None);
    }

    #[test]
    fn an_alias_has_a_price_and_a_handle_has_none_but_the_identity_s() {
        let prices = prices("[{models: [my-deployment], input: '7', output: '8'}]").unwrap();
        let alias = Model {
            aliases: vec!["gpt-4o".into()],
            ..Model::new("some-name")
        };
        let found = prices.find(Some("openai"), &alias);
        assert_eq!(found, prices.find(Some("openai"), &Model::new("gpt-4o")));
        assert!(found.is_some());
        let find = |handle: &str| prices.find(Some("azure-openai"), &Model::opaque(handle));
        assert_eq!(find("gpt-4o"), None);
        assert_eq!(input(find("my-deployment")), Some(7_000_000));
    }

    #[test]
    fn of_several_models_the_dearest_counts_and_an_unknown_one_makes_all_unknown() {
        let prices = Prices::default();
        let named = |names: &[&str]| Models::Named(names.iter().copied().map(Model::new).collect());
        let of = |models: &Models| prices.of_call(Some("openai"), models);
        let one = |name| prices.find(Some("openai"), &Model::new(name)).unwrap();
        assert_eq!(
            of(&named(&["gpt-4o-mini", "gpt-4o"])).unwrap().price.output,
            one("gpt-4o")
                .price
                .output
                .max(one("gpt-4o-mini").price.output)
        );
        assert_eq!(of(&named(&["gpt-4o", "unheard-of"])), None);
        assert_eq!(of(&named(&["unheard-of", "gpt-4o"])), None);
        assert_eq!(of(&named(&[])), None);
        assert_eq!(of(&Models::Hidden), None);
        assert_eq!(of(&Models::None), Some(Listed::FREE));
    }

    #[test]
    fn every_problem_is_named_with_its_place() {
        let violations = prices(
            "[{models: [], input: '-1', output: '1.0000001', maxOutputTokens: 0}, {models: [ok, ''], input: '1', output: '1', cacheWrite: x}]",
        )
        .unwrap_err();
        let places: Vec<&str> = violations.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(
            places,
            [
                "spec.prices[0].models",
                "spec.prices[0].maxOutputTokens",
                "spec.prices[0].input",
                "spec.prices[0].output",
                "spec.prices[1].models[1]",
                "spec.prices[1].cacheWrite",
            ]
        );
    }
}
