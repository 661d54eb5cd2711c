//! A call while it is being read.

use postern_crds::facts::{Call, Model, Models, Operation};

use super::{
    Unreadable,
    estimate::{self, Tally},
    json::{Error, Value},
    model, query,
};

/// The most different tools that a call may name. OpenAI takes 128, Anthropic 10,000 where it searches among them; more would make a small body
/// large in memory.
pub(super) const MAX_TOOLS: usize = 4096;

/// The most different models that a call names before they count as hidden.
const MAX_MODELS: usize = 256;

/// What was found so far. Readers add to it in whatever order the members come.
#[derive(Debug, Default)]
pub(super) struct Draft {
    call: Call,
    n: Option<u64>,
    /// The weight of the input.
    pub(super) input: Tally,
}

impl Draft {
    /// A call for `operation` of which nothing else is known.
    pub(super) fn new(operation: Operation) -> Self {
        Self {
            call: Call {
                operation,
                ..Call::default()
            },
            ..Self::default()
        }
    }

    /// What the head of a call for `operation` tells when its model stands in the body.
    pub(super) fn head(operation: Operation, models: Models) -> Call {
        Call {
            operation,
            models,
            n: 1,
            ..Call::default()
        }
    }

    /// What is asked for.
    pub(super) fn operation(&self) -> Operation {
        self.call.operation
    }

    /// The models that the path names.
    pub(super) fn models(&mut self, models: Models) {
        self.call.models = models;
    }

    /// A model that may answer. Once the models are hidden they stay so.
    pub(super) fn model(&mut self, model: Model) {
        match &mut self.call.models {
            Models::None => self.call.models = Models::Named(vec![model]),
            Models::Named(models) if models.contains(&model) => {}
            Models::Named(models) if models.len() < MAX_MODELS => models.push(model),
            Models::Named(_) => self.hide_models(),
            Models::Hidden => {}
        }
    }

    /// A model that may answer, by a member of the body.
    ///
    /// # Errors
    /// Not a string, or not a model's name.
    pub(super) fn model_member(&mut self, value: Value<'_, '_>) -> Result<(), Unreadable> {
        // Azure's clients send `null`, since the path says it.
        if let Some(value) = value.optional()? {
            self.model(model::named(&value.text()?)?);
        }
        Ok(())
    }

    /// Models that the query names: a server that looks there first would take those.
    ///
    /// # Errors
    /// A malformed query, or not a model's name.
    pub(super) fn query_models(&mut self, query: Option<&str>) -> Result<(), Unreadable> {
        for name in query::values(query, "model")? {
            self.model(model::named(&name)?);
        }
        Ok(())
    }

    /// Some other model may answer, and which cannot be told.
    pub(super) fn hide_models(&mut self) {
        self.call.models = Models::Hidden;
    }

    /// Whether a model is named, or known to be hidden.
    pub(super) fn has_models(&self) -> bool {
        self.call.models != Models::None
    }

    /// `stream`.
    pub(super) fn stream(&mut self, value: Value<'_, '_>) -> Result<(), Error> {
        if let Some(value) = value.optional()? {
            self.call.stream = value.flag()?;
        }
        Ok(())
    }

    /// The answer comes as a stream, whatever the body says.
    pub(super) fn streams(&mut self) {
        self.call.stream = true;
    }

    /// A limit of the output; of several the largest counts.
    pub(super) fn max_tokens(&mut self, value: Value<'_, '_>) -> Result<(), Error> {
        if let Some(value) = value.optional()? {
            self.call.max_tokens = self.call.max_tokens.max(Some(value.count()?));
        }
        Ok(())
    }

    /// A limit of the output that was read already.
    pub(super) fn limit(&mut self, tokens: u64) {
        self.call.max_tokens = self.call.max_tokens.max(Some(tokens));
    }

    /// A member with a number of answers; of several (`n`, `best_of`) the largest counts.
    pub(super) fn n(&mut self, value: Value<'_, '_>) -> Result<(), Error> {
        if let Some(value) = value.optional()? {
            self.answers(value.count()?);
        }
        Ok(())
    }

    /// A number of answers.
    pub(super) fn answers(&mut self, count: u64) {
        self.n = self.n.max(Some(count));
    }

    /// All of it is done this many times.
    pub(super) fn times(&mut self, times: u64) {
        self.n = Some(self.n.unwrap_or(1).saturating_mul(times));
    }

    /// A tool that the model may call. One more than [`MAX_TOOLS`] is kept, so that it can be told that there are too many.
    pub(super) fn tool(&mut self, name: impl Into<String>) {
        let name = name.into();
        if self.call.tools.len() <= MAX_TOOLS && !self.call.tools.contains(&name) {
            self.call.tools.push(name);
        }
    }

    /// A tool of the vendor's own. What it finds becomes input of the same call, which nobody can foretell: a search of the web was seen to add
    /// thirty thousand tokens to a question of twenty. Some are run by the caller, and add instructions alone.
    pub(super) fn vendor_tool(&mut self, kind: impl Into<String>) {
        /// How the types of those start: OpenAI's, and Anthropic's with their versions.
        const RUN_BY_CALLER: [&str; 7] = [
            "apply_patch",
            "bash_",
            "computer_",
            "local_shell",
            "memory_",
            "str_replace_",
            "text_editor_",
        ];
        let kind = kind.into();
        if RUN_BY_CALLER.iter().any(|start| kind.starts_with(start)) {
            self.input.tokens_given(estimate::CALLER_TOOL);
        } else {
            self.input.incomplete();
        }
        self.tool(kind);
    }

    /// How many tools there are so far, for [`Draft::forget_tools`].
    pub(super) fn tools(&self) -> usize {
        self.call.tools.len()
    }

    /// Forgets all tools but the first `count`.
    pub(super) fn forget_tools(&mut self, count: usize) {
        self.call.tools.truncate(count);
    }

    /// One more message, turn or input item.
    pub(super) fn message(&mut self) {
        *self.call.messages.get_or_insert(0) += 1;
    }

    /// There is an image among the input.
    pub(super) fn image(&mut self) {
        self.call.has_images = true;
    }

    /// How large images or films are to be.
    pub(super) fn image_size(&mut self, size: impl Into<String>) {
        self.call.image_size = Some(size.into());
    }

    /// This many more texts are to be embedded.
    pub(super) fn embeddings(&mut self, count: u64) {
        *self.call.embeddings_count.get_or_insert(0) += count;
    }

    /// The finished call.
    pub(super) fn finish(self) -> Call {
        Call {
            n: self.n.unwrap_or(1).max(1),
            estimated_input_tokens: self.input.tokens(),
            // Members that hold texts for an embedding hold other things for other operations.
            embeddings_count: self
                .call
                .embeddings_count
                .filter(|_| self.call.operation == Operation::Embeddings),
            ..self.call
        }
    }
}
